"""Holding a data directory against itself: each row has its file, each file its bytes, each image its parts.

It reads, also while a server is at work on the same directory. What it finds may
be the work of a moment (a blob that is being deleted), so it looks twice. The one
thing that it writes is the mark of a blob that holds the wrong bytes
(`sealift.registry.blob_store.damage_marks`): with it the server says that it
does not have the blob, and so a push sends it again.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sealift.image.digest import Digest, MalformedDigest
from sealift.registry.blob_store.blob_damaged import BlobDamaged
from sealift.registry.blob_store.damage_marks import DamageMarks
from sealift.registry.blob_store.file_hash import hash_open_file
from sealift.registry.blob_store.file_stamp import FileStamp
from sealift.registry.blob_store.staged_file import path_of
from sealift.registry.catalog.inventory import (
    KnownManifest,
    all_blobs,
    all_manifests,
    count_tags,
    images_that_need,
    known_size,
    links_without_blob,
    parts_missing,
    repositories_with,
    tags_without_manifest,
)
from sealift.registry.catalog.read_only import ReadOnlyCatalog
from sealift.registry.data_directory import DataDirectory

MOST_NAMED: Final = 20
"""Repositories and images that one finding names."""

MOST_OF_A_KIND: Final = 1000
"""Rows of the catalog without what they refer to. The catalog's own rules allow none."""

YOUNG_SECONDS: Final = 3600.0
"""A file without a row that is younger is on its way in."""


