"""What goes, when, and what does not: one rule a test, over a real catalog and either store."""

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.registry.scene import OTHER, REPOSITORY, Scene, body_of, call, index_of, open_scene, refused

from sealift.image.digest import Digest
from sealift.image.manifest import OCI_MANIFEST
from sealift.registry.blob_store.blob_store import PLACES
from sealift.registry.blob_store.disk import Disk
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.catalog.reviews import link_watched_since
from sealift.registry.collector import Collected, CollectorBusy
from sealift.registry.data_directory import DataDirectory
from sealift.registry.exchange import Answer

HOUR = 3600.0
DAY = 24 * HOUR
GRACE = 48 * HOUR
KEPT = 7 * DAY

DATA = b"the bytes of a layer"
DIGEST = Digest.of(DATA)


async def delete(scene: Scene, reference: str, name: str = REPOSITORY) -> Answer:
    return await scene.manifests.delete(call("DELETE", name=name, reference=reference))


async def is_stored(scene: Scene, digest: Digest) -> bool:
    return await scene.store.size_of(digest) is not None


async def collect(scene: Scene, *, places: int = 0) -> tuple[int, int, int]:
    """Manifests, links and blobs that went."""
    found = await scene.collector.run(places=places)
    return found.manifests, found.links, found.blobs


# ---------------------------------------------------------------- blobs


async def test_an_upload_whose_manifest_never_came_goes_after_the_grace(scene: Scene) -> None:
    await scene.push_blob(DATA)
    scene.clock.pass_seconds(GRACE - 1)
    assert await collect(scene) == (0, 0, 0)
    assert await scene.get_blob(DIGEST) == DATA
    scene.clock.pass_seconds(2)
    assert await collect(scene) == (0, 1, 1)
    assert not await is_stored(scene, DIGEST)
    assert await refused(scene.get_blob(DIGEST)) == ("BLOB_UNKNOWN", 404)
    assert scene.collector.total.bytes == len(DATA)


async def test_what_a_manifest_needs_stays_and_is_not_asked_again(scene: Scene) -> None:
    await scene.push_image("v1")
    scene.clock.pass_seconds(GRACE + 1)
    assert await collect(scene) == (0, 0, 0)
    assert scene.catalog._connection.execute("SELECT count(*) FROM link_review").fetchone() == (0,)
    assert await scene.get_manifest("v1")


async def test_pushed_again_it_is_young_again(scene: Scene) -> None:
    await scene.push_blob(DATA)
    scene.clock.pass_seconds(GRACE - 1)
    await scene.push_blob(DATA)
    scene.clock.pass_seconds(GRACE - 1)
    assert await collect(scene) == (0, 0, 0)
    scene.clock.pass_seconds(2)
    assert await collect(scene) == (0, 1, 1)


async def test_whoever_is_told_that_it_is_there_has_time_to_push_a_manifest(scene: Scene) -> None:
    """A client that looks, skips the upload and pushes its manifest last must not find the blob gone."""
    await scene.push_blob(DATA)
    began = link_watched_since(scene.catalog, REPOSITORY, DIGEST)
    await scene.blobs.get(call("HEAD", name=REPOSITORY, digest=str(DIGEST)))
    assert link_watched_since(scene.catalog, REPOSITORY, DIGEST) == began, "young: nothing is written"
    scene.clock.pass_seconds(GRACE - 1)
    await scene.blobs.get(call("HEAD", name=REPOSITORY, digest=str(DIGEST)))
    scene.clock.pass_seconds(GRACE * 3 / 4)
    assert await collect(scene) == (0, 0, 0)
    assert await is_stored(scene, DIGEST)


async def test_a_blob_of_two_repositories_stays_for_the_other(scene: Scene) -> None:
    await scene.push_blob(DATA)
    scene.clock.pass_seconds(GRACE / 2)
    await scene.push_blob(DATA, OTHER)
    scene.clock.pass_seconds(GRACE / 2 + 1)
    assert await collect(scene) == (0, 1, 0)
    assert await scene.get_blob(DIGEST, OTHER) == DATA
    assert await refused(scene.get_blob(DIGEST)) == ("BLOB_UNKNOWN", 404)


async def test_a_mounted_blob_waits_as_one_that_was_uploaded(scene: Scene) -> None:
    scene.make_repository(OTHER, public=True)
    await scene.push_blob(DATA, OTHER)
    scene.clock.pass_seconds(GRACE / 2)
    mounted = await scene.uploads.start(call("POST", name=REPOSITORY, query=f"mount={DIGEST}&from={OTHER}"))
    assert mounted.status == 201
    scene.clock.pass_seconds(GRACE / 2 + 1)
    assert await collect(scene) == (0, 1, 0)
    assert await scene.get_blob(DIGEST) == DATA
    scene.clock.pass_seconds(GRACE / 2)
    assert await collect(scene) == (0, 1, 1)


