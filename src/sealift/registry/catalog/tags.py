"""Tags: which manifest a name stands for now; moving, removing and setting them back.

Whatever changes a tag goes through a function of this module, which keeps the
repository's rules (`sealift.registry.catalog.tag_rules`) and writes the move
down (`sealift.registry.catalog.tag_history`), all in the caller's transaction.
Of two that race for a tag, one is second, and sees what the first did.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import sqlite

from sealift.errors import SealiftError
from sealift.image.digest import Digest
from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.manifests import manifest_size
from sealift.registry.catalog.reviews import watch_manifest
from sealift.registry.catalog.schema import tag
from sealift.registry.catalog.tag_history import Past, note_move, past_before, past_before_last_move, past_on
from sealift.registry.catalog.tag_rules import TagImmutable, tag_rules
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
_OF_REPOSITORY = Query(select(tag.c.name).where(tag.c.repository_id == bindparam("repository_id")))

_DAY: Final = 24 * 3600 * 1_000_000
"""Microseconds."""


class NotInHistory(SealiftError):
    """A tag never stood for what it is to be set back to."""

    exit_status: ClassVar[int] = 3


class NotRestorable(SealiftError):
    """A tag stood for it, and cannot be set back: it is too long ago, or the manifest has gone."""

    exit_status: ClassVar[int] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredTag:
    """What setting a tag back came to."""

    digest: str
    """What the tag stands for now."""

    was: str | None
    """What it stood for before; the same as `digest` where nothing had to be moved."""


def tag_digest(reader: Reader, repository_id: int, name: str) -> str | None:
    """What a tag stands for, or None where there is no such tag."""
    row = reader.first(_DIGEST, repository_id=repository_id, name=name)
    return None if row is None else str(row[0])


def tags_after(reader: Reader, repository_id: int, *, last: str, most: int) -> list[str]:
    """Up to `most` tags after `last`, in byte order."""
    return [name for (name,) in reader.all(_AFTER, repository_id=repository_id, last=last, most=most)]


def set_tag(
    transaction: Transaction,
    repository_id: int,
    name: str,
    digest: Digest,
    *,
    by: Principal,
    now: int,
    address: str | None = None,
) -> None:
    """Let a tag stand for a manifest of the repository. Where it already did, nothing has moved.

    Args:
        transaction: All or nothing.
        repository_id: Whose tag it is.
        name: The tag.
        digest: The manifest.
        by: Who does it.
        now: When.
        address: The IP address that the request came from, if it came from one.

    Raises:
        TagImmutable: It stands for another, and a rule keeps it there.
    """
    old = tag_digest(transaction, repository_id, name)
    if old == str(digest):
        return
    if old is not None and (pattern := tag_rules(transaction, repository_id).protecting(name)):
        raise TagImmutable(name, pattern, "moved")
    transaction.run(
        _SET,
        repository_id=repository_id,
        name=name,
        digest=str(digest),
        updated_at=now,
        updated_by=by.name,
    )
    _moved(transaction, repository_id, name, old=old, new=str(digest), by=by, address=address, now=now)


def remove_tag(
    transaction: Transaction,
    repository_id: int,
    name: str,
    *,
    by: Principal,
    now: int,
    address: str | None = None,
) -> bool:
    """Remove a tag, not what it stood for, and say whether it was there.

    Raises:
        TagImmutable: A rule keeps it.
    """
    old = tag_digest(transaction, repository_id, name)
    if old is None:
        return False
    if pattern := tag_rules(transaction, repository_id).protecting(name):
        raise TagImmutable(name, pattern, "deleted")
    transaction.run(_REMOVE, repository_id=repository_id, name=name)
    _moved(transaction, repository_id, name, old=old, new=None, by=by, address=address, now=now)
    return True


def remove_tags_on(
    transaction: Transaction,
    repository_id: int,
    digest: Digest,
    *,
    by: Principal,
    now: int,
    address: str | None = None,
) -> tuple[str, ...]:
    """Remove every tag that stands for a manifest, and name them.

    Raises:
        TagImmutable: A rule keeps one of them. What was removed before it comes
            back with the caller's transaction.
    """
    names = tuple(
        name for (name,) in transaction.all(_ON_DIGEST, repository_id=repository_id, digest=str(digest))
    )
    for name in names:
        remove_tag(transaction, repository_id, name, by=by, now=now, address=address)
    return names


def refuse_to_lose_immutable(reader: Reader, repository_id: int) -> None:
    """See that a repository has no immutable tag, before all of it is deleted.

    Raises:
        TagImmutable: It has; the error names one.
    """
    rules = tag_rules(reader, repository_id)
    if not rules.immutable:
        return
    for (name,) in reader.each(_OF_REPOSITORY, repository_id=repository_id):
        if pattern := rules.protecting(name):
            raise TagImmutable(name, pattern, "deleted")


def restore_tag(
    transaction: Transaction,
    repository_id: int,
    name: str,
    *,
    to: str | None = None,
    before: int | None = None,
    days: int,
    by: Principal,
    now: int,
    address: str | None = None,
) -> RestoredTag:
    """Let a tag that was moved or removed stand for what it once stood for. It is a move like any other.

    Args:
        transaction: All or nothing.
        repository_id: Whose tag it is.
        name: The tag.
        to: The digest that it is to stand for again.
        before: Or a moment, in microseconds since 1970: what it stood for just
            before. With neither, what it stood for before its last move.
        days: How long ago it may have ceased to stand for that.
        by: Who does it.
        now: When.
        address: The IP address that the request came from, if it came from one.

    Raises:
        NotInHistory: It never stood for that, or there was no such tag then.
        NotRestorable: It is too long ago, or the manifest has gone.
        TagImmutable: It stands for another now, and a rule keeps it there.
    """
    current = tag_digest(transaction, repository_id, name)
    past = _past(transaction, repository_id, name, current, to=to, before=before)
    if past.digest is None:
        raise NotInHistory(
            f"the tag {name} stood for nothing then",
            why="there was no such tag, or it had been deleted",
            hint="sealift repo show NAME --history lists what it stood for",
        )
    if past.left_at is not None and past.left_at < now - days * _DAY:
        left = datetime.fromtimestamp(past.left_at // 1_000_000, UTC)
        raise NotRestorable(
            f"the tag {name} cannot be set back to {past.digest}",
            why=f"it ceased to stand for that on {left:%Y-%m-%d}, and a tag goes back {days} days here",
            hint="push or tag that manifest by hand, if it is still there; "
            "the operator sets the days: sealift serve --tag-restore-days",
        )
    digest = Digest.parse(past.digest)
    if manifest_size(transaction, repository_id, digest) is None:
        raise NotRestorable(
            f"the tag {name} cannot be set back to {past.digest}",
            why="that manifest has been deleted from the repository",
            hint=f"sealift repo undelete NAME@{past.digest}, while it is kept; else push the image again",
        )
    set_tag(transaction, repository_id, name, digest, by=by, now=now, address=address)
    return RestoredTag(digest=past.digest, was=current)


def _past(
    reader: Reader, repository_id: int, name: str, current: str | None, *, to: str | None, before: int | None
) -> Past:
    if to is not None:
        if to == current:
            return Past(digest=to, left_at=None)
        found = past_on(reader, repository_id, name, to)
        if found is None:
            raise NotInHistory(
                f"the tag {name} never stood for {to}",
                why="its history has no such move",
                hint="sealift repo show NAME --history lists what it stood for",
            )
        return found
    if before is not None:
        return past_before(reader, repository_id, name, before)
    return past_before_last_move(reader, repository_id, name)


def _moved(
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
    """Write a move down, and have the collector look at what the tag has left."""
    note_move(transaction, repository_id, name, old=old, new=new, by=by, address=address, now=now)
    if old is not None:
        watch_manifest(transaction, repository_id, old, now=now)