_ROTTEN: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong."""

    code: str
    """What kind, such as ``blob-changed``: for programs."""

    message: str
    digest: str | None = None
    repositories: tuple[str, ...] = ()
    """Who has it, at most `MOST_NAMED`."""

    images: tuple[str, ...] = ()
    """Images as ``repository:tag`` that it is part of, at most `MOST_NAMED`."""

    mend: str = ""
    """What to do, or to type."""


@dataclass(slots=True, kw_only=True)
class StorageReport:
    """What a check found."""

    deep: bool
    """Whether every blob was read."""

    blobs: int = 0
    bytes: int = 0
    manifests: int = 0
    tags: int = 0
    garbage_files: int = 0
    """Files in the blob directories that nothing is known of. They take room, and do no harm."""

    garbage_bytes: int = 0
    faults: list[Fault] = field(default_factory=list)


def check_storage(
    data: DataDirectory, *, deep: bool, read: Callable[[int], None] = lambda _: None
) -> StorageReport:
    """Check a data directory.

    Args:
        data: Which.
        deep: Read every blob, and hold it against its digest.
        read: Told how many bytes of blobs were read, again and again.

    Raises:
        CatalogFailed: Its catalog cannot be opened at all.
    """
    report = StorageReport(deep=deep)
    with ReadOnlyCatalog(data.catalog) as catalog:
        check = _Check(data, catalog, read, deep=deep)
        try:
            _check_all(report, catalog, check)
        except sqlite3.DatabaseError as failure:
            if failure.sqlite_errorcode & 0xFF not in _ROTTEN:
                raise
            report.faults.append(_catalog_damaged(str(failure)))
    return report


def _check_all(report: StorageReport, catalog: ReadOnlyCatalog, check: "_Check") -> None:
    """Ask every question. Raises: sqlite3.DatabaseError, where the catalog cannot be read to its end."""
    report.faults += check.catalog_faults()
    for digest, size in all_blobs(catalog):
        report.blobs += 1
        report.bytes += size
        report.faults += check.blob_faults(digest, size)
    for manifest in all_manifests(catalog):
        report.manifests += 1
        report.faults += check.manifest_faults(manifest)
    report.tags = count_tags(catalog)
    report.faults += check.missing_parts()
    for size in check.garbage():
        report.garbage_files += 1
        report.garbage_bytes += size


class _Check:
    """The questions, each asked of one thing."""

    def __init__(
        self, data: DataDirectory, catalog: ReadOnlyCatalog, read: Callable[[int], None], *, deep: bool
    ) -> None:
        self._data = data
        self._catalog = catalog
        self._marks = DamageMarks(data.damaged)
        self._deep = deep
        self._read = read

    def catalog_faults(self) -> Iterator[Fault]:
        """What the database says of itself."""
        for line in self._catalog.faults():
            yield _catalog_damaged(line)
        for repository, digest in links_without_blob(self._catalog, most=MOST_OF_A_KIND):
            yield self._of_blob(
                "link-without-blob", f"{repository} has the blob {digest}, and nothing is known of it", digest
            )
        for repository, tag, digest in tags_without_manifest(self._catalog, most=MOST_OF_A_KIND):
            image = f"{repository}:{tag}"
            yield Fault(
                code="tag-without-manifest",
                message=f"the tag {image} stands for the manifest {digest}, which is not there",
                digest=digest,
                repositories=(repository,),
                images=(image,),
                mend=_push_again((image,)),
            )

    def blob_faults(self, digest: Digest, size: int) -> Iterator[Fault]:
        """Whether a blob's file is there, has its length and, for a deep check, its digest."""
        damaged = self._see(digest, size)
        if damaged is None or known_size(self._catalog, digest) is None or self._see(digest, size) is None:
            return
        code = "blob-changed"
        if damaged.found != size:
            code = "blob-missing" if damaged.found is None else "blob-size"
        yield self._of_blob(code, str(damaged), str(digest))

    def manifest_faults(self, manifest: KnownManifest) -> Iterator[Fault]:
        """Whether a manifest's bytes are those of its digest."""
        if manifest.is_right:
            return
        images = images_that_need(
            self._catalog, manifest.digest, repository=manifest.repository, most=MOST_NAMED
        )
        yield Fault(
            code="manifest-changed",
            message=f"the stored manifest {manifest.digest} of {manifest.repository} is damaged: "
            "its bytes have another digest",
            digest=manifest.digest,
            repositories=(manifest.repository,),
            images=tuple(images),
            mend=_push_again(images or [f"{manifest.repository}@{manifest.digest}"]),
        )

    def missing_parts(self) -> Iterator[Fault]:
        """Manifests whose repository lacks what they are made of."""
        for repository, needs, part in parts_missing(self._catalog, most=MOST_OF_A_KIND):
            images = images_that_need(self._catalog, needs, repository=repository, most=MOST_NAMED)
            yield Fault(
                code="part-missing",
                message=f"the manifest {needs} of {repository} needs {part}, which is not there",
                digest=part,
                repositories=(repository,),
                images=tuple(images),
                mend=_push_again(images or [f"{repository}@{needs}"]),
            )

    def garbage(self) -> Iterator[int]:
        """The sizes of files that nothing is known of."""
        latest = time.time() - YOUNG_SECONDS
        for path in _files(self._data.blobs):
            try:
                digest = Digest.parse(f"{path.parent.parent.name}:{path.name}")
            except MalformedDigest:
                digest = None
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            if (digest is None or known_size(self._catalog, digest) is None) and found.st_mtime < latest:
                yield found.st_size

    def _see(self, digest: Digest, size: int) -> BlobDamaged | None:
        """What is wrong with a blob's file, if something is."""
        path = path_of(self._data.blobs, digest)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return BlobDamaged(digest, expected=size, found=None)
        except OSError:
            return BlobDamaged(digest, expected=size, found=size)
        try:
            stamp = FileStamp.of(os.fstat(descriptor))
            if stamp.size != size or self._marks.has(digest, stamp):
                return BlobDamaged(digest, expected=size, found=stamp.size)
            if self._deep and not self._is_right(digest, descriptor):
                self._marks.set(digest, stamp)
                return BlobDamaged(digest, expected=size, found=size)
        finally:
            os.close(descriptor)
        return None

    def _is_right(self, digest: Digest, descriptor: int) -> bool:
        """Whether a file has its digest; where not, it is read once more from the disk."""
        try:
            if hash_open_file(descriptor, digest.algorithm, after=self._read, aside=True) == digest:
                return True
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            return hash_open_file(descriptor, digest.algorithm, after=self._read, aside=True) == digest
        except OSError:
            return False

    def _of_blob(self, code: str, message: str, digest: str) -> Fault:
        repositories = repositories_with(self._catalog, digest, most=MOST_NAMED)
        images = images_that_need(self._catalog, digest, most=MOST_NAMED)
        if images:
            mend = _push_again(images)
        elif repositories:
            mend = f"no image needs it; whoever pushes it to {repositories[0]} again puts it right"
        else:
            mend = "no repository has it: there is nothing to do"
        return Fault(
            code=code,
            message=message,
            digest=digest,
            repositories=tuple(repositories),
            images=tuple(images),
            mend=mend,
        )


def _catalog_damaged(what: str) -> Fault:
    return Fault(
        code="catalog-damaged",
        message=f"the catalog's database is damaged: {what}",
        mend="stop the server and restore a backup: sealift restore BACKUP --data NEW-DIR",
    )


def _push_again(images: "list[str] | tuple[str, ...]") -> str:
    """The command that mends the first of some images, which share the damaged part."""
    return f"sealift push SOURCE REGISTRY/{images[0]}"


def _files(directory: Path) -> Iterator[Path]:
    """Every file below a directory."""
    for place, _, names in os.walk(directory):
        for name in names:
            yield Path(place, name)
