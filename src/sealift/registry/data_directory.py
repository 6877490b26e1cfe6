"""The data directory: what stands where in it, whose it is, and which format it has.

::

    DATA/format            the number of the format of all this
    DATA/lock              held by the process tree that serves
    DATA/collector.lock    held by whoever collects, or copies
    DATA/catalog.sqlite3   all that is no blob
    DATA/blobs/sha256/ab/  a file per blob, named by its digest
    DATA/uploads/          blobs on their way in
    DATA/backups/          copies of the catalog from before an upgrade
    DATA/reserve           room for deletes on a full disk, see `sealift.registry.catalog.ballast`
    DATA/admin-password    see `sealift.registry.access`
"""

import errno
import fcntl
import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from sealift.errors import SealiftError
from sealift.registry.catalog.ballast import Ballast, ballast_path
from sealift.registry.catalog.database import catalog_failure
from sealift.registry.catalog.revision import prepare

FORMAT: Final = 1
"""The format that this code reads and writes. The catalog has revisions of its own."""


class DataDirectoryRefused(SealiftError):
    """The data directory cannot be used: no right to it, another owner, or a newer format."""

    exit_status = 8


class DataDirectoryFull(DataDirectoryRefused):
    """Nothing can be written to the data directory: its disk is full or read-only."""

    exit_status = 7


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A directory that holds one registry."""

    path: Path

    @property
    def catalog(self) -> Path:
        """The database file."""
        return self.path / "catalog.sqlite3"

    @property
    def blobs(self) -> Path:
        """The root of the blob files."""
        return self.path / "blobs"

    @property
    def collector_lock(self) -> Path:
        """What whoever collects holds locked, and whoever copies holds in common."""
        return self.path / "collector.lock"

    @property
    def uploads(self) -> Path:
        """The directory of unfinished uploads. On one file system with `blobs`: they move by rename."""
        return self.path / "uploads"

    def prepare(self) -> None:
        """Make the directory, or see that it is ours, and bring its catalog up to date.

        The caller holds the `lock`, so that nobody else does the same at the same time.

        Raises:
            DataDirectoryRefused: It cannot be made or used, or its format is newer.
            CatalogFailed: Its catalog cannot be made or read.
            CatalogTooNew: Its catalog is newer.
        """
        found = self._format()
        if found is not None and found > FORMAT:
            raise DataDirectoryRefused(
                f"the data directory {self.path} has format {found}, which this Sealift does not know",
                why=f"it was written by a newer Sealift; this one knows formats up to {FORMAT}",
                hint="start the newer Sealift, or give another directory with --data",
            )
        try:
            for directory in (self.blobs, self.uploads):
                directory.mkdir(mode=0o700, exist_ok=True)
            sync_names(self.path)
            prepare(self.catalog, backups=self.path / "backups")
            Ballast(ballast_path(self.catalog)).take()
            if found is None:
                partial = self.path / "format.partial"
                with partial.open("w", encoding="ascii") as file:
                    file.write(f"{FORMAT}\n")
                    file.flush()
                    os.fsync(file.fileno())  # or a power cut leaves it empty under its name
                partial.replace(self.path / "format")
                sync_names(self.path)
        except OSError as refused:
            raise directory_refused(self.path, refused) from refused
        except sqlite3.Error as failure:
            raise catalog_failure(failure, self.catalog) from failure

    def lock(self) -> "DirectoryLock":
        """Take the directory for this process and its children, making it if it is not there.

        Raises:
            DataDirectoryRefused: Another server has it (named by its process id),
                or there is no right to it.
        """
        return DirectoryLock.take(self.path)

    def _format(self) -> int | None:
        """The format that is written there, or None where nothing is written yet."""
        try:
            text = (self.path / "format").read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        except OSError as refused:
            raise directory_refused(self.path, refused) from refused
        try:
            return int(text)
        except ValueError:
            raise DataDirectoryRefused(
                f"the file {self.path / 'format'} does not hold a number",
                hint="give the directory of a registry with --data, or restore it from a backup",
            ) from None


class DirectoryLock:
    """The right to a data directory; it ends with `release` or with the process, however that ends."""

    def __init__(self, descriptor: int, path: Path, *, made: bool) -> None:
        self._descriptor = descriptor
        self._path = path
        self._made = made

    @classmethod
    def take(cls, path: Path) -> Self:
        """Take the lock of the directory `path`. See `DataDirectory.lock`."""
        made = not path.exists()
        try:
            _make(path)
            descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as refused:
            raise directory_refused(path, refused) from refused
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise DataDirectoryRefused(
                f"the data directory {path} is in use by another Sealift (process {holder})",
                why="two servers on one directory would each lose what the other writes",
                hint=f"stop process {holder}, or give another directory with --data",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor, path, made=made)

    def unmake(self) -> None:
        """Leave no trace, where the lock made the directory and nothing else was put there."""
        if self._made:
            with suppress(OSError):  # somebody else's files: it stays
                (self._path / "lock").unlink()
                self._path.rmdir()

    def release(self) -> None:
        """Give the directory back."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def sync_names(directory: Path) -> None:
    """Return when the names in a directory would survive a power cut.

    Raises:
        OSError: The disk refused.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(path: Path) -> None:
    """Make a directory with all above it, so that a power cut does not take away what is pushed into it."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for made in missing:
        with suppress(PermissionError):  # one may add to a directory that one may not read
            sync_names(made.parent)


def directory_refused(path: Path, refused: OSError) -> DataDirectoryRefused:
    """What it means that the system refused something in the data directory `path`."""
    place = f": {refused.filename}" if refused.filename else ""
    message, why = f"the data directory {path} cannot be used", f"{refused.strerror}{place}"
    if refused.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
        return DataDirectoryFull(
            message, why=why, hint=f"df -h {path}; or give another directory with --data"
        )
    return DataDirectoryRefused(message, why=why, hint="give a directory that you may write to with --data")
