"""``/api/v1/tag-history`` and ``/api/v1/tag-restores``: what tags stood for, and setting them back.

Both are for whoever may push to the repository, which its owner and admins may.
A history holds names and addresses of people who push; who may only pull has no
need of them, and of a public repository that is everyone.
"""

from typing import Final

from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.access.guard import Guard
from sealift.registry.catalog.database import Catalog
from sealift.registry.catalog.repository_rows import RepositoryRow, repository_row
from sealift.registry.catalog.tag_history import NEWEST, tag_moves
from sealift.registry.catalog.tags import restore_tag
from sealift.registry.exchange import Answer, Call
from sealift.registry.management.documents import (
    RestoredTagDocument,
    TagHistory,
    TagRestore,
    microseconds,
    read,
    tag_move_document,
    written,
)
from sealift.registry.management.refusal import ManagementRefusal, not_found
from sealift.registry.settings import Tags

PAGE: Final = 100
"""Moves on one page of a history."""


class TagRoutes:
    """The history of a repository's tags."""

    def __init__(self, catalog: Catalog, guard: Guard, audit: AuditTrail, tags: Tags) -> None:
        self._catalog = catalog
        self._guard = guard
        self._audit = audit
        self._tags = tags

    async def history(self, call: Call) -> Answer:
        """The moves of all tags, or of one (``?tag=``), newest first, a page at a time (``?before=``)."""
        row = self._pushable(call)
        last = _number(call.query.get("before", ("",))[0])
        name = call.query.get("tag", (None,))[0]
        moves = tag_moves(self._catalog, row.id, name, last=last, most=PAGE + 1)
        page = moves[:PAGE]
        return written(
            TagHistory(
                items=[tag_move_document(move) for move in page],
                continue_=str(page[-1].id) if len(moves) > PAGE else None,
            )
        )

    async def restore(self, call: Call) -> Answer:
        """Let a tag stand for what it once stood for."""
        row = self._pushable(call)
        wanted = await read(call.body, TagRestore)
        if wanted.to is not None and wanted.before is not None:
            raise ManagementRefusal(
                400, "INVALID", "both a digest and a time are given", hint="name one of to and before"
            )
        before = None if wanted.before is None else microseconds(wanted.before)
        restored = await self._catalog.write(
            lambda transaction: restore_tag(
                transaction,
                row.id,
                wanted.tag,
                to=wanted.to,
                before=before,
                days=self._tags.restore_days,
                by=call.principal,
                now=self._catalog.now(),
                address=call.address,
            )
        )
        self._audit.changed(call.principal, "tag.restore", row.name, f"{wanted.tag} to {restored.digest}")
        return written(
            RestoredTagDocument(repository=row.name, tag=wanted.tag, digest=restored.digest, was=restored.was)
        )

    def _pushable(self, call: Call) -> RepositoryRow:
        """The repository, if the caller may push there; as absent, if it may not even see it."""
        name = call.path["name"]
        held = self._guard.held(call.principal, name)
        row = repository_row(self._catalog, name)
        if row is None or not held:
            raise not_found(f"repository {name!r} that you may see")
        if "push" not in held:
            raise ManagementRefusal(
                403,
                "DENIED",
                f"the history of {name} is for those who may push there",
                why="it has the names and addresses of people",
                hint="ask its owner, or an admin",
            )
        return row


def _number(text: str) -> int:
    """The number of a move, as a page ends with it.

    Raises:
        ManagementRefusal: 400. It is none.
    """
    if not text:
        return NEWEST
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004 - digits of a 64-bit number
        raise ManagementRefusal(
            400,
            "INVALID",
            "before is not the number of a move",
            hint="give what the last page has as continue",
        )
    return int(text)
