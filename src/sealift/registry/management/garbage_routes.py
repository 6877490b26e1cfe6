"""``/api/v1/garbage``: what would go, and letting it go now."""

import asyncio
from typing import Final

from sealift.registry.access.audit_trail import AuditTrail
from sealift.registry.blob_store.blob_store import PLACES
from sealift.registry.catalog.reviews import WaitingContent
from sealift.registry.collector import Collected, Collector
from sealift.registry.exchange import Answer, Call
from sealift.registry.management.documents import (
    CollectionReport,
    GarbageItem,
    GarbageReport,
    Nothing,
    moment,
    read,
    written,
)
from sealift.registry.management.refusal import admins_only
from sealift.registry.settings import Collection

ANSWER_AFTER_SECONDS: Final = 20.0
"""How long a caller waits for a collection. A longer one goes on without it."""


class GarbageRoutes:
    """The collector, for admins: it looks at the repositories of everybody."""

    def __init__(self, collector: Collector, audit: AuditTrail) -> None:
        self._collector = collector
        self._audit = audit
        self._running: asyncio.Task[Collected] | None = None

    async def report(self, call: Call) -> Answer:
        """What nobody needs now, when it goes, and how much room that makes. Nothing is changed."""
        if not call.principal.is_admin:
            raise admins_only("what would be collected")
        collector = self._collector
        now, waiting = collector.catalog.now(), await collector.waiting()
        items = [_item(each, collector.settings, now) for each in waiting.items]
        return written(
            GarbageReport(
                items=sorted(items, key=lambda item: (item.due_at, item.of, item.digest)),
                is_all=waiting.is_all,
                bytes=waiting.bytes,
                strays=waiting.strays,
                stray_bytes=waiting.stray_bytes,
            )
        )

    async def collect(self, call: Call) -> Answer:
        """Collect what is due (200); or say that it goes on (202), where that takes long.

        Raises:
            ManagementRefusal: 403.
            CollectorBusy: A collection or a backup is under way: 409.
        """
        if not call.principal.is_admin:
            raise admins_only("collecting")
        await read(call.body, Nothing)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._collector.run(places=PLACES))
            self._audit.changed(call.principal, "garbage.collect", "")
        done, _ = await asyncio.wait([self._running], timeout=ANSWER_AFTER_SECONDS)
        found = self._running.result() if done else Collected()
        report = CollectionReport(
            finished=bool(done),
            manifests=found.manifests,
            links=found.links,
            blobs=found.blobs,
            strays=found.strays,
            left=found.left,
            bytes=found.bytes,
        )
        return written(report, 200 if done else 202)


def _item(each: WaitingContent, settings: Collection, now: int) -> GarbageItem:
    waits = settings.keep_deleted_seconds if each.kind == "manifest" else settings.grace_seconds
    due_at = each.since + int(waits * 1_000_000)
    return GarbageItem(
        of=each.kind,
        repository=each.repository,
        digest=each.digest,
        size=each.size,
        why=each.why,
        due=due_at <= now,
        due_at=moment(max(due_at, 0)),
    )
