"""``/api/v1/repositories``: making, showing and deleting them, and who may see them."""

from typing import Final

from sealift.protocol.endpoints import is_name
from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.access.guard import Guard
from sealift.registry.access.permissions import RepositoryFacts, is_owner
from sealift.registry.catalog.database import Catalog
from sealift.registry.catalog.repositories import visible_names
from sealift.registry.catalog.repository_rows import (
    RepositoryRow,
    create_repository,
    delete_repository,
    repository_row,
    set_visibility,
)
from sealift.registry.exchange import Answer, Call, Principal
from sealift.registry.management.documents import (
    NewRepository,
    RepositoryChange,
    RepositoryList,
    read,
    repository_document,
    written,
)
from sealift.registry.management.refusal import ManagementRefusal, not_found

PAGE: Final = 500
"""Repositories on one page of a list."""


class RepositoryRoutes:
    """Repositories: admins look after all, owners after their own, others see what they may pull or push."""

    def __init__(self, catalog: Catalog, guard: Guard, audit: AuditTrail) -> None:
        self._catalog = catalog
        self._guard = guard
        self._audit = audit

    async def list(self, call: Call) -> Answer:
        """Those that the caller may see, by name, a page at a time (``?last=``).

        Pages are made of what may be seen and of nothing else: neither where one
        ends nor how long it is tells of another's repositories.
        """
        last = call.query.get("last", ("",))[0]
        names = visible_names(self._catalog, self._guard.visible(call.principal), last=last, most=PAGE + 1)
        page = names[:PAGE]
        shown = [
            repository_document(row, actions)
            for name in page
            if (row := repository_row(self._catalog, name)) is not None
            and (actions := self._guard.held(call.principal, name))
        ]
        return written(RepositoryList(items=shown, continue_=page[-1] if len(names) > PAGE else None))

    async def create(self, call: Call) -> Answer:
        """Make a repository (201), for admins and in the caller's own name."""
        wanted = await read(call.body, NewRepository)
        if not is_name(wanted.name):
            raise ManagementRefusal(
                400,
                "INVALID",
                f"{wanted.name!r} cannot be the name of a repository",
                why="at most 255 lower case letters and digits, with . _ __ - or / between",
            )
        if not _looks_after(call.principal, RepositoryFacts(name=wanted.name, exists=False)):
            raise ManagementRefusal(
                403,
                "DENIED",
                f"{wanted.name} is not yours to make",
                why="its first path element is not your name",
                hint="ask an admin, or push: where you may push, pushing makes it",
            )
        made = await self._catalog.write(
            lambda transaction: create_repository(
                transaction,
                name=wanted.name,
                visibility=wanted.visibility,
                by=call.principal.name,
                now=self._catalog.now(),
            )
        )
        self._audit.changed(call.principal, "repository.create", made.name, made.visibility)
        return written(repository_document(made, self._guard.held(call.principal, made.name)), 201)

    async def show(self, call: Call) -> Answer:
        """One repository, for whoever may see it."""
        row = self._visible(call)
        return written(repository_document(row, self._guard.held(call.principal, row.name)))

    async def change(self, call: Call) -> Answer:
        """Make a repository public or private, for admins and its owner."""
        row = self._own(call)
        visibility = (await read(call.body, RepositoryChange)).visibility
        changed = await self._catalog.write(
            lambda transaction: set_visibility(
                transaction, name=row.name, visibility=visibility, only_id=row.id
            )
        )
        if changed is None:
            raise not_found(f"repository {row.name!r} that you may see")
        self._audit.changed(call.principal, "repository.visibility", row.name, visibility)
        return written(repository_document(changed, self._guard.held(call.principal, row.name)))

    async def delete(self, call: Call) -> Answer:
        """Delete a repository with all that is in it (204), for admins and its owner."""
        row = self._own(call)
        now = self._catalog.now()
        await self._catalog.write(lambda transaction: delete_repository(transaction, row.id, now=now))
        self._audit.changed(call.principal, "repository.delete", row.name)
        return Answer(status=204)

    def _visible(self, call: Call) -> RepositoryRow:
        name = call.path["name"]
        row = repository_row(self._catalog, name)
        if row is None or not self._guard.held(call.principal, name):
            raise not_found(f"repository {name!r} that you may see")
        return row

    def _own(self, call: Call) -> RepositoryRow:
        row = self._visible(call)
        if not _looks_after(
            call.principal, RepositoryFacts(name=row.name, exists=True, owner_id=row.owner_id)
        ):
            raise ManagementRefusal(
                403, "DENIED", f"{row.name} is not yours", hint="ask its owner, or an admin"
            )
        return row


def _looks_after(principal: Principal, repository: RepositoryFacts) -> bool:
    return principal.is_admin or is_owner(principal, repository)
