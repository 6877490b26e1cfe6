"""What is on this machine that a program could leave behind: to be looked at before and after."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OURS = ("containerd", "launcher.py", "runc", "sealift", "/internal-app", "/pause", "/app")
"""What the command line of a process holds that a test of ours may have started."""


@dataclass(frozen=True, slots=True)
class MachineState:
    """Processes of ours, mounts, control groups, network namespaces, sockets of shims."""

    processes: frozenset[tuple[int, str]] = frozenset()
    mounts: frozenset[str] = frozenset()
    cgroups: frozenset[str] = frozenset()
    network_namespaces: frozenset[str] = frozenset()
    runtime_files: frozenset[str] = frozenset()

    def minus(self, before: Self) -> "MachineState":
        """What is here and was not before."""
        return MachineState(
            self.processes - before.processes,
            self.mounts - before.mounts,
            self.cgroups - before.cgroups,
            self.network_namespaces - before.network_namespaces,
            self.runtime_files - before.runtime_files,
        )


def machine_state() -> MachineState:
    """Look around."""
    return MachineState(
        processes=frozenset(_processes()),
        mounts=frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        cgroups=frozenset(
            str(Path(folder) / name)
            for folder, names, _ in os.walk(CONTROL_GROUPS)
            for name in names
            if "sealift-demo" in folder or "sealift-demo" in name
        ),
        network_namespaces=frozenset(_names(Path("/run/netns"))),
        runtime_files=frozenset(_names(Path("/run/containerd"))),
    )


def _processes() -> set[tuple[int, str]]:
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if any(word in command for word in OURS) and "pytest" not in command:
            found.add((int(entry.name), command))
    return found


def _names(directory: Path) -> list[str]:
    return [str(one) for one in directory.rglob("*")] if directory.is_dir() else []
