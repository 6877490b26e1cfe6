"""A file that gets its name only when it is whole.

It is written without any name where the file system can do that (``O_TMPFILE``),
so that a run that is killed leaves nothing, and else under another name in the
same directory; then it is synced and renamed. Who reads the final name sees what
was there before or all of the new, and a run that is interrupted takes its half
away with it.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from sealift.client.errors import local_refusal

PREFIX = ".partial-"
"""Of the other name. What a killed run left behind can be told by it, and removed."""

_NO_NAMELESS = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL})
"""What file systems and kernels say that know no files without a name."""

_DESCRIPTORS = Path("/proc/self/fd")
"""Where an open file has a path, by which it can be given a name."""

WRITE_SIZE = 1024 * 1024
"""Bytes that are gathered before one hop to a thread writes them."""

READ_SIZE = 1024 * 1024


class PartialFile:
    """One file on its way to `path`: `open`, `write`, `commit`, `close`; or as an async context manager."""

    def __init__(self, path: Path, *, mode: int = 0o644) -> None:
        self._path = path
        self._mode = mode
        self._file: BinaryIO | None = None
        self._name: Path | None = None
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        self.position = 0
        """Bytes written so far."""

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Make the file under its other name.

        Raises:
            LocalRefusal: there is no such directory, or no right to it.
        """
        try:
            # Not in a thread: cancelled there, it would make the file after `close` has gone by.
            self._open()
        except OSError as error:
            raise local_refusal(error, self._path, "write") from error

    async def close(self) -> None:
        """Close the file, and take it away if it has not got its name."""
        # Not in a thread: this has to happen while a task is being cancelled, too.
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk again, which was told already
                self._file.close()
        if self._name is not None:
            with contextlib.suppress(OSError):
                self._name.unlink()
            self._name = None

    async def write(self, data: bytes) -> None:
        """Add `data`. It reaches the file in larger pieces.

        Raises:
            LocalStorageRefused: the disk is full or read-only.
        """
        self._gathered.append(data)
        self._gathered_size += len(data)
        self.position += len(data)
        if self._gathered_size >= WRITE_SIZE:
            await self._flush()

    async def commit(self) -> None:
        """Sync, and give the file its name.

        Raises:
            LocalStorageRefused: the disk is full or read-only.
        """
        await self._flush()
        try:
            await asyncio.to_thread(self._commit)
        except OSError as error:
            raise local_refusal(error, self._path, "write") from error

    def _open(self) -> None:
        handle = _nameless(self._path.parent)
        if handle is None:
            handle, name = tempfile.mkstemp(prefix=PREFIX, dir=self._path.parent)
            self._name = Path(name)
        os.fchmod(handle, self._mode)
        self._file = os.fdopen(handle, "wb")

    async def _flush(self) -> None:
        gathered, self._gathered, self._gathered_size = self._gathered, [], 0
        if self._file is None or not gathered:
            return
        try:
            await asyncio.to_thread(self._file.writelines, gathered)
        except OSError as error:
            raise local_refusal(error, self._path, "write") from error

    def _commit(self) -> None:
        if self._file is None or self._file.closed:
            raise ValueError("a file that is not open has nothing to commit")
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._name is None:
            # A link cannot replace what is there; a rename can.
            name = self._path.with_name(f"{PREFIX}{secrets.token_hex(8)}")
            _give_name(self._file.fileno(), name)
            self._name = name
        self._file.close()
        self._name.replace(self._path)
        self._name = None
        sync_directory(self._path.parent)


def _nameless(directory: Path) -> int | None:
    """A new file in `directory` that has no name yet, open for writing; None where that cannot be."""
    if not _DESCRIPTORS.is_dir():
        return None
    try:
        return os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno in _NO_NAMELESS:
            return None
        raise


def _give_name(handle: int, name: Path) -> None:
    """Give a file that has no name one. Spec: open(2), "O_TMPFILE"."""
    directory = os.open(name.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # With a directory given Python calls linkat(2), which alone follows the link that this path is.
        os.link(_DESCRIPTORS / str(handle), name.name, dst_dir_fd=directory, follow_symlinks=True)
    finally:
        os.close(directory)


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk, not only the bytes behind them."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def read_slice(path: Path, start: int, size: int) -> AsyncIterator[bytes]:
    """`size` bytes of a regular file from byte `start` on, or as many as there are.

    Raises:
        LocalRefusal: it cannot be opened or read.
    """
    try:
        file = _open_regular(path)  # not in a thread: cancelled there, the open file would be lost
        try:
            await asyncio.to_thread(file.seek, start)
            while size > 0:
                part = await asyncio.to_thread(file.read, min(READ_SIZE, size))
                if not part:
                    return
                size -= len(part)
                yield part
        finally:
            file.close()
    except OSError as error:
        raise local_refusal(error, path, "read") from error


def _open_regular(path: Path) -> BinaryIO:
    """Open a file to read. A pipe or a device would wait for ever, or never end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not os.path.isfile(handle):  # noqa: PTH113  asked of the open file, not of a name that may change
        os.close(handle)
        raise OSError(None, "not a regular file")
    return os.fdopen(handle, "rb", buffering=0)
