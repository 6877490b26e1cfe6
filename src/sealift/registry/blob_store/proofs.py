"""Seeing that stored files hold what their digests say, and remembering of which it was seen.

A file that this process has not seen to be right is hashed while it is sent, or
read to its end beside a range of it; whoever sends holds the last piece back
until the answer is there. What was seen is remembered with the file's stamp, so
that a blob which everybody pulls is hashed once, and one that was touched again.

A wrong digest is not believed at once: what is in the page cache is let go and
the file read again. Only if that is wrong too the file is marked (see
`sealift.registry.blob_store.damage_marks`), and everyone is refused from there on.

Measured on two cores: SHA-256 takes 0.55 s of CPU for a GiB, about as much as
sending it; the memory of one proof is some 400 bytes.
"""

import asyncio
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sealift.errors import SealiftError
from sealift.image.digest import Digest
from sealift.registry.blob_store.alarms import Alarms
from sealift.registry.blob_store.blob_damaged import BlobDamaged
from sealift.registry.blob_store.damage_marks import DamageMarks
from sealift.registry.blob_store.disk_threads import DiskThreads
from sealift.registry.blob_store.file_hash import hash_open_file
from sealift.registry.blob_store.file_stamp import FileStamp

log = logging.getLogger(__name__)

MOST_REMEMBERED: Final = 16_384
"""Files of which a process remembers that they are right."""

WHOLE_AT_ONCE: Final = 2
"""Files that one process reads to their end at a time because a range of them was asked for."""


class ProofStopped(SealiftError):
    """The process ends before the file was read to its end."""


