import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.contracts.blob_store import varied
from tests.registry.blob_store.disks import FullDisk, make_store
from tests.registry.scene import (
    ASHOK,
    MALLORY,
    OTHER,
    REPOSITORY,
    Scene,
    body_bytes,
    body_of,
    call,
    open_scene,
    refused,
    upload_id_of,
)

from sealift.image.digest import Digest
from sealift.registry.blob_store.memory import MemoryBlobStore
from sealift.registry.catalog.uploads import all_uploads
from sealift.registry.exchange import Answer, Call, Principal
from sealift.registry.refusal import RegistryRefusal

DATA = varied(256_000)
DIGEST = Digest.of(DATA)
BLOB = f"/v2/{REPOSITORY}/blobs/{DIGEST}"


async def started(scene: Scene, name: str = REPOSITORY, by: Principal = ASHOK) -> str:
    return upload_id_of(await scene.uploads.start(call("POST", name=name, by=by)))


def chunk(
    upload_id: str, start: int, stop: int, *, data: bytes = DATA, method: str = "PATCH", query: str = ""
) -> Call:
    headers = {"content-range": f"{start}-{stop - 1}"}
    return call(
        method, name=REPOSITORY, upload_id=upload_id, headers=headers, body=data[start:stop], query=query
    )


def put(upload_id: str, digest: object = DIGEST, body: bytes = b"") -> Call:
    return call("PUT", name=REPOSITORY, upload_id=upload_id, query=f"digest={digest}", body=body)


def patch(upload_id: str, body: bytes | AsyncIterator[bytes] = DATA, **more: object) -> Call:
    return call("PATCH", name=REPOSITORY, upload_id=upload_id, body=body, **more)  # type: ignore[arg-type]  # passed on


STORED = {"location": BLOB, "docker-content-digest": str(DIGEST), "content-length": "0"}


def progress(upload_id: str, size: int) -> dict[str, str]:
    return {
        "location": f"/v2/{REPOSITORY}/blobs/uploads/{upload_id}",
        "range": f"0-{max(size - 1, 0)}",
        "docker-upload-uuid": upload_id,
        "content-length": "0",
    }


# ---------------------------------------------------------------- every form


async def test_the_whole_blob_in_the_post(scene: Scene) -> None:
    answer = await scene.uploads.start(call("POST", name=REPOSITORY, query=f"digest={DIGEST}", body=DATA))
    assert answer == Answer(status=201, headers=STORED)
    assert await scene.get_blob(DIGEST) == DATA
    assert all_uploads(scene.catalog) == frozenset()


async def test_post_then_put(scene: Scene) -> None:
    answer = await scene.uploads.start(call("POST", name=REPOSITORY))
    upload_id = upload_id_of(answer)
    assert answer == Answer(status=202, headers=progress(upload_id, 0))
    assert await scene.uploads.finish(put(upload_id, body=DATA)) == Answer(status=201, headers=STORED)
    assert await scene.get_blob(DIGEST) == DATA


async def test_streamed_as_docker_does(scene: Scene) -> None:
    upload_id = await started(scene)
    answer = await scene.uploads.send_chunk(patch(upload_id, body_of(DATA)))
    assert answer == Answer(status=202, headers=progress(upload_id, len(DATA)))
    assert await scene.uploads.finish(put(upload_id)) == Answer(status=201, headers=STORED)
    assert await scene.get_blob(DIGEST) == DATA


async def test_an_empty_patch_before_the_bytes(scene: Scene) -> None:
    upload_id = await started(scene)
    assert await scene.uploads.send_chunk(patch(upload_id, b"")) == Answer(
        status=202, headers=progress(upload_id, 0)
    )
    await scene.uploads.send_chunk(patch(upload_id))
    assert (await scene.uploads.finish(put(upload_id))).status == 201


