"""Commands as they are shown, and as they run."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sealift.cli.demo.commands import Command, own_program, start


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(Command(("tags", "r/x")), "sealift tags r/x", id="plain"),
        pytest.param(Command(("push", "oci:/a b:1", "r/x")), "sealift push 'oci:/a b:1' r/x", id="quoted"),
        pytest.param(
            Command(("login", "r"), Path("/f/pass word"), Path("/f/out")),
            "sealift login r < '/f/pass word' > /f/out",
            id="redirected",
        ),
    ],
)
def test_text(command: Command, expected: str) -> None:
    assert command.text == expected


def test_a_command_runs_as_it_is_shown(tmp_path: Path) -> None:
    password, made = tmp_path / "password", tmp_path / "secret.yaml"
    password.write_text("s3cret\n")
    arguments = (
        "secret",
        "create",
        "regcred",
        "--docker-server=r.io",
        "--docker-username=u",
        "--password-stdin",
    )
    stdin = sys.stdin
    assert Command(arguments, password, made).run() == 0
    assert sys.stdin is stdin
    here = made.read_bytes()
    shell = subprocess.run(
        ["sh", "-c", Command(arguments, password).text.replace("sealift", " ".join(own_program()), 1)],
        capture_output=True,
        check=True,
    )
    assert here == shell.stdout
    assert here.startswith(b"apiVersion: v1\n")


def test_a_failing_command_gives_its_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert Command(("secret", "create", "")).run() == 2
    assert "error: " in capsys.readouterr().err


PARENT = """
import os, subprocess, sys, time
from sealift.cli.demo.commands import start
argv = [sys.executable, "-c", sys.argv[1]]
child = start(argv, output=subprocess.DEVNULL, environment={}, end_signal=int(sys.argv[2]))
print(child.pid, flush=True)
time.sleep(600)
"""


def test_what_is_started_ends_with_us_however_we_end() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, "import time; time.sleep(600)", str(int(signal.SIGTERM))],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 10
    while lives(child):
        assert time.monotonic() < deadline


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_ctrl_c_on_the_terminal_does_not_reach_it() -> None:
    child = start(["sleep", "600"], output=subprocess.DEVNULL, environment={}, end_signal=signal.SIGKILL)
    try:
        stat = Path(f"/proc/{child.pid}/stat")
        while int(stat.read_text().rpartition(") ")[2].split()[2]) != child.pid:
            pass  # until it leads a process group of its own
    finally:
        child.kill()
        child.wait()


def test_the_launcher_says_what_went_wrong() -> None:
    child = start(["/no/such/program"], output=subprocess.PIPE, environment={}, end_signal=signal.SIGKILL)
    printed, _ = child.communicate(timeout=10)
    assert child.returncode == 1
    assert printed.decode() == "launcher: [Errno 2] No such file or directory\n"