async def test_a_deleted_blob_and_a_deleted_repository_leave_their_bytes_for_a_grace(scene: Scene) -> None:
    await scene.push_blob(DATA)
    await scene.push_blob(b"another", OTHER)
    await scene.blobs.delete(call("DELETE", name=REPOSITORY, digest=str(DIGEST)))
    delete_repository_named(scene, OTHER)
    scene.clock.pass_seconds(GRACE - 1)
    assert await collect(scene) == (0, 0, 0)
    scene.clock.pass_seconds(2)
    assert await collect(scene) == (0, 0, 2)


def delete_repository_named(scene: Scene, name: str) -> None:
    from sealift.registry.catalog.repositories import repository_id  # noqa: PLC0415 - used here only
    from sealift.registry.catalog.repository_rows import delete_repository  # noqa: PLC0415

    found = repository_id(scene.catalog, name)
    assert found is not None
    now = scene.clock.now
    scene.catalog.write_now(lambda transaction: delete_repository(transaction, found, now=now))


async def test_a_foreign_layer_that_was_pushed_all_the_same_stays(scene: Scene) -> None:
    document = await scene.image()
    document["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    await scene.push_manifest(document, "v1")
    scene.clock.pass_seconds(GRACE + 1)
    assert await collect(scene) == (0, 0, 0)


# ---------------------------------------------------------------- manifests


async def test_a_deleted_manifest_is_gone_at_once_and_its_bytes_much_later(scene: Scene) -> None:
    digest = await scene.push_image("v1")
    scene.clock.pass_seconds(GRACE + 1)
    await collect(scene)  # its uploads have been looked at
    await delete(scene, str(digest))
    assert await refused(scene.manifests.get(call("GET", name=REPOSITORY, reference=str(digest))))
    scene.clock.pass_seconds(KEPT - 1)
    assert await collect(scene) == (0, 0, 0)
    scene.clock.pass_seconds(2)
    assert await collect(scene) == (1, 0, 0), "now the grace of its blobs begins"
    scene.clock.pass_seconds(GRACE + 1)
    assert await collect(scene) == (0, 2, 2)


async def test_pushed_again_a_deleted_manifest_is_as_if_it_had_stayed(scene: Scene) -> None:
    digest = await scene.push_image("v1")
    await delete(scene, str(digest))
    assert await scene.push_image("v1") == digest
    scene.clock.pass_seconds(KEPT + GRACE + 1)
    for _ in range(2):
        assert await collect(scene) == (0, 0, 0)
    assert scene.catalog._connection.execute("SELECT count(*) FROM deleted_manifest").fetchone() == (0,)


async def test_an_untagged_manifest_stays_unless_the_operator_says_otherwise(scene: Scene) -> None:
    first = await scene.push_image("v1", salt="first")
    await scene.push_image("v1", salt="second")
    scene.clock.pass_seconds(400 * DAY)
    assert await collect(scene) == (0, 0, 0)
    strict = scene.collecting(keep_untagged_seconds=30 * DAY)
    assert await collect(strict) == (1, 0, 0)
    assert await refused(scene.get_manifest(str(first)))
    assert await scene.get_manifest("v1")


async def test_what_an_index_lists_or_a_tag_names_again_is_not_untagged(scene: Scene) -> None:
    child = await scene.push_image("child", salt="child")
    await scene.push_manifest(index_of(child, size=len(await scene.get_manifest("child"))), "all")
    back = await scene.push_image("v1", salt="back")
    await delete(scene, "child")
    await delete(scene, "v1")
    await scene.push_image("v2", salt="back")
    scene.clock.pass_seconds(400 * DAY)
    assert await collect(scene.collecting(keep_untagged_seconds=DAY)) == (0, 0, 0)
    for each in (child, back):
        assert await scene.get_manifest(str(each))


async def test_the_children_of_a_deleted_index_are_untagged_from_then_on(scene: Scene) -> None:
    child = await scene.push_image(salt="child")
    size = len(await scene.get_manifest(str(child)))
    answer = await scene.push_manifest(index_of(child, size=size), "all")
    scene.clock.pass_seconds(400 * DAY)
    await delete(scene, answer.headers["docker-content-digest"])
    strict = scene.collecting(keep_untagged_seconds=30 * DAY, keep_deleted_seconds=60 * DAY)
    assert await collect(strict) == (0, 0, 0)
    scene.clock.pass_seconds(31 * DAY)
    assert await collect(strict) == (1, 0, 0)
    assert await refused(scene.get_manifest(str(child)))


async def test_a_signature_stays_as_long_as_the_image_that_it_is_of(scene: Scene) -> None:
    image = await scene.push_image("v1")
    subject = {"mediaType": OCI_MANIFEST, "digest": str(image), "size": len(await scene.get_manifest("v1"))}
    body = json.dumps(await scene.image(subject=subject)).encode()
    await scene.push_manifest(body, "signature")
    await delete(scene, "signature")  # some tools push by a tag what they need none for
    strict = scene.collecting(keep_untagged_seconds=30 * DAY, keep_deleted_seconds=60 * DAY)
    scene.clock.pass_seconds(400 * DAY)
    assert await collect(strict) == (0, 0, 0)
    assert await scene.get_manifest(str(Digest.of(body)))
    await delete(scene, str(image))
    assert await collect(strict) == (0, 0, 0)
    scene.clock.pass_seconds(31 * DAY)
    assert await collect(strict) == (1, 0, 0)
    assert await refused(scene.get_manifest(str(Digest.of(body))))


# ---------------------------------------------------------------- strays, locks, numbers


async def test_bytes_that_the_catalog_does_not_know_go(scene: Scene) -> None:
    """As a crash between the rename and the transaction leaves them."""
    await scene.push_image("v1")
    await scene.store.write(body_of(b"stray"), expected=Digest.of(b"stray"))
    found = await scene.collecting(grace_seconds=-1).collector.run(places=PLACES)
    assert (found.strays, found.bytes) == (1, len(b"stray"))
    assert not await is_stored(scene, Digest.of(b"stray"))
    assert await scene.get_manifest("v1")


async def test_a_blob_that_is_being_stored_stays_until_the_next_run(scene: Scene) -> None:
    await scene.push_blob(DATA)
    scene.clock.pass_seconds(GRACE + 1)
    async with scene.store.pinned(DIGEST):
        found = await scene.collector.run(places=0)
        assert (found.blobs, found.left) == (0, 1)
        assert await is_stored(scene, DIGEST)
    assert await collect(scene) == (0, 0, 1)


async def test_one_at_a_time_and_none_beside_a_backup(scene: Scene) -> None:
    descriptor = os.open(scene.collector.lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # as a backup does
        with pytest.raises(CollectorBusy):
            await scene.collector.run()
    finally:
        os.close(descriptor)
    await scene.collector.run()


async def test_a_report_says_what_when_and_how_much_and_changes_nothing(scene: Scene) -> None:
    await scene.push_blob(DATA)
    await scene.push_blob(b"elsewhere too")
    await scene.push_blob(b"elsewhere too", OTHER)
    kept = await scene.image(OTHER)
    kept["layers"].append({**kept["layers"][0], "digest": str(Digest.of(b"elsewhere too")), "size": 13})
    await scene.push_manifest(kept, "v1", OTHER)
    digest = await scene.push_image("v1")
    await delete(scene, str(digest))
    for _ in range(2):
        waiting = await scene.collector.waiting()
        found = {(item.kind, item.digest, item.repository) for item in waiting.items}
        assert found == {
            ("manifest", str(digest), REPOSITORY),
            ("link", str(DIGEST), REPOSITORY),
            ("link", str(Digest.of(b"elsewhere too")), REPOSITORY),
        }
        assert (waiting.bytes, waiting.is_all) == (len(DATA), True), "the other's bytes stay for OTHER"
    assert scene.collector.total == Collected()


# ---------------------------------------------------------------- beside a push


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[Scene]:
    with open_scene(tmp_path / "data") as opened:
        yield opened


async def test_whichever_comes_first_a_push_of_a_blob_that_is_going_is_whole(on_disk: Scene) -> None:
    """A push and the collector at the same blob, in every order that the event loop can be brought to."""
    for turns in range(60):
        data = b"going %d" % turns
        digest = Digest.of(data)
        await on_disk.push_blob(data)
        on_disk.clock.pass_seconds(GRACE + 1)
        pushing = asyncio.ensure_future(on_disk.push_blob(data))
        for _ in range(turns):
            await asyncio.sleep(0)
        await on_disk.collector.run(places=0)
        assert await pushing == digest
        assert await on_disk.get_blob(digest) == data, f"after {turns} turns"


class Stopped(Exception):
    """The machine does nothing any more."""


class StoppingDisk(Disk):
    """A disk that stops before it removes anything."""

    def remove(self, path: Path) -> None:
        raise Stopped(path)


async def test_the_row_goes_before_the_bytes(on_disk: Scene, tmp_path: Path) -> None:
    """Stopped between the two there are bytes without a row, which are strays; never a row without bytes."""
    await on_disk.push_blob(DATA)
    on_disk.clock.pass_seconds(GRACE + 1)
    data = DataDirectory(tmp_path / "data")
    stopping = FilesystemBlobStore(blobs=data.blobs, uploads=data.uploads, disk=StoppingDisk())
    with pytest.raises(Stopped):
        await replace(on_disk, store=stopping).collector.run(places=0)
    stopping.close()
    assert await is_stored(on_disk, DIGEST)
    assert await refused(on_disk.get_blob(DIGEST)) == ("BLOB_UNKNOWN", 404)
    assert await on_disk.push_blob(DATA) == DIGEST, "the bytes that are left are no hindrance"
    assert await on_disk.get_blob(DIGEST) == DATA
