"""A real `sealift serve` in a process of its own, for tests of processes, signals and sockets."""

import base64
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

PATIENCE_SECONDS = 30.0


@dataclass
class Server:
    """A running server."""

    process: "subprocess.Popen[str]"
    data: Path
    said: list[str] = field(default_factory=list)
    """Every line of its standard error so far."""
    _lines: "SimpleQueue[str]" = field(default_factory=SimpleQueue)
    scheme: str = "http"
    host: str = ""
    port: int = 0

    def wait_for(self, pattern: str) -> "re.Match[str]":
        """Wait for a line of standard error."""
        for line in self.said:
            if found := re.search(pattern, line):
                return found
        while True:
            try:
                line = self._lines.get(timeout=PATIENCE_SECONDS)
            except Empty:
                raise AssertionError(f"no line like {pattern!r} in {self.said}") from None
            self.said.append(line)
            if found := re.search(pattern, line):
                return found
            if not line:
                raise AssertionError(f"ended without a line like {pattern!r}: {self.said}")

    def connect(self, **more: Any) -> HTTPConnection:
        """A new connection."""
        kind = HTTPSConnection if self.scheme == "https" else HTTPConnection
        return kind(self.host, self.port, timeout=PATIENCE_SECONDS, **more)

    def ask(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        auth: str | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of one request on a connection of its own."""
        connection = self.connect()
        try:
            sent = {**(headers or {})} | ({"authorization": auth} if auth else {})
            connection.request(method, target, body=body, headers=sent)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, named, answer.read()
        finally:
            connection.close()

    @property
    def workers(self) -> list[int]:
        """Process ids of its children."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in path.read_text(encoding="ascii").split()]

    @property
    def password(self) -> str:
        """The first password of admin."""
        return (self.data / "admin-password").read_text(encoding="ascii").strip()

    def ends(self) -> list[int]:
        """Descriptors of all its processes, for `await_ends`."""
        return [os.pidfd_open(pid) for pid in (self.process.pid, *self.workers)]

    def kill(self) -> None:
        """SIGKILL to the whole process group, at once, and its end."""
        ends = self.ends()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.await_ends(ends)

    def await_ends(self, ends: list[int]) -> None:
        """Wait until none of its processes is left: then its data directory is free."""
        self.process.wait(PATIENCE_SECONDS)
        for end in ends:
            assert select.select([end], [], [], PATIENCE_SECONDS)[0], "a process stays"
            os.close(end)

    def token(self, *repositories: str) -> str:
        """A registry token of admin for everything in `repositories`."""
        scopes = "&".join(f"scope=repository:{name}:pull,push,delete" for name in repositories)
        basic = base64.b64encode(f"admin:{self.password}".encode()).decode()
        status, _, body = self.ask("GET", f"/token?service=sealift&{scopes}", auth=f"Basic {basic}")
        assert status == 200, body
        return str(json.loads(body)["token"])

    def stop(self) -> int:
        """SIGTERM, and the status it ends with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS + 10)


def command(*arguments: str) -> list[str]:
    """A command line of ours, in this interpreter."""
    return [sys.executable, "-m", "sealift", *arguments]


def environment(home: Path) -> dict[str, str]:
    """An environment in which nothing of this machine's user is found."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SEALIFT_", "XDG_"))}
    return kept | {
        "HOME": str(home),
        "DOCKER_CONFIG": str(home / ".docker"),
        "REGISTRY_AUTH_FILE": str(home / "none"),
    }


@contextmanager
def serving(
    directory: Path,
    *arguments: str,
    listen: str = "127.0.0.1:0",
    program: Sequence[str] = (sys.executable, "-m", "sealift"),
) -> Iterator[Server]:
    """A server that is ready; killed at the end if it still runs. It leads a process group of its own."""
    data = directory / "data"
    process = subprocess.Popen(
        [*program, "serve", "--listen", listen, "--data", str(data), *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment(directory),
        start_new_session=True,
    )
    server = Server(process, data)
    assert process.stderr is not None
    reader = threading.Thread(target=_read, args=(process.stderr, server._lines), daemon=True)
    reader.start()
    try:
        ready = server.wait_for(r"serving (https?)://(.*):(\d+) from")
        server.scheme, server.host, server.port = ready[1], ready[2].strip("[]"), int(ready[3])
        yield server
    finally:
        children = server.workers if process.poll() is None else []
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()
        del children


def _read(stream: Any, lines: "SimpleQueue[str]") -> None:
    for line in stream:
        lines.put(line.rstrip("\n"))
    lines.put("")
