"""Blobs that come in: end-4 to end-6, end-11, end-13 and end-14.

An upload belongs to a repository, an id and a principal. Its requests may each
reach another process: the bytes are in the store, the ownership in the
catalog, and what a process keeps in memory only saves it work.

A blob is the repository's once it is in the store, whole and synced, and then a
transaction of the catalog has said so: in this order, so that a crash leaves
garbage at most.

Spec: distribution-spec v1.1.1, "Pushing blobs", "Mounting a blob from another
repository"; R-OCI-5 to R-OCI-14.
"""

import logging
from typing import Final
from uuid import uuid4

from sealift.image.digest import Digest, DigestMismatch, MalformedDigest
from sealift.protocol.byte_range import MalformedRange, parse_content_range, write_range
from sealift.protocol.endpoints import blob_path, upload_path
from sealift.protocol.error_codes import ErrorCode
from sealift.registry.blob_store.blob_store import (
    BlobStore,
    StagedBlob,
    StorageRefused,
    UploadBusy,
    UploadMissing,
    UploadTooLarge,
)
from sealift.registry.catalog.blob_links import link_blob, link_known_blob, mount_source
from sealift.registry.catalog.database import Catalog, Transaction
from sealift.registry.catalog.repositories import ensure_repository
from sealift.registry.catalog.uploads import (
    UploadRow,
    begin_upload,
    end_upload,
    find_upload,
    open_uploads,
    touch_upload,
)
from sealift.registry.counters import Alarms
from sealift.registry.exchange import Answer, Call
from sealift.registry.refusal import RegistryRefusal, refuse_long_name, storage_refusal
from sealift.registry.room import BeyondQuota, Room
from sealift.registry.settings import Limits

log = logging.getLogger(__name__)

KEPT_ALGORITHMS: Final = frozenset({"sha256", "sha512"})
"""What a blob may be called by here. Spec: image-spec v1.1, "Registered algorithms"."""

_TOUCH_AFTER: Final = 60 * 1_000_000
"""Microseconds. An upload's row says when it was added to, to within this; every chunk need not write."""


