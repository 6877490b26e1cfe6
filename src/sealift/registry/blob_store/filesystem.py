"""Blobs as files: ``blobs/sha256/ab/<hex>``, each put there by a rename once it is whole and synced.

A blob on its way in is a file in the uploads directory. It is hashed once, as
it passes; where another process goes on with an upload, that one hashes the
file from the point it knows, when it commits. A lock on the file itself keeps
two requests from adding to one upload, in this process or in any other.
"""

import asyncio
import fcntl
import os
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from sealift.image.digest import Digest, MalformedDigest
from sealift.registry.blob_store.blob_store import (
    MOST_BYTES,
    BlobDamaged,
    StorageRefused,
    StoredBlob,
    UploadBusy,
    UploadMissing,
)
from sealift.registry.blob_store.disk import Disk
from sealift.registry.blob_store.disk_threads import DiskThreads
from sealift.registry.blob_store.free_space import FreeSpace
from sealift.registry.blob_store.running_hash import RunningHash
from sealift.registry.blob_store.staged_file import (
    BATCH,
    StagedFile,
    make_home,
    open_locked,
    path_of,
    storage_refused,
)
from sealift.registry.exchange import FileSlice

MOST_HASHES: Final = 4096
"""Uploads whose hash this process remembers between two requests; the others are hashed again."""

ALGORITHMS: Final = ("sha256", "sha512")
"""What a blob may be called by: the directories there are."""

PIN_AGAIN_SECONDS: Final = 0.005
"""How soon a directory is tried again in which the collector is at work."""

_UPLOAD_ID: Final = re.compile(r"[0-9a-f-]{1,64}", re.ASCII)


