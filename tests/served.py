"""``sealift serve`` as a process of its own, for tests that look at it from outside as a user would."""

import base64
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SEALIFT = (sys.executable, "-m", "sealift")
"""The program, as this Python has it."""

SECONDS_TO_START = 30.0
"""On a machine that is busy with other tests. Alone it needs one."""

_SERVING = re.compile(r"^serving https?://(?P<address>\S+) from ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    address: str
    """HOST:PORT."""

    data: Path
    log: Path
    """All that it printed, on either stream."""

    process: "subprocess.Popen[bytes]"

    @property
    def admin_password(self) -> str:
        """What the first start wrote down."""
        return (self.data / "admin-password").read_text().strip()

    def image(self, repository: str, selector: str = ":v1") -> str:
        """The full name of an image here; `selector` begins with a colon or an at sign."""
        return f"{self.address}/{repository}{selector}"

    def processes(self) -> list[int]:
        """The supervisor, then its workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request and read the whole answer."""
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def as_admin(self) -> dict[str, str]:
        """The header with which admin may do everything."""
        return {"Authorization": basic("admin", self.admin_password)}

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the supervisor a signal, and wait for its end."""
        self.process.send_signal(number)
        return self.process.wait(40)


def basic(username: str, password: str) -> str:
    """The value of an Authorization header. Spec: RFC 7617."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@contextmanager
def serving(
    data: Path,
    *arguments: str,
    listen: str = "127.0.0.1:0",
    wrapper: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Start a server and stop it in the end, whatever state it is in then.

    Args:
        data: Its data directory. The log is a file beside it.
        arguments: More flags.
        listen: Where; any free port by default.
        wrapper: A command line that runs it, such as ``setpriv …``.
        environment: Added to this process's own.
    """
    log = data.with_name(f"{data.name}.log")
    command = [*wrapper, *SEALIFT, "serve", "--listen", listen, "--data", str(data), *arguments]
    with log.open("ab") as output:
        begin = output.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
        )
    try:
        deadline = time.monotonic() + SECONDS_TO_START
        while (found := _SERVING.search(log.read_bytes()[begin:].decode())) is None:
            assert process.poll() is None, f"it ended with {process.poll()}:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"it does not start:\n{log.read_text()}"
            time.sleep(0.02)  # another program's start has no event to wait for
        yield Served(found["address"], data, log, process)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