@pytest.mark.parametrize("last_in_put", [False, True], ids=["closed empty", "last chunk in the PUT"])
async def test_in_chunks(scene: Scene, last_in_put: bool) -> None:
    upload_id = await started(scene)
    for start in (0, 100_000):
        answer = await scene.uploads.send_chunk(chunk(upload_id, start, start + 100_000))
        assert answer == Answer(status=202, headers=progress(upload_id, start + 100_000))
    last = chunk(upload_id, 200_000, len(DATA), method="PUT", query=f"digest={DIGEST}")
    if not last_in_put:
        await scene.uploads.send_chunk(chunk(upload_id, 200_000, len(DATA)))
        last = put(upload_id)
    assert await scene.uploads.finish(last) == Answer(status=201, headers=STORED)
    assert await scene.get_blob(DIGEST) == DATA


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_blob_of_no_bytes(scene: Scene, algorithm: str) -> None:
    empty = Digest.of(b"", algorithm)
    upload_id = await started(scene)
    assert (await scene.uploads.finish(put(upload_id, empty))).status == 201
    assert await scene.get_blob(empty) == b""


async def test_sha512_in_every_form(scene: Scene) -> None:
    digest = Digest.of(DATA, "sha512")
    whole = await scene.uploads.start(call("POST", name=OTHER, query=f"digest={digest}", body=DATA))
    assert whole.headers["docker-content-digest"] == str(digest)
    upload_id = await started(scene)
    await scene.uploads.send_chunk(chunk(upload_id, 0, 1000))
    assert (await scene.uploads.finish(put(upload_id, digest, DATA[1000:]))).status == 201
    assert await scene.get_blob(digest) == DATA


async def test_the_same_blob_again(scene: Scene) -> None:
    for _ in range(2):
        await scene.push_blob(DATA)
        upload_id = await started(scene)
        assert (await scene.uploads.finish(put(upload_id, body=DATA))).status == 201
    assert await scene.get_blob(DIGEST) == DATA


async def test_locations_are_absolute_where_the_registry_knows_its_url(scene: Scene) -> None:
    url = "https://registry.example"
    begun = await scene.uploads.start(call("POST", name=REPOSITORY, base_url=url))
    assert begun.headers["location"].startswith(f"{url}/v2/{REPOSITORY}/blobs/uploads/")
    done = await scene.uploads.start(
        call("POST", name=REPOSITORY, query=f"digest={DIGEST}", body=DATA, base_url=url)
    )
    assert done.headers["location"] == url + BLOB


# ---------------------------------------------------------------- out of order


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        pytest.param(2000, 3000, id="a gap"),
        pytest.param(0, 1000, id="again from the start"),
        pytest.param(500, 1500, id="overlapping"),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_chunk_that_is_not_the_next(scene: Scene, start: int, stop: int, method: str) -> None:
    upload_id = await started(scene)
    await scene.uploads.send_chunk(chunk(upload_id, 0, 1000))
    handler = scene.uploads.send_chunk if method == "PATCH" else scene.uploads.finish
    with pytest.raises(RegistryRefusal) as refusal:
        await handler(chunk(upload_id, start, stop, method=method, query=f"digest={DIGEST}"))
    assert (refusal.value.code, refusal.value.status) == ("RANGE_INVALID", 416)
    assert refusal.value.headers["range"] == "0-999"
    assert refusal.value.headers["location"] == f"/v2/{REPOSITORY}/blobs/uploads/{upload_id}"
    await scene.uploads.send_chunk(chunk(upload_id, 1000, 2000))
    assert (await scene.uploads.finish(put(upload_id, body=DATA[2000:]))).status == 201


@pytest.mark.parametrize("header", ["bytes=0-9", "0-", "-9", "a-b", "9-0", "0-9/10"])
async def test_a_content_range_that_is_none(scene: Scene, header: str) -> None:
    upload_id = await started(scene)
    request = patch(upload_id, DATA[:10], headers={"content-range": header})
    assert await refused(scene.uploads.send_chunk(request)) == ("RANGE_INVALID", 416)


async def test_a_length_that_is_not_the_ranges(scene: Scene) -> None:
    upload_id = await started(scene)
    request = patch(upload_id, DATA[:10], headers={"content-range": "0-19"})
    assert await refused(scene.uploads.send_chunk(request)) == ("SIZE_INVALID", 400)
    for size in (10, 30):  # streamed, so that it is known only at the end
        streamed = patch(upload_id, body_of(DATA[:size]), headers={"content-range": "0-19"})
        assert await refused(scene.uploads.send_chunk(streamed)) == ("SIZE_INVALID", 400)
    assert await scene.uploads.status(patch(upload_id)) == Answer(status=204, headers=progress(upload_id, 0))