class Uploads:
    """The handlers of ``/v2/<name>/blobs/uploads/``."""

    def __init__(
        self,
        catalog: Catalog,
        store: BlobStore,
        limits: Limits,
        *,
        room: Room | None = None,
        alarms: Alarms | None = None,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._limits = limits
        self._room = room or Room(catalog)
        self._alarms = alarms or Alarms()

    async def start(self, call: Call) -> Answer:
        """Begin an upload; or take the whole blob, or one of another repository, at once.

        Spec: distribution-spec v1.1.1 end-4a, end-4b, end-11.

        Raises:
            RegistryRefusal: DIGEST_INVALID; SIZE_INVALID (413); NAME_INVALID;
                TOOMANYREQUESTS where too many uploads are open; what `Room`
                raises, but for a mount, which takes none.
        """
        refuse_long_name(call.path["name"], self._limits)
        mount = _asked(call, "mount")
        if mount and (mounted := await self._mount(call, mount)) is not None:
            return mounted
        digest = _asked(call, "digest")
        if digest is not None:
            return await self._take_whole(call, digest)
        return await self._open(call)

    async def send_chunk(self, call: Call) -> Answer:
        """Add to an upload: all there is (streamed), or one chunk of a stated range.

        A client that goes away in the middle finds what had come by then.

        Spec: distribution-spec v1.1.1 end-5; R-OCI-7, R-OCI-10.

        Raises:
            RegistryRefusal: BLOB_UPLOAD_UNKNOWN; RANGE_INVALID with the current
                ``Range`` where the chunk is not the next one, or another request
                is adding; SIZE_INVALID, 400 for a length that is not the
                range's, 413 for a blob that is too large.
        """
        upload_id, row = self._find(call)
        try:
            async with self._store.hold_upload(upload_id) as staged:
                await self._receive(call, staged, None)
                size = staged.size
        except UploadBusy:
            raise await self._out_of_turn(call, upload_id) from None
        except UploadMissing:
            raise _unknown() from None
        now = self._catalog.now()
        if now - row.updated_at > _TOUCH_AFTER:
            await self._catalog.write(lambda tx: touch_upload(tx, upload_id, now=now), durable=False)
        return Answer(status=202, headers=self._progress(call, upload_id, size))

    async def finish(self, call: Call) -> Answer:
        """Close an upload, perhaps with its last chunk, under the digest it has to have.

        Spec: distribution-spec v1.1.1 end-6; R-OCI-11.

        Raises:
            RegistryRefusal: As `send_chunk`; DIGEST_INVALID, which ends the
                upload where the digest is another's.
        """
        upload_id, row = self._find(call)
        digest = _parse_digest(_asked(call, "digest"))
        try:
            async with self._store.hold_upload(upload_id) as staged:
                await self._receive(call, staged, digest)
                async with self._store.pinned(digest):  # until the catalog says whose it is
                    try:
                        size = await staged.commit(digest)
                    except DigestMismatch as mismatch:
                        await staged.discard()
                        await self._forget(upload_id)
                        raise _wrong_digest(mismatch) from None
                    await self._link_upload(upload_id, row, digest, size)
        except UploadBusy:
            raise await self._out_of_turn(call, upload_id) from None
        except UploadMissing:
            raise _unknown() from None
        except StorageRefused as refused:
            raise storage_refusal(refused) from refused
        return self._stored(call, digest)

    async def status(self, call: Call) -> Answer:
        """How much of an upload has come.

        Spec: distribution-spec v1.1.1 end-13; R-OCI-9.

        Raises:
            RegistryRefusal: BLOB_UPLOAD_UNKNOWN.
        """
        upload_id, _ = self._find(call)
        size = await self._store.upload_size(upload_id)
        if size is None:
            raise _unknown()
        return Answer(status=204, headers=self._progress(call, upload_id, size))

    async def cancel(self, call: Call) -> Answer:
        """Forget an upload. A request that is adding to it right now finds it gone at its end.

        Spec: distribution-spec main, end-14.

        Raises:
            RegistryRefusal: BLOB_UPLOAD_UNKNOWN.
        """
        upload_id, _ = self._find(call)
        await self._forget(upload_id)
        try:
            async with self._store.hold_upload(upload_id) as staged:
                await staged.discard()
        except (UploadBusy, UploadMissing):
            pass  # its bytes are nobody's now, and are swept
        return Answer(status=204)

    # -------------------------------------------------------------- the three ways to start

    async def _open(self, call: Call) -> Answer:
        await self._room.refuse_upload(call.path["name"])
        upload_id = str(uuid4())
        now = self._catalog.now()
        principal = call.principal
        most = self._limits.open_uploads

        def begin(transaction: Transaction) -> None:
            if open_uploads(transaction, principal.id) >= most:
                raise RegistryRefusal(
                    ErrorCode.TOOMANYREQUESTS,
                    f"{principal.name} has {most} uploads open already; finish or cancel some",
                    headers={"retry-after": "60"},
                )
            repository = ensure_repository(transaction, call.path["name"], by=principal.name, now=now)
            begin_upload(transaction, upload_id, repository_id=repository, principal_id=principal.id, now=now)

        # A power cut may forget an upload that has just begun: its client starts again.
        await self._catalog.write(begin, durable=False)
        try:
            await self._store.begin_upload(upload_id)
        except StorageRefused as refused:
            await self._forget(upload_id)
            raise storage_refusal(refused) from refused
        return Answer(status=202, headers=self._progress(call, upload_id, 0))

    async def _take_whole(self, call: Call, text: str) -> Answer:
        """The blob is in this very request."""
        digest = _parse_digest(text)
        declared, name = _declared_length(call) or 0, call.path["name"]
        self._refuse_too_large(declared)
        await self._room.refuse_upload(name, declared, digest=digest)
        body = self._room.metered(name, call.body, digest=digest)
        receiving = self._store.receive(body, most=self._limits.blob_bytes, algorithm=digest.algorithm)
        try:
            async with receiving as staged, self._store.pinned(digest):
                size = await staged.commit(digest)
                await self._link(call, digest, size)
        except DigestMismatch as mismatch:
            raise _wrong_digest(mismatch) from None
        except UploadTooLarge:
            raise self._too_large() from None
        except StorageRefused as refused:
            raise storage_refusal(refused) from refused
        return self._stored(call, digest)

    async def _link(self, call: Call, digest: Digest, size: int) -> None:
        """Say that the repository has a blob, also where it had it: a delete may come between."""
        name, now = call.path["name"], self._catalog.now()

        def link(transaction: Transaction) -> None:
            repository = ensure_repository(transaction, name, by=call.principal.name, now=now)
            link_blob(transaction, repository, digest, size=size, now=now)

        await self._catalog.write(link)

    async def _mount(self, call: Call, text: str) -> Answer | None:
        """Take a blob from another repository; None where that cannot be, for whatever reason.

        Only what the caller may pull there counts. Everything else (no such
        blob, no such repository, no right, not a digest) is one and the same
        to it: an ordinary upload begins. R-OCI-13.
        """
        try:
            digest = Digest.parse(text)
        except MalformedDigest:
            return None
        source = _asked(call, "from") or None
        found = mount_source(self._catalog, digest, named=source, readable=call.readable)
        if found is None:
            return None
        stored = await self._store.size_of(digest)
        if stored != found[1]:
            self._alarms.sound(
                "blob", "the stored blob %s has %s bytes and should have %d", digest, stored, found[1]
            )
            return None
        now = self._catalog.now()

        def link(transaction: Transaction) -> bool:
            if mount_source(transaction, digest, named=source, readable=call.readable) is None:
                return False
            repository = ensure_repository(transaction, call.path["name"], by=call.principal.name, now=now)
            link_known_blob(transaction, repository, digest, now=now)
            return True

        return self._stored(call, digest) if await self._catalog.write(link) else None

    # -------------------------------------------------------------- what they share

    def _find(self, call: Call) -> tuple[str, UploadRow]:
        """The upload that the path names, if it is the caller's."""
        upload_id = call.path["upload_id"]
        row = find_upload(
            self._catalog, upload_id, repository_name=call.path["name"], principal_id=call.principal.id
        )
        if row is None:
            raise _unknown()
        return upload_id, row

    async def _receive(self, call: Call, staged: StagedBlob, digest: Digest | None) -> None:
        """Add the request's body to an upload, as far as its headers and the limits let it.

        `digest` is what the whole will be, where the request says so.
        """
        before = staged.size
        declared = _declared_length(call)
        chunk = call.headers.get("content-range")
        limit = most = self._limits.blob_bytes
        if chunk is not None:
            length = self._chunk_length(call, chunk, before)
            if declared is not None and declared != length:
                raise _wrong_size(f"the range has {length} bytes and the request {declared}")
            most = before + length
        self._refuse_too_large(before + (declared or 0))
        name, algorithm = call.path["name"], "sha256" if digest is None else digest.algorithm
        body = self._room.metered(name, call.body, digest=digest)
        try:
            if declared:
                await self._room.refuse_upload(name, declared, digest=digest)
            await staged.append(body, most=min(most, limit), algorithm=algorithm)
        except BeyondQuota:
            await staged.discard()
            await self._forget(call.path["upload_id"])
            raise
        except UploadTooLarge:
            if chunk is not None and most <= limit:
                await staged.cut(before)
                raise _wrong_size("there were more bytes than the range says") from None
            await staged.discard()
            await self._forget(call.path["upload_id"])
            raise self._too_large() from None
        except StorageRefused as refused:
            raise storage_refusal(refused) from refused
        if chunk is not None and staged.size != most:
            came = staged.size - before
            await staged.cut(before)  # so that the same chunk may be sent again
            raise _wrong_size(f"{came} bytes came of a range of {most - before}")

    def _chunk_length(self, call: Call, header: str, received: int) -> int:
        """How many bytes a ``Content-Range`` promises, which has to begin where the upload stands."""
        try:
            first, last = parse_content_range(header)
        except MalformedRange as malformed:
            raise self._wrong_range(call, received, str(malformed)) from None
        if first != received:
            raise self._wrong_range(
                call, received, f"the chunk begins at {first}, and the upload has {received} bytes"
            )
        return last - first + 1

    async def _link_upload(self, upload_id: str, row: UploadRow, digest: Digest, size: int) -> None:
        """Say in the catalog that the repository has the blob, and that the upload is over."""
        now = self._catalog.now()

        def link(transaction: Transaction) -> None:
            if not end_upload(transaction, upload_id):
                raise _unknown()  # cancelled, or its repository deleted, while the bytes came
            link_blob(transaction, row.repository_id, digest, size=size, now=now)

        await self._catalog.write(link)  # also where the repository had it: a delete may come between

    async def _forget(self, upload_id: str) -> None:
        await self._catalog.write(lambda transaction: end_upload(transaction, upload_id), durable=False)

    async def _out_of_turn(self, call: Call, upload_id: str) -> RegistryRefusal:
        size = await self._store.upload_size(upload_id) or 0
        return self._wrong_range(call, size, "another request is adding to this upload")

    def _progress(self, call: Call, upload_id: str, size: int) -> dict[str, str]:
        """The headers that say where an upload stands. ``0-0`` is also said of none (R-OCI-8)."""
        return {
            "location": call.base_url + upload_path(call.path["name"], upload_id),
            "range": write_range(size),
            "docker-upload-uuid": upload_id,
            "content-length": "0",
        }

    def _stored(self, call: Call, digest: Digest) -> Answer:
        headers = {
            "location": call.base_url + blob_path(call.path["name"], digest),
            "docker-content-digest": str(digest),
            "content-length": "0",
        }
        return Answer(status=201, headers=headers)

    def _wrong_range(self, call: Call, received: int, message: str) -> RegistryRefusal:
        headers = self._progress(call, call.path["upload_id"], received)
        del headers["content-length"]
        return RegistryRefusal(
            ErrorCode.RANGE_INVALID, message, detail={"received": received}, headers=headers
        )

    def _refuse_too_large(self, size: int) -> None:
        if size > self._limits.blob_bytes:
            raise self._too_large()

    def _too_large(self) -> RegistryRefusal:
        return RegistryRefusal(
            ErrorCode.SIZE_INVALID, f"a blob has at most {self._limits.blob_bytes} bytes here", status=413
        )


def _asked(call: Call, parameter: str) -> str | None:
    """The first value of a query parameter."""
    values = call.query.get(parameter)
    return values[0] if values else None


def _declared_length(call: Call) -> int | None:
    """The request's ``Content-Length``, where it has one."""
    text = call.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _parse_digest(text: str | None) -> Digest:
    """The digest that a blob is to have."""
    if not text:
        raise RegistryRefusal(ErrorCode.DIGEST_INVALID, "the digest of the blob is missing: add ?digest=")
    try:
        digest = Digest.parse(text)
    except MalformedDigest as malformed:
        raise RegistryRefusal(ErrorCode.DIGEST_INVALID, f"{malformed}: {malformed.rule}") from None
    if digest.algorithm not in KEPT_ALGORITHMS:
        raise RegistryRefusal(
            ErrorCode.DIGEST_INVALID, f"blobs are kept here by sha256 or sha512, not by {digest.algorithm}"
        )
    return digest


def _wrong_digest(mismatch: DigestMismatch) -> RegistryRefusal:
    return RegistryRefusal(
        ErrorCode.DIGEST_INVALID,
        f"the bytes that came have the digest {mismatch.actual}",
        detail={"expected": str(mismatch.expected), "actual": str(mismatch.actual)},
    )


def _wrong_size(message: str) -> RegistryRefusal:
    return RegistryRefusal(ErrorCode.SIZE_INVALID, message)


def _unknown() -> RegistryRefusal:
    return RegistryRefusal(ErrorCode.BLOB_UPLOAD_UNKNOWN, "blob upload unknown to registry")
