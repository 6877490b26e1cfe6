"""``/api/v1/deleted``: manifests that were deleted, and bringing one back."""

from typing import Final

from sealift.image.digest import Digest, MalformedDigest
from sealift.image.manifest import Manifest
from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.access.guard import Guard
from sealift.registry.catalog.database import Catalog, Transaction
from sealift.registry.catalog.deleted_manifests import DeletedEntry, deleted_after, deleted_manifest_of
from sealift.registry.catalog.manifests import add_manifest
from sealift.registry.catalog.repository_rows import RepositoryRow, repository_row
from sealift.registry.catalog.tags import set_tag, tag_digest
from sealift.registry.completeness import refuse_incomplete
from sealift.registry.exchange import Answer, Call
from sealift.registry.management.documents import (
    DeletedList,
    DeletedManifestDocument,
    RestoredManifest,
    Undelete,
    moment,
    read,
    written,
)
from sealift.registry.management.refusal import ManagementRefusal, not_found
from sealift.registry.settings import Collection

PAGE: Final = 500
"""Deleted manifests on one page of a list."""

NEEDED: Final = frozenset({"push", "delete"})
"""Who may put a manifest there and take one away may bring one back."""


class DeletedRoutes:
    """Deleted manifests: for whoever may push to the repository and delete from it."""

    def __init__(self, catalog: Catalog, guard: Guard, audit: AuditTrail, collection: Collection) -> None:
        self._catalog = catalog
        self._guard = guard
        self._audit = audit
        self._kept = int(collection.keep_deleted_seconds * 1_000_000)

    async def list(self, call: Call) -> Answer:
        """What was deleted from a repository and can be brought back, a page at a time (``?last=``)."""
        row = self._allowed(call)
        last = call.query.get("last", ("",))[0]
        found = deleted_after(self._catalog, row.id, last=last, most=PAGE + 1)
        page = found[:PAGE]
        return written(
            DeletedList(
                items=[self._document(each) for each in page],
                continue_=page[-1].digest if len(found) > PAGE else None,
            )
        )

    async def undelete(self, call: Call) -> Answer:
        """Bring a manifest back, with the tags it had that stand for nothing else by now.

        Raises:
            ManagementRefusal: 404: there is none, or its time is over.
            RegistryRefusal: MANIFEST_BLOB_UNKNOWN: a part of it has been deleted since.
        """
        row = self._allowed(call)
        wanted = await read(call.body, Undelete)
        try:
            digest = Digest.parse(wanted.digest)
        except MalformedDigest as malformed:
            raise ManagementRefusal(400, "INVALID", str(malformed)) from None
        principal, now = call.principal, self._catalog.now()

        def bring_back(transaction: Transaction) -> tuple[str, ...]:
            found = deleted_manifest_of(transaction, row.id, digest)
            if found is None:
                raise ManagementRefusal(
                    404,
                    "NOT_FOUND",
                    f"there is no deleted manifest {digest} in {row.name}",
                    why="it was never deleted, or too long ago",
                    hint=f"sealift repo deleted {row.name}",
                )
            parsed = Manifest.parse(found.body, found.media_type)
            refuse_incomplete(transaction, row.id, parsed, frozenset())
            add_manifest(transaction, row.id, parsed, digest, by=found.pushed_by, now=found.created_at)
            free = tuple(tag for tag in found.tags.split() if tag_digest(transaction, row.id, tag) is None)
            for tag in free:
                set_tag(transaction, row.id, tag, digest, by=principal, now=now, address=call.address)
            return free

        tags = await self._catalog.write(bring_back)
        self._audit.changed(principal, "manifest.undelete", row.name, str(digest))
        return written(RestoredManifest(repository=row.name, digest=str(digest), tags=list(tags)))

    def _allowed(self, call: Call) -> RepositoryRow:
        name = call.path["name"]
        row = repository_row(self._catalog, name)
        held = self._guard.held(call.principal, name)
        if row is None or not held:
            raise not_found(f"repository {name!r} that you may see")
        if not held >= NEEDED:
            raise ManagementRefusal(
                403,
                "DENIED",
                f"you may not bring anything back in {name}",
                why="that takes the right to push there and to delete",
                hint="ask its owner, or an admin",
            )
        return row

    def _document(self, entry: DeletedEntry) -> DeletedManifestDocument:
        return DeletedManifestDocument(
            digest=entry.digest,
            media_type=entry.media_type,
            tags=entry.tags.split(),
            deleted_at=moment(entry.deleted_at),
            deleted_by=entry.deleted_by,
            kept_until=moment(entry.deleted_at + self._kept),
        )
