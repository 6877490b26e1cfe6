"""The door to the catalog's database: reads at once, writes one at a time.

Open one `Catalog` per process, after the process has been forked or spawned.

* **Reads** run where they are asked for. A point read takes some microseconds,
  a hop to another thread ten times that.
* **Writes** are functions of a `Transaction`. They wait for the disk, so they
  run in a thread of their own. Those that wait at the same moment share one
  transaction and one fsync; each has a savepoint, so that one that fails takes
  no other with it. Processes take turns by a file lock, in the order in which
  they came, where SQLite's own waiting would sleep and guess.

A write that returned is on the disk (``synchronous=FULL``) unless it was asked
for with ``durable=False``: then a power cut may forget it, and nothing else.

Statements are SQLAlchemy Core, compiled once per process (`Query`) and run on
the DBAPI connection: SQLAlchemy's own execution costs more than the read.
"""

import asyncio
import errno
import fcntl
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from sealift.errors import SealiftError
from sealift.registry.catalog.ballast import Ballast, ballast_path

log = logging.getLogger(__name__)

T = TypeVar("T")

Row = tuple[Any, ...]

BUSY_MILLISECONDS: Final = 10_000
"""How long SQLite itself waits for a lock that our own file lock does not cover, such as a backup's."""

MOST_WRITES_AT_ONCE: Final = 64
"""How many waiting writes share a transaction. Bounds how long the first of them waits for the rest."""

TRY_AGAIN_SECONDS: Final = 5.0
"""How often a write is tried for its own sake, after one that was refused."""

_DIALECT = sqlite.dialect(paramstyle="named")


class CatalogFailed(SealiftError):
    """The database would not take a write: the disk is full, read-only or failing. Nothing was written.

    Attributes:
        is_full: Whether there is no room, so that room would mend it.
    """

    exit_status = 7

    def __init__(
        self, message: str, *, why: str | None = None, hint: str | None = None, is_full: bool = False
    ) -> None:
        super().__init__(message, why=why, hint=hint)
        self.is_full = is_full


class CatalogUnreadable(CatalogFailed):
    """The file is no database that can be read: another kind of file, damaged, or not for us."""

    exit_status = 8


def now_microseconds() -> int:
    """The time now as the catalog writes it: microseconds since 1970, UTC."""
    return time.time_ns() // 1_000