async def test_status_and_resumption_after_the_client_left(scene: Scene) -> None:
    upload_id = await started(scene)

    class Gone(Exception):
        pass

    async def leaves() -> AsyncIterator[bytes]:
        yield DATA[:1234]
        raise Gone

    with pytest.raises(Gone):
        await scene.uploads.send_chunk(patch(upload_id, leaves()))
    status = await scene.uploads.status(call("GET", name=REPOSITORY, upload_id=upload_id))
    assert status == Answer(status=204, headers=progress(upload_id, 1234))
    await scene.uploads.send_chunk(chunk(upload_id, 1234, len(DATA)))
    assert (await scene.uploads.finish(put(upload_id))).status == 201
    assert await scene.get_blob(DIGEST) == DATA


async def test_two_requests_on_one_upload_do_not_mix(scene: Scene) -> None:
    upload_id = await started(scene)
    going, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield DATA[:1000]
        going.set()
        await go_on.wait()
        yield DATA[1000:]

    first = asyncio.create_task(scene.uploads.send_chunk(patch(upload_id, slow())))
    await going.wait()
    assert await refused(scene.uploads.send_chunk(patch(upload_id, b"else"))) == ("RANGE_INVALID", 416)
    assert await refused(scene.uploads.finish(put(upload_id, body=b"else"))) == ("RANGE_INVALID", 416)
    go_on.set()
    await first
    assert (await scene.uploads.finish(put(upload_id))).status == 201


async def test_cancel(scene: Scene) -> None:
    upload_id = await started(scene)
    await scene.uploads.send_chunk(patch(upload_id))
    request = call("DELETE", name=REPOSITORY, upload_id=upload_id)
    assert await scene.uploads.cancel(request) == Answer(status=204)
    for again in (scene.uploads.cancel(request), scene.uploads.status(request)):
        assert await refused(again) == ("BLOB_UPLOAD_UNKNOWN", 404)
    assert await scene.store.upload_size(upload_id) is None


async def test_cancelled_while_it_is_added_to(scene: Scene) -> None:
    upload_id = await started(scene)
    going, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield DATA
        going.set()
        await go_on.wait()

    closing = asyncio.create_task(
        scene.uploads.finish(
            call("PUT", name=REPOSITORY, upload_id=upload_id, query=f"digest={DIGEST}", body=slow())
        )
    )
    await going.wait()
    assert (await scene.uploads.cancel(call("DELETE", name=REPOSITORY, upload_id=upload_id))).status == 204
    go_on.set()
    assert await refused(closing) == ("BLOB_UPLOAD_UNKNOWN", 404)
    assert await refused(scene.get_blob(DIGEST)) == ("BLOB_UNKNOWN", 404)


# ---------------------------------------------------------------- digests


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="missing"),
        pytest.param("digest=", id="empty"),
        pytest.param("digest=sha256:abc", id="too short"),
        pytest.param("digest=md5:d41d8cd98f00b204e9800998ecf8427e", id="unknown algorithm"),
        pytest.param(f"digest={Digest.of(b'', 'sha384')}", id="an algorithm that we do not keep"),
        pytest.param(f"digest={DIGEST}".upper(), id="upper case"),
    ],
)
async def test_a_digest_that_cannot_be_leaves_the_upload(scene: Scene, query: str) -> None:
    upload_id = await started(scene)
    await scene.uploads.send_chunk(patch(upload_id))
    request = call("PUT", name=REPOSITORY, upload_id=upload_id, query=query)
    assert await refused(scene.uploads.finish(request)) == ("DIGEST_INVALID", 400)
    assert (await scene.uploads.finish(put(upload_id))).status == 201


async def test_other_bytes_than_the_digests_end_the_upload(scene: Scene) -> None:
    upload_id = await started(scene)
    await scene.uploads.send_chunk(patch(upload_id, b"other"))
    with pytest.raises(RegistryRefusal) as refusal:
        await scene.uploads.finish(put(upload_id))
    assert (refusal.value.code, refusal.value.status) == ("DIGEST_INVALID", 400)
    assert refusal.value.detail == {"expected": str(DIGEST), "actual": str(Digest.of(b"other"))}
    assert await refused(scene.uploads.finish(put(upload_id))) == ("BLOB_UPLOAD_UNKNOWN", 404)
    assert await refused(scene.get_blob(DIGEST)) == ("BLOB_UNKNOWN", 404)


