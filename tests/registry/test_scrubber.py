import asyncio
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import bindparam, update
from tests.registry.scene import NOON, REPOSITORY, Scene, call, open_scene, refused

from sealift.image.digest import Digest
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.catalog.database import Query
from sealift.registry.catalog.schema import manifest
from sealift.registry.file_reader import FileReader
from sealift.registry.scrubber import DAY_SECONDS, Progress, Scrubber
from sealift.registry.settings import Scrubbing

FAST = Scrubbing(mebibytes_per_second=1_000_000, every_days=7)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with open_scene(tmp_path / "data") as opened:
        yield opened


def scrubber(scene: Scene, settings: Scrubbing = FAST, *, busy: bool = False) -> Scrubber:
    assert isinstance(scene.store, FilesystemBlobStore)
    return Scrubber(
        scene.catalog.path.parent,
        scene.catalog,
        scene.store,
        settings,
        is_busy=lambda: busy,
        now=lambda: scene.clock() / 1_000_000,
    )


def file_of(scene: Scene, digest: Digest) -> Path:
    assert isinstance(scene.store, FilesystemBlobStore)
    return scene.store.path_of(digest)


async def test_what_is_right_is_read_and_counted(scene: Scene) -> None:
    await scene.push_image("v1")
    await scene.push_image("v2", salt="x")
    done = await scrubber(scene).read_all()
    assert (done.blobs, done.manifests, done.damaged, done.ended) == (4, 2, 0, NOON / 1_000_000)
    assert (scene.store.alarms.examined_blobs, scene.store.alarms.examined_bytes) == (4, done.bytes)


@pytest.mark.parametrize("harm", ["changed", "short", "missing"])
async def test_damage_is_found_said_and_known_from_there_on(
    scene: Scene, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    digest = await scene.push_blob(b"some layer")
    await scene.push_blob(b"another")
    path = file_of(scene, digest)
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(b"same layer" if harm == "changed" else b"some")
    done = await scrubber(scene).read_all()
    assert (done.blobs, done.damaged) == (2, 1)
    assert f"ALARM: the stored blob {digest}" in caplog.text
    assert await refused(scene.blobs.get(call("HEAD", name=REPOSITORY, digest=str(digest)))) == (
        "BLOB_UNKNOWN",
        404,
    )
    await scene.push_blob(b"some layer")
    scene.clock.pass_seconds(8 * DAY_SECONDS)
    assert (await scrubber(scene).read_all()).damaged == 0


async def test_a_rotten_manifest_is_found(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    digest = await scene.push_image("v1")
    scene.catalog.write_now(
        lambda transaction: transaction.run(Query(update(manifest).values(body=bindparam("x"))), x=b"{}")
    )
    assert (await scrubber(scene).read_all()).damaged == 1
    assert f"ALARM: the stored manifest {digest}" in caplog.text


async def test_it_goes_on_where_it_was_left(scene: Scene) -> None:
    digests = sorted([str(await scene.push_blob(bytes([n]) * 9)) for n in range(5)])
    left = scrubber(scene)
    (scene.catalog.path.parent / "scrub.json").write_text(
        json.dumps(asdict(Progress(began=1.0, after=digests[2], blobs=3)))
    )
    assert left.is_due()
    done = await left.read_all()
    assert (done.began, done.blobs) == (1.0, 5)
    assert scene.store.alarms.examined_blobs == 2


async def test_it_is_due_again_after_so_many_days(scene: Scene) -> None:
    one = scrubber(scene)
    assert one.is_due()
    await one.read_all()
    assert not one.is_due()
    scene.clock.pass_seconds(7 * DAY_SECONDS - 1)
    assert not one.is_due()
    scene.clock.pass_seconds(1)
    assert one.is_due()


async def test_what_was_written_down_badly_is_begun_again(scene: Scene) -> None:
    (scene.catalog.path.parent / "scrub.json").write_text("[1, 2")
    assert scrubber(scene).is_due()
    assert (await scrubber(scene).read_all()).ended is not None


async def test_it_keeps_to_its_rate_and_to_a_quarter_of_it_while_clients_are_served(scene: Scene) -> None:
    await scene.push_blob(bytes(512 * 1024))
    took = []
    for busy in (False, True):
        began = time.monotonic()
        await scrubber(scene, Scrubbing(mebibytes_per_second=10, every_days=1), busy=busy).read_all()
        took.append(time.monotonic() - began)
    assert took[0] >= 0.05
    assert took[1] >= 0.2


async def test_one_process_does_it_and_it_ends_when_it_is_told_to(scene: Scene) -> None:
    await scene.push_blob(bytes(4 * 1024 * 1024))
    slow = scrubber(scene, Scrubbing(mebibytes_per_second=0.001, every_days=1))
    other = scrubber(scene)
    tasks = [asyncio.create_task(slow.run()), asyncio.create_task(other.run())]
    await asyncio.sleep(0)  # each has had its turn, and one of them the lock
    slow.stop()
    await asyncio.wait_for(tasks[0], 20)
    assert other.progress() is None
    tasks[1].cancel()


async def test_off_is_off(scene: Scene) -> None:
    for off in (Scrubbing(mebibytes_per_second=0), Scrubbing(every_days=0)):
        await scrubber(scene, off).run()
    assert not (scene.catalog.path.parent / "scrub.lock").exists()


async def test_the_page_cache_is_left_as_it_was(scene: Scene) -> None:
    digest = await scene.push_blob(os.urandom(3 * 1024 * 1024))
    path = file_of(scene, digest)
    with FileReader(path) as reader:
        os.fsync(reader.descriptor)
        os.posix_fadvise(reader.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        await reader.read(2 * 1024 * 1024, 1)
        if not reader.came_from_disk:
            return  # a file system in memory
        os.posix_fadvise(reader.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    await scrubber(scene).read_all()
    with FileReader(path) as reader:
        await reader.read(2 * 1024 * 1024, 1)
        assert reader.came_from_disk
