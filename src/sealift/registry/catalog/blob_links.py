"""Which repository has which blob: the one thing that lets a blob be read, mounted or referred to.

No question here is answered by a digest alone: content that another repository
has is, for this one, not there (the classes of CVE-2026-35172 and CVE-2024-39897).
"""

from collections.abc import Iterable

from sqlalchemy import bindparam, delete, exists, insert, literal_column, select
from sqlalchemy.dialects import sqlite

from sealift.image.digest import Digest
from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.reviews import watch_blob, watch_link
from sealift.registry.catalog.schema import blob, blob_link, manifest_reference, repository

MOST_LINKS_LOOKED_AT = 64
"""Repositories with a digest that a mount without ``from`` looks through. It bounds
the work, and with it what the time of an answer could tell of other people's content."""

_SIZE = Query(
    select(blob.c.size)
    .select_from(repository)
    .join(blob_link, blob_link.c.repository_id == repository.c.id)
    .join(blob, blob.c.digest == blob_link.c.digest)
    .where(repository.c.name == bindparam("repository"), blob_link.c.digest == bindparam("digest"))
)
_SIZE_BY_ID = Query(
    select(blob.c.size)
    .select_from(blob_link)
    .join(blob, blob.c.digest == blob_link.c.digest)
    .where(blob_link.c.repository_id == bindparam("repository_id"), blob_link.c.digest == bindparam("digest"))
)
_IS_PUBLIC = Query(
    select(repository.c.id).where(
        repository.c.name == bindparam("repository"), repository.c.visibility == "public"
    )
)
_SOME_LINKS = (
    select(blob_link.c.repository_id)
    .where(blob_link.c.digest == bindparam("digest"))
    .limit(MOST_LINKS_LOOKED_AT)
    .subquery()
)
_PUBLIC_WITH = Query(
    select(repository.c.name)
    .join(_SOME_LINKS, _SOME_LINKS.c.repository_id == repository.c.id)
    .where(repository.c.visibility == "public")
    .limit(1)
)
_IS_REFERRED_TO = Query(
    select(manifest_reference.c.manifest_digest)
    .where(
        manifest_reference.c.repository_id == bindparam("repository_id"),
        manifest_reference.c.digest == bindparam("digest"),
        manifest_reference.c.kind.in_((literal_column("'config'"), literal_column("'layer'"))),
    )
    .limit(1)
)
_LINKS_OF = Query(
    select(blob_link.c.repository_id)
    .where(blob_link.c.digest == bindparam("digest"))
    .limit(bindparam("most"))
)
_ADD_BLOB = Query(sqlite.insert(blob).on_conflict_do_nothing(), columns=("digest", "size", "created_at"))
_ADD_LINK = Query(
    sqlite.insert(blob_link).on_conflict_do_nothing(), columns=("repository_id", "digest", "created_at")
)
_COPY_LINK = Query(
    insert(blob_link).from_select(
        ["repository_id", "digest", "created_at"],
        select(bindparam("repository_id"), blob.c.digest, bindparam("now")).where(
            blob.c.digest == bindparam("digest"),
            ~exists().where(
                blob_link.c.repository_id == bindparam("repository_id"),
                blob_link.c.digest == bindparam("digest"),
            ),
        ),
    )
)
_REMOVE_LINK = Query(
    delete(blob_link).where(
        blob_link.c.repository_id == bindparam("repository_id"), blob_link.c.digest == bindparam("digest")
    )
)


def linked_size(reader: Reader, repository_name: str, digest: Digest) -> int | None:
    """The size of a blob that a repository has, or None where it does not have it."""
    row = reader.first(_SIZE, repository=repository_name, digest=str(digest))
    return None if row is None else int(row[0])


def linked_size_by_id(reader: Reader, repository_id: int, digest: Digest) -> int | None:
    """As `linked_size`, by the repository's id."""
    row = reader.first(_SIZE_BY_ID, repository_id=repository_id, digest=str(digest))
    return None if row is None else int(row[0])


def mount_source(
    reader: Reader, digest: Digest, *, named: str | None, readable: Iterable[str]
) -> tuple[str, int] | None:
    """A repository that a blob may be taken from, and the blob's size; None where there is none.

    Args:
        reader: The catalog.
        digest: The blob.
        named: The repository that the caller named, or None for any.
        readable: Repositories that the caller's token may pull.
    """
    if named is not None:
        if named not in readable and reader.first(_IS_PUBLIC, repository=named) is None:
            return None
        candidates: Iterable[str] = (named,)
    else:
        candidates = sorted(readable)
        public = reader.first(_PUBLIC_WITH, digest=str(digest))
        if public is not None:
            candidates = (public[0], *candidates)
    for name in candidates:
        size = linked_size(reader, name, digest)
        if size is not None:
            return name, size
    return None


def link_blob(transaction: Transaction, repository_id: int, digest: Digest, *, size: int, now: int) -> None:
    """Give a repository a blob that the store holds, whole and synced."""
    transaction.run(_ADD_BLOB, digest=str(digest), size=size, created_at=now)
    transaction.run(_ADD_LINK, repository_id=repository_id, digest=str(digest), created_at=now)
    watch_link(transaction, repository_id, digest, now=now, reason="uploaded, and no manifest came")


def link_known_blob(transaction: Transaction, repository_id: int, digest: Digest, *, now: int) -> None:
    """Give a repository a blob that another one has (a mount)."""
    transaction.run(_COPY_LINK, repository_id=repository_id, digest=str(digest), now=now)
    watch_link(transaction, repository_id, digest, now=now, reason="mounted, and no manifest came")


def unlink_blob(transaction: Transaction, repository_id: int, digest: Digest, *, now: int) -> bool:
    """Take a blob from a repository, and say whether it had it."""
    if transaction.run(_REMOVE_LINK, repository_id=repository_id, digest=str(digest)) == 0:
        return False
    watch_blob(transaction, str(digest), since=now, reason="deleted")
    return True


def links_of(reader: Reader, digest: str, *, most: int) -> int:
    """How many repositories have a blob; it is not counted beyond `most`."""
    return len(reader.all(_LINKS_OF, digest=digest, most=most))


def manifest_that_needs(reader: Reader, repository_id: int, digest: Digest) -> str | None:
    """The digest of a manifest of the repository that refers to the blob, if there is one."""
    row = reader.first(_IS_REFERRED_TO, repository_id=repository_id, digest=str(digest))
    return None if row is None else str(row[0])