async def test_other_bytes_in_one_request(scene: Scene) -> None:
    request = call("POST", name=REPOSITORY, query=f"digest={DIGEST}", body=b"other")
    assert await refused(scene.uploads.start(request)) == ("DIGEST_INVALID", 400)
    assert await scene.store.size_of(DIGEST) is None


# ---------------------------------------------------------------- whose it is


@pytest.mark.parametrize(
    ("name", "by"),
    [
        pytest.param(OTHER, ASHOK, id="another repository"),
        pytest.param(REPOSITORY, MALLORY, id="another principal"),
        pytest.param(OTHER, MALLORY, id="both"),
        pytest.param(REPOSITORY, Principal(id=None, name="anonymous"), id="nobody"),
        pytest.param(REPOSITORY, Principal(id=9, name="ashok"), id="the same name under another id"),
        pytest.param(REPOSITORY, Principal(id=1, name="admin", is_admin=True), id="an admin"),
        pytest.param("no/such", ASHOK, id="a repository that is not there"),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "PUT", "GET", "DELETE"])
async def test_an_upload_of_somebody_else_is_not_there(
    scene: Scene, name: str, by: Principal, method: str
) -> None:
    """Row 3 of the security table (CVE-2026-32589)."""
    scene.make_repository(OTHER)
    upload_id = await started(scene)
    await scene.uploads.send_chunk(chunk(upload_id, 0, 1000))
    handlers: dict[str, Callable[[Call], Awaitable[Answer]]] = {
        "PATCH": scene.uploads.send_chunk,
        "PUT": scene.uploads.finish,
        "GET": scene.uploads.status,
        "DELETE": scene.uploads.cancel,
    }
    request = call(
        method, name=name, upload_id=upload_id, query=f"digest={Digest.of(DATA[:1000])}", body=b"", by=by
    )
    assert await refused(handlers[method](request)) == ("BLOB_UPLOAD_UNKNOWN", 404)
    mine = await scene.uploads.status(call("GET", name=REPOSITORY, upload_id=upload_id))
    assert mine == Answer(status=204, headers=progress(upload_id, 1000))
    assert (await scene.uploads.finish(put(upload_id, body=DATA[1000:]))).status == 201


async def test_an_upload_ends_with_its_repository(scene: Scene) -> None:
    upload_id = await started(scene)
    await scene.uploads.send_chunk(patch(upload_id))
    scene.catalog.write_now(lambda tx: tx._connection.execute("DELETE FROM repository"))
    assert await refused(scene.uploads.finish(put(upload_id))) == ("BLOB_UPLOAD_UNKNOWN", 404)


# ---------------------------------------------------------------- mount


async def mount(
    scene: Scene, digest: object, *, source: str | None = OTHER, readable: tuple[str, ...] = ()
) -> Answer:
    query = f"mount={digest}" + ("" if source is None else f"&from={source}")
    return await scene.uploads.start(call("POST", name=REPOSITORY, query=query, readable=frozenset(readable)))


@pytest.mark.parametrize("public", [False, True], ids=["readable", "public"])
@pytest.mark.parametrize("source", [OTHER, None], ids=["from", "from anywhere"])
async def test_mount_of_what_the_caller_may_pull(scene: Scene, public: bool, source: str | None) -> None:
    scene.make_repository(OTHER, public=public)
    await scene.push_blob(DATA, OTHER)
    answer = await mount(scene, DIGEST, source=source, readable=() if public else (OTHER,))
    assert answer == Answer(status=201, headers=STORED)
    assert await scene.get_blob(DIGEST) == DATA


@pytest.mark.parametrize(
    ("digest", "source", "readable"),
    [
        pytest.param(DIGEST, OTHER, (), id="a private repository"),
        pytest.param(DIGEST, None, (), id="known only in a private repository"),
        pytest.param(DIGEST, "no/such", ("no/such",), id="a repository that is not there"),
        pytest.param(DIGEST, "", (), id="from nowhere"),
        pytest.param(Digest.of(b"unknown"), OTHER, (OTHER,), id="an unknown blob"),
        pytest.param("sha256:nonsense", OTHER, (OTHER,), id="no digest"),
        pytest.param(DIGEST, "third/one", ("third/one",), id="not in the one that was named"),
    ],
)
async def test_any_other_mount_is_an_ordinary_upload(
    scene: Scene, digest: object, source: str | None, readable: tuple[str, ...]
) -> None:
    """Row 15 of the security table: no answer tells what others have (R-OCI-13)."""
    scene.make_repository("third/one")
    await scene.push_blob(DATA, OTHER)
    answer = await mount(scene, digest, source=source, readable=readable)
    assert answer == Answer(status=202, headers=progress(upload_id_of(answer), 0))
    assert await refused(scene.get_blob(DIGEST)) == ("BLOB_UNKNOWN", 404)
    assert (await scene.uploads.finish(put(upload_id_of(answer), body=DATA))).status == 201


