"""Bringing a backup back: every byte is held against its digest before it has a name.

All is put together in a directory beside the one that is wanted, which comes
under its name at the end, by one rename. Stopped anywhere, there is no data
directory; the next try begins anew.
"""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Protocol

from sealift.image.digest import Digest, MalformedDigest
from sealift.registry.backup import (
    DISK,
    DOCUMENT,
    KIND,
    BackupRefused,
    NotABackup,
    catalog_name,
    keep_proven,
    readable_pieces,
)
from sealift.registry.blob_store.file_hash import READ_BYTES
from sealift.registry.blob_store.staged_file import path_of
from sealift.registry.catalog.inventory import all_blobs, images_that_need
from sealift.registry.catalog.read_only import ReadOnlyCatalog
from sealift.registry.data_directory import FORMAT, DataDirectory, DirectoryLock

MOST_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
MOST_NAMED: Final = 20


@dataclass(slots=True, kw_only=True)
class RestoreReport:
    """What was brought back."""

    blobs: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    """Digests of blobs that the backup does not hold, or holds damaged."""

    images: list[str] = field(default_factory=list)
    """Images, as ``repository:tag``, that lack one of them; at most `MOST_NAMED` for each."""


class _Source(Protocol):
    """A backup to read from."""

    def unpack(self, into: DataDirectory) -> dict[str, Any]:
        """Put the catalog and every blob that is right into a directory, and return the backup's document."""


def restore(source: Path, data: DataDirectory) -> RestoreReport:
    """Make a data directory of a backup.

    Args:
        source: The backup: a directory, or a file.
        data: What is wanted; absent, or an empty directory.

    Raises:
        NotABackup: It is none, or not all of one.
        BackupRefused: The directory is not empty, or a newer Sealift made the backup.
        CatalogFailed: The catalog in it cannot be read.
    """
    data = DataDirectory(data.path.absolute())
    _refuse_full(data.path)
    if os.path.ismount(data.path):
        raise BackupRefused(
            f"{data.path} is the root of a file system",
            why="what is restored comes under its name by one rename, and that name cannot change",
            hint=f"restore to {data.path}/sealift, and serve that",
        )
    backup: _Source = _FromDirectory(source) if source.is_dir() else _FromTar(source)
    partial = DataDirectory(data.path.with_name(f".{data.path.name}.restoring"))
    with DirectoryLock.take(partial.path):
        _empty(partial.path)
        try:
            for directory in (partial.blobs, partial.uploads):
                directory.mkdir(mode=0o700)
            document = backup.unpack(partial)
            report = _see_complete(document, partial, source)
            with os.fdopen(DISK.create(partial.path / "format"), "w") as format_file:
                format_file.write(f"{FORMAT}\n")
            _sync_all(partial.path)
            _refuse_full(data.path)
            DISK.rename(partial.path, data.path)
        except BaseException:
            shutil.rmtree(partial.path, ignore_errors=True)
            raise
        DISK.sync_directory(data.path.parent)
    return report


def _see_complete(document: dict[str, Any], data: DataDirectory, source: Path) -> RestoreReport:
    """See that the catalog is the one that the backup speaks of, and find which blobs are not there."""
    with data.catalog.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != document["catalog"]["sha256"]:
        raise NotABackup(
            f"the catalog in the backup {source} is damaged",
            why=f"it has the digest sha256:{found}, and should have sha256:{document['catalog']['sha256']}",
            hint="take another backup",
        )
    report = RestoreReport()
    images: dict[str, None] = {}
    with ReadOnlyCatalog(data.catalog, older=True) as catalog:
        for digest, size in all_blobs(catalog):
            if path_of(data.blobs, digest).exists():
                report.blobs += 1
                report.bytes += size
                continue
            report.missing.append(str(digest))
            images.update(dict.fromkeys(images_that_need(catalog, str(digest), most=MOST_NAMED)))
    report.images = list(images)
    return report


