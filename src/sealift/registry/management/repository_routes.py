"""``/api/v1/repositories``: making, showing and deleting them, who may see them, and which tags stay."""

from typing import Final

from sealift.protocol.endpoints import is_name
from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.access.guard import Guard
from sealift.registry.access.permissions import RepositoryFacts, is_owner
from sealift.registry.catalog.database import Catalog, Transaction
from sealift.registry.catalog.repositories import visible_names
from sealift.registry.catalog.repository_rows import (
    RepositoryRow,
    create_repository,
    delete_repository,
    repository_row,
    set_visibility,
)
from sealift.registry.catalog.storage_use import use_of_repository
from sealift.registry.catalog.tag_rules import TagRules, set_tag_rules, tag_patterns, tag_rules
from sealift.registry.exchange import Answer, Call, Principal
from sealift.registry.management.documents import (
    NewRepository,
    RepositoryChange,
    RepositoryDocument,
    RepositoryList,
    read,
    repository_document,
    storage_document,
    written,
)
from sealift.registry.management.refusal import ManagementRefusal, not_found
from sealift.registry.settings import Limits

PAGE: Final = 500
"""Repositories on one page of a list."""


class RepositoryRoutes:
    """Repositories: admins look after all, owners after their own, others see what they may pull or push."""

    def __init__(self, catalog: Catalog, guard: Guard, audit: AuditTrail, limits: Limits) -> None:
        self._catalog = catalog
        self._guard = guard
        self._audit = audit
        self._limits = limits

    async def list(self, call: Call) -> Answer:
        """Those that the caller may see, by name, a page at a time (``?last=``).

        Pages are made of what may be seen and of nothing else: neither where one
        ends nor how long it is tells of another's repositories.
        """
        last = call.query.get("last", ("",))[0]
        names = visible_names(self._catalog, self._guard.visible(call.principal), last=last, most=PAGE + 1)
        page = names[:PAGE]
        shown = [
            repository_document(row, actions, tag_rules(self._catalog, row.id))
            for name in page
            if (row := repository_row(self._catalog, name)) is not None
            and (actions := self._guard.held(call.principal, name))
        ]
        return written(RepositoryList(items=shown, continue_=page[-1] if len(names) > PAGE else None))

    async def create(self, call: Call) -> Answer:
        """Make a repository (201), for admins and in the caller's own name."""
        wanted = await read(call.body, NewRepository)
        most = self._limits.repository_name_characters
        if not is_name(wanted.name) or len(wanted.name) > most:
            raise ManagementRefusal(
                400,
                "INVALID",
                f"{wanted.name!r} cannot be the name of a repository",
                why=f"at most {most} lower case letters and digits, with . _ __ - or / between",
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
        return written(self._document(call, made), 201)

    async def show(self, call: Call) -> Answer:
        """One repository, for whoever may see it; with what it holds, for who may push to it."""
        row = self._visible(call)
        document = self._document(call, row)
        if "push" in self._guard.held(call.principal, row.name):
            use = await self._catalog.ask_apart(lambda reader: use_of_repository(reader, row.id))
            document.storage = storage_document(use, apart=call.principal.is_admin)
        return written(document)

    async def change(self, call: Call) -> Answer:
        """Make a repository public or private, and say which tags must not move; for admins and its owner."""
        row = self._own(call)
        wanted = await read(call.body, RepositoryChange)
        visibility = wanted.visibility or row.visibility
        immutable = None if wanted.immutable is None else tag_patterns(wanted.immutable)
        exceptions = None if wanted.immutable_except is None else tag_patterns(wanted.immutable_except)

        def change(transaction: Transaction) -> tuple[RepositoryRow, TagRules] | None:
            if wanted.visibility is None:
                changed = repository_row(transaction, row.name)
            else:
                changed = set_visibility(transaction, name=row.name, visibility=visibility, only_id=row.id)
            if changed is None or changed.id != row.id:
                return None
            before = tag_rules(transaction, row.id)
            rules = TagRules(
                immutable=before.immutable if immutable is None else immutable,
                exceptions=before.exceptions if exceptions is None else exceptions,
            )
            if rules != before:
                set_tag_rules(transaction, row.id, rules)
            return changed, rules

        done = await self._catalog.write(change)
        if done is None:
            raise not_found(f"repository {row.name!r} that you may see")
        changed, rules = done
        if wanted.visibility is not None:
            self._audit.changed(call.principal, "repository.visibility", row.name, visibility)
        if immutable is not None or exceptions is not None:
            told = f"{','.join(rules.immutable) or 'none'} except {','.join(rules.exceptions) or 'none'}"
            self._audit.changed(call.principal, "repository.immutable", row.name, told)
        return written(repository_document(changed, self._guard.held(call.principal, row.name), rules))

    async def delete(self, call: Call) -> Answer:
        """Delete a repository with all that is in it (204), for admins and its owner.

        One with an immutable tag stays: its rule has to be taken away first.
        """
        row = self._own(call)
        now = self._catalog.now()
        await self._catalog.write(lambda transaction: delete_repository(transaction, row.id, now=now))
        self._audit.changed(call.principal, "repository.delete", row.name)
        return Answer(status=204)

    def _document(self, call: Call, row: RepositoryRow) -> RepositoryDocument:
        held = self._guard.held(call.principal, row.name)
        return repository_document(row, held, tag_rules(self._catalog, row.id))

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
