"""Manifests that were deleted and can be brought back for a while.

A deleted manifest is in a table of its own, so that no pull, tag or list can
find it; what it needs is kept as long as it is there.
"""

from typing import NamedTuple

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import sqlite

from sealift.image.digest import Digest
from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.reviews import watch_children, watch_parts_of_deleted
from sealift.registry.catalog.schema import deleted_manifest, deleted_reference, manifest, manifest_reference

_FIELDS = ("repository_id", "digest", "media_type", "body", "created_at", "pushed_by")
_PUT = sqlite.insert(deleted_manifest)
_BURY = Query(
    _PUT.from_select(
        [*_FIELDS, "tags", "deleted_at", "deleted_by"],
        select(
            *(manifest.c[name] for name in _FIELDS),
            bindparam("tags"),
            bindparam("now"),
            bindparam("by"),
        ).where(manifest.c.repository_id == bindparam("of"), manifest.c.digest == bindparam("named")),
    ).on_conflict_do_update(
        index_elements=["repository_id", "digest"],
        set_={
            "tags": _PUT.excluded.tags,
            "deleted_at": _PUT.excluded.deleted_at,
            "deleted_by": _PUT.excluded.deleted_by,
        },
    )
)
_KEEP_PARTS = Query(
    sqlite.insert(deleted_reference)
    .from_select(
        ["repository_id", "manifest_digest", "digest"],
        select(
            manifest_reference.c.repository_id,
            manifest_reference.c.manifest_digest,
            manifest_reference.c.digest,
        ).where(
            manifest_reference.c.repository_id == bindparam("of"),
            manifest_reference.c.manifest_digest == bindparam("named"),
        ),
    )
    .on_conflict_do_nothing()
)
_REMOVE = Query(
    delete(manifest).where(
        manifest.c.repository_id == bindparam("of"), manifest.c.digest == bindparam("named")
    )
)
_FORGET = Query(
    delete(deleted_manifest).where(
        deleted_manifest.c.repository_id == bindparam("of"), deleted_manifest.c.digest == bindparam("named")
    )
)
_FOUND = Query(
    select(
        deleted_manifest.c.digest,
        deleted_manifest.c.media_type,
        deleted_manifest.c.body,
        deleted_manifest.c.created_at,
        deleted_manifest.c.pushed_by,
        deleted_manifest.c.tags,
        deleted_manifest.c.deleted_at,
        deleted_manifest.c.deleted_by,
    ).where(
        deleted_manifest.c.repository_id == bindparam("of"), deleted_manifest.c.digest == bindparam("named")
    )
)
_LIST = Query(
    select(
        deleted_manifest.c.digest,
        deleted_manifest.c.media_type,
        deleted_manifest.c.tags,
        deleted_manifest.c.deleted_at,
        deleted_manifest.c.deleted_by,
    )
    .where(deleted_manifest.c.repository_id == bindparam("of"), deleted_manifest.c.digest > bindparam("last"))
    .order_by(deleted_manifest.c.digest)
    .limit(bindparam("most"))
)
_EXPIRED = Query(
    select(deleted_manifest.c.repository_id, deleted_manifest.c.digest)
    .where(deleted_manifest.c.deleted_at <= bindparam("before"))
    .order_by(deleted_manifest.c.deleted_at)
    .limit(bindparam("most"))
)


class DeletedManifest(NamedTuple):
    """A manifest that was deleted, as it was."""

    digest: str
    media_type: str
    body: bytes
    created_at: int
    pushed_by: str
    tags: str
    """Joined by spaces: those that stood for it when it was deleted."""

    deleted_at: int
    deleted_by: str


class DeletedEntry(NamedTuple):
    """A line of a list of them."""

    digest: str
    media_type: str
    tags: str
    deleted_at: int
    deleted_by: str


def bury_manifest(
    transaction: Transaction,
    repository_id: int,
    digest: Digest,
    *,
    tags: tuple[str, ...],
    by: str,
    now: int,
) -> bool:
    """Delete a manifest that no tag stands for any more, and say whether it was there.

    It can be brought back, with `tags`, until `purge_deleted` comes to it.
    """
    of, named = repository_id, str(digest)
    if transaction.run(_BURY, of=of, named=named, tags=" ".join(tags), now=now, by=by) == 0:
        return False
    transaction.run(_KEEP_PARTS, of=of, named=named)
    watch_children(transaction, repository_id, digest, now=now)
    transaction.run(_REMOVE, of=of, named=named)
    return True


def forget_deleted(transaction: Transaction, repository_id: int, digest: str) -> None:
    """A manifest is there again, or its time is over: it is no deleted one any more."""
    transaction.run(_FORGET, of=repository_id, named=digest)


def deleted_manifest_of(reader: Reader, repository_id: int, digest: Digest) -> DeletedManifest | None:
    """A deleted manifest of a repository, as long as it can be brought back."""
    row = reader.first(_FOUND, of=repository_id, named=str(digest))
    return None if row is None else DeletedManifest(*row)


def deleted_after(reader: Reader, repository_id: int, *, last: str, most: int) -> list[DeletedEntry]:
    """Up to `most` deleted manifests of a repository, in the order of their digests, after `last`."""
    return [DeletedEntry(*row) for row in reader.all(_LIST, of=repository_id, last=last, most=most)]


def has_expired(reader: Reader, *, before: int) -> bool:
    """Whether there is a manifest that was deleted before `before`."""
    return bool(reader.all(_EXPIRED, before=before, most=1))


def purge_deleted(transaction: Transaction, *, before: int, most: int, now: int) -> int:
    """Forget manifests that were deleted before `before`, and have looked at what they kept.

    Returns:
        How many there were; `most` means that there may be more.
    """
    expired = transaction.all(_EXPIRED, before=before, most=most)
    for repository_id, digest in expired:
        watch_parts_of_deleted(
            transaction, repository_id, digest, now=now, reason="the manifest that needed it was deleted"
        )
        forget_deleted(transaction, repository_id, digest)
    return len(expired)
