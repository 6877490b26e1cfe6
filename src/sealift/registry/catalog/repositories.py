"""Repositories by name: finding one, making one on the first push, listing those a caller may see."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice

from sqlalchemy import bindparam, literal_column, select

from sealift.registry.catalog.database import Query, Reader, Transaction
from sealift.registry.catalog.repository_rows import create_repository
from sealift.registry.catalog.schema import repository

_ID = Query(select(repository.c.id).where(repository.c.name == bindparam("name")))

_AFTER = (
    select(repository.c.name)
    .where(repository.c.name > bindparam("last"))
    .order_by(repository.c.name)
    .limit(bindparam("most"))
)
_ALL_AFTER = Query(_AFTER)
# a literal, since a bound value would keep the planner from the partial index
_PUBLIC_AFTER = Query(_AFTER.where(repository.c.visibility == literal_column("'public'")))
_STRETCH_AFTER = Query(_AFTER.where(repository.c.name < bindparam("end")))
_STRETCH = Query(
    select(repository.c.name)
    .where(repository.c.name >= bindparam("first"), repository.c.name < bindparam("end"))
    .order_by(repository.c.name)
    .limit(bindparam("most"))
)

_MOST_AT_A_TIME = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleRepositories:
    """Which repositories a caller may see, in a form that an index can page through."""

    everything: bool = False
    """An admin's view; the rest does not matter then."""

    public: bool = True
    """Those that everyone may pull."""

    prefixes: tuple[str, ...] = ()
    """Beginnings of names: the account's own ``ashok/``, the literal part of each
    pattern it was granted (``apps/`` of ``apps/*``, or a whole name)."""

    admits: Callable[[str], bool] = field(default=lambda _: False)
    """Whether a name with one of `prefixes` is really meant."""


def repository_id(reader: Reader, name: str) -> int | None:
    """The id of the repository of that name, or None where there is none."""
    row = reader.first(_ID, name=name)
    return None if row is None else int(row[0])


def ensure_repository(transaction: Transaction, name: str, *, by: str, now: int) -> int:
    """The id of the repository of that name, which is made, private, if it is not there."""
    found = repository_id(transaction, name)
    if found is not None:
        return found
    return create_repository(transaction, name=name, visibility="private", by=by, now=now).id


def visible_names(reader: Reader, visible: VisibleRepositories, *, last: str, most: int) -> list[str]:
    """Up to `most` names after `last`, in byte order, of the repositories a caller may see.

    It reads about as many rows as it gives, however many repositories there are
    that the caller may not see: each prefix is a stretch of the index.
    """
    if visible.everything:
        return [name for (name,) in reader.all(_ALL_AFTER, last=last, most=most)]
    at_a_time = min(most, _MOST_AT_A_TIME)
    stretches: list[Iterator[str]] = [
        (name for name in _stretch(reader, prefix, last, at_a_time) if visible.admits(name))
        for prefix in visible.prefixes
    ]
    if visible.public:
        stretches.append(_public(reader, last, at_a_time))
    return list(islice(_without_repeats(merge(*stretches)), most))


def _public(reader: Reader, last: str, at_a_time: int) -> Iterator[str]:
    while rows := reader.all(_PUBLIC_AFTER, last=last, most=at_a_time):
        yield from (name for (name,) in rows)
        last = rows[-1][0]


def _stretch(reader: Reader, prefix: str, last: str, most: int) -> Iterator[str]:
    # names are ASCII, so that the prefix with DEL behind it comes after all of them
    end = prefix + "\x7f"
    if last < prefix:  # one lower bound for the index, the one that is right
        rows = reader.all(_STRETCH, first=prefix, end=end, most=most)
    else:
        rows = reader.all(_STRETCH_AFTER, last=last, end=end, most=most)
    while rows:
        yield from (name for (name,) in rows)
        rows = reader.all(_STRETCH_AFTER, last=rows[-1][0], end=end, most=most)


def _without_repeats(names: Iterator[str]) -> Iterator[str]:
    before = None
    for name in names:
        if name != before:
            yield name
        before = name
