"""A containerd of our own: its own root, state, socket and settings, in a world of its own.

The machine's containerd, its images, its files and its plugins are neither
used nor touched. Everything is below one directory; the processes are in
namespaces and a control group of their own, so that they, their mounts and
their groups can be taken away whatever happened (`sealift.cli.demo.leavings`).

Written against containerd 1.6 and runc 1.1 (Debian 12) as root, on cgroup v1
and v2, also without CAP_SYS_RESOURCE. Pods have to use the host's network:
there is no CNI plugin.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Final, Self

from sealift.cli.demo import cgroups, launcher
from sealift.cli.demo.leavings import RunDirectory
from sealift.errors import SealiftError
from sealift.node.cri import CriRuntime
from sealift.node.errors import RuntimeForbidden, RuntimeRefused, RuntimeUnreachable

SECONDS_TO_START: Final = 30.0
"""Until it answers. It takes 0.1 on an idle machine."""

SECONDS_TO_STOP: Final = 10.0
"""After SIGTERM, before it is killed. It takes 0.05."""

LONGEST_SOCKET: Final = 107
"""Bytes of a unix socket's path. Spec: unix(7)."""

_NOT_IN_A_CONTAINER: Final = (
    "it needs root and the right to make namespaces: not inside an unprivileged container"
)

_SYSTEM_DIRECTORIES: Final = ("/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")

_DISABLED_PLUGINS: Final = (
    "io.containerd.internal.v1.opt",  # makes /opt/containerd
    "io.containerd.internal.v1.restart",
    "io.containerd.internal.v1.tracing",
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.tracing.processor.v1.otlp",
)


class ProgramsMissing(SealiftError):
    """containerd, its shim or runc is not on this machine."""

    exit_status: ClassVar[int] = 8


class ContainerdFailed(SealiftError):
    """Our containerd did not start. `why` has the end of its log."""

    exit_status: ClassVar[int] = 8


@dataclass(frozen=True, slots=True)
class Programs:
    """Where the programs of a container runtime are."""

    containerd: str
    directories: tuple[str, ...]
    """Where containerd looks for its shim and for runc."""

    @classmethod
    def find(cls, path: str | None = None) -> Self:
        """Look in the directories of `path`; None stands for PATH and where Debian keeps daemons.

        Raises:
            ProgramsMissing: One of them is not there.
        """
        if path is None:
            path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_DIRECTORIES])
        found = {
            program: shutil.which(program, path=path)
            for program in ("containerd", "containerd-shim-runc-v2", "runc")
        }
        missing = [program for program, where in found.items() if where is None]
        if missing:
            raise ProgramsMissing(
                f"not on this machine: {', '.join(missing)}",
                why="Pods are run by containerd and runc",
                hint="apt-get install --no-remove containerd runc",
            )
        places = [where for where in found.values() if where is not None]
        return cls(places[0], tuple(dict.fromkeys(str(Path(where).parent) for where in places)))


