"""The audit trail, read back: rows from a moment on, oldest first, a page at a time."""

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from sealift.registry.catalog.database import Query, Reader
from sealift.registry.catalog.schema import audit

SKEW_MICROSECONDS = 5_000_000
"""Rows are written in batches, a process at a time: an earlier one may have a later id."""

_FIRST = Query(
    select(audit.c.id).where(audit.c.at >= bindparam("since")).order_by(audit.c.at, audit.c.id).limit(1)
)
_LAST = Query(select(func.max(audit.c.id)))
_PAGE = Query(
    select(
        *(audit.c.id, audit.c.at, audit.c.principal, audit.c.action, audit.c.repository),
        *(audit.c.outcome, audit.c.detail, audit.c.request_id, audit.c.client),
    )
    .where(audit.c.id > bindparam("after"))
    .order_by(audit.c.id)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that somebody did, or was not let do."""

    id: int
    at: int
    """Microseconds since 1970."""

    principal: str
    action: str
    repository: str | None
    outcome: str
    detail: str
    request_id: str | None
    client: str | None


def audit_start(reader: Reader, since: int) -> int:
    """The id after which every row from a moment on stands. Rows from shortly before it may stand there too.

    Args:
        reader: The catalog.
        since: Microseconds since 1970.
    """
    row = reader.first(_FIRST, since=since - SKEW_MICROSECONDS)
    if row is not None:
        return int(row[0]) - 1
    last = reader.first(_LAST)
    return int(last[0]) if last is not None and last[0] is not None else 0


def audit_page(reader: Reader, *, after: int, most: int) -> list[AuditRow]:
    """The rows that follow an id, at most `most`."""
    return [AuditRow(*row) for row in reader.all(_PAGE, after=after, most=most)]
