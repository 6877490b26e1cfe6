"""Reading a stored file in pieces, so that neither the disk nor a crowd of slow clients is felt.

What is in the page cache is read where it is asked for (``RWF_NOWAIT``); a
thread is asked only for what has to come from the disk. Measured per GiB of a
cached file, server and all: 0.53 s of CPU like this, 0.90 s with a thread for
each piece, 0.69 s with the HTTP server's own path-send; pieces of 64 KiB cost
0.65 s, those of 1 MiB 0.49 s.

The server beneath holds some pieces of each response that its client has not
taken. So pieces get smaller as there are more readers: what all of them hold
together stays about the same.

Spec: Linux preadv2(2).
"""

import asyncio
import errno
import os
from pathlib import Path
from typing import ClassVar, Final, Self

MOST_PIECE_BYTES: Final = 256 * 1024
LEAST_PIECE_BYTES: Final = 16 * 1024

TOGETHER_BYTES: Final = 4 * 1024 * 1024
"""What the pieces of all readers of this process come to, as long as they are not more than 256.
The server holds some seven times that for clients that take nothing."""


class FileDamaged(Exception):
    """A stored file is not what the catalog says. The message is for the log, and has no secret."""


class FileReader:
    """An open file. Belongs to one event loop, as all of its process do."""

    _open: ClassVar[int] = 0
    """How many there are in this process."""

    _shared: ClassVar[memoryview] = memoryview(bytearray(MOST_PIECE_BYTES))
    """Where everybody reads to who need not wait: it is copied from before anybody else is at it."""

    def __init__(self, path: Path) -> None:
        """Open a file. Raises: OSError."""
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.found = os.fstat(self.descriptor)
        """The file's state when it was opened."""
        self.size = self.found.st_size
        self.came_from_disk = False
        """Whether something of it was not in memory when it was read."""
        self._can_tell = True
        FileReader._open += 1

    @classmethod
    def piece_bytes(cls) -> int:
        """How much is read at a time now."""
        return max(LEAST_PIECE_BYTES, min(MOST_PIECE_BYTES, TOGETHER_BYTES // max(cls._open, 1)))

    async def read(self, place: int, most: int) -> bytes:
        """Some bytes from `place` on, at most `most` and `piece_bytes`; none at the end of the file."""
        most = min(most, self.piece_bytes())
        if self._can_tell:
            try:
                count = os.preadv(self.descriptor, [self._shared[:most]], place, os.RWF_NOWAIT)
            except BlockingIOError:
                self.came_from_disk = True
            except OSError as refused:
                if refused.errno != errno.EOPNOTSUPP:
                    raise
                self._can_tell = False  # this file system does not know what is in memory
            else:
                return bytes(self._shared[:count])
        reading = asyncio.get_running_loop().run_in_executor(None, os.pread, self.descriptor, most, place)
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            await asyncio.wait([reading])  # the descriptor is closed after this, not under it
            raise

    def close(self) -> None:
        """Close the file."""
        FileReader._open -= 1
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