class Query:
    """A statement, compiled to SQL the first time it runs and never again.

    Args:
        statement: SQLAlchemy Core; its parameters are ``bindparam`` names.
        columns: For an insert or an update without ``values``: the columns to
            set, each from the parameter of its name.
    """

    def __init__(self, statement: ClauseElement, *, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = None if columns is None else list(columns)

    @cached_property
    def compiled(self) -> tuple[str, dict[str, Any]]:
        """The SQL and the values of those parameters that the statement itself holds."""
        made = self._statement.compile(dialect=_DIALECT, column_keys=self._columns)
        assert isinstance(made, SQLCompiler)  # noqa: S101 - a statement is never DDL, which compiles to another
        held = {name: bound.value for bound, name in made.bind_names.items() if not bound.required}
        return str(made), held

    def on(self, connection: sqlite3.Connection, parameters: dict[str, Any]) -> sqlite3.Cursor:
        """Run on `connection`, whose dialect is SQLite."""
        sql, held = self.compiled
        if held:
            parameters = held | parameters
        return connection.execute(sql, parameters)


_TRIAL = Query(
    text(
        "INSERT INTO setting (key, value) VALUES ('write_trial', '') "
        "ON CONFLICT (key) DO UPDATE SET value = ''"
    )
)
"""A write that changes nothing anybody reads, and goes to the disk."""


class Reader:
    """Asks. Answers are read to their end at once, so that no snapshot stays open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def first(self, query: Query, **parameters: Any) -> Row | None:
        """The first row, or None."""
        cursor = query.on(self._connection, parameters)
        row: Row | None = cursor.fetchone()
        cursor.close()
        return row

    def each(self, query: Query, **parameters: Any) -> Iterator[Row]:
        """The rows one by one, for rows that are large. Go through them at once, without awaiting."""
        cursor = query.on(self._connection, parameters)
        try:
            yield from cursor
        finally:
            cursor.close()

    def all(self, query: Query, **parameters: Any) -> list[Row]:
        """Every row. Give the query a limit where their number is the user's choice."""
        return query.on(self._connection, parameters).fetchall()


class Transaction(Reader):
    """Asks and changes, all or nothing. What it reads is what it changes: no other writer is between."""

    def run(self, query: Query, **parameters: Any) -> int:
        """Run an insert, update or delete and return the number of rows it touched."""
        return query.on(self._connection, parameters).rowcount


@dataclass(slots=True)
class _Write:
    """A write that waits for the writer thread."""

    work: Callable[[Transaction], Any]
    durable: bool
    done: "Future[Any]" = field(default_factory=Future)


class Catalog(Reader):
    """The catalog of one registry, as one process sees it.

    Reads belong to the thread that runs the event loop; any thread may write.
    """

    def __init__(self, path: Path, *, now: Callable[[], int] = now_microseconds) -> None:
        """Open the database at `path`, which `sealift.registry.catalog.revision.prepare` has made ready.

        Args:
            path: The SQLite file.
            now: The clock, in microseconds; `now` of this object for whoever writes a time.

        Raises:
            CatalogFailed: It cannot be opened.
        """
        try:
            super().__init__(connect(path))
        except sqlite3.Error as failure:
            raise catalog_failure(failure, path) from failure
        self.path = path
        self.now = now
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._closed = False
        self._refused: list[bool] = []
        """Not empty while the last transaction was refused. Shared with the writer thread."""
        self._tried_at = 0.0

    async def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """Run `work` in a transaction, in the writer thread, and return what it returns.

        `work` is short and does nothing but SQL: others wait behind it. What it
        raises is raised here, and then nothing of it was written. Cancelling
        does not stop a write that has begun.

        Raises:
            CatalogFailed: The disk refused; nothing was written.
        """
        return await asyncio.wrap_future(self._submit(work, durable=durable))

    def write_now(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """As `write`, for callers without an event loop. It blocks."""
        return self._submit(work, durable=durable).result()

    @property
    def refusing_writes(self) -> bool:
        """Whether the last write was refused by the disk or the database."""
        return bool(self._refused)

    def try_again(self) -> None:
        """After a write that was refused: see, in a while, whether one is taken now. Not done often."""
        now = time.monotonic()
        if now - self._tried_at >= TRY_AGAIN_SECONDS:
            self._tried_at = now
            self._submit(lambda transaction: transaction.run(_TRIAL), durable=True)

    def version(self) -> int:
        """A number that is another one once anything was written, in this process or any other."""
        cursor = self._connection.execute("PRAGMA data_version")  # this connection never writes
        row = cursor.fetchone()
        cursor.close()
        return int(row[0])

    async def ask_apart(self, work: Callable[[Reader], T]) -> T:
        """Run a question that takes long in a thread, on a connection of its own.

        For what reads many rows: the event loop goes on, and so does the writer.

        Raises:
            CatalogFailed: The database cannot be opened or read.
        """

        def ask() -> T:
            try:
                with closing(connect(self.path)) as connection:
                    return work(Reader(connection))
            except sqlite3.Error as failure:
                raise catalog_failure(failure, self.path) from failure

        return await asyncio.to_thread(ask)

    def close(self) -> None:
        """Finish the writes that wait and close the files."""
        with self._starting:
            self._closed = True
            writer = self._writer
        if writer is not None:
            self._queue.put(None)
            writer.join()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submit(self, work: Callable[[Transaction], T], *, durable: bool) -> "Future[T]":
        with self._starting:
            if self._closed:
                raise CatalogFailed("the catalog is closed", hint="the registry is shutting down")
            if self._writer is None:
                writer = _Writer(self.path, self._queue, self._refused)
                self._writer = threading.Thread(target=writer.run, name="catalog-writer", daemon=True)
                self._writer.start()
        waiting = _Write(work, durable)
        self._queue.put(waiting)
        return waiting.done


class _DiskFull(Exception):
    """There was no room on the disk. The cause is what the database said."""


class _Writer:
    """The thread that writes: takes what waits, makes one transaction of it, tells everyone."""

    def __init__(self, path: Path, waiting: "queue.SimpleQueue[_Write | None]", refused: list[bool]) -> None:
        self._path = path
        self._queue = waiting
        self._refused = refused
        self._ballast = Ballast(ballast_path(path))
        self._durable = True

    def run(self) -> None:
        """Serve the queue until None comes. While the files cannot be opened, every write is told so."""
        opened: tuple[sqlite3.Connection, int] | None = None
        try:
            while batch := self._next_batch():
                try:
                    opened = opened or self._open()
                except (OSError, sqlite3.Error) as failure:
                    self._refused[:] = [True]
                    reason = _as_catalog_failure(failure, self._path)
                    for write in batch:
                        if write.done.set_running_or_notify_cancel():
                            write.done.set_exception(reason)
                else:
                    self._commit(*opened, batch)
        finally:
            if opened is not None:
                os.close(opened[1])
                opened[0].close()

    def _open(self) -> tuple[sqlite3.Connection, int]:
        """The connection, and the file whose lock is the turn."""
        connection = connect(self._path)
        try:
            turn = os.open(_turn_path(self._path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            connection.close()
            raise
        return connection, turn

    def _next_batch(self) -> list[_Write]:
        """At least one write, with all that wait behind it; empty at the end."""
        first = self._queue.get()
        if first is None:
            return []
        batch = [first]
        while len(batch) < MOST_WRITES_AT_ONCE:
            try:
                another = self._queue.get_nowait()
            except queue.Empty:
                break
            if another is None:
                self._queue.put(None)
                break
            batch.append(another)
        return batch

    def _commit(self, connection: sqlite3.Connection, turn: int, batch: list[_Write]) -> None:
        """Run `batch` in one transaction and settle every future of it."""
        alive = [write for write in batch if write.done.set_running_or_notify_cancel()]
        try:
            fcntl.flock(turn, fcntl.LOCK_EX)
            self._set_durable(connection, wanted=any(write.durable for write in alive))
            try:
                results = self._transact(connection, alive)
            except _DiskFull:
                if not self._ballast.give():
                    raise
                log.warning("the disk is full; the room that was kept for deletes is used")
                results = self._transact(connection, alive)
            self._ballast.take_again()
        except BaseException as failure:  # noqa: BLE001 - whoever waits is told; this thread must live
            reason = _as_catalog_failure(failure, self._path)
            for write in alive:
                write.done.set_exception(reason)
            return
        finally:
            with suppress(OSError):  # a lock that was not taken
                fcntl.flock(turn, fcntl.LOCK_UN)
        self._refused.clear()
        for write, value, error in results:
            if error is None:
                write.done.set_result(value)
            else:
                write.done.set_exception(error)

    def _transact(
        self, connection: sqlite3.Connection, alive: list[_Write]
    ) -> list[tuple[_Write, Any, BaseException | None]]:
        """Run writes in one transaction: all that do not fail by themselves are on the disk then.

        Raises:
            _DiskFull: There was no room. Nothing was written.
            sqlite3.Error: The database refused otherwise. Nothing was written.
        """
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [_run_one(connection, write, self._path) for write in alive]
            connection.execute("COMMIT")
        except BaseException as failure:
            if connection.in_transaction:
                with suppress(sqlite3.Error):  # the next BEGIN says what is wrong, if it still is
                    connection.execute("ROLLBACK")
            if _is_full(failure):
                raise _DiskFull from failure
            raise
        return results

    def _set_durable(self, connection: sqlite3.Connection, *, wanted: bool) -> None:
        if wanted is not self._durable:
            connection.execute(f"PRAGMA synchronous={'FULL' if wanted else 'NORMAL'}")
            self._durable = wanted


def _run_one(
    connection: sqlite3.Connection, write: _Write, path: Path
) -> tuple[_Write, Any, BaseException | None]:
    """Run one write in a savepoint of its own.

    Raises:
        sqlite3.Error: The database gave the whole transaction up.
    """
    connection.execute("SAVEPOINT one")
    try:
        value = write.work(Transaction(connection))
    except BaseException as failure:  # handed to whoever waits for this write
        if not connection.in_transaction:
            raise  # a full disk or an I/O error makes SQLite roll all of it back
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        if isinstance(failure, sqlite3.OperationalError):
            failure = _as_catalog_failure(failure, path)
        return write, None, failure
    connection.execute("RELEASE one")
    return write, value, None


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings. The caller begins and ends its transactions itself."""
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,  # one thread at a time is kept by the design above, not by a check per call
        timeout=BUSY_MILLISECONDS / 1000,
        cached_statements=512,
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16000")  # KiB
    connection.execute("PRAGMA mmap_size=268435456")
    connection.execute("PRAGMA journal_size_limit=67108864")
    return connection


def _turn_path(path: Path) -> Path:
    """The file whose lock says which process writes now."""
    return path.with_name(path.name + "-turn")


def catalog_failure(failure: sqlite3.Error, path: Path) -> CatalogFailed:
    """What it means that the database at `path` cannot be opened or made ready."""
    code = _code(failure)
    message, why = f"the catalog {path} cannot be used", str(failure)
    if code in _REFUSED_BY_DISK:
        return CatalogFailed(message, why=why, hint=f"df -h {path.parent}", is_full=_is_full(failure))
    if code in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        hint = "put it back from a backup, or give another directory with --data"
        return CatalogUnreadable(message, why=why, hint=hint)
    return CatalogUnreadable(message, why=why, hint=f"ls -l {path}")


_REFUSED_BY_DISK: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY})


def _code(failure: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the failure is Python's own."""
    return int(getattr(failure, "sqlite_errorcode", 0)) & 0xFF


def _is_full(failure: BaseException) -> bool:
    """Whether there was no room: also for the shared memory file, which SQLite calls an I/O error."""
    if isinstance(failure, CatalogFailed):
        return failure.is_full
    if isinstance(failure, sqlite3.Error):
        full = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
        return getattr(failure, "sqlite_errorcode", 0) in full
    return isinstance(failure, OSError) and failure.errno in {errno.ENOSPC, errno.EDQUOT}


def _as_catalog_failure(failure: BaseException, path: Path) -> BaseException:
    if isinstance(failure, _DiskFull) and failure.__cause__ is not None:
        failure = failure.__cause__
    if not isinstance(failure, sqlite3.Error | OSError):
        return failure
    log.error("the catalog refused a write: %s", failure)
    return CatalogFailed(
        "the catalog's database refused a write",
        why=f"{failure}: {path}",
        hint="look at the free space and the rights of the data directory",
        is_full=_is_full(failure),
    )
