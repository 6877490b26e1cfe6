"""Where our control group goes, on the machines that there are."""

from pathlib import Path

import pytest

from sealift.cli.demo import cgroups
from sealift.cli.demo.cgroups import Place

V1_MOUNTS = """\
24 30 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
25 24 0:23 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
26 24 0:24 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
27 24 0:25 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
28 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
29 1 0:27 / /proc rw - proc proc rw
"""
V1_OWN = """\
4:memory:/user/one
3:cpu,cpuacct:/
1:name=systemd:/user.slice
0::/user.slice
"""
V2_MOUNTS = "24 30 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
IN_A_CONTAINER = """\
27 24 0:25 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
28 24 0:26 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
"""
IN_A_CONTAINER_OWN = "2:cpu:/docker/abc\n1:memory:/docker/abc/job\n"


def place(group: str, mounted: str) -> Place:
    return Place(Path(group), Path(mounted))


@pytest.mark.parametrize(
    ("mountinfo", "own", "expected"),
    [
        pytest.param(
            V1_MOUNTS,
            V1_OWN,
            (
                place("/sys/fs/cgroup/unified/user.slice/x", "/sys/fs/cgroup/unified"),
                place("/sys/fs/cgroup/systemd/user.slice/x", "/sys/fs/cgroup/systemd"),
                place("/sys/fs/cgroup/cpu,cpuacct/x", "/sys/fs/cgroup/cpu,cpuacct"),
                place("/sys/fs/cgroup/memory/user/one/x", "/sys/fs/cgroup/memory"),
            ),
            id="v1 and hybrid: below the group that we are in",
        ),
        pytest.param(
            V2_MOUNTS,
            "0::/user.slice/session-1.scope\n",
            (place("/sys/fs/cgroup/x", "/sys/fs/cgroup"),),
            id="v2: at the top, since our group has processes",
        ),
        pytest.param(
            IN_A_CONTAINER,
            IN_A_CONTAINER_OWN,
            (
                place("/sys/fs/cgroup/cpu/x", "/sys/fs/cgroup/cpu"),
                place("/sys/fs/cgroup/memory/job/x", "/sys/fs/cgroup/memory"),
            ),
            id="a mount that shows a part of the hierarchy",
        ),
        pytest.param("29 1 0:27 / /proc rw - proc proc rw\n", "", (), id="none at all"),
        pytest.param(
            r"28 24 0:26 / /mnt/with\040blank rw - cgroup cgroup rw,memory" + "\n",
            "4:memory:/\n",
            (place("/mnt/with blank/x", "/mnt/with blank"),),
            id="a path with a blank",
        ),
    ],
)
def test_places(mountinfo: str, own: str, expected: tuple[Place, ...]) -> None:
    assert cgroups.places("x", mountinfo=mountinfo, own=own) == expected


def test_groups_are_made_with_room_for_the_runtime_and_removed_from_below(tmp_path: Path) -> None:
    group = tmp_path / "sealift-demo-x"
    cgroups.make([group])
    assert (group / "runtime").is_dir()
    (group / "k8s.io" / "container").mkdir(parents=True)
    assert cgroups.remove([group]) == ()
    assert not group.exists()
    assert cgroups.remove([group]) == ()


def test_a_new_cpuset_is_given_what_the_one_above_has(tmp_path: Path) -> None:
    group = tmp_path / "x"
    (tmp_path / "cpuset.cpus").write_text("0-1\n")
    group.mkdir()
    (group / "cpuset.cpus").write_text("\n")
    cgroups.make([group])
    assert (group / "cpuset.cpus").read_text() == "0-1\n"


def test_a_group_that_is_in_use_is_named(tmp_path: Path) -> None:
    group = tmp_path / "x"
    group.mkdir()
    (group / "file").touch()  # stands for a process: rmdir fails
    assert cgroups.remove([group]) == (group,)


def test_processes_of_groups_and_those_below(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    (tmp_path / "cgroup.procs").write_text("1\n22\n")
    (below / "cgroup.procs").write_text("333\n")
    assert cgroups.processes([tmp_path, tmp_path / "gone"]) == {1, 22, 333}


@pytest.mark.parametrize(
    ("controllers", "others", "expected"),
    [
        pytest.param("cpuset cpu io memory pids", [], True, id="v2 that lends"),
        pytest.param("", [], False, id="v2 that lends nothing"),
        pytest.param("hugetlb", ["cpu"], True, id="v2 beside v1"),
        pytest.param(None, ["cpu"], True, id="v1"),
        pytest.param(None, [], False, id="none"),
    ],
)
def test_can_limit(tmp_path: Path, controllers: str | None, others: list[str], expected: bool) -> None:
    found = [Place(tmp_path / name, tmp_path) for name in others]
    if controllers is not None:
        unified = tmp_path / "unified"
        unified.mkdir()
        (unified / "cgroup.controllers").write_text(controllers)
        found.append(Place(unified, tmp_path))
    assert cgroups.can_limit(found) is expected
