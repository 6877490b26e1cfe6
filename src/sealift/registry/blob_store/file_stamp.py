"""What tells one version of a file from another without reading it."""

import os
from typing import NamedTuple, Self


class FileStamp(NamedTuple):
    """A file as ``stat`` shows it. Whoever writes to it, replaces it or touches it changes this.

    What rots on the disk does not: for that there is no way but to read it.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """From what ``stat`` or ``fstat`` says."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
