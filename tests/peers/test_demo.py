"""``sealift demo``: the whole story, and a clean machine after it however it ends."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.peers.machine_state import Traces, traces
from tests.peers.programs import require_program, require_root

from sealift.cli.demo.leavings import sweep

pytestmark = [pytest.mark.peers, pytest.mark.demo]

SECONDS = 120.0
"""For a whole run on a machine that is busy with other tests. Alone it takes six."""


@dataclass(slots=True)
class Demo:
    """A demo under way, with everything of it below one directory."""

    scratch: Path
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def runs(self) -> list[str]:
        """The IDs of runs that have a directory."""
        parent = self.scratch / f"sealift-demo-{os.geteuid()}"
        return sorted(path.name for path in parent.iterdir()) if parent.exists() else []

    def until(self, text: str) -> str:
        """Read what it prints up to a line that holds `text`, and return that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return line.rstrip("\n")
        raise AssertionError(f"it never printed {text!r}:\n" + "\n".join(self.lines))

    def finish(self) -> int:
        """Read the rest, and return the exit status."""
        assert self.process.stdout is not None
        self.lines += [line.rstrip("\n") for line in self.process.stdout]
        return self.process.wait()

    @property
    def text(self) -> str:
        """All that was read."""
        return "\n".join(self.lines)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory with a short path, for the sake of sockets."""
    path = Path(tempfile.mkdtemp(prefix="sl-"))
    yield path
    # A demo that a failing test killed has left its groups; nobody else would look for them here.
    for runs in path.glob("sealift-demo-*"):
        sweep(runs)
    shutil.rmtree(path)


@contextmanager
def demo(scratch: Path, *arguments: str, prefix: tuple[str, ...] = (), **environment: str) -> Iterator[Demo]:
    """Start a demo; at the end it is gone, whatever the test did."""
    home = scratch / "home"
    home.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "sealift", "demo", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=scratch,
        start_new_session=True,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(scratch),
            "LANG": "C.UTF-8",
            **environment,
        },
    )
    clock = threading.Timer(SECONDS, process.kill)
    clock.start()
    try:
        yield Demo(scratch, process)
    finally:
        clock.cancel()
        with suppress(ProcessLookupError):
            process.terminate()
        process.communicate()


def need_a_node() -> None:
    require_root("run containerd")
    for program in ("containerd", "runc"):
        require_program(program)


def assert_clean(told: Demo, before: Traces, *marks: str) -> None:
    """Nothing is left: no process, mount, control group, network namespace, file."""
    assert traces(str(told.scratch), *marks) == before
    assert sorted(path.name for path in told.scratch.iterdir()) == ["home"]
    assert list((told.scratch / "home").iterdir()) == [], "the user's files are not touched"


@pytest.fixture
def before() -> Traces:
    return traces("no such mark")


def test_from_beginning_to_end(scratch: Path, before: Traces) -> None:
    need_a_node()
    with demo(scratch, "--exit") as told:
        told.until("All files of this demo are in ")
        (run_id,) = told.runs
        assert told.finish() == 0
        text = told.text
        # The steps, each with its command before it.
        assert [int(number) for number in re.findall(r"^(\d+)/10  ", text, re.MULTILINE)] == list(
            range(1, 11)
        )
        assert [line for line in told.lines if re.match(r" {5}\S", line) and len(line) > 80] == []
        for command in (
            "serve --listen 127.0.0.1:0 --data ",
            "account add ashok --password-stdin < ",
            "repo create apps/internal-app --visibility private",
            "grant add --to ashok --repo apps/internal-app --actions pull",
            "push oci:",
            "pull 127.0.0.1:",
            "login 127.0.0.1:",
            "secret create regcred --docker-server=127.0.0.1:",
            "explain -f ",
            "node run -f ",
        ):
            assert f"\n$ sealift {command}" in text
        # Refused, with the real error; then not.
        assert "error: cannot pull 127.0.0.1:" in text
        assert "401 Unauthorized" in text
        # Explained, both.
        assert re.findall(r"verdict +(\w+)", text) == ["fails", "pulls"]
        # The Pod without its Secret, in a kubelet's words.
        address = re.findall(r"serves http://(\S+)", text)[0]
        image = f"{address}/apps/internal-app"
        error = (
            f'failed to pull and unpack image "{image}:latest": '
            f'failed to resolve reference "{image}:latest": '
            "pull access denied, repository does not exist or may require authorization: "
            "server message: insufficient_scope: authorization failed"
        )
        pod, backing_off = "pod/nginx-pod-without-secret", f'Back-off pulling image "{image}"'
        for line in (
            f'Normal   Pulling   {pod}  Pulling image "{image}"',
            f'Warning  Failed    {pod}  Failed to pull image "{image}": {error}',
            f"Warning  Failed    {pod}  Error: ErrImagePull",
            f"{pod} container nginx is waiting: ErrImagePull: {error}",
            f"Normal   BackOff   {pod}  {backing_off}",
            f"{pod} container nginx is waiting: ImagePullBackOff: {backing_off}: ErrImagePull: {error}",
        ):
            assert line in told.lines
        # The Pod with it.
        assert [line for line in told.lines if line.startswith("internal-app: line")] == [
            f"internal-app: line        {number}" for number in (1, 2, 3)
        ]
        assert_clean(told, before, run_id)


def test_no_password_is_printed(scratch: Path) -> None:
    need_a_node()
    with demo(scratch) as told:
        told.until("In another shell:")
        (run_id,) = told.runs
        run = scratch / f"sealift-demo-{os.geteuid()}" / run_id
        passwords = [
            (run / path).read_text().strip() for path in ("files/ashok-password", "registry/admin-password")
        ]
        assert {
            (run / "files" / name).stat().st_mode & 0o777 for name in ("ashok-password", "regcred.yaml")
        } == {0o600}
        told.process.send_signal(signal.SIGINT)
        told.finish()
    for password in passwords:
        assert len(password) >= 16
        assert password not in told.text


def test_it_stays_up_until_ctrl_c_and_a_secret_with_one_byte_wrong_fails(
    scratch: Path, before: Traces
) -> None:
    need_a_node()
    with demo(scratch) as told:
        told.until("In another shell:")
        told.until("$ sealift node run ")
        (run_id,) = told.runs
        command = told.lines[-1].removeprefix("$ sealift ").split()
        regcred = Path(command[command.index("-f") + 3])
        good = regcred.read_text()
        encoded = re.search(r"\.dockerconfigjson: (\S+)", good)
        assert encoded is not None
        wrong = one_byte_changed(encoded[1])
        assert sum(one != other for one, other in zip(encoded[1], wrong, strict=True)) == 1
        (scratch / "home" / "wrong.yaml").write_text(good.replace(encoded[1], wrong))
        changed = [str(scratch / "home" / "wrong.yaml") if word == str(regcred) else word for word in command]
        assert node_run(changed, until="is waiting: ErrImagePull").endswith("401 Unauthorized")
        assert node_run(command, until="internal-app: line") == "internal-app: line        1"
        (scratch / "home" / "wrong.yaml").unlink()
        told.process.send_signal(signal.SIGINT)
        assert told.finish() == 130
        assert_clean(told, before, run_id)


def one_byte_changed(encoded: str) -> str:
    """A .dockerconfigjson in base64 with one digit of it changed, which another password comes of.

    That is the one in ``auth``, which counts where both are there (R-SEC-6).
    """

    def login(text: str) -> tuple[str, str]:
        (entry,) = json.loads(base64.b64decode(text))["auths"].values()
        username, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        return username, password

    username, password = login(encoded)
    for place in reversed(range(len(encoded))):
        for digit in string.ascii_letters:
            changed = encoded[:place] + digit + encoded[place + 1 :]
            with suppress(ValueError, KeyError):
                user, word = login(changed)
                if (user, len(word)) == (username, len(password)) and word != password:
                    return changed
    raise AssertionError("no byte of it counts")


def node_run(arguments: list[str], *, until: str) -> str:
    """Run ``node run`` up to a line that holds `until`, stop it, and return that line."""
    found = ""
    with subprocess.Popen(
        [sys.executable, "-m", "sealift", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        clock = threading.Timer(60, process.kill)
        clock.start()
        assert process.stdout is not None
        for line in process.stdout:
            if until in line and not found:
                found = line.rstrip("\n")
                process.send_signal(signal.SIGINT)
        clock.cancel()
    assert process.returncode == 130
    return found


@pytest.mark.parametrize(
    ("text", "number", "status"),
    [
        pytest.param("1/10", signal.SIGINT, 130, id="Ctrl-C while the registry starts"),
        pytest.param("3/10", signal.SIGINT, 130, id="Ctrl-C while an image is pushed"),
        pytest.param("$ containerd", signal.SIGINT, 130, id="Ctrl-C while containerd starts"),
        pytest.param("ErrImagePull: ", signal.SIGINT, 130, id="Ctrl-C while a Pod waits"),
        pytest.param("internal-app: line", signal.SIGINT, 130, id="Ctrl-C while a Pod runs"),
        pytest.param("internal-app: line", signal.SIGTERM, 143, id="SIGTERM while a Pod runs"),
        pytest.param("5/10", signal.SIGTERM, 143, id="SIGTERM while it logs in"),
        pytest.param("internal-app: line", signal.SIGHUP, 129, id="the terminal goes away"),
    ],
)
def test_stopped_in_the_middle(
    scratch: Path, before: Traces, text: str, number: signal.Signals, status: int
) -> None:
    need_a_node()
    with demo(scratch, "--exit") as told:
        told.until("All files of this demo are in ")
        (run_id,) = told.runs
        told.until(text)
        told.process.send_signal(number)
        assert told.finish() == status
        assert "Traceback" not in told.text
        assert_clean(told, before, run_id)


def test_ctrl_c_on_a_terminal_reaches_all_of_its_group(scratch: Path, before: Traces) -> None:
    need_a_node()
    with demo(scratch, "--exit") as told:
        told.until("All files of this demo are in ")
        (run_id,) = told.runs
        told.until("internal-app: line")
        os.killpg(told.process.pid, signal.SIGINT)
        assert told.finish() == 130
        assert "internal-app: told to stop" in told.lines, "the Pod was stopped, not killed"
        assert_clean(told, before, run_id)


def test_who_presses_it_again_and_again_changes_nothing(scratch: Path, before: Traces) -> None:
    need_a_node()
    with demo(scratch, "--exit") as told:
        told.until("All files of this demo are in ")
        (run_id,) = told.runs
        told.until("internal-app: line")
        for _ in range(20):
            os.killpg(told.process.pid, signal.SIGINT)
            time.sleep(0.02)  # a finger
        assert told.finish() == 130
        assert "Traceback" not in told.text
        assert_clean(told, before, run_id)


def test_after_sigkill_the_next_run_clears(scratch: Path, before: Traces) -> None:
    need_a_node()
    with demo(scratch, "--exit") as told:
        told.until("internal-app: line")
        (run_id,) = told.runs
        told.process.kill()
        told.finish()
    deadline = time.monotonic() + 40
    while traces(run_id).processes and time.monotonic() < deadline:
        time.sleep(0.1)  # the kernel tells them, and the registry takes its leave
    assert traces(run_id).processes == frozenset(), "nothing outlives it"
    with demo(scratch, "--exit") as again:
        again.until(f"cleared what an earlier demo ({run_id}) had left")
        assert again.finish() == 0
        assert_clean(again, before, run_id)


def test_a_failed_step_ends_clean(scratch: Path, before: Traces) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with demo(scratch, "--listen", f"127.0.0.1:{port}") as told:
            assert told.finish() == 8
            assert "error: the demo's registry did not start" in told.text
            assert "Address already in use" in told.text
            assert_clean(told, before)


def test_a_containerd_that_fails_ends_clean(scratch: Path, before: Traces) -> None:
    need_a_node()
    programs = scratch / "home" / "bin"
    programs.mkdir(parents=True)
    (programs / "containerd").write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n")
    (programs / "containerd").chmod(0o755)
    with demo(scratch, "--exit", PATH=f"{programs}:{os.environ['PATH']}") as told:
        assert told.finish() == 8
        assert told.lines[-3:] == [
            "error: containerd did not start",
            "  why: no such luck",
            "  next: it needs root and the right to make namespaces: not inside an unprivileged container",
        ]
        (programs / "containerd").unlink()
        programs.rmdir()
        assert_clean(told, before)


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        pytest.param(("unshare", "--user"), "only root can start containerd.", id="nobody"),
        pytest.param(
            ("setpriv", "--bounding-set", "-sys_admin"),
            "root may not make namespaces here.",
            id="root in a container",
        ),
    ],
)
def test_without_the_right_the_pods_are_left_out(scratch: Path, prefix: tuple[str, ...], says: str) -> None:
    require_root("give rights away")
    with demo(scratch, "--exit", prefix=prefix) as told:
        status = told.finish()
    assert "8/8  " in told.text
    assert f"The last two steps, which run the Pods, are left out: {says}" in told.text
    assert status == 0
    assert sorted(path.name for path in scratch.iterdir()) == ["home"]


def test_a_second_run_takes_less_than_twenty_seconds(scratch: Path) -> None:
    need_a_node()
    began = time.monotonic()
    with demo(scratch, "--exit") as told:
        assert told.finish() == 0
    assert time.monotonic() - began < 20
