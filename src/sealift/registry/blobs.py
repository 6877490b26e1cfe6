"""Blobs that are read and deleted: end-2 and end-10.

That a repository has a blob is a row of the catalog, asked for on every
request; nothing is answered from a digest alone.

Spec: distribution-spec v1.1.1, "Pulling blobs", "Deleting Blobs"; RFC 9110,
sections 13 and 14.
"""

import logging
from typing import Final

from sealift.image.digest import Digest
from sealift.protocol.byte_range import Unsatisfiable, parse_range, write_content_range
from sealift.protocol.error_codes import ErrorCode
from sealift.registry.blob_store.blob_store import BlobDamaged, BlobStore
from sealift.registry.catalog.blob_links import linked_size, manifest_that_needs, unlink_blob
from sealift.registry.catalog.database import Catalog, Transaction
from sealift.registry.catalog.repositories import repository_id
from sealift.registry.catalog.reviews import link_watched_since, renew_link
from sealift.registry.counters import Alarms
from sealift.registry.entity_tags import entity_tag, is_known_to, not_modified
from sealift.registry.exchange import Answer, Call
from sealift.registry.refusal import RegistryRefusal, damage_refusal
from sealift.registry.settings import Collection

log = logging.getLogger(__name__)


RENEWED_AFTER_PART: Final = 4
"""A blob that is waiting to be collected begins anew when it is asked for after this part of
the grace: whoever is told that it is there has the rest of the grace to push a manifest."""


class Blobs:
    """The handlers of ``/v2/<name>/blobs/<digest>``."""

    def __init__(
        self, catalog: Catalog, store: BlobStore, collection: Collection, alarms: Alarms | None = None
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._renew_after = int(collection.grace_seconds * 1_000_000 / RENEWED_AFTER_PART)
        self._alarms = alarms or Alarms()

    async def get(self, call: Call) -> Answer:
        """A blob, or one range of it.

        Spec: distribution-spec v1.1.1 end-2; R-OCI-4, R-OCI-21.

        Raises:
            RegistryRefusal: BLOB_UNKNOWN; RANGE_INVALID; UNKNOWN (500) where
                what is stored is not what it was. A HEAD is then answered
                BLOB_UNKNOWN, so that a client which looks before it pushes
                pushes, and so heals it.
        """
        name, digest = call.path["name"], Digest.parse(call.path["digest"])
        size = linked_size(self._catalog, name, digest)
        if size is None:
            raise _unknown(digest)
        headers = {
            "content-type": "application/octet-stream",
            "content-length": str(size),
            "docker-content-digest": str(digest),
            "etag": entity_tag(str(digest)),
            "accept-ranges": "bytes",
            "cache-control": "private, max-age=31536000, immutable",
        }
        start, stop = 0, size
        status = 200
        asked = self._asked_range(call, digest, size)
        try:
            content = self._store.content(digest, size=size, start=start, stop=stop)
            if is_known_to(call, str(digest)):
                return not_modified(headers)
            if asked is not None:
                start, stop = asked
                status = 206
                headers["content-length"] = str(stop - start)
                headers["content-range"] = write_content_range(start, stop, size)
                content = self._store.content(digest, size=size, start=start, stop=stop)
        except BlobDamaged as damaged:
            self._alarms.sound("blob", "%s (asked for in %s)", damaged, name)
            if call.method == "HEAD":
                raise _unknown(digest) from None
            raise damage_refusal(damaged) from None
        if call.method == "HEAD":
            await self._renew(name, digest)
        return Answer(status=status, headers=headers, body=content)

    async def _renew(self, name: str, digest: Digest) -> None:
        """A client that looks before it pushes relies on what it is told."""
        since, now = link_watched_since(self._catalog, name, digest), self._catalog.now()
        if since is not None and now - since > self._renew_after:
            await self._catalog.write(
                lambda transaction: renew_link(transaction, name, digest, now=now), durable=False
            )

    async def delete(self, call: Call) -> Answer:
        """Take a blob from a repository. One that a manifest there needs stays.

        Spec: distribution-spec v1.1.1 end-10; R-OCI-27.

        Raises:
            RegistryRefusal: BLOB_UNKNOWN; UNSUPPORTED (405) where it is needed.
        """
        name, digest = call.path["name"], Digest.parse(call.path["digest"])
        now = self._catalog.now()

        def remove(transaction: Transaction) -> None:
            repository = repository_id(transaction, name)
            if repository is None:
                raise _unknown(digest)
            needed_by = manifest_that_needs(transaction, repository, digest)
            if needed_by is not None:
                raise RegistryRefusal(
                    ErrorCode.UNSUPPORTED,
                    f"the blob is part of the manifest {needed_by}; delete that first",
                    detail={"digest": str(digest), "manifest": needed_by},
                )
            if not unlink_blob(transaction, repository, digest, now=now):
                raise _unknown(digest)

        await self._catalog.write(remove)
        return Answer(status=202, headers={"content-length": "0"})

    @staticmethod
    def _asked_range(call: Call, digest: Digest, size: int) -> tuple[int, int] | None:
        """The bytes that a GET asks for, or None for all of them."""
        header = call.headers.get("range")
        if header is None or call.method == "HEAD":  # RFC 9110, 14.2: ranges are for GET
            return None
        condition = call.headers.get("if-range")
        if condition is not None and condition.strip() != entity_tag(str(digest)):
            return None
        asked = parse_range(header, size)
        if isinstance(asked, Unsatisfiable):
            raise RegistryRefusal(
                ErrorCode.RANGE_INVALID,
                f"the blob has {size} bytes, and the range is not within them",
                headers={"content-range": asked.content_range},
            )
        return asked


def _unknown(digest: Digest) -> RegistryRefusal:
    return RegistryRefusal(ErrorCode.BLOB_UNKNOWN, "blob unknown to registry", detail={"digest": str(digest)})
