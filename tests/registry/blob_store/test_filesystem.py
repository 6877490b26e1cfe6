import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contracts.blob_store import BODY, DIGEST, BlobStoreContract, begun, pieces, read_all
from tests.registry.blob_store.disks import FAR_FROM_NOW, FullDisk, RecordingDisk, make_store

from sealift.image.digest import Digest
from sealift.registry.blob_store.blob_store import BlobStore, StorageRefused
from sealift.registry.blob_store.disk import Disk
from sealift.registry.blob_store.filesystem import FilesystemBlobStore

HOME = f"sha256/{DIGEST.encoded[:2]}"


class TestFilesystemBlobStore(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[FilesystemBlobStore]:
        store = make_store(tmp_path, now=lambda: FAR_FROM_NOW)
        yield store
        store.close()

    async def damage(self, store: BlobStore, digest: Digest, instead: bytes) -> None:
        assert isinstance(store, FilesystemBlobStore)
        store.path_of(digest).write_bytes(instead)


FIRST_WRITE = [
    "create uploads",
    "write uploads",
    "write uploads",
    "make directory blobs",
    "sync names blobs",
    "make directory blobs/sha256",
    "sync names blobs/sha256",
    "sync uploads",
    f"rename blobs/{HOME}",
    f"sync names blobs/{HOME}",
]
"""Synced before it is renamed, and its names from the top down."""


async def test_the_order_of_a_commit(tmp_path: Path) -> None:
    disk = RecordingDisk(tmp_path)
    store = make_store(tmp_path, disk)
    await store.write(pieces(BODY), expected=DIGEST)
    assert disk.steps == FIRST_WRITE


async def test_the_same_bytes_again_are_not_written_twice(tmp_path: Path) -> None:
    disk = RecordingDisk(tmp_path)
    store = make_store(tmp_path, disk)
    await store.write(pieces(BODY), expected=DIGEST)
    before = store.path_of(DIGEST).stat().st_ino
    disk.steps.clear()
    await store.write(pieces(BODY), expected=DIGEST)
    # the names are synced again: another process may have renamed and not come that far
    assert disk.steps[3:] == ["remove uploads", f"sync names blobs/{HOME}"]
    assert store.path_of(DIGEST).stat().st_ino == before


@pytest.mark.parametrize("step", range(len(FIRST_WRITE)), ids=lambda step: f"{step}-{FIRST_WRITE[step]}")
async def test_stopped_at_any_step_there_is_no_wrong_blob(tmp_path: Path, step: int) -> None:
    store = make_store(tmp_path, RecordingDisk(tmp_path, fail_before=step))
    with pytest.raises(StorageRefused):
        await store.write(pieces(BODY), expected=DIGEST)
    after = make_store(tmp_path, now=lambda: FAR_FROM_NOW)
    assert await after.size_of(DIGEST) in {None, len(BODY)}
    assert (await after.size_of(DIGEST) is not None) is (step > FIRST_WRITE.index(f"rename blobs/{HOME}"))
    await after.sweep_uploads(keep=(), older_than_seconds=0)
    assert list((tmp_path / "uploads").iterdir()) == []
    await after.write(pieces(BODY), expected=DIGEST)
    assert await read_all(after, DIGEST) == BODY


async def test_a_full_disk_keeps_whole_batches_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = FullDisk(1_100_000)
    store = make_store(tmp_path, disk)
    upload_id = await begun(store)
    async with store.hold_upload(upload_id) as staged:
        with pytest.raises(StorageRefused) as refused:
            await staged.append(pieces(BODY), most=len(BODY))
        assert refused.value.is_full
        kept = staged.size
    assert kept == (tmp_path / "uploads" / upload_id).stat().st_size == 1_048_576
    disk.room = len(BODY)
    async with store.hold_upload(upload_id) as staged:
        await staged.append(pieces(BODY[kept:]), most=len(BODY))
        await staged.commit(DIGEST)
    assert await read_all(store, DIGEST) == BODY


async def test_a_failed_sync_ends_the_upload(tmp_path: Path) -> None:
    disk = RecordingDisk(tmp_path)
    store = make_store(tmp_path, disk)
    upload_id = await begun(store)

    class NoSync(Disk):
        def sync(self, descriptor: int) -> None:
            raise OSError(5, f"Input/output error on {descriptor}")

    failing = make_store(tmp_path, NoSync())
    async with failing.hold_upload(upload_id) as staged:
        await staged.append(pieces(BODY), most=len(BODY))
        with pytest.raises(StorageRefused) as refused:
            await staged.commit(DIGEST)
    assert not refused.value.is_full
    assert await store.upload_size(upload_id) is None
    assert await store.size_of(DIGEST) is None


async def test_an_upload_that_changes_hands_is_hashed_again(tmp_path: Path) -> None:
    stores = [make_store(tmp_path) for _ in range(3)]
    upload_id = await begun(stores[0])
    third = len(BODY) // 3
    for index, store in enumerate(stores):
        part = BODY[index * third : (index + 1) * third if index < 2 else None]
        async with store.hold_upload(upload_id) as staged:
            await staged.append(pieces(part), most=len(BODY))
    # the first one knows the hash of a third only, and has to read the rest
    async with stores[0].hold_upload(upload_id) as staged:
        await staged.commit(DIGEST)
    assert await read_all(stores[1], DIGEST) == BODY


async def test_cancelled_in_the_middle_what_came_is_kept_whole(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    upload_id = await begun(store)
    half = asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield BODY[:2_000]
        half.set()
        await asyncio.Event().wait()

    async def push() -> None:
        async with store.hold_upload(upload_id) as staged:
            await staged.append(stalls(), most=len(BODY))

    task = asyncio.create_task(push())
    await half.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.hold_upload(upload_id) as staged:
        assert staged.size == 2_000
        await staged.append(pieces(BODY[2_000:]), most=len(BODY))
        await staged.commit(DIGEST)


async def test_the_sweep_leaves_what_is_young_and_what_is_not_ours(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    upload_id = await begun(store)
    (tmp_path / "uploads" / "README.txt").write_text("somebody's")
    assert await store.sweep_uploads(keep=(), older_than_seconds=3600) == ()
    assert sorted(each.name for each in (tmp_path / "uploads").iterdir()) == sorted([upload_id, "README.txt"])


async def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    store = make_store(tmp_path)
    await store.write(pieces(BODY), expected=DIGEST)
    assert store.path_of(DIGEST).stat().st_mode & 0o777 == 0o600
    assert store.path_of(DIGEST).parent.stat().st_mode & 0o777 == 0o700