class _FromDirectory:
    """A backup that is a directory."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def unpack(self, into: DataDirectory) -> dict[str, Any]:
        """See `_Source.unpack`."""
        try:
            document = _read_document((self._path / DOCUMENT).read_bytes(), self._path)
            catalog = self._path / catalog_name(document["catalog"]["sha256"])
            shutil.copyfile(catalog, into.catalog)
        except FileNotFoundError as missing:
            raise _unfinished(self._path, Path(missing.filename).name) from None
        into.catalog.chmod(0o600)
        with ReadOnlyCatalog(into.catalog, older=True) as blobs:
            for digest, _ in all_blobs(blobs):
                try:
                    descriptor = os.open(path_of(self._path / "blobs", digest), os.O_RDONLY | os.O_CLOEXEC)
                except OSError:
                    continue
                try:
                    keep_proven(readable_pieces(descriptor), digest, path_of(into.blobs, digest))
                finally:
                    os.close(descriptor)
        return document


class _FromTar:
    """A backup that is a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def unpack(self, into: DataDirectory) -> dict[str, Any]:
        """See `_Source.unpack`."""
        document: dict[str, Any] | None = None
        with self._members() as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # it would remember every one
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise self._strange(member.name)
                if member.name == DOCUMENT:
                    document = _read_document(content.read(MOST_DOCUMENT_BYTES), self._path)
                elif member.name.startswith("catalog-") and not into.catalog.exists():
                    with os.fdopen(DISK.create(into.catalog), "wb") as target:
                        shutil.copyfileobj(content, target)
                elif (digest := _digest_of_name(member.name)) is not None:
                    keep_proven(_pieces(content), digest, path_of(into.blobs, digest))
                else:
                    raise self._strange(member.name)
        if document is None or not into.catalog.exists():
            raise _unfinished(self._path, DOCUMENT)
        return document

    @contextmanager
    def _members(self) -> Iterator[tarfile.TarFile]:
        try:
            with tarfile.open(self._path, "r:") as tar:
                yield tar
        except tarfile.TarError as bad:
            raise NotABackup(
                f"{self._path} is no backup, or not all of one",
                why=str(bad) or "it is not a tar file",
                hint="give the directory or the file that sealift backup made",
            ) from None

    def _strange(self, name: str) -> NotABackup:
        return NotABackup(
            f"{self._path} is no backup",
            why=f"it holds {ascii(name)[:200]}, which no backup has",
            hint="give the directory or the file that sealift backup made",
        )


def _pieces(content: IO[bytes]) -> Iterator[bytes]:
    while piece := content.read(READ_BYTES):
        yield piece


def _read_document(data: bytes, place: Path) -> dict[str, Any]:
    """What a backup says of itself.

    Raises:
        NotABackup: It is no backup's.
        BackupRefused: A newer Sealift made it.
    """
    try:
        document = json.loads(data)
        version, digest = document["format"], document["catalog"]["sha256"]
        if document["kind"] != KIND or not isinstance(version, int):
            raise ValueError("it is of another kind")
        Digest.parse(f"sha256:{digest}")
    except (ValueError, KeyError, TypeError, MalformedDigest) as bad:
        raise NotABackup(
            f"{place} is no backup",
            why=f"its {DOCUMENT} cannot be read ({type(bad).__name__})",
            hint="give the directory or the file that sealift backup made",
        ) from None
    if version > FORMAT:
        raise BackupRefused(
            f"the backup {place} has format {version}, which this Sealift does not know",
            why=f"a newer Sealift made it; this one knows formats up to {FORMAT}",
            hint="restore it with the newer Sealift",
        )
    return dict(document)


def _unfinished(place: Path, lacks: str) -> NotABackup:
    return NotABackup(
        f"{place} is no backup, or not all of one",
        why=f"there is no {lacks} in it",
        hint="give what sealift backup made; where that was stopped, run it again",
    )


def _digest_of_name(name: str) -> Digest | None:
    """The digest of a blob's name in a tar, if it is one."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "blobs":  # noqa: PLR2004 - blobs, algorithm, two digits, all of them
        return None
    try:
        digest = Digest.parse(f"{parts[1]}:{parts[3]}")
    except MalformedDigest:
        return None
    return digest if parts[2] == digest.encoded[:2] else None


def _refuse_full(path: Path) -> None:
    """A restore overwrites nothing."""
    try:
        with os.scandir(path) as entries:
            if next(entries, None) is None:
                return
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    except NotADirectoryError:
        pass
    raise BackupRefused(
        f"{path} is there, and not empty",
        why="a restore overwrites nothing",
        hint="give a directory that is not there, or move this one away",
    )


def _empty(path: Path) -> None:
    """Remove what a restore that was stopped has left; its lock is ours now."""
    for left in path.iterdir():
        if left.name == "lock":
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


def _sync_all(path: Path) -> None:
    """Have every name on the disk, and the files that are not synced yet."""
    for place, _, names in os.walk(path, topdown=False):
        for name in names:
            if Path(place) == path:
                descriptor = os.open(Path(place, name), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    DISK.sync(descriptor)
                finally:
                    os.close(descriptor)
        DISK.sync_directory(Path(place))
