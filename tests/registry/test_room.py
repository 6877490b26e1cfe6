"""Room for an owner's bytes: what counts, what is refused, and what goes on beyond a quota."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.registry.scene import Scene, call, open_scene, refused, upload_id_of

from sealift.image.digest import Digest
from sealift.registry.blob_store.blob_store import StorageRefused
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.blob_store.free_space import MOST_RESERVED_BYTES, FreeSpace
from sealift.registry.catalog.accounts import account_by_name, add_account, remove_account, set_quota
from sealift.registry.catalog.database import Transaction
from sealift.registry.catalog.repository_rows import repository_row
from sealift.registry.catalog.storage_use import (
    StorageUse,
    quota_over,
    use_of_owner,
    use_of_repository,
)
from sealift.registry.manifests import Manifests
from sealift.registry.room import Room
from sealift.registry.uploads import Uploads

OWN, SECOND, FOREIGN = "ravi/app", "ravi/tools", "mina/app"
DENIED = ("DENIED", 403)


class Seconds:
    """A clock in seconds that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def scene(tmp_path: Path, seconds: Seconds) -> Iterator[Scene]:
    """A registry with the accounts ravi and mina, who own what is under their names."""
    with open_scene(tmp_path / "data") as made:

        def add(transaction: Transaction) -> None:
            for name in ("ravi", "mina"):
                add_account(transaction, name=name, password_hash="x", is_admin=False, now=1)

        made.catalog.write_now(add)
        assert isinstance(made.store, FilesystemBlobStore)
        room = Room(made.catalog, staged_bytes=made.store.staged_bytes, now=seconds)
        made.uploads = Uploads(made.catalog, made.store, made.limits, room=room)
        made.manifests = Manifests(made.catalog, made.store, made.limits, room=room)
        yield made


def _quota(scene: Scene, most: int | None) -> None:
    scene.catalog.write_now(lambda transaction: set_quota(transaction, name="ravi", quota_bytes=most))


def _id(scene: Scene, name: str) -> int:
    found = account_by_name(scene.catalog, name)
    assert found is not None
    return found.id


async def _start(scene: Scene, name: str = OWN) -> str:
    return upload_id_of(await scene.uploads.start(call("POST", name=name)))


# ------------------------------------------------------------------ what is counted


async def test_unique_and_shared_are_told_apart_and_each_blob_counts_once(scene: Scene) -> None:
    ours, everyones = b"o" * 1000, b"e" * 200
    for name in (OWN, SECOND):
        await scene.push_blob(ours, name)
    for name in (SECOND, FOREIGN):
        await scene.push_blob(everyones, name)
    assert use_of_owner(scene.catalog, _id(scene, "ravi")) == StorageUse(unique=1000, shared=200)
    assert use_of_owner(scene.catalog, _id(scene, "mina")) == StorageUse(unique=0, shared=200)
    for name, use in (
        (OWN, StorageUse(unique=0, shared=1000)),
        (SECOND, StorageUse(unique=0, shared=1200)),
        (FOREIGN, StorageUse(unique=0, shared=200)),
    ):
        row = repository_row(scene.catalog, name)
        assert row is not None
        assert use_of_repository(scene.catalog, row.id) == use


async def test_manifests_count_where_they_are(scene: Scene) -> None:
    await scene.push_image("v1", OWN)
    (manifest,) = scene.catalog._connection.execute("SELECT size FROM manifest").fetchone()
    (blobs,) = scene.catalog._connection.execute("SELECT sum(size) FROM blob").fetchone()
    use = use_of_owner(scene.catalog, _id(scene, "ravi"))
    assert use == StorageUse(unique=manifest + blobs, shared=0)


async def test_whose_quota_counts(scene: Scene) -> None:
    _quota(scene, 1000)
    for name, owner in (("ravi/new", "ravi"), ("mina/new", None), ("nobody/new", None)):
        found = quota_over(scene.catalog, name)
        assert (found and found.owner) == owner
    scene.make_repository(OWN)
    found = quota_over(scene.catalog, OWN)
    assert found is not None
    assert (found.owner, found.most) == ("ravi", 1000)
    # Another ravi owns nothing of the first one's.
    scene.catalog.write_now(lambda transaction: remove_account(transaction, name="ravi", transfer_to="mina"))
    scene.catalog.write_now(
        lambda transaction: add_account(transaction, name="ravi", password_hash="x", is_admin=False, now=1)
    )
    _quota(scene, 1)
    assert quota_over(scene.catalog, OWN) is None


# ------------------------------------------------------------------ what is refused


async def test_beyond_the_quota_new_bytes_are_refused_and_nothing_is_kept_of_them(scene: Scene) -> None:
    _quota(scene, 1000)
    await scene.push_blob(b"a" * 900, OWN)
    whole = b"b" * 200
    assert await refused(scene.push_blob(whole, OWN)) == DENIED
    assert await refused(scene.push_blob(whole, "ravi/another")) == DENIED
    upload_id = await _start(scene)
    streamed = call("PATCH", name=OWN, upload_id=upload_id, body=whole)
    assert await refused(scene.uploads.send_chunk(streamed)) == DENIED
    assert await refused(scene.uploads.status(streamed)) == ("BLOB_UPLOAD_UNKNOWN", 404)
    assert isinstance(scene.store, FilesystemBlobStore)
    assert await scene.store.upload_size(upload_id) is None
    await scene.push_blob(b"c" * 100, OWN)
    assert await refused(scene.uploads.start(call("POST", name=OWN))) == DENIED
    await scene.push_blob(whole, FOREIGN)


async def test_a_length_that_does_not_fit_is_refused_before_its_bytes_come(scene: Scene) -> None:
    _quota(scene, 1000)
    upload_id = await _start(scene)

    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("it was read")
        yield b""

    declared = call("PATCH", name=OWN, upload_id=upload_id, body=body(), headers={"content-length": "1001"})
    assert await refused(scene.uploads.send_chunk(declared)) == DENIED


