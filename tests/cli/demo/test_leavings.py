"""What a run leaves, and that it is cleared: processes by their mark, directories by their lock."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sealift.cli.demo.leavings import MARK, RunDirectory, UnsafeDirectory, clear, sweep

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def dead_run(parent: Path) -> Path:
    """The directory of a run whose owner is gone."""
    run = RunDirectory.create(parent)
    os.close(run._lock)
    return run.path


def test_a_run_is_for_its_user_alone_and_goes_at_the_end(parent: Path) -> None:
    with RunDirectory.create(parent) as run:
        assert run.path.parent == parent
        assert (parent.stat().st_mode & 0o777, run.path.stat().st_mode & 0o777) == (0o700, 0o700)
        assert run.environment == {MARK: run.id}
        (run.path / "file").write_text("x")
    assert not parent.exists()


def test_two_runs_side_by_side(parent: Path) -> None:
    with RunDirectory.create(parent) as one, RunDirectory.create(parent) as two:
        assert one.id != two.id
        assert sweep(parent) == (), "both live"
        assert one.path.exists()
    assert not parent.exists()


def test_what_a_dead_run_left_is_swept(parent: Path) -> None:
    path = dead_run(parent)
    (path / "containerd").mkdir()
    (path / "containerd" / "file").write_text("x")
    assert sweep(parent) == (path.name,)
    assert not parent.exists()


def test_nothing_to_sweep(parent: Path) -> None:
    assert sweep(parent) == ()
    assert not parent.exists(), "looking makes nothing"


def test_what_is_no_run_is_left_alone(parent: Path) -> None:
    dead_run(parent)
    (parent / "mine").mkdir()
    (parent / "0123456").mkdir()
    sweep(parent)
    assert sorted(entry.name for entry in parent.iterdir()) == ["0123456", "mine"]


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o701])
def test_a_directory_that_others_can_reach_is_refused(parent: Path, mode: int) -> None:
    parent.mkdir()
    parent.chmod(mode)
    for use in (RunDirectory.create, sweep):
        with pytest.raises(UnsafeDirectory) as caught:
            use(parent)
        assert caught.value.exit_status == 8
        assert str(parent) in str(caught.value.hint)


def test_a_link_is_not_followed(parent: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    parent.symlink_to(elsewhere)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        RunDirectory.create(parent)


def test_processes_of_a_run_are_ended_and_no_others(parent: Path) -> None:
    path = dead_run(parent)
    mine = subprocess.Popen(SLEEP, env={**os.environ, MARK: path.name})
    other = subprocess.Popen(SLEEP, env={**os.environ, MARK: path.name + "0"})
    try:
        wait_for_environment(mine)
        clear(path)
        assert mine.wait(5) == -9
        assert other.poll() is None
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()


def wait_for_environment(process: "subprocess.Popen[bytes]") -> None:
    """Until the new process is the program: before that its environment is ours."""
    while MARK.encode() not in Path(f"/proc/{process.pid}/environ").read_bytes():
        pass


def test_groups_that_were_noted_go(parent: Path, tmp_path: Path) -> None:
    path = dead_run(parent)
    group = tmp_path / "group"
    (group / "runtime").mkdir(parents=True)
    (path / "cgroups").write_text(json.dumps([str(group), str(tmp_path / "never-made")]))
    assert sweep(parent) == (path.name,)
    assert not group.exists()
