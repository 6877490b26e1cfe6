"""``/api/v1/audit``: who did what and whether it was allowed, for admins."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.catalog.audit_rows import audit_page, audit_start
from sealift.registry.catalog.database import Catalog
from sealift.registry.exchange import Answer, Call
from sealift.registry.management.documents import AuditList, audit_document, written
from sealift.registry.management.refusal import ManagementRefusal, admins_only

PAGE: Final = 500
"""Rows on one page, asked for or not."""

MAX_DIGITS: Final = 18
"""Digits of a number in the query. What is longer does not fit the catalog's integers."""


_TIME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)


class AuditRoutes:
    """The audit trail: admins read all of it, everyone else none."""

    def __init__(self, catalog: Catalog, audit: AuditTrail) -> None:
        self._catalog = catalog
        self._audit = audit

    async def list(self, call: Call) -> Answer:
        """Rows oldest first, a page at a time.

        ``since`` is a time (RFC 3339); ``after`` is the ``next`` of the page
        before, and says where to go on, also after the last one: what comes in
        the meantime stands there.
        """
        if not call.principal.is_admin:
            raise admins_only("the audit trail")
        since = _since(call.query["since"][0]) if "since" in call.query else 0
        after = _number(call.query, "after", 0)
        most = min(max(_number(call.query, "limit", PAGE), 1), PAGE)
        await (
            self._audit.flush()
        )  # what this process knows and has not written yet; of others half a second is missing
        if not after:
            after = audit_start(self._catalog, since) if since else 0
        rows = audit_page(self._catalog, after=after, most=most)
        shown = [audit_document(row) for row in rows if row.at >= since]
        return written(
            AuditList(items=shown, next=str(rows[-1].id if rows else after), complete=len(rows) < most)
        )


def _since(text: str) -> int:
    """Microseconds since 1970. Raises: ManagementRefusal: it is no time. Spec: RFC 3339, section 5.6."""
    try:
        if _TIME.fullmatch(text) is None:
            raise ValueError
        moment = datetime.fromisoformat(text.upper())
        return max(int(moment.timestamp() * 1_000_000), 0)
    except (ValueError, OverflowError):
        raise ManagementRefusal(
            400, "INVALID", "since is no time", why="it is written as in 2026-11-24T12:00:00Z"
        ) from None


def _number(query: Mapping[str, tuple[str, ...]], name: str, default: int) -> int:
    """A number of the query. Raises: ManagementRefusal: it is none."""
    if name not in query:
        return default
    text = query[name][0]
    if not text.isascii() or not text.isdigit() or len(text) > MAX_DIGITS:
        raise ManagementRefusal(400, "INVALID", f"{name} is no number")
    return int(text)
