"""Disks that note what they do, stop, or are full; and a store on one."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sealift.registry.blob_store.disk import Disk
from sealift.registry.blob_store.filesystem import FilesystemBlobStore

FAR_FROM_NOW = 2e10
"""A time after which every file of a test is old."""


def make_store(
    root: Path, disk: Disk | None = None, now: Callable[[], float] = time.time
) -> FilesystemBlobStore:
    for name in ("blobs", "uploads"):
        (root / name).mkdir(exist_ok=True)
    return FilesystemBlobStore(blobs=root / "blobs", uploads=root / "uploads", disk=disk, now=now)


class RecordingDisk(Disk):
    """A disk that notes what it does, and fails before the step of its choice."""

    def __init__(self, root: Path, *, fail_before: int | None = None, error: OSError | None = None) -> None:
        self.steps: list[str] = []
        self._root = root
        self._fail_before = fail_before
        self._error = error or OSError(5, "Input/output error")

    def _step(self, name: str, path: Path | int | None = None) -> None:
        if self._fail_before is not None and len(self.steps) >= self._fail_before:
            raise self._error
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        place = "" if path is None else str(path.relative_to(self._root).parent)
        self.steps.append(f"{name} {place}".strip())

    def create(self, path: Path) -> int:
        self._step("create", path)
        return super().create(path)

    def write(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> int:
        self._step("write", descriptor)
        return super().write(descriptor, buffers, offset)

    def sync(self, descriptor: int) -> None:
        self._step("sync", descriptor)
        super().sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._step("rename", target)
        super().rename(source, target)

    def sync_directory(self, path: Path) -> None:
        self._step("sync names", path / "x")
        super().sync_directory(path)

    def make_directory(self, path: Path) -> None:
        self._step("make directory", path)
        super().make_directory(path)

    def remove(self, path: Path) -> None:
        self._step("remove", path)
        super().remove(path)


class FullDisk(Disk):
    """A disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, buffers: Sequence[bytes], offset: int) -> int:
        for buffer in buffers:
            if len(buffer) > self.room:
                os.pwrite(descriptor, buffer[: self.room], offset)
                self.room = 0
                raise OSError(28, "No space left on device")
            offset += super().write(descriptor, [buffer], offset)
            self.room -= len(buffer)
        return sum(map(len, buffers))
