"""The history of tags: every move, with who, when, from where, from which manifest to which.

Rows are added by `sealift.registry.catalog.tags` in the transaction that moves
the tag, and never changed. They go with their repository.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, func, insert, select

from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.schema import tag_history
from sealift.registry.exchange import Principal

_NOTE = Query(
    insert(tag_history),
    columns=(
        "repository_id",
        "name",
        "old_digest",
        "new_digest",
        "at",
        "principal_id",
        "principal",
        "address",
    ),
)
_MOVES = (
    select(
        tag_history.c.id,
        tag_history.c.name,
        tag_history.c.at,
        tag_history.c.principal_id,
        tag_history.c.principal,
        tag_history.c.address,
        tag_history.c.old_digest,
        tag_history.c.new_digest,
    )
    .where(tag_history.c.repository_id == bindparam("repository_id"))
    .order_by(tag_history.c.id.desc())
)
_OF_ALL = Query(_MOVES.where(tag_history.c.id < bindparam("last")).limit(bindparam("most")))
_OF_TAG = _MOVES.where(tag_history.c.name == bindparam("name"))
_OF_ONE = Query(_OF_TAG.where(tag_history.c.id < bindparam("last")).limit(bindparam("most")))
_LAST = Query(_OF_TAG.limit(1))
_LAST_BEFORE = Query(_OF_TAG.where(tag_history.c.at < bindparam("moment")).limit(1))
_LAST_FROM = Query(_OF_TAG.where(tag_history.c.old_digest == bindparam("digest")).limit(1))
_FIRST_AFTER = Query(
    select(func.min(tag_history.c.id)).where(
        tag_history.c.repository_id == bindparam("repository_id"),
        tag_history.c.name == bindparam("name"),
        tag_history.c.id > bindparam("last"),
    )
)
_TIME_OF = Query(select(tag_history.c.at).where(tag_history.c.id == bindparam("id")))

NEWEST = 2**63 - 1
"""A number above that of every move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagMove:
    """One move of one tag."""

    id: int
    """Its number: a later move has a higher one, whatever the clock said."""

    tag: str
    at: int
    """Microseconds since 1970."""

    principal_id: int | None
    principal: str
    """The name it had then."""

    address: str | None
    """The IP address that the request came from; None for work on the server itself."""

    old_digest: str | None
    """None: there was no such tag before."""

    new_digest: str | None
    """None: the tag was removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a tag once stood for."""

    digest: str | None
    """None: there was no such tag then."""

    left_at: int | None
    """When it ceased to, in microseconds since 1970; None: it still does."""


def note_move(
    transaction: Transaction,
    repository_id: int,
    name: str,
    *,
    old: str | None,
    new: str | None,
    by: Principal,
    address: str | None,
    now: int,
) -> None:
    """Write a move down, in the transaction that makes it."""
    transaction.run(
        _NOTE,
        repository_id=repository_id,
        name=name,
        old_digest=old,
        new_digest=new,
        at=now,
        principal_id=by.id,
        principal=by.name,
        address=address,
    )


def tag_moves(
    reader: Reader, repository_id: int, name: str | None = None, *, last: int = NEWEST, most: int
) -> list[TagMove]:
    """Up to `most` moves of a tag, or of every tag, the newest first, that are older than the move `last`."""
    if name is None:
        rows = reader.all(_OF_ALL, repository_id=repository_id, last=last, most=most)
    else:
        rows = reader.all(_OF_ONE, repository_id=repository_id, name=name, last=last, most=most)
    return [
        TagMove(
            id=row[0],
            tag=row[1],
            at=row[2],
            principal_id=row[3],
            principal=row[4],
            address=row[5],
            old_digest=row[6],
            new_digest=row[7],
        )
        for row in rows
    ]


def past_before(reader: Reader, repository_id: int, name: str, moment: int) -> Past:
    """What a tag stood for just before a moment."""
    row = reader.first(_LAST_BEFORE, repository_id=repository_id, name=name, moment=moment)
    if row is None:
        return Past(digest=None, left_at=None)
    after = reader.first(_FIRST_AFTER, repository_id=repository_id, name=name, last=row[0])
    left = None if after is None or after[0] is None else reader.first(_TIME_OF, id=after[0])
    return Past(digest=row[7], left_at=None if left is None else int(left[0]))


def past_before_last_move(reader: Reader, repository_id: int, name: str) -> Past:
    """What a tag stood for before it was last moved or removed."""
    row = reader.first(_LAST, repository_id=repository_id, name=name)
    return Past(digest=None, left_at=None) if row is None else Past(digest=row[6], left_at=row[2])


def past_on(reader: Reader, repository_id: int, name: str, digest: str) -> Past | None:
    """When a tag last ceased to stand for a manifest, or None where it never did."""
    row = reader.first(_LAST_FROM, repository_id=repository_id, name=name, digest=digest)
    return None if row is None else Past(digest=digest, left_at=row[2])
