"""A control group of the demo's own in each hierarchy: what runs in it is found and ended, and it is removed.

Where v1 hierarchies are, the group is made below the one that we are in: what
holds for us (a memory limit, say) then holds for the demo, too. On v2 that
cannot be, since a group with processes in it lends no controllers to groups
below it: there it is made at the top, as container engines do.

The runtime's own processes go into the group ``runtime`` below it, and so
leave it free to lend its controllers to the containers' groups.

Spec: cgroups(7); kernel documentation, cgroup-v1/cpusets.rst.
"""

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

RUNTIME = "runtime"


@dataclass(frozen=True, slots=True)
class Place:
    """Our group in one hierarchy."""

    group: Path
    mounted: Path
    """Where the hierarchy is mounted."""


def places(name: str, *, mountinfo: str, own: str) -> tuple[Place, ...]:
    """Where a group called `name` goes in each hierarchy.

    Args:
        name: A file name.
        mountinfo: Content of ``/proc/self/mountinfo``.
        own: Content of ``/proc/self/cgroup``.
    """
    own_paths = dict(_own_paths(own))
    found: dict[str, Place] = {}
    for line in mountinfo.splitlines():
        mounted, _, rest = line.partition(" - ")
        root, point = mounted.split()[3:5]
        kind, _source, options = [*rest.split(" ", 2), ""][:3]
        if kind == "cgroup2":
            hierarchy = ""
        elif kind == "cgroup":
            hierarchy = next((key for key in own_paths if key and _is_of(key, options)), "none")
        else:
            continue
        path = own_paths.get(hierarchy)
        if path is None or hierarchy in found:
            continue
        top = Path(unescaped(point))
        at_top = kind == "cgroup2" and top == Path("/sys/fs/cgroup")
        below = "" if at_top else _below(path, root)
        found[hierarchy] = Place(top / below / name, top)
    return tuple(found.values())


def make(directories: Iterable[Path]) -> None:
    """Make the groups, and in each the one for the runtime's own processes."""
    for directory in directories:
        for group in (directory, directory / RUNTIME):
            group.mkdir(exist_ok=True)
            _inherit_cpuset(group)


def can_limit(places: Collection[Place]) -> bool:
    """Whether a runtime may set limits in our groups: on cgroup v2 alone that takes lent controllers.

    A container that got none of them (a CI job, say) cannot lend them on.
    """
    unified = [one.group for one in places if (one.group / "cgroup.controllers").exists()]
    if not unified:
        return bool(places)
    if len(unified) < len(places):
        return True  # beside v1 hierarchies, which have the controllers
    return set((unified[0] / "cgroup.controllers").read_text().split()) >= {"cpu", "memory", "pids"}


def processes(directories: Iterable[Path]) -> frozenset[int]:
    """IDs of all processes in these groups and the groups below them."""
    found: set[int] = set()
    for directory in directories:
        for group in _groups(directory):
            try:
                listed = (group / "cgroup.procs").read_text(encoding="ascii")
            except OSError:
                continue  # gone meanwhile, or a threaded group, which lists none
            found.update(int(line) for line in listed.split())
    return frozenset(found)


def remove(directories: Iterable[Path]) -> tuple[Path, ...]:
    """Remove the groups, those below first, and return those that would not go.

    A group goes once it has no process, and a process leaves its group a moment after it has ended.
    """
    left = []
    for directory in directories:
        for group in reversed(tuple(_groups(directory))):
            try:
                group.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                left.append(group)
    return tuple(left)


def _own_paths(own: str) -> Iterator[tuple[str, str]]:
    """Controllers of a hierarchy (empty for v2) and our path in it."""
    for line in own.splitlines():
        _number, controllers, path = line.split(":", 2)
        yield controllers, path


def _is_of(controllers: str, options: str) -> bool:
    """Whether a v1 mount with these options is the hierarchy of these controllers."""
    return set(controllers.split(",")) <= set(options.split(","))


def _below(path: str, root: str) -> str:
    """Our path as it is seen below a mount that shows the hierarchy from `root` on."""
    relative = os.path.relpath(path, root)
    return "" if relative == "." or relative.startswith("..") else relative


def unescaped(text: str) -> str:
    """A path of mountinfo, where blanks and the like are written as octal numbers."""
    for written, meant in ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\")):
        text = text.replace(written, meant)
    return text


def _inherit_cpuset(group: Path) -> None:
    """A new group of the v1 cpuset hierarchy has no CPU and no memory, and takes no process until it has."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        mine, parents = group / name, group.parent / name
        if mine.exists() and not mine.read_text().strip() and parents.exists():
            mine.write_text(parents.read_text())


def _groups(directory: Path) -> Iterator[Path]:
    """A group and all below it, each before those below it."""
    if not directory.is_dir():
        return
    yield directory
    for child in sorted(directory.iterdir()):
        if child.is_dir() and not child.is_symlink():
            yield from _groups(child)
