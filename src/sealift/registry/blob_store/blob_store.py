"""What every blob store does: keep bytes under their digest and give them back unchanged.

The catalog says who may have which blob; a store knows nothing of repositories.
Every implementation passes tests/contracts/blob_store.py.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from sealift.errors import SealiftError
from sealift.image.digest import Digest
from sealift.registry.blob_store.alarms import Alarms
from sealift.registry.exchange import FileSlice

MOST_BYTES: Final = 2**63 - 1
"""Bytes of one blob, where nobody sets less."""


class StorageRefused(SealiftError):
    """The store could not take bytes: it is full, read-only or failing. Nothing was half-stored.

    Attributes:
        is_full: Whether there is no room, so that room would mend it.
    """

    exit_status: ClassVar[int] = 7

    def __init__(self, why: str, *, is_full: bool) -> None:
        super().__init__(
            "the registry's storage is full" if is_full else "the registry's storage refused a write",
            why=why,
            hint="free space where the data directory is" if is_full else "look at the data directory's disk",
        )
        self.is_full = is_full


PLACES: Final = 256
"""Parts of a store that can be listed one at a time."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Some bytes that are stored."""

    digest: Digest
    size: int
    age_seconds: float
    """Since they were put under their digest."""


class UploadBusy(SealiftError):
    """Another request, in this process or another, holds the upload right now."""


class UploadMissing(SealiftError):
    """There is no such upload: it was finished, cancelled, or never begun."""


class UploadTooLarge(SealiftError):
    """More bytes came than one blob may have. None beyond the limit was kept."""


class StagedBlob(Protocol):
    """A blob on its way in, held by one request at a time (`BlobStore.hold_upload`)."""

    @property
    def size(self) -> int:
        """Bytes that have arrived and are kept."""

    async def append(self, content: AsyncIterator[bytes], *, most: int, algorithm: str = "sha256") -> int:
        """Add `content` to the end and return the new size.

        Where `content` fails in the middle, what had come is kept, and its
        exception passes through. What is kept and what is hashed agree always.

        Args:
            content: The bytes.
            most: The size that the whole may have afterwards.
            algorithm: What the digest will be of, if that is known: then the
                bytes need not be read again for it.

        Raises:
            UploadTooLarge: `content` goes beyond `most`; what fits was kept.
            StorageRefused: The disk would not take it.
        """

    async def cut(self, size: int) -> None:
        """Forget all bytes from `size` on."""

    async def commit(self, expected: Digest) -> int:
        """Put the blob under its digest, on the disk to stay, and return its size. The upload is gone then.

        Raises:
            DigestMismatch: The bytes have another digest. Nothing was stored,
                and the upload is still there.
            StorageRefused: The disk would not take it. The upload is still
                there, unless it was the sync that failed: then it has ended.
        """

    async def discard(self) -> None:
        """Forget the upload and its bytes."""


class BlobStore(Protocol):
    """Keeps bytes under their digest, and gives them back unchanged."""

    alarms: Alarms
    """What was found damaged by this process."""

    async def size_of(self, digest: Digest) -> int | None:
        """The size in bytes, or None where the store does not have the blob, or knows it to be damaged."""

    def content(
        self, digest: Digest, *, size: int, start: int = 0, stop: int | None = None
    ) -> FileSlice | AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `stop`, in the form that travels fastest.

        Args:
            digest: Which blob.
            size: What the catalog says of its size.
            start: The first byte.
            stop: The byte after the last; None is the end.

        Raises:
            BlobDamaged: What is stored is missing, not `size` bytes long, or
                known to have other bytes. Where only reading can tell, the
                form says so before it has given all of them.
        """

    def read(self, digest: Digest, *, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `stop`.

        Raises:
            BlobDamaged: There is no such blob, or it ends before `stop`.
        """

    def receive(
        self, content: AsyncIterator[bytes], *, most: int, algorithm: str = "sha256"
    ) -> AbstractAsyncContextManager[StagedBlob]:
        """Take `content` in, all of it, as a blob that may be committed until the context ends.

        Where it is not, nothing of it stays.

        Raises:
            UploadTooLarge: It has more than `most` bytes.
            StorageRefused: The disk would not take it.
        """

    async def write(self, content: AsyncIterator[bytes], *, expected: Digest, most: int = MOST_BYTES) -> int:
        """Store `content` whole or not at all, and return its size in bytes.

        Raises:
            DigestMismatch: The content has another digest; nothing was stored.
            UploadTooLarge: It has more than `most` bytes; nothing was stored.
            StorageRefused: The disk would not take it; nothing was stored.
        """

    async def delete(self, digest: Digest) -> None:
        """Forget a blob. It is no error if it is not there."""

    def pinned(self, digest: Digest) -> AbstractAsyncContextManager[None]:
        """Keep a blob from being removed, in every process, until the context ends.

        Whoever stores a blob holds this from before the commit until the
        catalog says who has it. Any number may hold it at once; it is not held
        while bytes come from a client.
        """

    def removing(self, digest: Digest) -> AbstractAsyncContextManager[bool]:
        """Keep everyone from storing a blob until the context ends, if nobody does right now.

        The context's value says whether that is so; where it is False, leave the
        blob alone and come back later.
        """

    async def stored(self, place: int) -> tuple[StoredBlob, ...]:
        """What is stored in one of `PLACES` parts of the store, of about the same size."""

    async def begin_upload(self, upload_id: str) -> None:
        """Make an empty upload under a new id of ``[0-9a-f-]``."""

    async def upload_size(self, upload_id: str) -> int | None:
        """Bytes that have arrived, or None where there is no such upload."""

    def hold_upload(self, upload_id: str) -> AbstractAsyncContextManager[StagedBlob]:
        """Have an upload to oneself, across all processes, until the context ends.

        Raises:
            UploadBusy: Another request has it.
            UploadMissing: There is no such upload.
        """

    async def sweep_uploads(self, *, keep: Collection[str], older_than_seconds: float) -> tuple[str, ...]:
        """Remove uploads that nobody holds, that are not in `keep` and were not touched for so long.

        Returns:
            The ids of those that went.
        """
