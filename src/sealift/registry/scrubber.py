"""Reading all that is stored, slowly and again and again, so that rot is found before it is asked for.

One process of the server does it at a time. It remembers how far it has come, so
that a restart costs nothing. It reads at a bounded rate, at a quarter of it
while clients are being served, and leaves in the page cache what was there and
nothing else.
"""

import asyncio
import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from sealift.errors import SealiftError
from sealift.image.digest import Digest
from sealift.registry.blob_store.blob_damaged import BlobDamaged
from sealift.registry.blob_store.filesystem import FilesystemBlobStore
from sealift.registry.blob_store.proofs import ProofStopped
from sealift.registry.catalog.database import Catalog
from sealift.registry.catalog.inventory import KnownManifest, all_manifests, blobs_after, known_size
from sealift.registry.settings import Scrubbing

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
"""How often a process looks whether there is something to do, and whether it is the one to do it."""

BLOBS_AT_ONCE: Final = 64
DAY_SECONDS: Final = 86_400.0
MEBIBYTE: Final = 1024 * 1024

BUSY_SHARE: Final = 4
"""By how much it is slower while clients are served."""

MOST_PAUSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading has come. It is written to a file after every page."""

    began: float
    """Seconds since 1970."""

    after: str = ""
    """The last digest that was read."""

    ended: float | None = None
    blobs: int = 0
    bytes: int = 0
    manifests: int = 0
    damaged: int = 0


class Scrubber:
    """The reader of one process. Most of the time it finds that another process does it."""

    def __init__(
        self,
        directory: Path,
        catalog: Catalog,
        store: FilesystemBlobStore,
        settings: Scrubbing,
        *,
        is_busy: Callable[[], bool],
        now: Callable[[], float] = time.time,
    ) -> None:
        """Begin with nothing.

        Args:
            directory: Where the lock and the progress are kept.
            catalog: What there should be.
            store: What there is.
            settings: How fast, and how often.
            is_busy: Whether clients are being served.
            now: The clock, in seconds since 1970.
        """
        self._lock = directory / "scrub.lock"
        self._progress = directory / "scrub.json"
        self._catalog = catalog
        self._store = store
        self._settings = settings
        self._is_busy = is_busy
        self._now = now
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let the thread that reads end soon."""
        self._stopped.set()

    async def run(self) -> None:
        """Read whenever it is time to, until this task is cancelled."""
        if not self._settings.is_on:
            return
        while True:
            try:
                with _only_one(self._lock) as is_ours:
                    if is_ours and self.is_due():
                        await self.read_all()
            except ProofStopped:
                return
            except (OSError, SealiftError):
                log.exception("looking through the storage failed; it goes on in a minute")
            await asyncio.sleep(LOOK_SECONDS)

    def is_due(self) -> bool:
        """Whether there is something to go on with, or to begin."""
        last = self.progress()
        if last is None or last.ended is None:
            return True
        return self._now() >= last.began + self._settings.every_days * DAY_SECONDS

    def progress(self) -> Progress | None:
        """How far it has come, or None where that is not known."""
        try:
            return Progress(**json.loads(self._progress.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    async def read_all(self) -> Progress:
        """Read everything once, from where it was left."""
        at = self.progress()
        if at is None or at.ended is not None:
            at = Progress(began=self._now())
        while page := blobs_after(self._catalog, at.after, most=BLOBS_AT_ONCE):
            for digest, size in page:
                damaged = await self._see_blob(digest, size)
                at = replace(
                    at,
                    after=str(digest),
                    blobs=at.blobs + 1,
                    bytes=at.bytes + size,
                    damaged=at.damaged + damaged,
                )
            self._write(at)
        for manifest in all_manifests(self._catalog):
            damaged = await self._see_manifest(manifest)
            at = replace(at, manifests=at.manifests + 1, damaged=at.damaged + damaged)
        at = replace(at, ended=self._now())
        self._write(at)
        log.info(
            "looked through the storage: %d blobs of %d bytes and %d manifests, %d of them damaged",
            at.blobs,
            at.bytes,
            at.manifests,
            at.damaged,
        )
        return at

    async def _see_blob(self, digest: Digest, size: int) -> bool:
        """Whether a blob is damaged. One that was deleted in the meantime is not."""
        try:
            await self._store.examine(digest, size=size, pause=self._pause)
        except BlobDamaged as damaged:
            if known_size(self._catalog, digest) is None:
                return False
            self._store.alarms.sound(damaged, "found while looking through the storage")
            return True
        self._store.alarms.examined_blobs += 1
        self._store.alarms.examined_bytes += size
        return False

    async def _see_manifest(self, manifest: KnownManifest) -> bool:
        """Whether a manifest is damaged."""
        if await asyncio.to_thread(lambda: manifest.is_right):
            return False
        damaged = BlobDamaged(
            Digest.parse(manifest.digest),
            expected=manifest.size,
            found=len(manifest.body),
            kind="manifest",
        )
        self._store.alarms.sound(damaged, f"found in {manifest.repository}")
        return True

    def _pause(self, count: int) -> None:
        """Wait as long as `count` bytes should take. Called in a thread.

        Raises:
            ProofStopped: The process ends.
        """
        seconds = count / (self._settings.mebibytes_per_second * MEBIBYTE)
        if self._is_busy():
            seconds *= BUSY_SHARE
        while seconds > 0:
            if self._stopped.wait(min(seconds, MOST_PAUSE_SECONDS)):
                raise ProofStopped("the server stops")
            seconds -= MOST_PAUSE_SECONDS

    def _write(self, at: Progress) -> None:
        partial = self._progress.with_name(f"{self._progress.name}.partial")
        partial.write_text(json.dumps(asdict(at)) + "\n", encoding="ascii")
        partial.replace(self._progress)


@contextmanager
def _only_one(path: Path) -> Iterator[bool]:
    """Whether this process is the one, until the context ends."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
