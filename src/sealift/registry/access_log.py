"""The access log: one line for each request, as text or JSON, written in batches.

Handing each line to `logging` costs a fifth of a manifest's whole request, most
of it a system call. Lines are gathered for a fifth of a second at most, and
written together: whole lines, to a pipe no more at a time than it takes in one
piece (PIPE_BUF), so that the lines of several workers do not get into each other. A
kill loses what is younger than that.

Nothing in a line is a secret: the query stays out, since people put passwords
there; so do all headers but the user agent.

Spec: RFC 3339 for times; POSIX, write(2), for PIPE_BUF.
"""

import asyncio
import logging
import os
import select
import stat
import time
from collections.abc import Callable
from typing import Final, Literal

import msgspec

log = logging.getLogger(__name__)

WRITE_AFTER_SECONDS: Final = 0.2

MOST_AT_ONCE: Final = 64 * 1024
"""Bytes of whole lines. To a pipe `select.PIPE_BUF`: a line is shorter, since what clients write is cut."""

MOST_WAITING: Final = 2000
"""Lines in memory. More are written at once."""

MAX_PATH_CHARACTERS: Final = 512
MAX_AGENT_CHARACTERS: Final = 128
MAX_METHOD_CHARACTERS: Final = 32

Form = Literal["text", "json"]


class Entry(msgspec.Struct, rename="camel", gc=False):
    """One request, as a line shows it. Fields are camelCase in JSON."""

    time: str
    kind: str
    request_id: str
    client: str
    principal: str
    method: str
    route: str
    path: str
    status: int
    """0 where the client went away before there was one."""

    bytes_in: int
    """Of the request's body, as far as it was read."""

    bytes_out: int
    """Of the answer's body, as far as it was sent."""

    seconds: float
    user_agent: str


class AccessLog:
    """Writes the lines of one process. Belongs to one event loop."""

    def __init__(
        self,
        form: Form,
        *,
        write: Callable[[bytes], None] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Make a log that has written nothing.

        Args:
            form: Of the lines.
            write: Takes whole lines, at most `MOST_AT_ONCE` bytes of them; standard error without it.
            now: The clock, in seconds since 1970.
        """
        self._is_json = form == "json"
        self._write = _to_standard_error if write is None else write
        self._most = select.PIPE_BUF if write is None and _is_pipe() else MOST_AT_ONCE
        self._now = now
        self._encoder = msgspec.json.Encoder()
        self._waiting: list[Entry] = []
        self._millisecond = -1
        self._time = ""
        self._timer: asyncio.TimerHandle | None = None

    def add(  # noqa: PLR0917 - by name they would cost as much as the line
        self,
        request_id: str,
        client: str,
        principal: str,
        method: str,
        route: str,
        path: str,
        status: int,
        bytes_in: int,
        bytes_out: int,
        seconds: float,
        user_agent: str,
    ) -> None:
        """Log a request. The arguments are the fields of `Entry`."""
        now = self._now()
        millisecond = int(now * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second, rest = divmod(millisecond, 1000)
            self._time = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{rest:03d}Z"
        waiting = self._waiting
        waiting.append(
            Entry(
                self._time,
                "access",
                request_id,
                client,
                principal,
                method if len(method) <= MAX_METHOD_CHARACTERS else method[:MAX_METHOD_CHARACTERS],
                route,
                path if len(path) <= MAX_PATH_CHARACTERS else path[:MAX_PATH_CHARACTERS],
                status,
                bytes_in,
                bytes_out,
                int(seconds * 1e6) / 1e6,
                user_agent if len(user_agent) <= MAX_AGENT_CHARACTERS else user_agent[:MAX_AGENT_CHARACTERS],
            )
        )
        if len(waiting) >= MOST_WAITING:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_AFTER_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        entries, self._waiting = self._waiting, []
        if not entries:
            return
        lines = self._encoder.encode_lines(entries) if self._is_json else b"".join(map(_text, entries))
        start = 0
        while start < len(lines):
            stop = lines.rfind(b"\n", start, start + self._most) + 1 or len(lines)
            self._write(lines[start:stop])
            start = stop


def _text(entry: Entry) -> bytes:
    """A line for people; what a client wrote is escaped: it cannot end the line or steer a terminal."""
    line = (
        f"{entry.time} {entry.request_id} {entry.client or '-'} {entry.principal} "
        f'"{_escaped(entry.method)} {_escaped(entry.path)}" {entry.status} '
        f'{entry.bytes_in} {entry.bytes_out} {entry.seconds * 1000:.1f}ms "{_escaped(entry.user_agent)}"\n'
    )
    return line.encode("ascii", "backslashreplace")


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable() and '"' not in text:
        return text
    return text.replace('"', '\\"').encode("unicode_escape").decode("ascii")


def _is_pipe() -> bool:
    """Whether standard error is a pipe, where another worker's lines may come between."""
    try:
        return stat.S_ISFIFO(os.fstat(2).st_mode)
    except OSError:
        return False


def _to_standard_error(lines: bytes) -> None:
    """Write to standard error, all of it. Lines that nobody takes are no reason to fail a request."""
    left = memoryview(lines)
    try:
        while left:
            left = left[os.write(2, left) :]
    except OSError:
        log.debug("lines of the access log were lost")
