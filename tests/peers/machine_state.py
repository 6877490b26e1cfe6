"""What a program could leave behind on this machine, found by a mark that all of it carries.

Other tests run at the same time and start and end programs of their own: so
nothing is counted and compared, and each look is for one mark, such as a run's
ID or the path of a test's directory.
"""

import os
from dataclasses import dataclass
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Traces:
    """All that carries a mark. What is left out is empty; `Traces()` is a clean machine."""

    processes: frozenset[str] = frozenset()
    """Command lines, where it, the environment, the control group or the working directory has the mark."""

    mounts: frozenset[str] = frozenset()
    """As any process sees them."""

    cgroups: frozenset[str] = frozenset()
    network_namespaces: frozenset[str] = frozenset()
    """Of the processes above, other than this process's."""

    named_files: frozenset[str] = frozenset()
    """In ``/run/netns`` and ``/run/containerd``, whether or not they have the mark."""


def traces(*marks: str) -> Traces:
    """Look for everything that has one of the marks."""
    processes, mounts, networks = set(), set(), set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in {os.getpid(), os.getppid()}:
            continue
        mounts |= {line for line in _text(entry / "mountinfo").splitlines() if _has(line, marks)}
        command = _text(entry / "cmdline").replace("\0", " ")
        others = (_text(entry / "environ"), _text(entry / "cgroup"), _link(entry / "cwd"))
        if command and any(_has(text, marks) for text in (command, *others)):
            processes.add(command)
            networks.add(_link(entry / "ns" / "net"))
    return Traces(
        processes=frozenset(processes),
        mounts=frozenset(mounts),
        cgroups=frozenset(
            str(Path(folder) / name)
            for folder, names, _ in os.walk(CONTROL_GROUPS)
            for name in names
            if _has(f"{folder}/{name}", marks)
        ),
        network_namespaces=frozenset(networks - {_link(Path("/proc/self/ns/net")), ""}),
        named_files=frozenset(_names(Path("/run/netns")) + _names(Path("/run/containerd"))),
    )


def _has(text: str, marks: tuple[str, ...]) -> bool:
    return any(mark in text for mark in marks)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _names(directory: Path) -> list[str]:
    return [str(one) for one in directory.rglob("*")] if directory.is_dir() else []
