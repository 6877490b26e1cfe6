"""Some room that the catalog keeps for itself: a file that is given up when the disk is full.

A delete writes before it frees. On a disk with not one free byte, which another
program may have filled, nothing could be deleted any more, and nobody could be
locked out. So a file of some size lies beside the database; where the disk
refuses a write, the file gives its room back and the write is tried again. Once
there is room, it takes it again.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 8 * 1024 * 1024
"""On a disk of 512 MiB and more: enough to delete some ten thousand tags in one go."""

LEAST_BYTES: Final = 64 * 1024

SHARE: Final = 64
"""Of a smaller disk, one part in so many."""

ROOM: Final = 4
"""Times its size that have to be free before it takes its room again."""

LOOK_EVERY_SECONDS: Final = 5.0


class Ballast:
    """The file. Whoever calls holds the turn to write, so that processes do not meet here."""

    def __init__(self, path: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._given = False
        self._looked = now()

    def give(self) -> bool:
        """Give the room back to the disk, and say whether there was any."""
        self._given = True
        try:
            if not self._path.stat().st_size:
                return False
            os.truncate(self._path, 0)
        except OSError:
            return False
        return True

    def take_again(self) -> None:
        """Take the room again if this process was refused any, once the disk has plenty. It may fail."""
        if self._given and self._now() - self._looked >= LOOK_EVERY_SECONDS:
            self._looked = self._now()
            if self.take():
                self._given = False

    def take(self) -> bool:
        """Make the file as large as it is to be, if there is room for it several times over."""
        try:
            disk = os.statvfs(self._path.parent)
            size = max(LEAST_BYTES, min(MOST_BYTES, disk.f_blocks * disk.f_frsize // SHARE))
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if os.fstat(descriptor).st_size >= size:
                    return True
                if disk.f_bavail * disk.f_frsize < ROOM * size:
                    return False
                os.posix_fallocate(descriptor, 0, size)
            finally:
                os.close(descriptor)
        except OSError:
            return False
        return True


def ballast_path(catalog: Path) -> Path:
    """Where the file lies that belongs to a catalog."""
    return catalog.with_name("reserve")
