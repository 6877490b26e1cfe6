"""Each thing the filesystem store does to the disk, one method apiece.

The store's promise is an order of these: write, sync, rename, sync the
directory. To see that the order holds when the machine stops between any two
of them, a test hands the store a disk that records them, or stops at one.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

MOST_BUFFERS: Final = 512
"""Buffers per system call; Linux takes 1024."""


class Disk:
    """The real one."""

    def create(self, path: Path) -> int:
        """Make a new file and open it for reading and writing.

        Raises:
            FileExistsError: It is there already.
        """
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> int:
        """Write all of `buffers` at `offset` and return how many bytes that was."""
        total = sum(map(len, buffers))
        done = 0
        waiting: list[bytes | memoryview] = list(buffers)
        while waiting:
            written = os.pwritev(descriptor, waiting[:MOST_BUFFERS], offset + done)
            done += written
            while waiting and written >= len(waiting[0]):
                written -= len(waiting.pop(0))
            if written:
                waiting[0] = memoryview(waiting[0])[written:]
        return total

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file."""
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Return when the file's bytes and size would survive a power cut."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in place of whatever had it. All or nothing."""
        source.rename(target)

    def sync_directory(self, path: Path) -> None:
        """Return when the names in a directory would survive a power cut."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_directory(self, path: Path) -> None:
        """Make a directory, if it is not there."""
        path.mkdir(mode=0o700, exist_ok=True)

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there."""
        path.unlink(missing_ok=True)
