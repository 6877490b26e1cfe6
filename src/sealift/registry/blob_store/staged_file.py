"""A blob on its way into the filesystem store: one file, locked by one request.

The order of a commit, each step before the next: the hash agrees; the file is
synced; it is renamed; its new directory is synced. Stop anywhere and there is
garbage at most.
"""

import asyncio
import errno
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from sealift.image.digest import Digest, DigestMismatch
from sealift.registry.blob_store.blob_store import (
    StorageRefused,
    UploadBusy,
    UploadMissing,
    UploadTooLarge,
)
from sealift.registry.blob_store.disk import Disk
from sealift.registry.blob_store.disk_threads import DiskThreads, settle
from sealift.registry.blob_store.free_space import FreeSpace
from sealift.registry.blob_store.running_hash import RunningHash

log = logging.getLogger(__name__)

BATCH: Final = 1024 * 1024
"""Bytes handed to a thread at a time. An upload in flight holds two of these in memory."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def storage_refused(refused: OSError) -> StorageRefused:
    """What the system said, in our words."""
    log.error("the blob store could not write: %s", refused)
    return StorageRefused(refused.strerror or str(refused), is_full=refused.errno in _FULL)


def open_locked(path: Path) -> int:
    """Open an upload's file and lock it against everyone else, or refuse at once.

    Raises:
        UploadBusy: Someone else has it.
        UploadMissing: It is not there, or went while we waited for nothing.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UploadMissing(f"there is no upload {path.name}") from None
    except OSError as refused:
        raise storage_refused(refused) from refused
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            raise FileNotFoundError
    except BlockingIOError:
        os.close(descriptor)
        raise UploadBusy(f"another request is adding to the upload {path.name}") from None
    except FileNotFoundError:
        os.close(descriptor)
        raise UploadMissing(f"there is no upload {path.name}") from None
    return descriptor


