"""``sealift serve`` as a process of the demo: a fresh data directory, a free port on loopback."""

import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import ClassVar, Final

from sealift.cli.demo.commands import Command, own_program, start
from sealift.cli.demo.leavings import RunDirectory
from sealift.errors import SealiftError

SECONDS_TO_START: Final = 30.0
"""Until it answers. It takes less than one on an idle machine."""

SECONDS_TO_STOP: Final = 35.0
"""After SIGTERM: `serve` itself gives what is in flight 30."""

_SERVING: Final = re.compile(r"serving http://(\S+) from ")

_PART: Final = re.compile(r"^(?:  )?(error|why|next): (.*)$", re.MULTILINE)


class RegistryFailed(SealiftError):
    """Our registry did not start. `why` has the end of what it printed."""

    exit_status: ClassVar[int] = 8


class RegistryServer:
    """A running registry."""

    def __init__(self, run: RunDirectory, *, listen: str) -> None:
        self.data = run.path / "registry"
        self.command = Command(("serve", "--listen", listen, "--data", str(self.data)))
        self.log = run.path / "registry.log"
        self.address = ""
        """``HOST:PORT``, once it has started."""

        self._environment = run.environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def admin_password(self) -> Path:
        """The file that the registry made at its first start."""
        return self.data / "admin-password"

    def start(self) -> None:
        """Start it, and return once it is ready.

        Raises:
            RegistryFailed: It ended, or took too long.
        """
        with self.log.open("wb") as log:
            self._process = start(
                own_program(*self.command.arguments),
                output=log,
                environment=self._environment,
                end_signal=signal.SIGTERM,
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise self._failed()
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, gently first."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _is_ready(self) -> bool:
        found = _SERVING.search(self._printed())
        if found is None:
            return False
        self.address = found[1]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self.address}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, TimeoutError):
            return False

    def _failed(self) -> RegistryFailed:
        return failure(self._printed())

    def _printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def failure(printed: str) -> RegistryFailed:
    """Why the registry did not start, from what it printed: mostly an error in our three parts."""
    told = dict(_PART.findall(printed))
    if "error" not in told:
        lines = [line.strip() for line in printed.strip().splitlines()]
        return RegistryFailed(
            "the demo's registry did not start",
            why=" / ".join(lines[-3:]) or "it printed nothing",
            hint="start one by itself to see more: sealift serve --data DIR",
        )
    return RegistryFailed(
        "the demo's registry did not start",
        why=": ".join(told[part] for part in ("error", "why") if part in told),
        hint="sealift demo --listen 127.0.0.1:PORT, or without --listen for a free port"
        if told["error"].startswith("cannot listen")
        else told.get("next"),
    )


def is_loopback(host: str) -> bool:
    """Whether containerd speaks plain HTTP to a registry on this host without being told (R-CRI-9)."""
    return host == "localhost" or re.fullmatch(r"127(\.\d{1,3}){3}", host, re.ASCII) is not None