async def test_a_manifest_that_does_not_fit_is_refused_and_one_that_is_there_is_not(scene: Scene) -> None:
    document = await scene.image(OWN)
    await scene.push_manifest(document, "v1", OWN)
    _quota(scene, use_of_owner(scene.catalog, _id(scene, "ravi")).total + 10)
    other = {**document, "annotations": {"a": "b"}}
    assert await refused(scene.push_manifest(other, "v2", OWN)) == DENIED
    assert (await scene.push_manifest(document, "v2", OWN)).status == 201


async def test_what_is_there_already_can_be_pushed_and_mounted_beyond_the_quota(scene: Scene) -> None:
    data = b"d" * 1000
    digest = await scene.push_blob(data, OWN)
    await scene.push_blob(data, FOREIGN)
    _quota(scene, 10)
    assert await scene.push_blob(data, OWN) == digest
    assert await scene.push_blob(data, "ravi/copy") == digest
    mounted = await scene.uploads.start(
        call("POST", name="ravi/mounted", query=f"mount={digest}&from={OWN}", readable=frozenset({OWN}))
    )
    assert mounted.status == 201


async def test_uploads_side_by_side_share_what_is_left(scene: Scene) -> None:
    """Each of ten is let in; together they bring no more than the quota has room for."""
    _quota(scene, 5_000)
    uploads = [await _start(scene) for _ in range(10)]

    async def send(upload_id: str, number: int) -> int:
        body = bytes([number]) * 1000
        try:
            patch = call("PATCH", name=OWN, upload_id=upload_id, body=body)
            await scene.uploads.send_chunk(patch)
            put = call("PUT", name=OWN, upload_id=upload_id, query=f"digest={Digest.of(body)}")
            return (await scene.uploads.finish(put)).status
        except Exception as failure:  # noqa: BLE001  counted
            return getattr(failure, "status", 0)

    statuses = await asyncio.gather(*(send(each, number) for number, each in enumerate(uploads)))
    assert sorted(statuses) == [201] * 5 + [403] * 5
    assert use_of_owner(scene.catalog, _id(scene, "ravi")).total == 5_000


async def test_unfinished_uploads_count_too(scene: Scene, seconds: Seconds) -> None:
    _quota(scene, 1_000)
    upload_id = await _start(scene)
    await scene.uploads.send_chunk(call("PATCH", name=OWN, upload_id=upload_id, body=b"x" * 900))
    seconds.now += 60  # what was remembered is asked again
    assert await refused(scene.push_blob(b"y" * 200, OWN)) == DENIED
    await scene.uploads.cancel(call("DELETE", name=OWN, upload_id=upload_id))
    await scene.push_blob(b"y" * 200, OWN)


async def test_who_deletes_may_push_again_at_once(scene: Scene) -> None:
    _quota(scene, 1_000)
    digest = await scene.push_blob(b"x" * 1000, OWN)
    assert await refused(scene.push_blob(b"y" * 10, OWN)) == DENIED
    await scene.blobs.delete(call("DELETE", name=OWN, digest=str(digest)))
    await scene.push_blob(b"y" * 10, OWN)


async def test_without_a_quota_nothing_is_asked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask_apart(work: object) -> int:
        raise AssertionError(f"asked: {work}")

    monkeypatch.setattr(scene.catalog, "ask_apart", ask_apart)
    await scene.push_image("v1", OWN)


# ------------------------------------------------------------------ the disk


def _disk(free: int, total: int) -> os.statvfs_result:
    #                        bsize frsize blocks bfree bavail files ffree favail flag namemax
    return os.statvfs_result((1, 1, total, free, free, 0, 0, 0, 0, 255))


@pytest.mark.parametrize(
    ("reserve", "total", "kept"),
    [
        pytest.param(None, 10**12, MOST_RESERVED_BYTES, id="a large disk"),
        pytest.param(None, 10**9, 10**7, id="a small disk: one percent"),
        pytest.param(5000, 10**9, 5000, id="as it was set"),
    ],
)
def test_the_reserve(reserve: int | None, total: int, kept: int) -> None:
    free = [0]
    space = FreeSpace(Path("/x"), reserve_bytes=reserve, look=lambda _: _disk(free[0], total))
    for there, more, share, fits in (
        (kept, 0, 1.0, True),
        (kept - 1, 0, 1.0, False),
        (kept + 100, 100, 1.0, True),
        (kept + 100, 101, 1.0, False),
        (kept // 2 + 1, 0, 0.5, True),
        (kept // 2 - 1, 0, 0.5, False),
    ):
        free[0] = there
        if fits:
            space.refuse_beyond(more, share=share)
        else:
            with pytest.raises(StorageRefused) as refusal:
                space.refuse_beyond(more, share=share)
            assert refusal.value.is_full


def test_no_reserve_leaves_the_last_byte_to_the_disk() -> None:
    FreeSpace(Path("/x"), reserve_bytes=0, look=lambda _: _disk(0, 100)).refuse_beyond(1000)


def test_the_operator_is_told_once_that_it_is_short_and_once_that_it_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    free = [10]
    space = FreeSpace(Path("/x"), reserve_bytes=100, look=lambda _: _disk(free[0], 1000))
    for _ in range(3):
        with pytest.raises(StorageRefused):
            space.refuse_beyond(1)
    free[0] = 500
    for _ in range(3):
        space.refuse_beyond(1)
    assert [(record.levelname, record.message.partition(":")[0]) for record in caplog.records] == [
        ("ERROR", "pushes are refused"),
        ("WARNING", "the disk of /x has room again"),
    ]
