"""The audit trail: who did what and whether it was allowed, written a little later and in batches.

A denial costs its author nothing, so it must not cost the registry a disk write
each: rows wait in memory, half a second at most, and go to the catalog
together. There is room for a bounded number; past it they are counted, and the
count is written in their place. Of what whoever shows no credential is denied
there is room for fewer: it costs them nothing to fill a disk with it. While the
disk is full they wait: nobody is refused because what he did cannot be written down.
"""

import asyncio
from collections import deque
from typing import Final, Literal

from sqlalchemy import insert

from sealift.registry.catalog.database import Catalog, CatalogFailed, Query, Transaction
from sealift.registry.catalog.schema import audit
from sealift.registry.counters import Alarms, Counters
from sealift.registry.exchange import Principal
from sealift.registry.metrics import AUDIT_DROPPED
from sealift.registry.request_id import TRACE

WRITE_AFTER_SECONDS: Final = 0.5
"""How long a row may wait. A kill loses at most so much."""

MOST_BETWEEN_SECONDS: Final = 30.0
"""Between two tries to write, while the disk is full."""

MOST_WAITING: Final = 10_000
"""Rows in memory. An attacker who makes more is counted, not listed."""

MOST_ANONYMOUS: Final = 200
"""Rows in memory about nobody in particular."""

MAX_FIELD_CHARACTERS: Final = 512

Outcome = Literal["allowed", "denied"]

_INSERT = Query(
    insert(audit),
    columns=(
        *("at", "principal_id", "principal", "action", "repository", "outcome", "detail"),
        *("request_id", "client"),
    ),
)

_ANONYMOUS: Final = frozenset({"anonymous", "unknown"})

_Fields = dict[str, int | str | None]


class AuditTrail:
    """Where denials and changes are written down. One per process."""

    def __init__(
        self, catalog: Catalog, *, counters: Counters | None = None, alarms: Alarms | None = None
    ) -> None:
        self._catalog = catalog
        self._counters = counters or Counters()
        self._alarms = alarms or Alarms()
        self._counters.start(AUDIT_DROPPED)
        self._anonymous = 0
        self._waiting: deque[_Fields] = deque()
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def denied(self, who: str, action: str, where: str, why: str) -> None:
        """Somebody was refused. `who` is what they said they are; it proves nothing."""
        self._add(who, action, where, outcome="denied", detail=why)

    def changed(self, principal: Principal, action: str, where: str, detail: str = "") -> None:
        """Somebody changed who may do what."""
        self._add(principal.name, action, where, outcome="allowed", detail=detail, principal_id=principal.id)

    async def close(self) -> None:
        """Write what waits, and wait no more."""
        if self._task is not None:
            self._task.cancel()
        await self.flush()

    async def flush(self) -> bool:
        """Write what waits now, and say whether it is written. What is not goes on waiting."""
        rows = list(self._waiting)
        self._waiting.clear()
        self._anonymous = 0
        if self._dropped:
            lost = f"{self._dropped} more were not written"
            rows.append(self._row("", "audit", "", outcome="denied", detail=lost, principal_id=None))
            self._dropped = 0
        if not rows:
            return True

        def write(transaction: Transaction) -> None:
            for row in rows:
                transaction.run(_INSERT, **row)

        try:
            await self._catalog.write(write, durable=False)
        except CatalogFailed as failed:
            self._keep(rows)
            self._alarms.sound("audit", "%d rows cannot be written yet: %s", len(rows), failed)
            return False
        return True

    def _keep(self, rows: list[_Fields]) -> None:
        """Have rows wait in front of those that came in the meantime, as far as there is room."""
        fit = max(MOST_WAITING - len(self._waiting), 0)
        self._dropped += max(len(rows) - fit, 0)
        self._waiting.extendleft(reversed(rows[:fit]))

    def _add(
        self,
        who: str,
        action: str,
        where: str,
        *,
        outcome: Outcome,
        detail: str,
        principal_id: int | None = None,
    ) -> None:
        is_anonymous = who in _ANONYMOUS
        if len(self._waiting) >= MOST_WAITING or (is_anonymous and self._anonymous >= MOST_ANONYMOUS):
            self._dropped += 1
            self._counters.add(AUDIT_DROPPED)
            return
        self._anonymous += is_anonymous
        row = self._row(who, action, where, outcome=outcome, detail=detail, principal_id=principal_id)
        self._waiting.append(row)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._flush_later())

    def _row(
        self, who: str, action: str, where: str, *, outcome: Outcome, detail: str, principal_id: int | None
    ) -> _Fields:
        trace = TRACE.get()
        return {
            "at": self._catalog.now(),
            "principal_id": principal_id,
            "principal": _printable(who),
            "action": action,
            "repository": _printable(where) or None,
            "outcome": outcome,
            "detail": _printable(detail),
            "request_id": None if trace is None else trace.request_id,
            "client": None if trace is None else trace.client,
        }

    async def _flush_later(self) -> None:
        """Write what waits, and while the disk will not take it, try again after longer and longer."""
        wait = WRITE_AFTER_SECONDS
        while self._waiting or self._dropped:
            await asyncio.sleep(wait)
            wait = WRITE_AFTER_SECONDS if await self.flush() else min(wait * 2, MOST_BETWEEN_SECONDS)


def _printable(text: str) -> str:
    """Text of a stranger, short, and without anything that a terminal would obey."""
    short = text[:MAX_FIELD_CHARACTERS]
    return "".join(character if character.isprintable() else "�" for character in short)
