import pytest
from tests.registry.scene import OTHER, REPOSITORY, Scene, body_bytes, call, refused

from sealift.image.digest import Digest
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.blob_store.memory import MemoryBlobStore
from sealift.registry.exchange import Answer
from sealift.registry.refusal import RegistryRefusal

DATA = bytes(range(256)) * 10
DIGEST = Digest.of(DATA)
HEADERS = {
    "content-type": "application/octet-stream",
    "content-length": "2560",
    "docker-content-digest": str(DIGEST),
    "etag": f'"{DIGEST}"',
    "accept-ranges": "bytes",
    "cache-control": "private, max-age=31536000, immutable",
}


async def get(scene: Scene, method: str = "GET", name: str = REPOSITORY, **headers: str) -> Answer:
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    return await scene.blobs.get(call(method, name=name, digest=str(DIGEST), headers=sent))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_all_of_it(scene: Scene, method: str) -> None:
    await scene.push_blob(DATA)
    answer = await get(scene, method)
    assert (answer.status, answer.headers) == (200, HEADERS)
    assert await body_bytes(answer) == DATA


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        pytest.param("bytes=500-1499", 500, 1500, id="from to"),
        pytest.param("bytes=2000-", 2000, 2560, id="from"),
        pytest.param("bytes=-500", 2060, 2560, id="the last"),
        pytest.param("bytes=-9999", 0, 2560, id="more than all of the last"),
        pytest.param("bytes=2000-5000", 2000, 2560, id="beyond the end"),
        pytest.param("bytes=0-0", 0, 1, id="one byte"),
    ],
)
async def test_a_range(scene: Scene, header: str, start: int, stop: int) -> None:
    await scene.push_blob(DATA)
    answer = await get(scene, range=header)
    changed = {"content-length": str(stop - start), "content-range": f"bytes {start}-{stop - 1}/2560"}
    assert (answer.status, answer.headers) == (206, {**HEADERS, **changed})
    assert await body_bytes(answer) == DATA[start:stop]


@pytest.mark.parametrize("header", ["bytes=5000-10000", "bytes=2560-", "bytes=-0", "bytes=500-0"])
async def test_a_range_that_is_not_there(scene: Scene, header: str) -> None:
    await scene.push_blob(DATA)
    with pytest.raises(RegistryRefusal) as refusal:
        await get(scene, range=header)
    assert (refusal.value.code, refusal.value.status) == ("RANGE_INVALID", 416)
    assert refusal.value.headers == {"content-range": "bytes */2560"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        pytest.param("GET", {"range": "bytes=0-1,5-6"}, id="several ranges"),
        pytest.param("GET", {"range": "items=0-1"}, id="another unit"),
        pytest.param("GET", {"range": "nonsense"}, id="nonsense"),
        pytest.param("HEAD", {"range": "bytes=0-1"}, id="HEAD"),
        pytest.param("GET", {"range": "bytes=0-1", "if-range": '"sha256:other"'}, id="of something else"),
        pytest.param("GET", {"range": "bytes=0-1", "if-range": f'W/"{DIGEST}"'}, id="of a weak tag"),
    ],
)
async def test_ranges_that_do_not_count(scene: Scene, method: str, headers: dict[str, str]) -> None:
    await scene.push_blob(DATA)
    answer = await scene.blobs.get(call(method, name=REPOSITORY, digest=str(DIGEST), headers=headers))
    assert (answer.status, answer.headers) == (200, HEADERS)


async def test_a_range_of_the_same_blob_as_before(scene: Scene) -> None:
    await scene.push_blob(DATA)
    assert (await get(scene, range="bytes=0-1", if_range=f'"{DIGEST}"')).status == 206


@pytest.mark.parametrize("tag", [f'"{DIGEST}"', str(DIGEST), f'W/"{DIGEST}"', "*", f'"other", "{DIGEST}"'])
async def test_what_the_client_has(scene: Scene, tag: str) -> None:
    await scene.push_blob(DATA)
    answer = await get(scene, if_none_match=tag)
    kept = {name: HEADERS[name] for name in ("etag", "docker-content-digest", "cache-control")}
    assert answer == Answer(status=304, headers=kept)


async def test_what_the_client_does_not_have(scene: Scene) -> None:
    await scene.push_blob(DATA)
    assert (await get(scene, if_none_match='"sha256:other"')).status == 200


async def test_only_the_repository_that_has_it(scene: Scene) -> None:
    scene.make_repository(OTHER, public=True)
    await scene.push_blob(DATA)
    for name in (OTHER, "no/such"):
        assert await refused(get(scene, name=name)) == ("BLOB_UNKNOWN", 404)


async def damage(scene: Scene, instead: bytes | None) -> None:
    if isinstance(scene.store, MemoryBlobStore):
        scene.store.blobs.pop(DIGEST)
        if instead is not None:
            scene.store.blobs[DIGEST] = instead
        return
    assert isinstance(scene.store, FilesystemBlobStore)
    path = scene.store.path_of(DIGEST)
    path.unlink()
    if instead is not None:
        path.write_bytes(instead)


@pytest.mark.parametrize(
    "instead", [None, DATA[:100], b"", DATA + b"x"], ids=["missing", "short", "empty", "long"]
)
async def test_damage_is_an_alarm_and_never_a_200_and_a_push_heals(
    scene: Scene, instead: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    await scene.push_blob(DATA)
    await damage(scene, instead)
    assert await refused(get(scene)) == ("UNKNOWN", 500)
    assert await refused(get(scene, range="bytes=0-1")) == ("UNKNOWN", 500)
    # whoever looks before it pushes has to push
    assert await refused(get(scene, "HEAD")) == ("BLOB_UNKNOWN", 404)
    assert "ALARM" in caplog.text
    await scene.push_blob(DATA)
    assert await scene.get_blob(DIGEST) == DATA


async def test_delete(scene: Scene) -> None:
    await scene.push_blob(DATA)
    request = call("DELETE", name=REPOSITORY, digest=str(DIGEST))
    assert await scene.blobs.delete(request) == Answer(status=202, headers={"content-length": "0"})
    for again in (scene.blobs.delete(request), get(scene), get(scene, "HEAD")):
        assert await refused(again) == ("BLOB_UNKNOWN", 404)
    await scene.push_blob(DATA)
    assert await scene.get_blob(DIGEST) == DATA


async def test_delete_in_a_repository_that_is_not_there(scene: Scene) -> None:
    request = call("DELETE", name="no/such", digest=str(DIGEST))
    assert await refused(scene.blobs.delete(request)) == ("BLOB_UNKNOWN", 404)


async def test_what_a_manifest_needs_stays(scene: Scene) -> None:
    image = await scene.push_image("v1")
    layer = Digest.of(b"layer ")
    request = call("DELETE", name=REPOSITORY, digest=str(layer))
    with pytest.raises(RegistryRefusal) as refusal:
        await scene.blobs.delete(request)
    assert (refusal.value.code, refusal.value.status) == ("UNSUPPORTED", 405)
    assert refusal.value.detail == {"digest": str(layer), "manifest": str(image)}
    await scene.manifests.delete(call("DELETE", name=REPOSITORY, reference=str(image)))
    assert (await scene.blobs.delete(request)).status == 202
