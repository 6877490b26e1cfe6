"""Damage of every kind, as whoever sends the file meets it."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.contracts.blob_store import pieces, varied
from tests.registry.blob_store.disks import make_store

from sealift.image.digest import Digest
from sealift.registry.blob_store.blob_damaged import BlobDamaged
from sealift.registry.blob_store.disk_threads import DiskThreads
from sealift.registry.blob_store.file_stamp import FileStamp
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.blob_store.proofs import Proofs
from sealift.registry.file_reader import MOST_PIECE_BYTES, FileReader
from sealift.registry.proven_file import proven_pieces

LARGE = varied(11 * MOST_PIECE_BYTES + 96)
SMALL = b"a small config"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FilesystemBlobStore]:
    store = make_store(tmp_path)
    yield store
    store.close()


class CountingProofs(Proofs):
    """Counts how often a file is read to its end."""

    reads = 0

    def hash_file(
        self, digest: Digest, descriptor: int, *, pause: Callable[[int], None] | None = None
    ) -> Digest:
        self.reads += 1
        return super().hash_file(digest, descriptor, pause=pause)


def changed(content: bytes, place: int) -> bytes:
    """The same with one bit of one byte changed."""
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


async def stored(store: FilesystemBlobStore, content: bytes) -> Digest:
    digest = Digest.of(content)
    await store.write(pieces(content), expected=digest)
    return digest


def strange(store: FilesystemBlobStore, digest: Digest) -> None:
    """As after a restart: this process has not seen the file."""
    store.proofs.forget(digest)


def is_known(store: FilesystemBlobStore, digest: Digest) -> bool:
    return store.proofs.knows(digest, FileStamp.of(store.path_of(digest).stat()))


async def got(
    store: FilesystemBlobStore, digest: Digest, size: int, start: int = 0, stop: int | None = None
) -> tuple[bytes, bool]:
    """What is given of a blob, and whether it ended with damage."""
    part = store.content(digest, size=size, start=start, stop=stop)
    came = b""
    with FileReader(part.path) as reader:
        try:
            async for piece in proven_pieces(reader, part):
                came += piece
        except BlobDamaged:
            return came, True
    return came, False


@pytest.mark.parametrize("content", [LARGE, SMALL, b""], ids=["large", "small", "empty"])
async def test_a_blob_that_is_right_is_given_and_remembered(
    store: FilesystemBlobStore, content: bytes
) -> None:
    digest = await stored(store, content)
    assert is_known(store, digest)  # its bytes were hashed as they came
    strange(store, digest)
    assert await got(store, digest, len(content)) == (content, False)
    assert is_known(store, digest) is bool(content)


@pytest.mark.parametrize("place", [0, len(LARGE) // 2, len(LARGE) - 1], ids=["first", "middle", "last"])
async def test_a_changed_byte_anywhere_ends_the_answer_short(store: FilesystemBlobStore, place: int) -> None:
    digest = await stored(store, LARGE)
    store.path_of(digest).write_bytes(changed(LARGE, place))
    came, damaged = await got(store, digest, len(LARGE))
    assert damaged
    assert 0 < len(came) < len(LARGE)
    assert store.alarms.changed == 1
    assert await store.size_of(digest) is None
    with pytest.raises(BlobDamaged):
        store.content(digest, size=len(LARGE))


async def test_nothing_of_a_small_changed_blob_is_given(store: FilesystemBlobStore) -> None:
    digest = await stored(store, SMALL)
    store.path_of(digest).write_bytes(changed(SMALL, 3))
    assert await got(store, digest, len(SMALL)) == (b"", True)


async def test_a_range_of_a_changed_blob_ends_short_wherever_the_change_is(
    store: FilesystemBlobStore,
) -> None:
    digest = await stored(store, LARGE)
    store.path_of(digest).write_bytes(changed(LARGE, len(LARGE) - 1))
    came, damaged = await got(store, digest, len(LARGE), 0, 3 * MOST_PIECE_BYTES)
    assert damaged
    assert len(came) == 2 * MOST_PIECE_BYTES


async def test_ranges_that_are_asked_for_together_read_the_blob_once(store: FilesystemBlobStore) -> None:
    digest = await stored(store, LARGE)
    strange(store, digest)
    counting = CountingProofs(store.proofs.marks, store.alarms, DiskThreads(4))
    store.proofs = counting
    step = MOST_PIECE_BYTES
    answers = await asyncio.gather(
        *(got(store, digest, len(LARGE), start, start + step) for start in range(0, 10 * step, step))
    )
    assert b"".join(came for came, _ in answers) == LARGE[: 10 * step]
    assert counting.reads == 1
    assert is_known(store, digest)


async def test_a_known_blob_that_comes_from_the_disk_is_read_again(store: FilesystemBlobStore) -> None:
    """Rot changes no time stamp: the file is known, and its bytes are other ones."""
    digest = await stored(store, LARGE)
    path = store.path_of(digest)
    path.write_bytes(changed(LARGE, 5))
    store.proofs.remember(digest, FileStamp.of(path.stat()))
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    with FileReader(path) as reader:
        await reader.read(0, 1)
        if not reader.came_from_disk:
            return  # a file system in memory: nothing of it can be let go, and none of it rots
        os.posix_fadvise(reader.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    came, damaged = await got(store, digest, len(LARGE))
    assert damaged
    assert len(came) < len(LARGE)


async def test_a_file_that_was_put_back_is_given_again(store: FilesystemBlobStore) -> None:
    digest = await stored(store, LARGE)
    store.path_of(digest).write_bytes(changed(LARGE, 7))
    assert (await got(store, digest, len(LARGE)))[1]
    store.path_of(digest).write_bytes(LARGE)
    assert await got(store, digest, len(LARGE)) == (LARGE, False)


async def test_a_push_heals_and_is_counted(store: FilesystemBlobStore) -> None:
    digest = await stored(store, LARGE)
    store.path_of(digest).write_bytes(changed(LARGE, 7))
    assert (await got(store, digest, len(LARGE)))[1]
    await stored(store, LARGE)
    assert store.alarms.healed == 1
    assert await got(store, digest, len(LARGE)) == (LARGE, False)
    assert list(store.proofs.marks.all()) == []


async def test_another_process_knows_of_the_damage_at_once(
    store: FilesystemBlobStore, tmp_path: Path
) -> None:
    digest = await stored(store, LARGE)
    another = make_store(tmp_path)
    store.path_of(digest).write_bytes(changed(LARGE, 7))
    assert await another.size_of(digest) == len(LARGE)
    assert (await got(store, digest, len(LARGE)))[1]
    assert await another.size_of(digest) is None
    another.close()


async def test_a_reader_that_leaves_in_the_middle_leaves_nothing_behind(store: FilesystemBlobStore) -> None:
    digest = await stored(store, LARGE)
    for start in (0, 1):
        strange(store, digest)
        part = store.content(digest, size=len(LARGE), start=start)
        with FileReader(part.path) as reader:
            given = proven_pieces(reader, part)
            await anext(given)
            await given.aclose()
    assert await got(store, digest, len(LARGE)) == (LARGE, False)
