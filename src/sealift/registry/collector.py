"""Collecting what nobody needs, while pushes and pulls go on.

The queues (`sealift.registry.catalog.reviews`) say what to look at; each look
is a question inside the transaction that acts on the answer. In this order:

1. Deleted manifests whose time is over are forgotten; their blobs begin to wait.
2. Manifests that no tag and no index name are deleted, if the operator wants that.
3. Blobs that no manifest of a repository needs are taken from it.
4. Blobs that no repository has go: the row, durably, and then the bytes.
5. Some of the store is listed, for bytes that the catalog does not know of: a
   crash between the rename and the transaction leaves such.

Steps 4 and 5 hold a lock on the blob (`BlobStore.removing`) that everyone who
stores one holds in the other way (`BlobStore.pinned`) from before it looks at
what is stored until the catalog says whose it is. So either the look finds the
new link, or whoever stores finds nothing, and puts its own bytes there. Stopped
anywhere, it leaves bytes without a row at most, which step 5 finds.

One process collects at a time, by a lock in the data directory; a backup holds
it too, so that nothing it is to copy goes meanwhile.
"""

import asyncio
import fcntl
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sealift.errors import SealiftError
from sealift.image.digest import Digest
from sealift.registry.blob_store.blob_store import PLACES, BlobStore, StorageRefused
from sealift.registry.catalog.blob_links import links_of
from sealift.registry.catalog.database import Catalog, Transaction
from sealift.registry.catalog.deleted_manifests import bury_manifest, has_expired, purge_deleted
from sealift.registry.catalog.reviews import (
    WaitingContent,
    due_blobs,
    due_links,
    due_manifests,
    is_known_blob,
    review_blob,
    review_link,
    review_manifest,
    waiting_content,
)
from sealift.registry.settings import Collection

log = logging.getLogger(__name__)

ROWS_AT_ONCE: Final = 200
"""Rows looked at in one transaction. It takes some milliseconds, and pushes wait behind it."""

BLOBS_AT_ONCE: Final = 32
"""Blobs removed at the same time: their transactions share a sync."""

PLACES_A_RUN: Final = 16
"""Parts of the store listed in one run: all of it in sixteen."""

MOST_LISTED: Final = 10_000
"""Things of each kind in a report."""

COLLECTOR: Final = "collector"
"""Who is said to have deleted an untagged manifest. It is nobody's name: accounts cannot have it."""


class CollectorBusy(SealiftError):
    """A collection is under way already, or a backup that nothing may be taken from."""

    exit_status = 6


@dataclass(slots=True)
class Collected:
    """What went. Numbers only grow; the collector has one of these for all of its runs."""

    runs: int = 0
    manifests: int = 0
    """Deleted ones whose time was over, and untagged ones."""

    links: int = 0
    blobs: int = 0
    bytes: int = 0
    """Freed on the disk."""

    strays: int = 0
    """Bytes that the catalog did not know of."""

    left: int = 0
    """Blobs that were being stored when they were to go: they are looked at again."""

    def add(self, other: "Collected") -> None:
        """Count what another run found."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What would go, and how much room that makes."""

    items: tuple[WaitingContent, ...]
    is_all: bool
    """False where there are more than a report lists."""

    bytes: int
    """That are free once everything listed has gone."""

    strays: int
    stray_bytes: int