class Proofs:
    """What one process knows of the files of a store."""

    def __init__(self, marks: DamageMarks, alarms: Alarms, threads: DiskThreads) -> None:
        """Know nothing yet.

        Args:
            marks: Where damage is remembered, for all processes.
            alarms: Who is told of it.
            threads: Where files are read to their end.
        """
        self.marks = marks
        self.alarms = alarms
        self._threads = threads
        self._right: OrderedDict[Digest, FileStamp] = OrderedDict()
        self._lock = threading.Lock()
        self._running: dict[tuple[Digest, FileStamp], asyncio.Task[None]] = {}
        self._turn = asyncio.Semaphore(WHOLE_AT_ONCE)
        self._stopping = False

    def stop(self) -> None:
        """Let proofs that are under way end early."""
        self._stopping = True

    def remember(self, digest: Digest, stamp: FileStamp) -> None:
        """The file of that stamp was seen to be right. Any thread may say so."""
        with self._lock:
            self._right[digest] = stamp
            self._right.move_to_end(digest)
            if len(self._right) > MOST_REMEMBERED:
                self._right.popitem(last=False)

    def knows(self, digest: Digest, stamp: FileStamp) -> bool:
        """Whether the file of that stamp was seen to be right."""
        with self._lock:
            if self._right.get(digest) != stamp:
                return False
            self._right.move_to_end(digest)
            return True

    def forget(self, digest: Digest) -> None:
        """What was seen does not count any more: the file comes from the disk anew."""
        with self._lock:
            self._right.pop(digest, None)

    async def see_whole(self, digest: Digest, descriptor: int) -> None:
        """Read a file to its end, once for everybody who asks for it at the same time.

        Raises:
            BlobDamaged: It holds other bytes.
        """
        stamp = FileStamp.of(os.fstat(descriptor))
        key = (digest, stamp)
        task = self._running.get(key)
        if task is None:
            # a copy, because whoever asked may close theirs and leave while others wait
            task = asyncio.get_running_loop().create_task(self._see(digest, os.dup(descriptor), stamp))
            self._running[key] = task

            def ended(done: "asyncio.Task[None]") -> None:
                self._running.pop(key, None)
                if not done.cancelled():
                    done.exception()  # seen, also where nobody waits any more

            task.add_done_callback(ended)
        await asyncio.shield(task)

    async def doubt(self, digest: Digest, descriptor: int, stamp: FileStamp) -> BlobDamaged:
        """A file was read and had another digest: read it once more, from the disk.

        Returns:
            What to raise in any case: what was read the first time was wrong.
        """
        damaged = BlobDamaged(digest, expected=stamp.size, found=stamp.size)
        if FileStamp.of(os.fstat(descriptor)) != stamp:
            self.alarms.sound(damaged, "somebody wrote to the file while it was read")
            return damaged
        try:
            actual = await self._threads.run(self._hash_from_disk, digest, descriptor)
        except OSError as refused:
            return self._unreadable(digest, stamp, refused)
        if actual == digest:
            self.alarms.unsteady += 1
            log.error(
                "ALARM: the stored blob %s was read twice, and only the second time it was right; "
                "the memory or the disk of this machine is failing",
                digest,
            )
            return damaged
        self.forget(digest)
        self.marks.set(digest, stamp)
        self.alarms.sound(damaged, f"its file has the digest {actual}")
        return damaged

    def hash_file(
        self, digest: Digest, descriptor: int, *, pause: Callable[[int], None] | None = None
    ) -> Digest:
        """The digest of a file, by the algorithm of `digest`. It blocks.

        Args:
            digest: What is expected.
            descriptor: The file.
            pause: Called after each piece with the bytes of it. With it the
                file is read for itself alone: the page cache is left as it was.

        Raises:
            ProofStopped: The process ends.
        """

        def after(count: int) -> None:
            if self._stopping:
                raise ProofStopped("the server stops")
            if pause is not None:
                pause(count)

        return hash_open_file(descriptor, digest.algorithm, after=after, aside=pause is not None)

    async def examine(self, digest: Digest, descriptor: int, *, pause: Callable[[int], None]) -> None:
        """Read a file to its end, slowly, and leave the page cache as it was.

        Args:
            digest: What is expected.
            descriptor: The file.
            pause: Called in a thread after each piece, with the bytes of it.

        Raises:
            BlobDamaged: It holds other bytes. It is marked then.
            ProofStopped: The process ends.
        """
        stamp = FileStamp.of(os.fstat(descriptor))
        try:
            actual = await self._threads.run(self.hash_file, digest, descriptor, pause=pause)
        except OSError as refused:
            raise self._unreadable(digest, stamp, refused) from refused
        if actual != digest:
            raise await self.doubt(digest, descriptor, stamp)

    async def _see(self, digest: Digest, descriptor: int, stamp: FileStamp) -> None:
        try:
            try:
                async with self._turn:
                    actual = await self._threads.run(self.hash_file, digest, descriptor)
            except OSError as refused:
                raise self._unreadable(digest, stamp, refused) from refused
            if actual != digest:
                raise await self.doubt(digest, descriptor, stamp)
            self.remember(digest, stamp)
        finally:
            os.close(descriptor)

    def _unreadable(self, digest: Digest, stamp: FileStamp, refused: OSError) -> BlobDamaged:
        """The disk does not give the file back: it is as good as changed."""
        damaged = BlobDamaged(digest, expected=stamp.size, found=stamp.size)
        self.forget(digest)
        self.marks.set(digest, stamp)
        self.alarms.sound(damaged, f"its file cannot be read: {refused.strerror}")
        return damaged

    def _hash_from_disk(self, digest: Digest, descriptor: int) -> Digest:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return self.hash_file(digest, descriptor)


@dataclass(frozen=True, slots=True)
class BlobProof:
    """See `sealift.registry.exchange.FileProof`. Here the file is a blob's."""

    proofs: Proofs
    digest: Digest

    @property
    def algorithm(self) -> str:
        """See `FileProof.algorithm`."""
        return self.digest.algorithm

    def is_known(self, descriptor: int) -> bool:
        """See `FileProof.is_known`."""
        return self.proofs.knows(self.digest, FileStamp.of(os.fstat(descriptor)))

    def forget(self) -> None:
        """See `FileProof.forget`."""
        self.proofs.forget(self.digest)

    async def settle(self, encoded: str, descriptor: int, before: os.stat_result) -> None:
        """See `FileProof.settle`."""
        stamp = FileStamp.of(before)
        if encoded != self.digest.encoded:
            raise await self.proofs.doubt(self.digest, descriptor, stamp)
        self.proofs.remember(self.digest, stamp)

    async def see_whole(self, descriptor: int) -> None:
        """See `FileProof.see_whole`."""
        await self.proofs.see_whole(self.digest, descriptor)
