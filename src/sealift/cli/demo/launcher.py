"""Starts a program that cannot outlive us, where asked as the only tree of processes of its own world.

Run as a script, with nothing but the standard library and without site-packages,
so that it costs some milliseconds::

    python -I -S launcher.py '{"parent": PID, "signal": 9, "command": [...], "world": null}'

* When the parent dies, however it dies, the kernel sends `signal` to the
  program (PR_SET_PDEATHSIG).
* With ``{"directory": …, "cgroups": [{"group": …, "mounted": …}]}`` for a world
  the program runs in a mount, a PID and a cgroup namespace of its own. The
  directory must be there, and empty.

  - When the first process in there ends, the kernel ends all the others and
    takes their mounts away. That first process is this script: it passes
    SIGTERM on and buries the dead.
  - ``/run`` shows what the machine's shows, but for ``/run/containerd``, and
    what is written to it stays inside: containerd puts its shims' sockets
    there whatever its configuration says.
  - Where a hierarchy of control groups is mounted, only our group in it is
    seen, as its root. The program runs in the group ``runtime`` below.

Spec: prctl(2), pid_namespaces(7), mount_namespaces(7), cgroup_namespaces(7).
"""

import ctypes
import json
import os
import signal
import sys
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWPID = 0x20000000
MS_NOSUID_NODEV_NOEXEC = 2 | 4 | 8
MS_BIND, MS_MOVE, MS_REC, MS_SLAVE = 0x1000, 0x2000, 0x4000, 0x80000
MNT_DETACH = 2

LIBC = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any) -> None:
    """Use a function of libc, and raise `OSError` with its name where it fails."""
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def die_with_parent(number: int) -> None:
    """Have the kernel send us a signal when our parent ends. It is asked again after each fork."""
    call("prctl", PR_SET_PDEATHSIG, number, 0, 0, 0)


def mount(source: str, target: str, kind: str, flags: int) -> None:
    """Attach a file system, or bind a directory where `flags` say so."""
    call("mount", source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None)


def pass_on(to: int) -> None:
    """Hand SIGTERM and SIGINT to a process instead of ending."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: os.kill(to, received))


def wait_for(child: int) -> NoReturn:
    """Bury every child that ends, and end as that one child does."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def join(group: str) -> None:
    """Move this process into a control group."""
    with open(f"{group}/cgroup.procs", "w", encoding="ascii") as processes:  # noqa: PTH123  pathlib costs 10 ms
        processes.write("0")


def own_cgroups(directory: str, cgroups: list[dict[str, str]]) -> None:
    """Show our group in place of each hierarchy."""
    aside = f"{directory}/cgroup"
    os.mkdir(aside)  # noqa: PTH102  pathlib costs 10 ms
    for one in cgroups:
        mount(one["group"], aside, "", MS_BIND)
        call("umount2", one["mounted"].encode(), MNT_DETACH)
        mount(aside, one["mounted"], "", MS_MOVE)


def show(entry: "os.DirEntry[str]", target: str) -> None:
    """Bind an entry of a directory to another path, or copy it where it is a link."""
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), target)  # noqa: PTH115, PTH211  pathlib costs 10 ms
        return
    if entry.is_dir():
        os.mkdir(target)  # noqa: PTH102  see above
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    mount(entry.path, target, "", MS_BIND | MS_REC)


def own_run(directory: str) -> None:
    """Put a ``/run`` of our own over the machine's: its entries, each bound, on an empty file system."""
    aside = f"{directory}/run"
    os.mkdir(aside)  # noqa: PTH102  pathlib costs 10 ms
    mount("tmpfs", aside, "tmpfs", MS_NOSUID_NODEV_NOEXEC)
    for entry in os.scandir("/run"):
        if entry.name == "containerd":
            continue
        try:
            show(entry, f"{aside}/{entry.name}")
        except FileNotFoundError:
            continue  # gone since it was listed
    mount(aside, "/run", "", MS_BIND | MS_REC)


def run_inside(world: dict[str, Any], command: list[str]) -> NoReturn:
    """Be the first process of new namespaces, with `command` below us."""
    for one in world["cgroups"]:
        join(one["group"])  # which becomes the root of the new cgroup namespace
    # We are in the old PID namespace still: only children are in the new one.
    call("unshare", CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWCGROUP)
    for one in world["cgroups"]:
        join(f"{one['group']}/runtime")  # cgroup v2: a group with processes lends nothing to those below it
    ready_read, ready_write = os.pipe()
    go_read, go_write = os.pipe()
    first = os.fork()
    if first:
        os.close(go_read)
        os.close(ready_write)
        os.read(ready_read, 1)
        os.write(go_write, b"g")
        pass_on(first)
        wait_for(first)
    os.close(go_write)
    os.close(ready_read)
    die_with_parent(signal.SIGKILL)
    # The parent answers once the line above holds: one that died before that never answers.
    os.write(ready_write, b"r")
    if os.read(go_read, 1) != b"g":
        os._exit(1)
    mount("none", "/", "", MS_REC | MS_SLAVE)
    mount("proc", "/proc", "proc", MS_NOSUID_NODEV_NOEXEC)
    own_cgroups(world["directory"], world["cgroups"])
    own_run(world["directory"])
    child = os.fork()
    if child == 0:
        os.execvp(command[0], command)  # noqa: S606  no shell is wanted
    pass_on(child)
    wait_for(child)


def main() -> None:
    """Become what the argument says."""
    order = json.loads(sys.argv[1])
    die_with_parent(order["signal"])
    if os.getppid() != order["parent"]:
        sys.exit("the parent is gone already")
    if order["world"] is None:
        os.execvp(order["command"][0], order["command"])  # noqa: S606  no shell is wanted
    run_inside(order["world"], order["command"])


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"launcher: {error}")
