"""What is stored, in numbers: repositories, manifests, blobs and their bytes, uploads that are open.

The catalog keeps no such sums: a row that every push changes would make them
wait for each other. They are counted when somebody asks, in a thread with a
connection of its own, a bounded piece of a table at a time, and at most every
half minute, or twenty times as long as the counting took: a million blobs take
a thread half a second, and no request notices.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.sql.elements import ColumnElement

from sealift.registry.catalog.database import Query, connect
from sealift.registry.catalog.schema import blob, manifest, repository, upload

EVERY_SECONDS: Final = 30.0

REST_FACTOR: Final = 20.0
"""How many times as long as it counted it rests."""

PIECE_ROWS: Final = 20_000
"""Rows that are counted at a time. No snapshot is held from one piece to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was counted."""

    at: float
    """Seconds since 1970."""

    repositories: int
    manifests: int
    blobs: int
    blob_bytes: int
    uploads_open: int
    catalog_bytes: int
    """Of the database and its write-ahead log."""


def _piece(key: ColumnElement[object], *sums: ColumnElement[int]) -> Select[tuple[object, ...]]:
    """A piece of a table after a key: how many rows, the sums, and the last key."""
    rows = (
        select(key.label("key"), *sums)
        .where(key > bindparam("last"))
        .order_by(key)
        .limit(PIECE_ROWS)
        .subquery()
    )
    return select(func.count(), func.max(rows.c.key), *(func.sum(rows.c[each.name]) for each in sums))


_REPOSITORIES = Query(_piece(repository.c.id))
_BLOBS = Query(_piece(blob.c.digest, blob.c.size))
_UPLOADS = Query(_piece(upload.c.id))
_IDS = Query(
    select(repository.c.id)
    .where(repository.c.id > bindparam("last"))
    .order_by(repository.c.id)
    .limit(PIECE_ROWS)
)
_MANIFESTS = Query(select(func.count()).where(manifest.c.repository_id == bindparam("repository_id")))
"""Of one repository: its key begins with it, so that only the index is read."""


def count(catalog: Path, *, now: Callable[[], float] = time.time) -> Figures:
    """Count everything. It takes a while and blocks: not for an event loop.

    Raises:
        OSError: The files cannot be looked at.
        sqlite3.Error: The catalog cannot be read.
    """
    with closing(connect(catalog)) as connection:
        repositories, _ = _sum(connection, _REPOSITORIES, 0)
        blobs, size = _sum(connection, _BLOBS, "")
        uploads, _ = _sum(connection, _UPLOADS, "")
        manifests = _count_manifests(connection)
    files = (catalog, catalog.with_name(catalog.name + "-wal"))
    return Figures(
        at=now(),
        repositories=repositories,
        manifests=manifests,
        blobs=blobs,
        blob_bytes=size,
        uploads_open=uploads,
        catalog_bytes=sum(os.stat(file).st_size for file in files if file.exists()),  # noqa: PTH116
    )


def _sum(connection: sqlite3.Connection, piece: Query, first: object) -> tuple[int, int]:
    rows = total = 0
    last = first
    while True:
        found = piece.on(connection, {"last": last}).fetchone()
        if not found[0]:
            return rows, total
        rows, last = rows + found[0], found[1]
        total += found[2] if len(found) > 2 else 0  # noqa: PLR2004 - where there is a sum it stands third


def _count_manifests(connection: sqlite3.Connection) -> int:
    total, last = 0, 0
    while ids := _IDS.on(connection, {"last": last}).fetchall():
        for (repository_id,) in ids:
            total += _MANIFESTS.on(connection, {"repository_id": repository_id}).fetchone()[0]
        last = ids[-1][0]
    return total


class LatestFigures:
    """Figures that are not older than they have to be. Belongs to one event loop."""

    def __init__(self, catalog: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog = catalog
        self._clock = clock
        self._latest: Figures | None = None
        self._again_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def get(self, *, patience_seconds: float) -> Figures | None:
        """The latest figures; new ones, if it is time and they are counted within the patience.

        None where nothing was counted yet, or the catalog cannot be read.
        """
        if self._clock() >= self._again_at and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._count())
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=patience_seconds)
        return self._latest

    async def _count(self) -> None:
        began = self._clock()
        try:
            self._latest = await asyncio.to_thread(count, self._catalog)
        except (OSError, sqlite3.Error):
            self._latest = None
        ended = self._clock()
        self._again_at = ended + max(EVERY_SECONDS, (ended - began) * REST_FACTOR)