class StagedFile:
    """See `sealift.registry.blob_store.blob_store.StagedBlob`."""

    def __init__(self, path: Path, descriptor: int, *, blobs: Path, disk: Disk, threads: DiskThreads) -> None:
        """Take over an upload's file.

        Args:
            path: Where it is.
            descriptor: It, open and locked; the caller closes it.
            blobs: The root of the directories where blobs stay.
            disk: What the file operations go through.
            threads: Where they run.
        """
        self.path = path
        self.hash: RunningHash | None = None
        """The hash of the first bytes, however many; None where this process has not seen them."""
        self.free: FreeSpace | None = None
        """What is to stay free of the disk; None is nothing."""
        self.is_gone = False
        """Whether it was committed or discarded."""
        self._descriptor = descriptor
        self._blobs = blobs
        self._disk = disk
        self._threads = threads
        self._size = os.fstat(descriptor).st_size

    @property
    def size(self) -> int:
        """See `StagedBlob.size`."""
        return self._size

    async def append(self, content: AsyncIterator[bytes], *, most: int, algorithm: str = "sha256") -> int:
        """See `StagedBlob.append`. The next batch is collected while the last one is written."""
        if self._size == 0:
            self.hash = RunningHash(algorithm)
        room = most - self._size
        line = _Line(self)
        try:
            async for piece in content:
                if len(piece) > room:
                    line.add(piece[:room])
                    raise UploadTooLarge(f"a blob has at most {most} bytes")
                room -= len(piece)
                line.add(piece)
                if line.waiting >= BATCH:
                    await line.send()
        finally:
            await line.drain()
        return self._size

    async def cut(self, size: int) -> None:
        """See `StagedBlob.cut`."""
        await self._threads.run(self._cut, size)

    async def commit(self, expected: Digest) -> int:
        """See `StagedBlob.commit`."""
        await self._threads.run(self._commit, expected)
        return self._size

    async def discard(self) -> None:
        """See `StagedBlob.discard`."""
        await self._threads.run(self._discard)

    # -------------------------------------------------------------- in threads

    def start_write(self, batch: Sequence[bytes]) -> "asyncio.Future[None]":
        """Begin to write and hash `batch`. One at a time."""
        return self._threads.start(self._write, batch)

    def _write(self, batch: Sequence[bytes]) -> None:
        """Write and hash `batch`, both or neither."""
        if self.free is not None:
            self.free.refuse_beyond(sum(map(len, batch)))
        try:
            written = self._disk.write(self._descriptor, batch, self._size)
        except OSError as refused:
            with suppress(OSError):  # where even this fails, the hash is made again from the file
                self._disk.truncate(self._descriptor, self._size)
            raise storage_refused(refused) from refused
        if self.hash is not None and self.hash.size == self._size:
            for piece in batch:
                self.hash.update(piece)
        self._size += written

    def _cut(self, size: int) -> None:
        try:
            self._disk.truncate(self._descriptor, size)
        except OSError as refused:
            raise storage_refused(refused) from refused
        self._size = size
        if self.hash is not None and self.hash.size > size:
            self.hash = None

    def _discard(self) -> None:
        try:
            self._disk.remove(self.path)
        except OSError as refused:
            raise storage_refused(refused) from refused
        self.is_gone = True

    def _commit(self, expected: Digest) -> None:
        """The commit, in its order. See the module's docstring."""
        actual = self._digest(expected.algorithm)
        if actual != expected:
            raise DigestMismatch(expected, actual)
        target = path_of(self._blobs, expected)
        try:
            make_home(self._disk, target.parent)
            if self._is_there_already(target):
                self._disk.remove(self.path)
            else:
                self._sync()
                self._disk.rename(self.path, target)
            self.is_gone = True
            # also where it was there already: another process may have renamed it and not come this far
            self._disk.sync_directory(target.parent)
        except OSError as refused:
            raise storage_refused(refused) from refused

    def _sync(self) -> None:
        """Have the bytes on the disk; where that fails once, the upload ends.

        After a failed sync the system may have dropped what it could not write,
        and say yes the next time.
        """
        try:
            self._disk.sync(self._descriptor)
        except OSError:
            with suppress(StorageRefused):
                self._discard()
            self.is_gone = True
            raise

    def _digest(self, algorithm: str) -> Digest:
        """The digest of what has come; reads back what this process did not see passing."""
        running = self.hash
        if running is None or running.algorithm != algorithm or running.size > self._size:
            running = RunningHash(algorithm)
        while running.size < self._size:
            piece = os.pread(self._descriptor, min(BATCH, self._size - running.size), running.size)
            if not piece:
                raise StorageRefused("an upload's file is shorter than it was", is_full=False)
            running.update(piece)
        self.hash = running
        return running.digest()

    def _is_there_already(self, target: Path) -> bool:
        """Whether the very same bytes stand under their digest.

        What stands there is not believed because of its name. Reading it costs
        less than syncing a second copy, and finds the damage that a push heals.
        """
        try:
            descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:
            log.exception("the stored blob %s cannot be read; an upload of it replaces it", target)
            return False
        try:
            same = os.fstat(descriptor).st_size == self._size and self._has_same_bytes(descriptor)
        finally:
            os.close(descriptor)
        if not same:
            log.error("the stored blob %s was damaged; an upload of it replaces it", target)
        return same

    def _has_same_bytes(self, descriptor: int) -> bool:
        """Whether a file of our size has our bytes."""
        offset = 0
        while offset < self._size:
            mine = os.pread(self._descriptor, BATCH, offset)
            try:
                theirs = os.pread(descriptor, len(mine), offset)
            except OSError:
                return False  # it cannot be read: all the more reason to replace it
            if not mine or mine != theirs:
                return False
            offset += len(mine)
        return True


class _Line:
    """Pieces that wait to be written, behind the one batch that is being written."""

    def __init__(self, staged: StagedFile) -> None:
        self.waiting = 0
        """Bytes."""
        self._staged = staged
        self._pieces: list[bytes] = []
        self._writing: asyncio.Future[None] | None = None

    def add(self, piece: bytes) -> None:
        """Take a piece; it is written later."""
        if piece:
            self._pieces.append(piece)
            self.waiting += len(piece)

    async def send(self) -> None:
        """See the last batch written, and begin with what waits."""
        await self._see_written()
        if self._pieces:
            batch, self._pieces, self.waiting = self._pieces, [], 0
            self._writing = self._staged.start_write(batch)

    async def drain(self) -> None:
        """See everything written that came. Where a batch was refused, none behind it is tried."""
        await self.send()
        await self._see_written()

    async def _see_written(self) -> None:
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            await settle(writing)
        except StorageRefused:
            self._pieces, self.waiting = [], 0
            raise


def make_home(disk: Disk, directory: Path) -> None:
    """Make ``sha256/ab``, with the names synced from the top down. Raises: OSError."""
    for each in (directory.parent, directory):
        if not each.is_dir():
            disk.make_directory(each)
            disk.sync_directory(each.parent)


def path_of(blobs: Path, digest: Digest) -> Path:
    """Where in `blobs` a blob is, or would be."""
    return blobs / digest.algorithm / digest.encoded[:2] / digest.encoded
