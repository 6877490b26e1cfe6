"""The queues of the collector: what has to be looked at, and since when.

Whatever may leave content without anybody who needs it puts a row here, in the
same transaction: an upload or a mount (a manifest may never come), a manifest
or a blob that is deleted, a repository that is. Putting a row in again makes it
young again; that is what protects a push under way. A row decides nothing: the
collector asks, when the row is old enough, and drops it or what it names.

The design is GitLab's (online garbage collection by review queues).
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, exists, literal, select, update
from sqlalchemy.dialects import sqlite

from sealift.image.digest import Digest
from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.schema import (
    blob,
    blob_link,
    blob_review,
    deleted_manifest,
    deleted_reference,
    link_review,
    manifest,
    manifest_reference,
    manifest_review,
    repository,
    tag,
)

_PUT_LINK = sqlite.insert(link_review)
_WATCH_LINK = Query(
    _PUT_LINK.on_conflict_do_update(
        index_elements=["repository_id", "digest"],
        set_={"since": _PUT_LINK.excluded.since, "reason": _PUT_LINK.excluded.reason},
    ),
    columns=("repository_id", "digest", "since", "reason"),
)
_RENEW_LINK = Query(
    update(link_review)
    .where(
        link_review.c.repository_id
        == select(repository.c.id).where(repository.c.name == bindparam("of")).scalar_subquery(),
        link_review.c.digest == bindparam("named"),
    )
    .values(since=bindparam("now"))
)
_LINK_SINCE = Query(
    select(link_review.c.since)
    .select_from(repository)
    .join(link_review, link_review.c.repository_id == repository.c.id)
    .where(repository.c.name == bindparam("repository"), link_review.c.digest == bindparam("digest"))
)
_WATCH_PARTS = Query(
    _PUT_LINK.from_select(
        ["repository_id", "digest", "since", "reason"],
        select(blob_link.c.repository_id, blob_link.c.digest, bindparam("now"), bindparam("reason")).where(
            blob_link.c.repository_id == bindparam("of"),
            blob_link.c.digest.in_(
                select(deleted_reference.c.digest).where(
                    deleted_reference.c.repository_id == bindparam("of"),
                    deleted_reference.c.manifest_digest == bindparam("manifest"),
                )
            ),
        ),
    ).on_conflict_do_update(
        index_elements=["repository_id", "digest"],
        set_={"since": _PUT_LINK.excluded.since, "reason": _PUT_LINK.excluded.reason},
    )
)
_DUE_LINKS = Query(
    select(link_review.c.repository_id, link_review.c.digest)
    .where(link_review.c.since <= bindparam("before"))
    .order_by(link_review.c.since)
    .limit(bindparam("most"))
)
_LINK_IS_NEEDED = Query(
    select(
        exists().where(
            manifest_reference.c.repository_id == bindparam("of"),
            manifest_reference.c.digest == bindparam("named"),
        )
        | exists().where(
            deleted_reference.c.repository_id == bindparam("of"),
            deleted_reference.c.digest == bindparam("named"),
        )
    )
)
_STILL_DUE_LINK = Query(
    select(link_review.c.since).where(
        link_review.c.repository_id == bindparam("of"),
        link_review.c.digest == bindparam("named"),
        link_review.c.since <= bindparam("before"),
    )
)
_DROP_LINK_REVIEW = Query(
    delete(link_review).where(
        link_review.c.repository_id == bindparam("of"), link_review.c.digest == bindparam("named")
    )
)
_REMOVE_LINK = Query(
    delete(blob_link).where(
        blob_link.c.repository_id == bindparam("of"), blob_link.c.digest == bindparam("named")
    )
)

_PUT_BLOB = sqlite.insert(blob_review)
_WATCH_BLOB = Query(
    _PUT_BLOB.on_conflict_do_update(
        index_elements=["digest"],
        set_={"since": _PUT_BLOB.excluded.since, "reason": _PUT_BLOB.excluded.reason},
    ),
    columns=("digest", "since", "reason"),
)
_WATCH_ALL_OF = Query(
    _PUT_BLOB.from_select(
        ["digest", "since", "reason"],
        select(blob_link.c.digest, bindparam("now"), bindparam("reason")).where(
            blob_link.c.repository_id == bindparam("of")
        ),
    ).on_conflict_do_update(
        index_elements=["digest"],
        set_={"since": _PUT_BLOB.excluded.since, "reason": _PUT_BLOB.excluded.reason},
    )
)
_DUE_BLOBS = Query(
    select(blob_review.c.digest)
    .where(blob_review.c.since <= bindparam("before"))
    .order_by(blob_review.c.since)
    .limit(bindparam("most"))
)
_STILL_DUE_BLOB = Query(
    select(blob.c.size)
    .join(blob_review, blob_review.c.digest == blob.c.digest)
    .where(blob.c.digest == bindparam("named"), blob_review.c.since <= bindparam("before"))
)
_BLOB_HAS_LINKS = Query(select(exists().where(blob_link.c.digest == bindparam("named"))))
_DROP_BLOB_REVIEW = Query(delete(blob_review).where(blob_review.c.digest == bindparam("named")))
_REMOVE_BLOB = Query(delete(blob).where(blob.c.digest == bindparam("named")))
_KNOWN_BLOB = Query(select(literal(1)).where(blob.c.digest == bindparam("named")))

_PUT_MANIFEST = sqlite.insert(manifest_review)
_WATCH_MANIFEST = Query(
    # only one that is there: a tag may have left what was deleted meanwhile
    _PUT_MANIFEST.from_select(
        ["repository_id", "digest", "since"],
        select(manifest.c.repository_id, manifest.c.digest, bindparam("now")).where(
            manifest.c.repository_id == bindparam("of"), manifest.c.digest == bindparam("named")
        ),
    ).on_conflict_do_update(
        index_elements=["repository_id", "digest"], set_={"since": _PUT_MANIFEST.excluded.since}
    )
)
_WATCH_CHILDREN = Query(
    _PUT_MANIFEST.from_select(
        ["repository_id", "digest", "since"],
        select(manifest.c.repository_id, manifest.c.digest, bindparam("now")).where(
            manifest.c.repository_id == bindparam("of"),
            manifest.c.digest.in_(
                select(manifest_reference.c.digest).where(
                    manifest_reference.c.repository_id == bindparam("of"),
                    manifest_reference.c.manifest_digest == bindparam("index"),
                    manifest_reference.c.kind == "manifest",
                )
            )
            | (manifest.c.subject_digest == bindparam("index")),
        ),
    ).on_conflict_do_update(
        index_elements=["repository_id", "digest"], set_={"since": _PUT_MANIFEST.excluded.since}
    )
)
_DUE_MANIFESTS = Query(
    select(manifest_review.c.repository_id, manifest_review.c.digest)
    .where(manifest_review.c.since <= bindparam("before"))
    .order_by(manifest_review.c.since)
    .limit(bindparam("most"))
)
_SUBJECT = manifest.alias("subject")
_MANIFEST_IS_NEEDED = Query(
    select(
        exists().where(tag.c.repository_id == bindparam("of"), tag.c.digest == bindparam("named"))
        | exists().where(
            manifest.c.repository_id == bindparam("of"),
            manifest.c.digest == bindparam("named"),
            _SUBJECT.c.repository_id == bindparam("of"),
            _SUBJECT.c.digest == manifest.c.subject_digest,
        )
        | exists().where(
            manifest_reference.c.repository_id == bindparam("of"),
            manifest_reference.c.digest == bindparam("named"),
            manifest_reference.c.kind == "manifest",
        )
    )
)
_STILL_DUE_MANIFEST = Query(
    select(manifest_review.c.since).where(
        manifest_review.c.repository_id == bindparam("of"),
        manifest_review.c.digest == bindparam("named"),
        manifest_review.c.since <= bindparam("before"),
    )
)
_DROP_MANIFEST_REVIEW = Query(
    delete(manifest_review).where(
        manifest_review.c.repository_id == bindparam("of"), manifest_review.c.digest == bindparam("named")
    )
)

_WAITING_LINKS = Query(
    select(repository.c.name, link_review.c.digest, blob.c.size, link_review.c.since, link_review.c.reason)
    .join(repository, repository.c.id == link_review.c.repository_id)
    .join(blob, blob.c.digest == link_review.c.digest)
    .where(
        ~exists().where(
            manifest_reference.c.repository_id == link_review.c.repository_id,
            manifest_reference.c.digest == link_review.c.digest,
        ),
        ~exists().where(
            deleted_reference.c.repository_id == link_review.c.repository_id,
            deleted_reference.c.digest == link_review.c.digest,
        ),
    )
    .order_by(link_review.c.since)
    .limit(bindparam("most"))
)
_WAITING_BLOBS = Query(
    select(blob_review.c.digest, blob.c.size, blob_review.c.since, blob_review.c.reason)
    .join(blob, blob.c.digest == blob_review.c.digest)
    .where(~exists().where(blob_link.c.digest == blob_review.c.digest))
    .order_by(blob_review.c.since)
    .limit(bindparam("most"))
)
_WAITING_MANIFESTS = Query(
    select(
        repository.c.name,
        deleted_manifest.c.digest,
        deleted_manifest.c.deleted_at,
        deleted_manifest.c.deleted_by,
    )
    .join(repository, repository.c.id == deleted_manifest.c.repository_id)
    .order_by(deleted_manifest.c.deleted_at)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingContent:
    """Content that nobody needs now, and that goes when its time has come."""

    kind: str
    """``manifest``, ``link`` (a repository's hold on a blob) or ``blob``."""

    digest: str
    since: int
    """Microseconds since 1970: when it was put into the queue."""

    why: str
    repository: str | None = None
    size: int = 0
    """Bytes that are freed on the disk. A link frees none: its blob may be others' too."""


# ------------------------------------------------------------------ putting in


def watch_link(
    transaction: Transaction, repository_id: int, digest: Digest, *, now: int, reason: str
) -> None:
    """Have a blob of a repository looked at, a grace from now."""
    transaction.run(_WATCH_LINK, repository_id=repository_id, digest=str(digest), since=now, reason=reason)


def watch_blob(transaction: Transaction, digest: str, *, since: int, reason: str) -> None:
    """Have a blob looked at, a grace after `since`."""
    transaction.run(_WATCH_BLOB, digest=digest, since=since, reason=reason)


def watch_blobs_of(transaction: Transaction, repository_id: int, *, now: int, reason: str) -> None:
    """Have every blob of a repository looked at, before the repository goes."""
    transaction.run(_WATCH_ALL_OF, of=repository_id, now=now, reason=reason)


def watch_parts_of_deleted(
    transaction: Transaction, repository_id: int, digest: str, *, now: int, reason: str
) -> None:
    """Have every blob looked at that a deleted manifest has kept."""
    transaction.run(_WATCH_PARTS, of=repository_id, manifest=digest, now=now, reason=reason)


def watch_manifest(transaction: Transaction, repository_id: int, digest: str, *, now: int) -> None:
    """Have a manifest looked at that a tag has left."""
    transaction.run(_WATCH_MANIFEST, of=repository_id, named=digest, now=now)


def watch_children(transaction: Transaction, repository_id: int, index: Digest, *, now: int) -> None:
    """Have the manifests looked at that an index lists, and those that refer to it, before it goes."""
    transaction.run(_WATCH_CHILDREN, of=repository_id, index=str(index), now=now)


def link_watched_since(reader: Reader, repository_name: str, digest: Digest) -> int | None:
    """Since when a blob of a repository waits to be looked at; None where it does not."""
    row = reader.first(_LINK_SINCE, repository=repository_name, digest=str(digest))
    return None if row is None else int(row[0])


def renew_link(transaction: Transaction, repository_name: str, digest: Digest, *, now: int) -> None:
    """Let a blob that waits to be looked at wait anew: somebody has seen that it is there."""
    transaction.run(_RENEW_LINK, of=repository_name, named=str(digest), now=now)


# ------------------------------------------------------------------ looking


def due_links(reader: Reader, *, before: int, most: int) -> list[tuple[int, str]]:
    """Up to `most` blobs of repositories that have waited since `before`, the oldest first."""
    return [(row[0], row[1]) for row in reader.all(_DUE_LINKS, before=before, most=most)]


def review_link(transaction: Transaction, repository_id: int, digest: str, *, before: int) -> bool:
    """Take a blob from a repository if nothing there needs it, and say whether that was so.

    A row that was made young in the meantime stays.
    """
    if transaction.first(_STILL_DUE_LINK, of=repository_id, named=digest, before=before) is None:
        return False
    if _is(transaction, _LINK_IS_NEEDED, of=repository_id, named=digest):
        transaction.run(_DROP_LINK_REVIEW, of=repository_id, named=digest)
        return False
    transaction.run(_REMOVE_LINK, of=repository_id, named=digest)
    watch_blob(transaction, digest, since=0, reason="no manifest needed it")  # it has waited already
    return True


def due_blobs(reader: Reader, *, before: int, most: int) -> list[str]:
    """Up to `most` blobs that have waited since `before`, the oldest first."""
    return [row[0] for row in reader.all(_DUE_BLOBS, before=before, most=most)]


def review_blob(transaction: Transaction, digest: str, *, before: int) -> int | None:
    """Forget a blob that no repository has, and say its size; None where it stays.

    The caller keeps everyone from storing it again until its bytes have gone.
    """
    row = transaction.first(_STILL_DUE_BLOB, named=digest, before=before)
    if row is None:
        return None
    if _is(transaction, _BLOB_HAS_LINKS, named=digest):
        transaction.run(_DROP_BLOB_REVIEW, named=digest)
        return None
    transaction.run(_REMOVE_BLOB, named=digest)
    return int(row[0])


def is_known_blob(reader: Reader, digest: Digest) -> bool:
    """Whether the catalog knows of a blob. What it does not know of was left by a crash."""
    return reader.first(_KNOWN_BLOB, named=str(digest)) is not None


def due_manifests(reader: Reader, *, before: int, most: int) -> list[tuple[int, str]]:
    """Up to `most` manifests that a tag has left before `before`, the oldest first."""
    return [(row[0], row[1]) for row in reader.all(_DUE_MANIFESTS, before=before, most=most)]


def review_manifest(transaction: Transaction, repository_id: int, digest: str, *, before: int) -> bool:
    """Whether a manifest may be deleted: no tag stands for it, no index lists it, and it has no subject here.

    Where it may not, it is not asked again before a tag, an index or its subject leaves it once more.
    """
    if transaction.first(_STILL_DUE_MANIFEST, of=repository_id, named=digest, before=before) is None:
        return False
    if _is(transaction, _MANIFEST_IS_NEEDED, of=repository_id, named=digest):
        transaction.run(_DROP_MANIFEST_REVIEW, of=repository_id, named=digest)
        return False
    return True


def waiting_content(reader: Reader, *, most: int) -> list[WaitingContent]:
    """What nobody needs now: deleted manifests, links that no manifest needs, blobs without a link."""
    waiting = [
        WaitingContent(kind="manifest", repository=name, digest=digest, since=at, why=f"deleted by {by}")
        for name, digest, at, by in reader.all(_WAITING_MANIFESTS, most=most)
    ]
    waiting += [
        WaitingContent(kind="link", repository=name, digest=digest, size=size, since=since, why=reason)
        for name, digest, size, since, reason in reader.all(_WAITING_LINKS, most=most)
    ]
    waiting += [
        WaitingContent(kind="blob", digest=digest, size=size, since=since, why=reason)
        for digest, size, since, reason in reader.all(_WAITING_BLOBS, most=most)
    ]
    return waiting


def _is(reader: Reader, question: Query, **parameters: object) -> bool:
    row = reader.first(question, **parameters)
    return row is not None and bool(row[0])
