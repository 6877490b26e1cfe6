"""Which files are known to hold the wrong bytes: a small file beside the store for each of them.

Every process of the server sees them at once, and after a restart they are
still there. A mark holds the stamp of the file that was read, so that a file
which was replaced by a push, or put back from a backup, is not under suspicion.
To look costs one system call a request.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sealift.image.digest import Digest, MalformedDigest
from sealift.registry.blob_store.file_stamp import FileStamp

log = logging.getLogger(__name__)

MOST_UNWRITTEN: Final = 4096
"""Marks kept in memory where the disk does not take them."""


class DamageMarks:
    """The marks of one store."""

    def __init__(self, directory: Path) -> None:
        """Keep them in `directory`, which is made with the first of them."""
        self._directory = directory
        self._prefix = f"{directory}{os.sep}"
        self._unwritten: dict[Digest, FileStamp] = {}

    def has(self, digest: Digest, stamp: FileStamp) -> bool:
        """Whether that very file was seen to hold other bytes."""
        if self._unwritten and self._unwritten.get(digest) == stamp:
            return True
        path = f"{self._prefix}{digest.algorithm}-{digest.encoded}"
        return os.access(path, os.F_OK) and _read(Path(path)) == stamp

    def set(self, digest: Digest, stamp: FileStamp) -> None:
        """Remember that a file holds other bytes. It is no failure if the disk does not take it."""
        path = self._path(digest)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            partial.write_text(" ".join(map(str, stamp)) + "\n", encoding="ascii")
            partial.chmod(0o600)
            if os.geteuid() == 0:  # a check by root is for the server's user to read
                owner = self._directory.parent.stat()
                for each in (self._directory, partial):
                    os.chown(each, owner.st_uid, owner.st_gid)
            partial.replace(path)
        except OSError as refused:
            log.warning("the mark %s cannot be written, and is kept in memory: %s", path, refused)
            if len(self._unwritten) < MOST_UNWRITTEN:
                self._unwritten[digest] = stamp

    def clear(self, digest: Digest) -> bool:
        """Forget a mark, and say whether there was one."""
        there = self._unwritten.pop(digest, None) is not None
        with suppress(OSError):
            self._path(digest).unlink()
            there = True
        return there

    def all(self) -> Iterator[tuple[Digest, FileStamp]]:
        """Every mark that is written."""
        try:
            names = sorted(each.name for each in self._directory.iterdir())
        except FileNotFoundError:
            return
        for name in names:
            with suppress(MalformedDigest):
                digest = Digest.parse(name.replace("-", ":", 1))
                stamp = _read(self._directory / name)
                if stamp is not None:
                    yield digest, stamp

    def _path(self, digest: Digest) -> Path:
        return self._directory / f"{digest.algorithm}-{digest.encoded}"


def _read(path: Path) -> FileStamp | None:
    """What a mark holds, or None where it has gone or is no mark."""
    try:
        return FileStamp(*map(int, path.read_text(encoding="ascii").split()))
    except (OSError, ValueError, TypeError):
        return None
