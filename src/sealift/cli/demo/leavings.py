"""What a run of the demo leaves on the machine, and how it is taken away: by itself, or by the next run.

A run has one directory, and holds a lock on it as long as it lives. All that it
makes elsewhere is control groups, which it notes there before it makes them.
Whoever finds such a directory without a living owner may therefore clear it:
processes that carry the run's mark in their environment or sit in its groups,
mounts below the directory, the groups, and last the directory.

Nothing is found by a name alone: the mark and the groups hold the run's random
ID, and processes are held by a descriptor while they are looked at, so that a
number that was given away again is never hit.
"""

import ctypes
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, Self

from sealift.cli.demo import cgroups
from sealift.errors import SealiftError

MARK = "SEALIFT_DEMO_RUN"
"""Environment variable of every process that a run starts. Its value is the run's ID."""

SECONDS_TO_DIE = 10.0
"""For killed processes to be gone. They need milliseconds, if no disk hangs."""

_RUN_ID = re.compile(r"[0-9a-f]{8}")
_NOTED_CGROUPS = "cgroups"
_MNT_DETACH = 2
_LIBC = ctypes.CDLL(None, use_errno=True)


class UnsafeDirectory(SealiftError):
    """The directory for runs is not ours alone, so nothing in it can be trusted."""

    exit_status: ClassVar[int] = 8


class NotCleared(SealiftError):
    """Something of a run would not go away. The message says what."""

    exit_status: ClassVar[int] = 8


class RunDirectory:
    """The directory of one run, and the way to all that the run made elsewhere.

    Use it as ``with RunDirectory.create() as run``: what is left at the end is cleared.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @property
    def id(self) -> str:
        """Random, and part of the name of all that the run makes."""
        return self.path.name

    @property
    def environment(self) -> dict[str, str]:
        """What each process of the run has in its environment."""
        return {MARK: self.id}

    @classmethod
    def create(cls, parent: Path | None = None) -> Self:
        """Make a directory for a new run, for this user alone.

        Raises:
            UnsafeDirectory: `parent` is there and others may write to it.
        """
        parent = default_parent() if parent is None else parent
        with _locked(parent):
            path = parent / secrets.token_hex(4)
            path.mkdir(mode=0o700)
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX)
        return cls(path, lock)

    def make_cgroups(self) -> tuple[cgroups.Place, ...]:
        """Make the run's control groups."""
        places = cgroups.places(
            f"sealift-demo-{self.id}",
            mountinfo=Path("/proc/self/mountinfo").read_text(encoding="utf-8"),
            own=Path("/proc/self/cgroup").read_text(encoding="utf-8"),
        )
        written = self.path / "cgroups.new"
        written.write_text(json.dumps([str(one.group) for one in places]), encoding="utf-8")
        written.replace(self.path / _NOTED_CGROUPS)
        cgroups.make(one.group for one in places)
        return places

    def remove(self) -> None:
        """Clear the run.

        Raises:
            NotCleared: Something would not go.
        """
        clear(self.path)
        os.close(self._lock)
        with suppress(OSError):
            self.path.parent.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def default_parent() -> Path:
    """Where runs of this user have their directories. Short: a socket's path has 107 characters at most."""
    return Path(tempfile.gettempdir()) / f"sealift-demo-{os.geteuid()}"


def sweep(parent: Path | None = None) -> tuple[str, ...]:
    """Clear what runs without a living owner left, and return their IDs.

    Raises:
        UnsafeDirectory: `parent` is there and others may write to it.
        NotCleared: Something would not go.
    """
    parent = default_parent() if parent is None else parent
    if not parent.exists():
        return ()
    swept = []
    with _locked(parent):
        for path in sorted(entry for entry in parent.iterdir() if _RUN_ID.fullmatch(entry.name)):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            else:
                clear(path)
                swept.append(path.name)
            finally:
                os.close(lock)
    with suppress(OSError):
        parent.rmdir()
    return tuple(swept)


def clear(path: Path) -> None:
    """Take away a run's processes, mounts, groups and its directory, in that order.

    Raises:
        NotCleared: Something would not go.
    """
    groups = _noted_cgroups(path)
    end_processes(path.name, groups)
    for point in _mounts_below(path):
        if _LIBC.umount2(os.fsencode(point), _MNT_DETACH) != 0:
            raise NotCleared(f"{point} cannot be unmounted", why=os.strerror(ctypes.get_errno()))
    _until(lambda: not cgroups.remove(groups), "control groups stay", path)
    shutil.rmtree(path)


def end_processes(run_id: str, groups: list[Path]) -> None:
    """Kill the processes of a run and wait until they are gone.

    Raises:
        NotCleared: One of them stays.
    """

    def none_left() -> bool:
        left = False
        for descriptor in _processes_of(run_id, groups):
            left = True
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        return not left

    _until(none_left, "processes stay", Path(run_id))


def _processes_of(run_id: str, groups: list[Path]) -> Iterator[int]:
    """A descriptor of each living process that is a run's, our own left out."""
    grouped = cgroups.processes(groups)
    mark = f"{MARK}={run_id}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            # Held by its descriptor the number stays that process's, so that this look is of the same one.
            if (pid in grouped or mark in _environment(entry)) and not _has_ended(entry):
                yield descriptor
        finally:
            os.close(descriptor)


def _environment(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _has_ended(process: Path) -> bool:
    """Whether a process is gone, or dead and only waits for its parent to ask."""
    try:
        state = (process / "stat").read_bytes().rpartition(b") ")[2][:1]
    except OSError:
        return True
    return state in {b"Z", b"X"}


def _mounts_below(path: Path) -> list[str]:
    """Mount points below a directory as this process sees them, the last mounted first."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [cgroups.unescaped(line.split()[4]) for line in lines]
    return [point for point in reversed(points) if point.startswith(f"{path}/")]


def _noted_cgroups(path: Path) -> list[Path]:
    """The groups that a run noted; none where it came to none."""
    try:
        return [Path(group) for group in json.loads((path / _NOTED_CGROUPS).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []


def _until(done: Callable[[], bool], what: str, path: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_DIE
    while not done():
        if time.monotonic() > deadline:
            raise NotCleared(f"of the run {path.name}, {what}", hint="run `sealift demo` again to clear it")
        time.sleep(0.01)


@contextmanager
def _locked(parent: Path) -> Iterator[None]:
    """Hold the directory of all runs, made if it is not there, so that nobody else makes or clears a run."""
    while True:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(parent, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            held = os.fstat(descriptor)
            if held.st_uid != os.geteuid() or stat.S_IMODE(held.st_mode) & 0o077:
                raise UnsafeDirectory(
                    f"{parent} is not this user's alone",
                    why="the demo keeps passwords there, and clears it",
                    hint=f"look at it, remove it (rm -r {parent}), and run the demo again",
                )
            try:
                now = parent.stat()
            except FileNotFoundError:
                continue  # the last run went, and took it away while we waited
            if (now.st_dev, now.st_ino) != (held.st_dev, held.st_ino):
                continue
            yield
            return
        finally:
            os.close(descriptor)
