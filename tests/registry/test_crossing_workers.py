"""One upload whose requests reach different processes, over one data directory."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.blob_store import varied
from tests.registry.scene import ASHOK, REPOSITORY, Scene, body_of, call, open_scene, upload_id_of

from sealift.image.digest import Digest
from sealift.registry.refusal import RegistryRefusal

DATA = varied(3_000_000)
DIGEST = Digest.of(DATA)


async def _answer(scene: Scene, request: dict[str, Any]) -> tuple[int, dict[str, str]]:
    """Carry one request out, as a worker would."""
    handlers = {
        "POST": scene.uploads.start,
        "PATCH": scene.uploads.send_chunk,
        "PUT": scene.uploads.finish,
        "GET": scene.uploads.status,
    }
    try:
        answer = await handlers[request["method"]](call(by=ASHOK, **request))
    except RegistryRefusal as refusal:
        return refusal.status, refusal.headers
    return answer.status, answer.headers


def _work(directory: Path, pipe: Connection) -> None:
    """The other process: answers until it is told to stop."""
    import asyncio  # noqa: PLC0415 - runs in a process of its own

    async def serve() -> None:
        with open_scene(directory) as scene:
            while (request := await asyncio.to_thread(pipe.recv)) is not None:
                if request == "hold":
                    async with scene.store.hold_upload(pipe.recv()):
                        pipe.send("held")
                        pipe.recv()
                    pipe.send("let go")
                    continue
                pipe.send(await _answer(scene, request))

    asyncio.run(serve())


class OtherWorker:
    """A second process on the same data directory."""

    def __init__(self, directory: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_work, args=(directory, theirs))
        self._process.start()

    def ask(self, **request: Any) -> tuple[int, dict[str, str]]:
        self.pipe.send(request)
        answer: tuple[int, dict[str, str]] = self.pipe.recv()
        return answer

    def stop(self) -> None:
        self.pipe.send(None)
        self._process.join(30)
        exit_code = self._process.exitcode
        self._process.kill()
        assert exit_code == 0


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Scene]:
    with open_scene(tmp_path / "data") as scene:
        yield scene


@pytest.fixture
def there(here: Scene, tmp_path: Path) -> Iterator[OtherWorker]:
    worker = OtherWorker(tmp_path / "data")
    yield worker
    worker.stop()


async def test_every_request_of_an_upload_on_another_worker(here: Scene, there: OtherWorker) -> None:
    upload_id = upload_id_of(await here.uploads.start(call("POST", name=REPOSITORY)))
    of = {"name": REPOSITORY, "upload_id": upload_id}
    quarter = len(DATA) // 4
    for index in range(4):
        part = DATA[index * quarter : (index + 1) * quarter]
        chunk = {"headers": {"content-range": f"{index * quarter}-{(index + 1) * quarter - 1}"}, "body": part}
        if index % 2:
            status, headers = await _answer(here, {"method": "PATCH", **of, **chunk})
        else:
            status, headers = there.ask(method="PATCH", **of, **chunk)
        assert (status, headers["range"]) == (202, f"0-{(index + 1) * quarter - 1}")
    assert there.ask(method="GET", **of)[0] == 204
    assert there.ask(method="PUT", query=f"digest={DIGEST}", **of)[0] == 201
    assert await here.get_blob(DIGEST) == DATA
    assert (await _answer(here, {"method": "GET", **of}))[0] == 404


async def test_a_chunk_out_of_order_for_the_other_worker(here: Scene, there: OtherWorker) -> None:
    upload_id = upload_id_of(await here.uploads.start(call("POST", name=REPOSITORY)))
    of = {"name": REPOSITORY, "upload_id": upload_id}
    await _answer(here, {"method": "PATCH", **of, "body": DATA[:1000]})
    again = {"headers": {"content-range": "0-999"}, "body": DATA[:1000]}
    status, headers = there.ask(method="PATCH", **of, **again)
    assert (status, headers["range"]) == (416, "0-999")
    assert there.ask(method="PUT", query=f"digest={DIGEST}", body=DATA[1000:], **of)[0] == 201


async def test_two_workers_do_not_add_at_once(here: Scene, there: OtherWorker) -> None:
    upload_id = upload_id_of(await here.uploads.start(call("POST", name=REPOSITORY)))
    there.pipe.send("hold")
    there.pipe.send(upload_id)
    assert there.pipe.recv() == "held"
    request = {"method": "PATCH", "name": REPOSITORY, "upload_id": upload_id, "body": body_of(DATA)}
    assert (await _answer(here, request))[0] == 416
    there.pipe.send("let go")
    assert there.pipe.recv() == "let go"
    request["body"] = body_of(DATA)
    assert (await _answer(here, request))[0] == 202


async def test_a_worker_that_is_killed_leaves_its_upload_to_the_others(here: Scene, tmp_path: Path) -> None:
    worker = OtherWorker(tmp_path / "data")
    status, headers = worker.ask(method="POST", name=REPOSITORY)
    assert status == 202
    of = {"name": REPOSITORY, "upload_id": headers["docker-upload-uuid"]}
    worker.ask(method="PATCH", body=DATA[:5000], **of)
    worker.pipe.send("hold")
    worker.pipe.send(of["upload_id"])
    assert worker.pipe.recv() == "held"
    worker._process.kill()
    worker._process.join(30)
    status, headers = await _answer(here, {"method": "GET", **of})
    assert (status, headers["range"]) == (204, "0-4999")
    assert (await _answer(here, {"method": "PUT", **of, "query": f"digest={DIGEST}", "body": DATA[5000:]}))[
        0
    ] == 201
