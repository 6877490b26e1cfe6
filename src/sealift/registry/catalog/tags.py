"""Tags: which manifest a name stands for now, and everything it stood for before."""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.dialects import sqlite

from sealift.image.digest import Digest
from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.reviews import watch_manifest
from sealift.registry.catalog.schema import tag, tag_history
from sealift.registry.exchange import Principal

_DIGEST = Query(
    select(tag.c.digest).where(
        tag.c.repository_id == bindparam("repository_id"), tag.c.name == bindparam("name")
    )
)
_ON_DIGEST = Query(
    select(tag.c.name)
    .where(tag.c.repository_id == bindparam("repository_id"), tag.c.digest == bindparam("digest"))
    .order_by(tag.c.name)
)
_AFTER = Query(
    select(tag.c.name)
    .where(tag.c.repository_id == bindparam("repository_id"), tag.c.name > bindparam("last"))
    .order_by(tag.c.name)
    .limit(bindparam("most"))
)
_PUT = sqlite.insert(tag)
_SET = Query(
    _PUT.on_conflict_do_update(
        index_elements=["repository_id", "name"],
        set_={
            "digest": _PUT.excluded.digest,
            "updated_at": _PUT.excluded.updated_at,
            "updated_by": _PUT.excluded.updated_by,
        },
    ),
    columns=("repository_id", "name", "digest", "updated_at", "updated_by"),
)
_REMOVE = Query(
    delete(tag).where(tag.c.repository_id == bindparam("repository_id"), tag.c.name == bindparam("name"))
)
_NOTE = Query(
    insert(tag_history),
    columns=("repository_id", "name", "old_digest", "new_digest", "at", "principal_id", "principal"),
)
_HISTORY = Query(
    select(
        tag_history.c.at,
        tag_history.c.principal_id,
        tag_history.c.principal,
        tag_history.c.old_digest,
        tag_history.c.new_digest,
    )
    .where(tag_history.c.repository_id == bindparam("repository_id"), tag_history.c.name == bindparam("name"))
    .order_by(tag_history.c.id)
)


@dataclass(frozen=True, slots=True)
class TagMove:
    """One line of a tag's history."""

    at: int
    """Microseconds since 1970."""

    principal_id: int | None
    principal: str
    """The name it had then."""

    old_digest: str | None
    """None: there was no such tag before."""

    new_digest: str | None
    """None: the tag was removed."""


def tag_digest(reader: Reader, repository_id: int, name: str) -> str | None:
    """What a tag stands for, or None where there is no such tag."""
    row = reader.first(_DIGEST, repository_id=repository_id, name=name)
    return None if row is None else str(row[0])


def tags_after(reader: Reader, repository_id: int, *, last: str, most: int) -> list[str]:
    """Up to `most` tags after `last`, in byte order."""
    return [name for (name,) in reader.all(_AFTER, repository_id=repository_id, last=last, most=most)]


def set_tag(
    transaction: Transaction, repository_id: int, name: str, digest: Digest, *, by: Principal, now: int
) -> None:
    """Let a tag stand for a manifest of the repository. Where it already did, nothing has moved."""
    old = tag_digest(transaction, repository_id, name)
    if old == str(digest):
        return
    transaction.run(
        _SET,
        repository_id=repository_id,
        name=name,
        digest=str(digest),
        updated_at=now,
        updated_by=by.name,
    )
    _note(transaction, repository_id, name, old=old, new=str(digest), by=by, now=now)


def remove_tag(transaction: Transaction, repository_id: int, name: str, *, by: Principal, now: int) -> bool:
    """Remove a tag, not what it stood for, and say whether it was there."""
    old = tag_digest(transaction, repository_id, name)
    if old is None:
        return False
    transaction.run(_REMOVE, repository_id=repository_id, name=name)
    _note(transaction, repository_id, name, old=old, new=None, by=by, now=now)
    return True


def remove_tags_on(
    transaction: Transaction, repository_id: int, digest: Digest, *, by: Principal, now: int
) -> tuple[str, ...]:
    """Remove every tag that stands for a manifest, and name them."""
    names = tuple(
        name for (name,) in transaction.all(_ON_DIGEST, repository_id=repository_id, digest=str(digest))
    )
    for name in names:
        remove_tag(transaction, repository_id, name, by=by, now=now)
    return names


def tag_moves(reader: Reader, repository_id: int, name: str) -> list[TagMove]:
    """All that happened to a tag, oldest first."""
    return [TagMove(*row) for row in reader.all(_HISTORY, repository_id=repository_id, name=name)]


def _note(
    transaction: Transaction,
    repository_id: int,
    name: str,
    *,
    old: str | None,
    new: str | None,
    by: Principal,
    now: int,
) -> None:
    transaction.run(
        _NOTE,
        repository_id=repository_id,
        name=name,
        old_digest=old,
        new_digest=new,
        at=now,
        principal_id=by.id,
        principal=by.name,
    )
    if old is not None:
        watch_manifest(transaction, repository_id, old, now=now)