async def test_mount_of_a_damaged_blob_is_an_upload_that_heals_it(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.make_repository(OTHER, public=True)
    await scene.push_blob(DATA, OTHER)
    await scene.store.delete(DIGEST)
    answer = await mount(scene, DIGEST)
    assert answer.status == 202
    assert "ALARM" in caplog.text
    await scene.uploads.finish(put(upload_id_of(answer), body=DATA))
    assert await scene.get_blob(DIGEST, OTHER) == DATA


# ---------------------------------------------------------------- limits


async def test_a_blob_beyond_the_limit(scene: Scene) -> None:
    small = scene.limited(blob_bytes=1000)
    streamed = await started(small)
    assert await refused(small.uploads.send_chunk(patch(streamed, body_of(DATA)))) == ("SIZE_INVALID", 413)
    assert await refused(small.uploads.status(patch(streamed))) == ("BLOB_UPLOAD_UNKNOWN", 404)
    whole = call("POST", name=REPOSITORY, query=f"digest={DIGEST}", body=body_of(DATA))
    assert await refused(small.uploads.start(whole)) == ("SIZE_INVALID", 413)
    declared = await started(small)
    assert await refused(small.uploads.send_chunk(patch(declared))) == ("SIZE_INVALID", 413)
    in_chunks = await started(small)
    await small.uploads.send_chunk(chunk(in_chunks, 0, 1000))
    assert await refused(small.uploads.send_chunk(chunk(in_chunks, 1000, 1001))) == ("SIZE_INVALID", 413)
    exactly = Digest.of(DATA[:1000])
    assert (await small.uploads.finish(put(in_chunks, exactly))).status == 201


async def test_uploads_that_one_principal_has_open(scene: Scene) -> None:
    few = scene.limited(open_uploads=2)
    mine = [await started(few), await started(few, OTHER)]
    assert await refused(few.uploads.start(call("POST", name=REPOSITORY))) == ("TOOMANYREQUESTS", 429)
    await started(few, by=MALLORY)
    await few.uploads.cancel(call("DELETE", name=REPOSITORY, upload_id=mine[0]))
    await started(few)


async def test_a_full_disk_is_said_so(tmp_path: Path) -> None:
    """A 507 is a status whose name clients print."""
    with open_scene(tmp_path / "data") as scene:
        scene.store = make_store(tmp_path, FullDisk(10))
        scene.__post_init__()
        upload_id = await started(scene)
        assert await refused(scene.uploads.send_chunk(patch(upload_id))) == ("UNAVAILABLE", 507)
        status = await scene.uploads.status(patch(upload_id))
        assert status.headers["range"] == "0-0"


async def test_an_upload_that_is_added_to_stays_young(scene: Scene) -> None:
    upload_id = await started(scene)
    scene.clock.pass_seconds(3600)
    await scene.uploads.send_chunk(chunk(upload_id, 0, 10))
    row = scene.catalog._connection.execute("SELECT started_at, updated_at FROM upload").fetchone()
    assert row[1] - row[0] == 3600 * 1_000_000


async def test_nothing_is_answered_from_what_another_repository_has(scene: Scene) -> None:
    """Row 8 of the security table (CVE-2026-35172): deleted here, read there, still deleted here."""
    await scene.push_blob(DATA)
    await scene.push_blob(DATA, OTHER)
    await scene.blobs.delete(call("DELETE", name=REPOSITORY, digest=str(DIGEST)))
    assert await scene.get_blob(DIGEST, OTHER) == DATA
    assert await refused(scene.get_blob(DIGEST)) == ("BLOB_UNKNOWN", 404)
    assert await body_bytes(await scene.blobs.get(call("GET", name=OTHER, digest=str(DIGEST)))) == DATA
    assert isinstance(scene.store, MemoryBlobStore) or await scene.store.size_of(DIGEST) == len(DATA)