class FilesystemBlobStore:
    """A blob store on one file system. Any number of processes may use the same directories."""

    def __init__(
        self,
        *,
        blobs: Path,
        uploads: Path,
        disk: Disk | None = None,
        threads: int = 16,
        now: Callable[[], float] = time.time,
        free: FreeSpace | None = None,
    ) -> None:
        """Use two directories that are there, on one file system.

        Args:
            blobs: Where blobs stay.
            uploads: Where they are while they arrive.
            disk: What the file operations go through.
            threads: The most operations on the disk at a time.
            now: The clock that the age of an upload is measured with, in seconds.
            free: What uploads leave free of the disk; None is nothing.
        """
        self._blobs = blobs
        self._uploads = uploads
        self._disk = disk or Disk()
        self._now = now
        self._free = free
        self._threads = DiskThreads(threads)
        self._hashes: OrderedDict[str, RunningHash] = OrderedDict()

    def close(self) -> None:
        """Wait for what the threads are doing and end them."""
        self._threads.close()

    # -------------------------------------------------------------- blobs

    def path_of(self, digest: Digest) -> Path:
        """Where the blob is, or would be."""
        return path_of(self._blobs, digest)

    async def size_of(self, digest: Digest) -> int | None:
        """See `BlobStore.size_of`."""
        return _size_at(self.path_of(digest))

    def content(self, digest: Digest, *, size: int, start: int = 0, stop: int | None = None) -> FileSlice:
        """See `BlobStore.content`. Here it is a slice of a file: the door chooses how to send it."""
        path = self.path_of(digest)
        found = _size_at(path)
        if found != size:
            raise BlobDamaged(digest, expected=size, found=found)
        return FileSlice(path=path, start=start, stop=size if stop is None else stop)

    async def read(self, digest: Digest, *, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """See `BlobStore.read`."""
        try:
            descriptor = os.open(self.path_of(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise BlobDamaged(digest, expected=stop or start, found=None) from None
        try:
            size = os.fstat(descriptor).st_size
            stop = size if stop is None else stop
            while start < stop:
                piece = await self._threads.run(os.pread, descriptor, min(BATCH, stop - start), start)
                if not piece:
                    raise BlobDamaged(digest, expected=stop, found=start)
                start += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def receive(
        self, content: AsyncIterator[bytes], *, most: int, algorithm: str = "sha256"
    ) -> AsyncIterator[StagedFile]:
        """See `BlobStore.receive`."""
        upload_id = str(uuid4())
        await self.begin_upload(upload_id)
        async with self.hold_upload(upload_id) as staged:
            try:
                await staged.append(content, most=most, algorithm=algorithm)
                yield staged
            finally:
                if not staged.is_gone:
                    with suppress(StorageRefused):  # what is left is swept; what counts is why
                        await staged.discard()

    async def write(self, content: AsyncIterator[bytes], *, expected: Digest, most: int = MOST_BYTES) -> int:
        """See `BlobStore.write`."""
        async with self.receive(content, most=most, algorithm=expected.algorithm) as staged:
            return await staged.commit(expected)

    async def delete(self, digest: Digest) -> None:
        """See `BlobStore.delete`."""
        await self._threads.run(self._disk.remove, self.path_of(digest))

    @asynccontextmanager
    async def pinned(self, digest: Digest) -> AsyncIterator[None]:
        """See `BlobStore.pinned`. It is a shared lock on the directory that the blob is in."""
        home = self.path_of(digest).parent
        if not home.is_dir():
            await self._threads.run(self._make_home, home)
        descriptor = _open_directory(home)
        try:
            while not _locked(descriptor, fcntl.LOCK_SH):  # noqa: ASYNC110 - it may be another process's
                await asyncio.sleep(PIN_AGAIN_SECONDS)  # the collector is there, for a moment
            yield
        finally:
            os.close(descriptor)

    @asynccontextmanager
    async def removing(self, digest: Digest) -> AsyncIterator[bool]:
        """See `BlobStore.removing`. It is an exclusive lock on the same directory."""
        home = self.path_of(digest).parent
        if not home.is_dir():
            await self._threads.run(self._make_home, home)
        descriptor = _open_directory(home)
        try:
            yield _locked(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)

    async def stored(self, place: int) -> tuple[StoredBlob, ...]:
        """See `BlobStore.stored`. A place is one directory of each algorithm."""
        return await self._threads.run(self._stored, f"{place:02x}")

    def _stored(self, name: str) -> tuple[StoredBlob, ...]:
        found = []
        now = self._now()
        for algorithm in ALGORITHMS:
            try:
                entries = list(os.scandir(self._blobs / algorithm / name))
            except FileNotFoundError:
                continue
            for entry in entries:
                try:
                    digest, status = Digest.parse(f"{algorithm}:{entry.name}"), entry.stat()
                except (MalformedDigest, FileNotFoundError):
                    continue  # nobody's blob, or gone since
                # the time of the last change: the rename that put it there
                found.append(StoredBlob(digest, status.st_size, now - status.st_ctime))
        return tuple(found)

    def _make_home(self, home: Path) -> None:
        try:
            make_home(self._disk, home)
        except OSError as refused:
            raise storage_refused(refused) from refused

    # -------------------------------------------------------------- uploads

    async def begin_upload(self, upload_id: str) -> None:
        """See `BlobStore.begin_upload`."""
        try:
            os.close(self._disk.create(self._upload_path(upload_id)))
        except OSError as refused:
            raise storage_refused(refused) from refused

    async def upload_size(self, upload_id: str) -> int | None:
        """See `BlobStore.upload_size`."""
        return _size_at(self._upload_path(upload_id)) if _UPLOAD_ID.fullmatch(upload_id) else None

    def staged_bytes(self, upload_ids: Iterable[str]) -> int:
        """How much of some uploads has come, all together. It asks the disk for each."""
        return sum(_size_at(self._upload_path(upload_id)) or 0 for upload_id in upload_ids)

    @asynccontextmanager
    async def hold_upload(self, upload_id: str) -> AsyncIterator[StagedFile]:
        """See `BlobStore.hold_upload`."""
        path = self._upload_path(upload_id)
        descriptor = open_locked(path)
        try:
            staged = StagedFile(path, descriptor, blobs=self._blobs, disk=self._disk, threads=self._threads)
            staged.free = self._free
            staged.hash = self._hashes.pop(upload_id, None)
            try:
                yield staged
            finally:
                if staged.hash is not None and not staged.is_gone:
                    self._hashes[upload_id] = staged.hash
                    if len(self._hashes) > MOST_HASHES:
                        self._hashes.popitem(last=False)
        finally:
            os.close(descriptor)

    async def sweep_uploads(self, *, keep: Collection[str], older_than_seconds: float) -> tuple[str, ...]:
        """See `BlobStore.sweep_uploads`."""
        return await self._threads.run(self._sweep, frozenset(keep), older_than_seconds)

    def _sweep(self, keep: frozenset[str], older_than_seconds: float) -> tuple[str, ...]:
        latest = self._now() - older_than_seconds
        gone = []
        with os.scandir(self._uploads) as entries:
            names = [entry.name for entry in entries if _UPLOAD_ID.fullmatch(entry.name)]
        for name in names:
            path = self._uploads / name
            if name in keep:
                continue
            try:
                if path.stat().st_mtime > latest:
                    continue
                descriptor = open_locked(path)
            except (FileNotFoundError, UploadBusy, UploadMissing):
                continue
            try:
                self._disk.remove(path)
            finally:
                os.close(descriptor)
            gone.append(name)
        return tuple(sorted(gone))

    def _upload_path(self, upload_id: str) -> Path:
        """Where an upload's file is. An id that we would not have made names no upload."""
        if _UPLOAD_ID.fullmatch(upload_id) is None:
            raise UploadMissing(f"there is no upload {ascii(upload_id)[:80]}")
        return self._uploads / upload_id


def _open_directory(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as refused:
        raise storage_refused(refused) from refused


def _locked(descriptor: int, how: int) -> bool:
    """Whether the lock could be had at once. Spec: Linux flock(2)."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size_at(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