@dataclass(kw_only=True)
class Collector:
    """Collects, in one process. Its numbers are in `total`."""

    catalog: Catalog
    store: BlobStore
    settings: Collection
    lock: Path
    """A file that whoever collects holds locked."""

    total: Collected = field(default_factory=Collected)
    _place: int = 0

    async def run_for_ever(self) -> None:
        """Collect, now and then. What fails is tried again the next time."""
        while True:
            try:
                await self.run()
            except CollectorBusy:
                pass  # another process does it
            except (OSError, SealiftError):
                log.exception("collecting failed; it is tried again in %.0f s", self.settings.every_seconds)
            await asyncio.sleep(self.settings.every_seconds)

    async def run(self, *, places: int = PLACES_A_RUN) -> Collected:
        """Collect once, all that is due.

        Raises:
            CollectorBusy: Another process does, or a backup is being made.
            CatalogFailed: The catalog cannot be written to.
        """
        found = Collected(runs=1)
        async with self._alone():
            now = self.catalog.now()
            before = now - int(self.settings.grace_seconds * 1_000_000)
            await self._purge(now, found)
            await self._delete_untagged(now, found)
            await self._review_links(before, found)
            await self._review_blobs(before, found)
            await self._look_for_strays(places, found)
        self.total.add(found)
        if found.manifests or found.links or found.blobs or found.strays:
            log.info(
                "collected %d manifests, %d links, %d blobs and %d strays: %d bytes are free",
                found.manifests, found.links, found.blobs, found.strays, found.bytes,
            )  # fmt: skip
        return found

    async def waiting(self) -> Waiting:
        """What nobody needs now. It changes nothing, and may be asked at any time."""
        items = waiting_content(self.catalog, most=MOST_LISTED)
        freed = await self._freed_by(items)
        strays = stray_bytes = 0
        for place in range(PLACES):
            for stored in await self.store.stored(place):
                if stored.age_seconds > self.settings.grace_seconds and not is_known_blob(
                    self.catalog, stored.digest
                ):
                    strays += 1
                    stray_bytes += stored.size
        counts = Counter(item.kind for item in items)
        return Waiting(
            items=tuple(items),
            is_all=max(counts.values(), default=0) < MOST_LISTED,
            bytes=freed + stray_bytes,
            strays=strays,
            stray_bytes=stray_bytes,
        )

    # ------------------------------------------------------------------ the steps

    async def _purge(self, now: int, found: Collected) -> None:
        before = now - int(self.settings.keep_deleted_seconds * 1_000_000)
        while has_expired(self.catalog, before=before):
            gone = await self.catalog.write(
                lambda transaction: purge_deleted(transaction, before=before, most=ROWS_AT_ONCE, now=now),
                durable=False,
            )
            found.manifests += gone

    async def _delete_untagged(self, now: int, found: Collected) -> None:
        if self.settings.keep_untagged_seconds is None:
            return
        before = now - int(self.settings.keep_untagged_seconds * 1_000_000)

        def delete(transaction: Transaction, due: list[tuple[int, str]]) -> int:
            return sum(
                bury_manifest(transaction, repository, Digest.parse(digest), tags=(), by=COLLECTOR, now=now)
                for repository, digest in due
                if review_manifest(transaction, repository, digest, before=before)
            )

        while due := due_manifests(self.catalog, before=before, most=ROWS_AT_ONCE):
            found.manifests += await self.catalog.write(
                lambda transaction, due=due: delete(transaction, due),  # type: ignore[misc]  # of this round
                durable=False,
            )

    async def _review_links(self, before: int, found: Collected) -> None:
        def review(transaction: Transaction, due: list[tuple[int, str]]) -> int:
            return sum(
                review_link(transaction, repository, digest, before=before) for repository, digest in due
            )

        while due := due_links(self.catalog, before=before, most=ROWS_AT_ONCE):
            found.links += await self.catalog.write(
                lambda transaction, due=due: review(transaction, due),  # type: ignore[misc]  # of this round
                durable=False,
            )

    async def _review_blobs(self, before: int, found: Collected) -> None:
        """Those that are busy stay for the next run: their turn comes, since nobody pins for long."""
        while due := due_blobs(self.catalog, before=before, most=BLOBS_AT_ONCE):
            done = await asyncio.gather(*(self._remove(Digest.parse(each), before, found) for each in due))
            if not all(done):
                found.left += done.count(False)
                return

    async def _remove(self, digest: Digest, before: int, found: Collected) -> bool:
        """Remove a blob if nobody has it; False where somebody stores it right now."""
        async with self.store.removing(digest) as alone:
            if not alone:
                return False
            size = await self.catalog.write(
                lambda transaction: review_blob(transaction, str(digest), before=before)
            )
            if size is not None:
                await self._delete(digest, size, found)
                found.blobs += 1
        return True

    async def _look_for_strays(self, places: int, found: Collected) -> None:
        for _ in range(places):
            self._place = (self._place + 1) % PLACES
            for stored in await self.store.stored(self._place):
                if stored.age_seconds <= self.settings.grace_seconds or is_known_blob(
                    self.catalog, stored.digest
                ):
                    continue
                async with self.store.removing(stored.digest) as alone:
                    # asked again: whoever stored it in between has said so by now
                    if alone and not is_known_blob(self.catalog, stored.digest):
                        await self._delete(stored.digest, stored.size, found)
                        found.strays += 1
            await asyncio.sleep(0)

    async def _delete(self, digest: Digest, size: int, found: Collected) -> None:
        try:
            await self.store.delete(digest)
        except (OSError, StorageRefused):
            log.exception("the bytes of %s stay: they could not be removed", digest)
        else:
            found.bytes += size

    # ------------------------------------------------------------------ what they share

    async def _freed_by(self, items: list[WaitingContent]) -> int:
        """The bytes of blobs that nobody has, or only those whose hold is going."""
        sizes: dict[str, int] = {}
        going: Counter[str] = Counter()
        for item in items:
            if item.kind != "manifest":
                sizes[item.digest] = item.size
                going[item.digest] += item.kind == "link"
        freed = 0
        for number, (digest, size) in enumerate(sizes.items()):
            if links_of(self.catalog, digest, most=going[digest] + 1) <= going[digest]:
                freed += size
            if number % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # others have their turn
        return freed

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Have the collector's lock, or raise `CollectorBusy`. Spec: Linux flock(2)."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CollectorBusy(
                    "a collection or a backup is under way",
                    why="one at a time, so that nothing goes that is being copied",
                    hint="try again in a minute",
                ) from None
            yield
        finally:
            os.close(descriptor)
