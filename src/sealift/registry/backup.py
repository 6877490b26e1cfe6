"""A copy of a registry, made while it serves.

First the catalog, by SQLite's own online copy; then the blobs that this copy
names. A blob never changes and is there before the catalog names it, so that is
a consistent whole, as long as none is deleted in between: whoever deletes blobs
holds `DataDirectory.collector_lock` alone, and this holds it with others.

In a directory, a backup is added to: blobs that are there are not copied again,
and the one before stays whole until the new one is. ``backup.json`` is what makes
it a backup; it names the catalog that counts. A file ending in ``.tar`` holds the
same, and comes under its name when it is whole::

    DEST/backup.json                what this is, and of when; written last
    DEST/catalog-<digest>.sqlite3   the catalog
    DEST/blobs/sha256/ab/<hex>      as in the data directory

Every blob is hashed as it is copied. One that is damaged is left out and named.
The first password's file is left out; the catalog holds password hashes and
signing keys, so all of it is its owner's alone.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, ClassVar, Final, Protocol

from sealift import __version__
from sealift.errors import SealiftError
from sealift.image.digest import Digest
from sealift.registry.blob_store.damage_marks import DamageMarks
from sealift.registry.blob_store.disk import Disk
from sealift.registry.blob_store.file_hash import READ_BYTES, hash_open_file, read_pieces
from sealift.registry.blob_store.file_stamp import FileStamp
from sealift.registry.blob_store.running_hash import RunningHash
from sealift.registry.blob_store.staged_file import path_of
from sealift.registry.catalog.inventory import all_blobs
from sealift.registry.catalog.read_only import ReadOnlyCatalog
from sealift.registry.data_directory import FORMAT, DataDirectory

DOCUMENT: Final = "backup.json"
LOCK: Final = "backup.lock"
KIND: Final = "Backup"

DISK: Final = Disk()


class BackupRefused(SealiftError):
    """Nothing can be backed up to there, or restored from there or to there."""

    exit_status: ClassVar[int] = 8


class NotABackup(BackupRefused):
    """What was given is no backup, or not all of one."""

    exit_status: ClassVar[int] = 2


@dataclass(slots=True, kw_only=True)
class BackupReport:
    """What was copied."""

    blobs: int = 0
    """In the backup, copied now or before."""

    bytes: int = 0
    copied_blobs: int = 0
    copied_bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    """Digests of blobs that are not in the backup: where they came from they are damaged or missing."""


class _Destination(Protocol):
    """Where a backup goes."""

    def place(self, name: str) -> Path:
        """Where to make a file before it is added."""

    def has(self, digest: Digest, size: int) -> bool:
        """Whether the blob is there already."""

    def add_file(self, name: str, source: Path) -> None:
        """Take a whole file of ours."""

    def add_blob(self, digest: Digest, size: int, descriptor: int) -> bool:
        """Copy a blob, and say whether it was right; where not, nothing of it stays."""

    def finish(self, kept: frozenset[str]) -> None:
        """All is there; `kept` are the files and digests that belong to it."""


def back_up(data: DataDirectory, destination: Path, *, deep: bool = False) -> BackupReport:
    """Copy a registry to a directory, or to a file that ends in ``.tar``.

    Args:
        data: The registry; its server may be at work.
        destination: A directory that is absent, empty or a backup; or the file.
        deep: Do not believe the blobs that a backup in `destination` has by their size, but read them.

    Raises:
        BackupRefused: It cannot go there.
        CatalogFailed: The catalog cannot be read.
    """
    data.see_format()
    _refuse_inside(data.path, destination)
    opened = _to_tar(destination) if destination.suffix == ".tar" else _to_directory(destination, deep=deep)
    with opened as target, _no_collection(data):
        return _copy(data, target)


def _copy(data: DataDirectory, target: _Destination) -> BackupReport:
    """Copy the catalog, then what it names, then say that this is all."""
    report = BackupReport()
    made = target.place("catalog.sqlite3")
    made.unlink(missing_ok=True)
    with ReadOnlyCatalog(data.catalog) as catalog:
        os.close(DISK.create(made))
        catalog.copy_to(made)
    with made.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    name = catalog_name(digest)
    target.add_file(name, made)  # before the blobs: in a tar it is read first
    kept = {name}
    marks = DamageMarks(data.damaged)
    with ReadOnlyCatalog(made) as copy:
        for blob, size in all_blobs(copy):
            if not target.has(blob, size):
                if not _copy_blob(data, target, marks, blob, size):
                    report.damaged.append(str(blob))
                    continue
                report.copied_blobs += 1
                report.copied_bytes += size
            kept.add(str(blob))
            report.blobs += 1
            report.bytes += size
    made.unlink(missing_ok=True)
    document = target.place(DOCUMENT)
    document.write_text(json.dumps(_document(name, digest, report), indent=2) + "\n", encoding="ascii")
    document.chmod(0o600)
    target.add_file(DOCUMENT, document)
    target.finish(frozenset(kept))
    return report


def _copy_blob(
    data: DataDirectory, target: _Destination, marks: DamageMarks, digest: Digest, size: int
) -> bool:
    """Copy one blob. What is wrong twice is marked, so that the server asks for it again."""
    try:
        descriptor = os.open(path_of(data.blobs, digest), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        stamp = FileStamp.of(os.fstat(descriptor))
        if stamp.size != size:
            return False
        if target.add_blob(digest, size, descriptor):
            return True
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if target.add_blob(digest, size, descriptor):
            return True
        marks.set(digest, stamp)
        return False
    finally:
        os.close(descriptor)


def keep_proven(pieces: Iterable[bytes], digest: Digest, path: Path) -> bool:
    """Write bytes to `path`, and say whether they had the digest. Where not, there is no such file.

    It is synced, and comes under its name when it is whole.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    for directory in (path.parent.parent, path.parent):
        directory.mkdir(mode=0o700, exist_ok=True)
    running = RunningHash(digest.algorithm)
    target = DISK.create(partial)
    try:
        for piece in pieces:
            DISK.write(target, [piece], running.size)
            running.update(piece)
        if running.digest() != digest:
            partial.unlink()
            return False
        DISK.sync(target)
        DISK.rename(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    finally:
        os.close(target)
    return True


def readable_pieces(descriptor: int) -> Iterator[bytes]:
    """The pieces of a file, up to where the disk does not give them."""
    pieces = read_pieces(descriptor, aside=True)
    while True:
        try:
            piece = next(pieces)
        except (StopIteration, OSError):
            return
        yield piece


class _Directory:
    """A backup that is a directory."""

    def __init__(self, path: Path, *, deep: bool) -> None:
        self._path = path
        self._deep = deep
        self._touched: set[Path] = set()

    def place(self, name: str) -> Path:
        """See `_Destination.place`."""
        return self._path / f"{name}.partial"

    def has(self, digest: Digest, size: int) -> bool:
        """See `_Destination.has`."""
        path = path_of(self._path / "blobs", digest)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(descriptor).st_size != size:
                return False
            return not self._deep or _has_digest(descriptor, digest)
        finally:
            os.close(descriptor)

    def add_file(self, name: str, source: Path) -> None:
        """See `_Destination.add_file`."""
        if name == DOCUMENT:  # everything that it speaks of has to be there first
            for directory in sorted(self._touched):
                DISK.sync_directory(directory)
            DISK.sync_directory(self._path)
        target = self._path / name
        if name == DOCUMENT:
            _sync_file(source)
            DISK.rename(source, target)
        else:
            target.unlink(missing_ok=True)
            with source.open("rb") as content, os.fdopen(DISK.create(target), "wb") as copy:
                shutil.copyfileobj(content, copy, READ_BYTES)
            _sync_file(target)
        DISK.sync_directory(self._path)

    def add_blob(self, digest: Digest, size: int, descriptor: int) -> bool:  # noqa: ARG002 - a tar needs it
        """See `_Destination.add_blob`."""
        path = path_of(self._path / "blobs", digest)
        right = keep_proven(readable_pieces(descriptor), digest, path)
        self._touched |= {path.parent, path.parent.parent, path.parent.parent.parent}
        return right

    def finish(self, kept: frozenset[str]) -> None:
        """See `_Destination.finish`. What belonged to the backup before only, goes."""
        for old in self._path.glob("catalog-*.sqlite3"):
            if old.name not in kept:
                old.unlink()
        for path in (self._path / "blobs").glob("*/*/*"):
            if f"{path.parent.parent.name}:{path.name}" not in kept:
                path.unlink()


class _Tar:
    """A backup that is one file."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file

    def place(self, name: str) -> Path:
        """See `_Destination.place`."""
        return self._path.with_name(f".{self._path.name}.{name}.partial")

    def has(self, digest: Digest, size: int) -> bool:  # noqa: ARG002 - the protocol's
        """See `_Destination.has`. Every file is made anew."""
        return False

    def add_file(self, name: str, source: Path) -> None:
        """See `_Destination.add_file`."""
        with source.open("rb") as content:
            self._begin(name, os.fstat(content.fileno()).st_size)
            shutil.copyfileobj(content, self._file, READ_BYTES)
        self._pad()
        if name == DOCUMENT:
            source.unlink()

    def add_blob(self, digest: Digest, size: int, descriptor: int) -> bool:
        """See `_Destination.add_blob`."""
        before = self._file.tell()
        self._begin(_blob_name(digest), size)
        running = RunningHash(digest.algorithm)
        for piece in readable_pieces(descriptor):
            self._file.write(piece)
            running.update(piece)
        if running.digest() != digest:
            self._file.seek(before)
            self._file.truncate()
            return False
        self._pad()
        return True

    def finish(self, kept: frozenset[str]) -> None:
        """See `_Destination.finish`."""
        del kept
        self._file.write(bytes(2 * tarfile.BLOCKSIZE))

    def _begin(self, name: str, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._file.write(member.tobuf(tarfile.PAX_FORMAT))

    def _pad(self) -> None:
        self._file.write(bytes(-self._file.tell() % tarfile.BLOCKSIZE))


@contextmanager
def _to_directory(path: Path, *, deep: bool) -> Iterator[_Directory]:
    """Have a directory to oneself that is absent, empty or a backup."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(path.iterdir()) and not (path / LOCK).exists():
        raise BackupRefused(
            f"{path} holds something else than a backup",
            why=f"there is no {LOCK} in it",
            hint="give a directory that is empty or not there, or a FILE.tar",
        )
    with _lock(path / LOCK, fcntl.LOCK_EX | fcntl.LOCK_NB):
        (path / "blobs").mkdir(mode=0o700, exist_ok=True)
        yield _Directory(path, deep=deep)


@contextmanager
def _to_tar(path: Path) -> Iterator[_Tar]:
    """Write a file beside `path`, and give it that name when it is whole."""
    if not path.parent.is_dir():
        raise BackupRefused(
            f"there is no directory {path.parent}",
            why=f"{path.name} was to be made in it",
            hint=f"mkdir {path.parent}",
        )
    partial = path.with_name(f".{path.name}.partial")
    with _lock(partial, fcntl.LOCK_EX | fcntl.LOCK_NB):
        try:
            with partial.open("r+b") as file:
                file.truncate()
                yield _Tar(path, file)
                file.flush()
                DISK.sync(file.fileno())
            DISK.rename(partial, path)
            DISK.sync_directory(path.parent)
        except BaseException:
            for left in path.parent.glob(f".{path.name}.*partial"):
                left.unlink(missing_ok=True)
            raise


@contextmanager
def _no_collection(data: DataDirectory) -> Iterator[None]:
    """Keep blobs from being deleted. It waits for a deletion that is under way."""
    with ExitStack() as stack:
        try:
            stack.enter_context(_lock(data.collector_lock, fcntl.LOCK_SH))
        except OSError as refused:
            if refused.errno != errno.EROFS:
                raise  # where nothing can be written, nothing is deleted either
        yield


@contextmanager
def _lock(path: Path, kind: int) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is not there.

    Raises:
        BackupRefused: Another has it, and `kind` does not wait.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, kind)
        except BlockingIOError:
            raise BackupRefused(
                f"another backup goes to {path.parent if path.name == LOCK else path.name} right now",
                why=f"it holds the lock of {path}",
                hint="wait for its end, or give another place",
            ) from None
        yield
    finally:
        os.close(descriptor)


def catalog_name(digest: str) -> str:
    """What the catalog with a SHA-256 is called in a backup."""
    return f"catalog-{digest[:16]}.sqlite3"


def _blob_name(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.encoded[:2]}/{digest.encoded}"


def _document(name: str, digest: str, report: BackupReport) -> dict[str, object]:
    """What makes it a backup."""
    return {
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": KIND,
        "format": FORMAT,
        "sealift": __version__,
        "madeAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "catalog": {"file": name, "sha256": digest},
        "blobs": report.blobs,
        "bytes": report.bytes,
        "damaged": report.damaged,
    }


def _has_digest(descriptor: int, digest: Digest) -> bool:
    try:
        return hash_open_file(descriptor, digest.algorithm, after=lambda _: None, aside=True) == digest
    except OSError:
        return False


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        DISK.sync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_inside(data: Path, destination: Path) -> None:
    """A backup in the directory that it is of would go with it, and is no backup."""
    inside, outside = destination.resolve(), data.resolve()
    if inside == outside or outside in inside.parents or inside in outside.parents:
        raise BackupRefused(
            f"{destination} and the data directory {data} lie in one another",
            why="what happens to the one would happen to the other",
            hint="give another place, on another disk if there is one",
        )
