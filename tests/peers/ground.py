"""Where real programs run: on this machine as it is, or in an enclosure of their own.

An enclosure has its own processes, its own mounts and, where asked, its own
network. Inside, ``/etc`` is the machine's with our changes laid over it, and
``/run`` is empty: what a test writes to ``/etc/docker/certs.d`` is seen by the
programs of that enclosure and by nobody else, and no daemon of the machine is
found by mistake. When the enclosure ends, or when the process that made it is
killed, the kernel ends every process in it and takes its mounts and its
network away: nothing can be left behind.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from tests.peers.programs import require_program, require_root, search_path

SECONDS_TO_START = 30.0
"""For a daemon, on a machine that is busy with other tests. All of them need less than one."""

SECONDS_TO_RUN = 120.0
"""For a client. The longest, a layer of 64 MiB, takes about four."""


class NotReady(Exception):
    """A daemon did not come up. The message ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The last line on standard error: what a user reads when it fails."""
        lines = self.err.strip().splitlines()
        return lines[-1] if lines else ""

    def checked(self) -> Self:
        """This outcome, if it is a success.

        Raises:
            AssertionError: It is none; the message holds all that was printed.
        """
        assert self.status == 0, f"status {self.status}\nstdout: {self.out}\nstderr: {self.err}"
        return self


def await_that(
    happened: Callable[[], bool],
    *,
    while_: Callable[[], bool] = lambda: True,
    seconds: float = SECONDS_TO_START,
) -> bool:
    """Look until something that no event announces has happened; says whether it did.

    It ends at once where `while_` no longer holds, and for good after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        if not while_() or time.monotonic() > deadline:
            return False
        time.sleep(0.01)  # another program's doing: there is nothing to wait on but the clock
    return True


@dataclass(slots=True)
class Ground:
    """This machine as it is. Programs see its files and its network."""

    scratch: Path
    """A directory with a short path (a socket's may have 107 characters), gone when the ground is."""

    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def wrapped(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` here."""
        return list(argv)

    def run(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        seconds: float = SECONDS_TO_RUN,
    ) -> Outcome:
        """Run a program to its end. Its environment is `env`, a PATH and an empty HOME, and nothing else."""
        done = subprocess.run(
            self.wrapped(argv),
            env=self._environment(env),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def start(
        self, *argv: str, ready: Callable[[], bool], env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a daemon and wait until `ready` says so.

        Raises:
            NotReady: It ended, or took too long.
        """
        log = self.scratch / f"{Path(argv[0]).name}-{len(self.daemons)}.log"
        with log.open("wb") as output:
            daemon = subprocess.Popen(
                self.wrapped(argv),
                env=self._environment(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.daemons.append(daemon)

        def lives() -> bool:
            return daemon.poll() is None

        if not await_that(ready, while_=lives):
            raise NotReady(f"{argv[0]} is not ready, status {daemon.poll()}:\n{log.read_text()[-4000:]}")
        return daemon

    def close(self) -> None:
        """End what was started here, last first, and remove the scratch directory."""
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.scratch)

    def _environment(self, env: Mapping[str, str] | None) -> dict[str, str]:
        home = self.scratch / "home"
        home.mkdir(exist_ok=True)
        return {"PATH": search_path(), "HOME": str(home), "LANG": "C.UTF-8", **(env or {})}


@dataclass(slots=True)
class Enclosure(Ground):
    """Namespaces of our own, held open by one process."""

    own_network: bool = False
    address: str = ""
    """With a network of its own: an address in it that is not loopback."""

    network: str = ""
    """The kernel's name for the network it is in."""

    _holder: subprocess.Popen[bytes] | None = None
    _inside: int = 0

    def open(self) -> None:
        """Make the namespaces and furnish them."""
        namespaces = [
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]
        if self.own_network:
            namespaces.append("--net")
        # The holder reads from us: it ends when we do, whatever ends us, and with it all that is inside.
        with (self.scratch / "unshare.log").open("wb") as log:  # it complains when its child is killed
            self._holder = subprocess.Popen(
                [require_program("unshare"), *namespaces, "sh", "-c", "echo && exec cat >/dev/null"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._holder.stdout is not None
        if not self._holder.stdout.readline():
            why = (self.scratch / "unshare.log").read_text().strip()
            pytest.skip(f"root may not make namespaces here, so no daemon runs apart from the machine: {why}")
        pid = self._holder.pid
        self._inside = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        self.network = str(Path(f"/proc/{self._inside}/ns/net").readlink())
        over = self.scratch / "over-etc"
        over.mkdir()
        self.sh(
            f"mount -t tmpfs tmpfs {over} && mkdir {over}/upper {over}/work"
            f" && mount -t overlay -o lowerdir=/etc,upperdir={over}/upper,workdir={over}/work overlay /etc"
            " && mount -t tmpfs -o mode=755 tmpfs /run"
        )
        if self.own_network:
            self.address = "10.77.0.1"
            # A pair of interfaces, both ends here: a packet to the address stays in this network.
            self.sh(
                "ip link set lo up && ip link add sealift0 type veth peer name sealift1"
                " && ip link set sealift0 up && ip link set sealift1 up"
                f" && ip address add {self.address}/24 dev sealift0"
            )

    def wrapped(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside."""
        network = ["--net"] if self.own_network else []
        return [
            require_program("nsenter"),
            "--target",
            str(self._inside),
            "--mount",
            "--pid",
            *network,
            "--",
            *argv,
        ]

    def sh(self, script: str) -> str:
        """Run shell inside, and return what it printed."""
        return self.run("sh", "-ec", script).checked().out

    def write(self, path: str, text: str) -> None:
        """Write a file as the programs inside see it. Under ``/etc`` nobody else does."""
        done = self.run("sh", "-ec", f'mkdir -p "$(dirname {path})" && cat > {path}', stdin=text)
        done.checked()

    def listens(self, port: int) -> bool:
        """Whether something listens on a port of this network, over IPv4 or IPv6."""
        table = self.sh("cat /proc/net/tcp /proc/net/tcp6")
        return re.search(rf":{port:04X} [0-9A-F]+:0000 0A ", table) is not None  # 0A: TCP_LISTEN

    def close(self) -> None:
        """End everything inside. There is no asking: the first process goes, the kernel does the rest."""
        if self._inside:
            with suppress(ProcessLookupError):
                os.kill(self._inside, signal.SIGKILL)
        if self._holder is not None:
            self._holder.communicate()  # it ends once the first process inside has
        for daemon in self.daemons:
            daemon.wait(10)
        shutil.rmtree(self.scratch)


@contextmanager
def this_machine() -> Iterator[Ground]:
    """The machine as it is, for programs that need no rights."""
    ground = Ground(Path(tempfile.mkdtemp(prefix="sealift-")))
    try:
        yield ground
    finally:
        ground.close()


@contextmanager
def enclosure(*, own_network: bool = False) -> Iterator[Enclosure]:
    """An enclosure. Skips the test where only root may make one."""
    require_root("run daemons in namespaces of their own")
    for program in ("unshare", "nsenter", *(["ip"] if own_network else [])):
        require_program(program)
    made = Enclosure(Path(tempfile.mkdtemp(prefix="sealift-")), own_network=own_network)
    try:
        made.open()
        yield made
    finally:
        made.close()
