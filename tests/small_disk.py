"""A server on a small file system of its own, which a test can fill to the last byte and empty again."""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.peers.programs import require_program, require_root
from tests.served import Served, serving

_MISSING_PARTS = """
    SELECT digest FROM manifest_reference AS need WHERE kind IN ('config', 'layer') AND NOT EXISTS
    (SELECT 1 FROM blob_link WHERE repository_id = need.repository_id AND digest = need.digest)
"""


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """The disk, as it is seen from here: it is mounted where the server is, and nowhere else."""

    path: Path

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self.path / "data"

    def fill(self, *, but: int = 0) -> None:
        """Write until the disk is full, to the last byte; or until `but` bytes are free."""
        with (self.path / f"fill-{len(list(self.path.iterdir()))}").open("wb", buffering=0) as file:
            if but:
                disk = os.statvfs(self.path)
                os.posix_fallocate(file.fileno(), 0, max(disk.f_bavail * disk.f_frsize - but, 1))
                return
            for size in (65536, 4096, 512, 1):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Remove what `fill` wrote."""
        for each in self.path.glob("fill-*"):
            each.unlink()

    def free_bytes(self) -> int:
        """How many bytes somebody may still write."""
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def check_whole(self) -> None:
        """See that nothing is half there: what the catalog names is in the store, whole."""
        with TemporaryDirectory() as copy:  # SQLite follows no path into another mount namespace
            for file in self.data.glob("catalog.sqlite3*"):
                shutil.copy(file, copy)
            self._check_catalog(Path(copy) / "catalog.sqlite3")
        for file in self.data.glob("blobs/*/*/*"):
            assert hashlib.new(file.parent.parent.name, file.read_bytes()).hexdigest() == file.name

    def _check_catalog(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as catalog:
            assert catalog.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert catalog.execute("PRAGMA foreign_key_check").fetchall() == []
            sizes = dict(catalog.execute("SELECT digest, size FROM blob"))
            missing = catalog.execute(_MISSING_PARTS).fetchall()
        assert missing == []
        for digest, size in sizes.items():
            algorithm, _, encoded = digest.partition(":")
            content = (self.data / "blobs" / algorithm / encoded[:2] / encoded).read_bytes()
            assert (len(content), hashlib.new(algorithm, content).hexdigest()) == (size, encoded)


@contextmanager
def serving_on_small_disk(
    directory: Path, size: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[Served, SmallDisk]]:
    """A server whose data directory is alone on a tmpfs of `size`, such as ``16m``."""
    require_root("mount a small file system")
    disk = directory / "disk"
    (disk / "data").mkdir(parents=True)
    wrapper = (
        *(require_program("unshare"), "--mount", "--propagation", "private", "sh", "-c"),
        *(f'mount -t tmpfs -o size={size} tmpfs {disk}; exec "$@"', "sh"),
    )
    with serving(disk / "data", *arguments, wrapper=wrapper, environment=environment) as served:
        inside = SmallDisk(Path(f"/proc/{served.process.pid}/root{disk}"))
        yield replace(served, data=inside.data), inside
