"""A stored file on its way out, whose last piece is held back until all of it is known to be right.

Who takes the pieces cannot send them all before that: a client gets fewer bytes
than were announced, and its connection ends. A file that fits in one piece is
seen to be right before anything is sent.

* All of a file that this process has not seen before is hashed as it passes,
  in a thread, while pieces are read and sent.
* Beside a part of such a file the whole is read, once for all who ask.
* A file that was seen before is sent as it is, as long as it comes from memory.
  Where some of it has to come from the disk, it is read to its end again before
  its last piece goes out: rot changes no time stamp.

Measured, a cached blob of 256 MiB: see benchmarks/README.md.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

from sealift.errors import SealiftError
from sealift.registry.exchange import FileProof, FileSlice
from sealift.registry.file_reader import MOST_PIECE_BYTES, FileDamaged, FileReader

PIECES_AT_ONCE: Final = 4
"""So many pieces are hashed at a time: a hop to a thread costs as much as a third of one piece's hash."""


async def proven_pieces(reader: FileReader, part: FileSlice) -> AsyncGenerator[bytes, None]:
    """The bytes of `part`, the last of them only once the file is known to be what it should be.

    Raises:
        FileDamaged: The file became shorter while it was read, or cannot be read.
        BlobDamaged: It holds other bytes.
    """
    watch = None if part.proof is None else _Watch(part.proof, reader, part)
    try:
        place = part.start
        while place < part.stop:
            piece = await _read(reader, part, place)
            place += len(piece)
            if watch is not None:
                await watch.note(piece)
                if place == part.stop:
                    await watch.settle()
            yield piece
    finally:
        if watch is not None:
            await watch.close()


async def _read(reader: FileReader, part: FileSlice, place: int) -> bytes:
    """The next piece. Where the disk does not give it, the proof finds that out too, and marks the file."""
    try:
        piece = await reader.read(place, part.stop - place)
    except OSError as refused:
        if part.proof is not None:
            await part.proof.see_whole(reader.descriptor)
        raise FileDamaged(f"{part.path.name} cannot be read: {refused.strerror}") from refused
    if not piece:
        raise FileDamaged(f"{part.path.name} became shorter while it was read")
    return piece


class _Watch:
    """How one file is seen to be right while a part of it goes out. See the module's docstring."""

    def __init__(self, proof: FileProof, reader: FileReader, part: FileSlice) -> None:
        self._proof = proof
        self._reader = reader
        self._passing: _Passing | None = None
        self._beside: asyncio.Task[None] | None = None
        if proof.is_known(reader.descriptor):
            return
        if part.start == 0 and part.stop == reader.size:
            self._passing = _Passing(proof, reader)
        else:
            self._see_beside()

    async def note(self, piece: bytes) -> None:
        """The next piece has been read."""
        if self._passing is not None:
            await self._passing.take(piece)
        elif self._beside is None and self._reader.came_from_disk:
            self._proof.forget()
            self._see_beside()

    async def settle(self) -> None:
        """The last piece has been read. Raises: BlobDamaged."""
        if self._passing is not None:
            await self._passing.settle()
        if self._beside is not None:
            await self._beside

    async def close(self) -> None:
        """Nobody waits any more. Others who wait for the same file go on."""
        if self._beside is not None:
            self._beside.cancel()
            with suppress(asyncio.CancelledError, SealiftError):
                await self._beside

    def _see_beside(self) -> None:
        whole = self._proof.see_whole(self._reader.descriptor)
        self._beside = asyncio.get_running_loop().create_task(whole)


class _Passing:
    """The hash of a whole file, made from its pieces as they go by."""

    def __init__(self, proof: FileProof, reader: FileReader) -> None:
        self._proof = proof
        self._reader = reader
        self._hash = hashlib.new(proof.algorithm)
        self._waiting: list[bytes] = []
        self._hashing: asyncio.Future[None] | None = None

    async def take(self, piece: bytes) -> None:
        """Take the next piece. At most twice `PIECES_AT_ONCE` are held."""
        self._waiting.append(piece)
        if len(self._waiting) >= PIECES_AT_ONCE:
            await self._see_hashed()
            pieces, self._waiting = self._waiting, []
            self._hashing = asyncio.get_running_loop().run_in_executor(None, self._update, pieces)

    async def settle(self) -> None:
        """All of it has passed. Raises: BlobDamaged."""
        await self._see_hashed()
        if sum(map(len, self._waiting)) <= MOST_PIECE_BYTES:
            self._update(self._waiting)  # a small file costs no hop
        else:
            await asyncio.get_running_loop().run_in_executor(None, self._update, self._waiting)
        await self._proof.settle(self._hash.hexdigest(), self._reader.descriptor, self._reader.found)

    async def _see_hashed(self) -> None:
        if self._hashing is not None:
            await self._hashing
            self._hashing = None

    def _update(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self._hash.update(piece)
