"""An open file, read from its beginning to its end, and its digest."""

import errno
import os
from collections.abc import Callable, Iterator
from typing import Final

from sealift.image.digest import Digest
from sealift.registry.blob_store.running_hash import RunningHash

READ_BYTES: Final = 1024 * 1024


def read_pieces(descriptor: int, *, aside: bool = False) -> Iterator[bytes]:
    """The bytes of a file. It blocks.

    Args:
        descriptor: The file.
        aside: Leave the page cache as it was: what was not in memory before is not afterwards.

    Raises:
        OSError: The disk does not give it.
    """
    if aside:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)  # no reading ahead
    read = _read_aside if aside else os.pread
    place = 0
    while piece := read(descriptor, READ_BYTES, place):
        place += len(piece)
        yield piece


def hash_open_file(
    descriptor: int, algorithm: str, *, after: Callable[[int], None], aside: bool = False
) -> Digest:
    """The digest of a file. It blocks.

    Args:
        descriptor: The file.
        algorithm: As in a digest.
        after: Called after each piece with the bytes of it. What it raises ends the reading.
        aside: See `read_pieces`.

    Raises:
        OSError: The disk does not give it.
    """
    running = RunningHash(algorithm)
    for piece in read_pieces(descriptor, aside=aside):
        running.update(piece)
        after(len(piece))
    return running.digest()


def _read_aside(descriptor: int, most: int, place: int) -> bytes:
    """Read a piece; what was not in memory before is not afterwards."""
    buffer = bytearray(most)
    try:
        return bytes(buffer[: os.preadv(descriptor, [buffer], place, os.RWF_NOWAIT)])
    except OSError as refused:
        if refused.errno not in {errno.EAGAIN, errno.EOPNOTSUPP}:
            raise
    piece = os.pread(descriptor, most, place)
    os.posix_fadvise(descriptor, place, len(piece), os.POSIX_FADV_DONTNEED)
    return piece