class OwnContainerd:
    """One containerd. Use it as ``async with``.

    It keeps nothing of an event loop: it may be started in one and stopped in another.

    Args:
        run: Whose directory it lives in; that is also who clears up after it.
        sandbox_image: The image of the process that holds a Pod's namespaces.
            It is pulled without credentials.
        programs: None looks for them.
        registry_settings: A ``certs.d`` directory (hosts.toml), or None: then
            registries on loopback addresses are spoken to over plain HTTP and
            all others over TLS with the machine's CAs.
        snapshotter: ``native`` copies and works on every file system;
            ``overlayfs`` is faster for large images.
    """

    def __init__(
        self,
        run: RunDirectory,
        *,
        sandbox_image: str,
        programs: Programs | None = None,
        registry_settings: Path | None = None,
        snapshotter: str = "native",
    ) -> None:
        self._run = run
        self._programs = Programs.find() if programs is None else programs
        self.directory = run.path / "containerd"
        self.socket = run.path / "containerd.sock"
        self._sandbox_image = sandbox_image
        self._registry_settings = registry_settings
        self._snapshotter = snapshotter
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """For ``--runtime-endpoint``."""
        return f"unix://{self.socket}"

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.directory / "log"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it, and return once it answers.

        Raises:
            ContainerdFailed: It ended, or took too long.
        """
        self._process = self._spawn()
        deadline = time.monotonic() + SECONDS_TO_START
        async with CriRuntime(self.endpoint, timeout_seconds=SECONDS_TO_START) as runtime:
            while True:
                try:
                    await runtime.version()
                except (RuntimeUnreachable, RuntimeRefused, RuntimeForbidden):
                    if self._process.poll() is not None or time.monotonic() > deadline:
                        raise self._failed() from None
                    await asyncio.sleep(0.01)
                else:
                    return

    async def stop(self) -> None:
        """Remove the Pods that are left, then end it. What it does not end, the kernel does."""
        process = self._process
        if process is None:
            return
        self._process = None
        if process.poll() is None:
            await self._remove_pods()
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + SECONDS_TO_STOP
        while process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
            await asyncio.sleep(0.01)

    async def _remove_pods(self) -> None:
        try:
            async with CriRuntime(self.endpoint, timeout_seconds=SECONDS_TO_STOP) as runtime:
                for sandbox in await runtime.sandboxes({}):
                    await runtime.stop_sandbox(sandbox.id)
                    await runtime.remove_sandbox(sandbox.id)
        except (RuntimeUnreachable, RuntimeRefused):
            return  # it is about to end, and all in it

    def _spawn(self) -> subprocess.Popen[bytes]:
        if len(os.fsencode(self.socket)) + len(".ttrpc") > LONGEST_SOCKET:
            raise ContainerdFailed(
                "containerd cannot be started",
                why=f"the path of its socket is too long: {self.socket}",
                hint="set TMPDIR to a directory with a shorter path",
            )
        for name in ("", "tmp", "world"):
            (self.directory / name).mkdir()
        try:
            places = self._run.make_cgroups()
        except OSError as error:
            raise ContainerdFailed(
                "containerd cannot be started",
                why=f"a control group cannot be made: {error}",
                hint=_NOT_IN_A_CONTAINER,
            ) from None
        configuration = self.directory / "config.toml"
        written = settings(
            self.directory,
            self.socket,
            sandbox_image=self._sandbox_image,
            registry_settings=self._registry_settings,
            snapshotter=self._snapshotter,
            limits=cgroups.can_limit(places),
        )
        configuration.write_text(written, encoding="utf-8")
        order = {
            "parent": os.getpid(),
            "signal": int(signal.SIGKILL),
            "command": [self._programs.containerd, "--config", str(configuration)],
            "world": {
                "directory": str(self.directory / "world"),
                "cgroups": [
                    {"group": str(one.group), "mounted": str(one.mounted)} for one in self._run.make_cgroups()
                ],
            },
        }
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(launcher.__file__), json.dumps(order)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C on the terminal is ours to hear
                cwd="/",
                env={
                    **self._run.environment,
                    "PATH": os.pathsep.join(
                        [*self._programs.directories, "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
                    ),
                    "TMPDIR": str(self.directory / "tmp"),
                },
            )

    def _failed(self) -> ContainerdFailed:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        printed = " / ".join(lines[-3:]) or "it printed nothing"
        if self._process is not None and self._process.poll() is None:
            return ContainerdFailed(
                "containerd did not start",
                why=f"after {SECONDS_TO_START:.0f} s it did not answer: {printed}",
                hint="try again when the machine has less to do",
            )
        return ContainerdFailed("containerd did not start", why=printed, hint=_NOT_IN_A_CONTAINER)


def settings(
    directory: Path,
    socket: Path,
    *,
    sandbox_image: str,
    registry_settings: Path | None = None,
    snapshotter: str = "native",
    limits: bool = True,
) -> str:
    """The configuration file, in the version that containerd 1.6, 1.7 and 2.x read.

    ``restrict_oom_score_adj`` is for machines on which root may not lower a
    process's score. No profile is loaded into AppArmor: it would stay.

    Args:
        directory: For all its files.
        socket: Where it listens.
        sandbox_image: See `OwnContainerd`.
        registry_settings: See `OwnContainerd`.
        snapshotter: See `OwnContainerd`.
        limits: Whether it may set limits in control groups.
    """
    cri = '[plugins."io.containerd.grpc.v1.cri"'
    lines = [
        "version = 2",
        f"root = {_quoted(directory / 'root')}",
        f"state = {_quoted(directory / 'state')}",
        f"disabled_plugins = [{', '.join(_quoted(name) for name in _DISABLED_PLUGINS)}]",
        "[grpc]",
        f"address = {_quoted(socket)}",
        '[plugins."io.containerd.nri.v1.nri"]',
        "disable = true",
        f"{cri}]",
        f"sandbox_image = {_quoted(sandbox_image)}",
        "restrict_oom_score_adj = true",
        "disable_apparmor = true",
        f"disable_cgroup = {'false' if limits else 'true'}",
        f"{cri}.cni]",
        f"bin_dir = {_quoted(directory / 'cni' / 'bin')}",
        f"conf_dir = {_quoted(directory / 'cni' / 'net.d')}",
        f"{cri}.containerd]",
        f"snapshotter = {_quoted(snapshotter)}",
    ]
    if registry_settings is not None:
        lines += [f"{cri}.registry]", f"config_path = {_quoted(registry_settings)}"]
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    """A TOML basic string, which reads as JSON's does."""
    return json.dumps(str(value), ensure_ascii=False)
