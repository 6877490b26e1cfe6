"""``/api/v1/grants``: giving actions on repositories, and taking them back."""

from typing import Final

from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.access.permissions import Pattern
from sealift.registry.catalog.accounts import GrantRow, add_grant, grant_by_id, grants, remove_grant
from sealift.registry.catalog.database import Catalog
from sealift.registry.catalog.repository_rows import other_owner_under
from sealift.registry.exchange import Answer, Call, Principal
from sealift.registry.management.documents import (
    GrantList,
    NewGrant,
    grant_document,
    read,
    written,
)
from sealift.registry.management.refusal import ManagementRefusal, not_found

MAX_ID_DIGITS: Final = 18
"""Digits of an id. What is longer does not fit the catalog's integers."""


class GrantRoutes:
    """Grants: admins give any; an account gives what is under its own name, and sees what it has and gave."""

    def __init__(self, catalog: Catalog, audit: AuditTrail) -> None:
        self._catalog = catalog
        self._audit = audit

    async def list(self, call: Call) -> Answer:
        """Those that the caller may see; ``?to=`` for one account's."""
        to = call.query.get("to", ("",))[0] or None
        shown = [grant_document(row) for row in grants(self._catalog, to=to) if _may_see(call.principal, row)]
        return written(GrantList(items=shown))

    async def add(self, call: Call) -> Answer:
        """Give a grant (201). The same one again is the one that is there."""
        wanted = await read(call.body, NewGrant)
        pattern = str(Pattern.parse(wanted.repository))
        self._refuse_foreign(call.principal, pattern)
        made = await self._catalog.write(
            lambda transaction: add_grant(
                transaction,
                to=wanted.to,
                pattern=pattern,
                actions=set(wanted.actions),
                by=call.principal.name,
                now=self._catalog.now(),
            )
        )
        self._audit.changed(call.principal, "grant.add", pattern, f"{made.actions} to {made.principal}")
        return written(grant_document(made), 201)

    async def remove(self, call: Call) -> Answer:
        """Take a grant back (204). It holds from the next request, for tokens that were issued too."""
        text = call.path["id"]
        is_id = text.isascii() and text.isdigit() and len(text) <= MAX_ID_DIGITS
        row = grant_by_id(self._catalog, int(text)) if is_id else None
        if row is None or not _may_see(call.principal, row):
            raise not_found(f"grant {text} that you may see")
        self._refuse_foreign(call.principal, row.pattern)
        removed = await self._catalog.write(lambda transaction: remove_grant(transaction, row.id))
        self._audit.changed(
            call.principal, "grant.remove", removed.pattern, f"{removed.actions} of {removed.principal}"
        )
        return Answer(status=204)

    def _refuse_foreign(self, principal: Principal, pattern: str) -> None:
        """See that a grant on `pattern` is the caller's to give: an admin's, or under its own name.

        A name that somebody else had before may still have that one's
        repositories under it: those are not its own.
        """
        if principal.is_admin:
            return
        why = None
        if principal.id is None or not _is_under_own_name(principal, pattern):
            why = "its first path element is not your name"
        elif (foreign := other_owner_under(self._catalog, principal.name, principal.id)) is not None:
            why = f"{foreign} is under your name and not yours"
        if why is not None:
            raise ManagementRefusal(
                403, "DENIED", f"{pattern} is not yours to give or take back", why=why, hint="ask an admin"
            )


def _is_under_own_name(principal: Principal, pattern: str) -> bool:
    """The first element is compared as text, so that ``*/web`` is nobody's own."""
    return pattern.partition("/")[0] == principal.name


def _may_see(principal: Principal, row: GrantRow) -> bool:
    return principal.is_admin or row.principal == principal.name or _is_under_own_name(principal, row.pattern)
