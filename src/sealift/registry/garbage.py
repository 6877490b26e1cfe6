"""Uploads that nobody continues.

Uploads that nothing was added to for the set time end, and bytes of uploads that
no row owns (a crash, a cancelled request) go. Blobs and manifests that nobody
needs are the collector's (`sealift.registry.collector`).
"""

import logging
from dataclasses import dataclass

from sealift.registry.blob_store.blob_store import BlobStore, UploadBusy, UploadMissing
from sealift.registry.catalog.database import Catalog
from sealift.registry.catalog.uploads import all_uploads, end_idle_upload, idle_uploads
from sealift.registry.settings import Limits

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found."""

    ended: tuple[str, ...]
    """Uploads that were idle for too long."""

    removed: tuple[str, ...]
    """Bytes that belonged to no upload."""


async def sweep_uploads(
    catalog: Catalog, store: BlobStore, limits: Limits, *, orphans_older_than_seconds: float = 3600.0
) -> Swept:
    """End idle uploads, and remove the bytes of those that no row owns.

    It is safe beside running pushes, in this process or another: what a request
    holds is locked, and an upload that was added to in the meantime stays.

    Args:
        catalog: Who owns which upload.
        store: Where the bytes are.
        limits: How long an upload may be idle.
        orphans_older_than_seconds: How long ago bytes without an owner must
            have been touched. 0 is right before the first request is let in.
    """
    before = catalog.now() - limits.upload_idle_seconds * 1_000_000
    ended = [
        upload_id
        for upload_id in idle_uploads(catalog, before=before)
        if await _end_idle(catalog, store, upload_id, before)
    ]
    owned = all_uploads(catalog)
    removed = await store.sweep_uploads(keep=owned, older_than_seconds=orphans_older_than_seconds)
    if ended or removed:
        log.info("ended %d idle uploads, removed the bytes of %d without owner", len(ended), len(removed))
    return Swept(tuple(sorted(ended)), removed)


async def _end_idle(catalog: Catalog, store: BlobStore, upload_id: str, before: int) -> bool:
    """End one upload, unless a request has it or has had it in the meantime."""
    try:
        async with store.hold_upload(upload_id) as staged:
            gone = await catalog.write(
                lambda transaction: end_idle_upload(transaction, upload_id, before=before), durable=False
            )
            if gone:
                await staged.discard()
            return gone
    except UploadBusy:
        return False
    except UploadMissing:
        return await catalog.write(
            lambda transaction: end_idle_upload(transaction, upload_id, before=before), durable=False
        )
