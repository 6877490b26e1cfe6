"""Blobs in memory: for tests, and for a registry that is to leave nothing behind."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from uuid import uuid4

from sealift.image.digest import Digest, DigestMismatch
from sealift.registry.blob_store.alarms import Alarms
from sealift.registry.blob_store.blob_damaged import BlobDamaged
from sealift.registry.blob_store.blob_store import (
    MOST_BYTES,
    StoredBlob,
    UploadBusy,
    UploadMissing,
    UploadTooLarge,
)

PIECE = 64 * 1024
"""Bytes that a read yields at a time."""


class MemoryBlobStore:
    """A blob store of one process, gone with it."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, bytes] = {}
        """What is stored. A test damages it here."""
        self.alarms = Alarms()
        """What was found damaged."""
        self._uploads: dict[str, bytearray] = {}
        self._held: set[str] = set()
        self._pins: Counter[Digest] = Counter()
        self._removing: set[Digest] = set()

    async def size_of(self, digest: Digest) -> int | None:
        """See `BlobStore.size_of`."""
        blob = self.blobs.get(digest)
        return None if blob is None or Digest.of(blob, digest.algorithm) != digest else len(blob)

    def content(
        self, digest: Digest, *, size: int, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """See `BlobStore.content`."""
        blob = self.blobs.get(digest)
        if blob is None or len(blob) != size or Digest.of(blob, digest.algorithm) != digest:
            raise BlobDamaged(digest, expected=size, found=None if blob is None else len(blob))
        return self.read(digest, start=start, stop=stop)

    async def read(self, digest: Digest, *, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """See `BlobStore.read`."""
        blob = self.blobs.get(digest)
        if blob is None:
            raise BlobDamaged(digest, expected=stop or start, found=None)
        stop = len(blob) if stop is None else stop
        for offset in range(start, min(stop, len(blob)), PIECE):
            yield blob[offset : min(offset + PIECE, stop)]
        if stop > len(blob):
            raise BlobDamaged(digest, expected=stop, found=len(blob))

    async def write(self, content: AsyncIterator[bytes], *, expected: Digest, most: int = MOST_BYTES) -> int:
        """See `BlobStore.write`."""
        whole = bytearray()
        async for piece in content:
            whole += piece
            if len(whole) > most:
                raise UploadTooLarge(f"a blob has at most {most} bytes")
        return self._store(bytes(whole), expected)

    @asynccontextmanager
    async def receive(
        self, content: AsyncIterator[bytes], *, most: int, algorithm: str = "sha256"
    ) -> AsyncIterator["StagedBytes"]:
        """See `BlobStore.receive`."""
        upload_id = str(uuid4())
        await self.begin_upload(upload_id)
        try:
            async with self.hold_upload(upload_id) as staged:
                await staged.append(content, most=most, algorithm=algorithm)
                yield staged
        finally:
            self._uploads.pop(upload_id, None)

    async def delete(self, digest: Digest) -> None:
        """See `BlobStore.delete`."""
        self.blobs.pop(digest, None)

    @asynccontextmanager
    async def pinned(self, digest: Digest) -> AsyncIterator[None]:
        """See `BlobStore.pinned`."""
        while digest in self._removing:  # noqa: ASYNC110 - for tests: short, and one process
            await asyncio.sleep(0)
        self._pins[digest] += 1
        try:
            yield
        finally:
            self._pins[digest] -= 1

    @asynccontextmanager
    async def removing(self, digest: Digest) -> AsyncIterator[bool]:
        """See `BlobStore.removing`."""
        if self._pins[digest] or digest in self._removing:
            yield False
            return
        self._removing.add(digest)
        try:
            yield True
        finally:
            self._removing.discard(digest)

    async def stored(self, place: int) -> tuple[StoredBlob, ...]:
        """See `BlobStore.stored`. Memory keeps no times: everything is old."""
        prefix = f"{place:02x}"
        return tuple(
            StoredBlob(digest, len(blob), math.inf)
            for digest, blob in self.blobs.items()
            if digest.encoded.startswith(prefix)
        )

    async def begin_upload(self, upload_id: str) -> None:
        """See `BlobStore.begin_upload`."""
        self._uploads[upload_id] = bytearray()

    async def upload_size(self, upload_id: str) -> int | None:
        """See `BlobStore.upload_size`."""
        upload = self._uploads.get(upload_id)
        return None if upload is None else len(upload)

    @asynccontextmanager
    async def hold_upload(self, upload_id: str) -> AsyncIterator["StagedBytes"]:
        """See `BlobStore.hold_upload`."""
        if upload_id not in self._uploads:
            raise UploadMissing(f"there is no upload {ascii(upload_id)[:80]}")
        if upload_id in self._held:
            raise UploadBusy(f"another request is adding to the upload {upload_id}")
        self._held.add(upload_id)
        try:
            yield StagedBytes(self, upload_id)
        finally:
            self._held.discard(upload_id)

    async def sweep_uploads(self, *, keep: Collection[str], older_than_seconds: float) -> tuple[str, ...]:
        """See `BlobStore.sweep_uploads`. Memory keeps no times: everything is old."""
        del older_than_seconds
        gone = sorted(self._uploads.keys() - set(keep) - self._held)
        for upload_id in gone:
            del self._uploads[upload_id]
        return tuple(gone)

    def bytes_of(self, upload_id: str) -> bytearray:
        """What has arrived of an upload."""
        return self._uploads[upload_id]

    def end(self, upload_id: str, *, stored_as: Digest | None = None) -> None:
        """End an upload: stored, or forgotten."""
        if stored_as is not None:
            self._store(bytes(self._uploads[upload_id]), stored_as)
        self._uploads.pop(upload_id, None)

    def _store(self, blob: bytes, expected: Digest) -> int:
        actual = Digest.of(blob, expected.algorithm)
        if actual != expected:
            raise DigestMismatch(expected, actual)
        self.blobs[expected] = blob
        return len(blob)


class StagedBytes:
    """See `StagedBlob`."""

    def __init__(self, store: MemoryBlobStore, upload_id: str) -> None:
        self._store = store
        self._upload_id = upload_id
        self._bytes = store.bytes_of(upload_id)

    @property
    def size(self) -> int:
        """See `StagedBlob.size`."""
        return len(self._bytes)

    async def append(self, content: AsyncIterator[bytes], *, most: int, algorithm: str = "sha256") -> int:
        """See `StagedBlob.append`."""
        del algorithm
        async for piece in content:
            room = most - len(self._bytes)
            self._bytes += piece[:room]
            if len(piece) > room:
                raise UploadTooLarge(f"a blob has at most {most} bytes")
        return len(self._bytes)

    async def cut(self, size: int) -> None:
        """See `StagedBlob.cut`."""
        del self._bytes[size:]

    async def commit(self, expected: Digest) -> int:
        """See `StagedBlob.commit`."""
        self._store.end(self._upload_id, stored_as=expected)
        return len(self._bytes)

    async def discard(self) -> None:
        """See `StagedBlob.discard`."""
        self._store.end(self._upload_id)
