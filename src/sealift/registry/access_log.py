"""The access log: one line for each request, as text or JSON, written in batches.

Handing each line to `logging` costs a fifth of a manifest's whole request, most
of it a system call. Lines are gathered for a fifth of a second at most, and
written together: whole lines, no more at a time than a pipe takes in one piece
(PIPE_BUF), so that the lines of several workers do not get into each other. A
kill loses what is younger than that.

Nothing in a line is a secret: the query stays out, since people put passwords
there; so do all headers but the user agent.

Spec: RFC 3339 for times; POSIX, write(2), for PIPE_BUF.
"""

import asyncio
import logging
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

log = logging.getLogger(__name__)

WRITE_AFTER_SECONDS: Final = 0.2

MOST_AT_ONCE: Final = select.PIPE_BUF
"""Bytes."""

MAX_PATH_CHARACTERS: Final = 1024
MAX_AGENT_CHARACTERS: Final = 256
MAX_METHOD_CHARACTERS: Final = 32

Form = Literal["text", "json"]


class Entry(msgspec.Struct, rename="camel", kw_only=True):
    """One request, as a line shows it. Fields are camelCase in JSON."""

    time: str = ""
    kind: str = "access"
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


@dataclass(frozen=True, slots=True)
class _Second:
    number: int
    text: str


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
            write: Takes whole lines; standard error without it.
            now: The clock, in seconds since 1970.
        """
        self._is_json = form == "json"
        self._write = _to_standard_error if write is None else write
        self._now = now
        self._encoder = msgspec.json.Encoder()
        self._waiting: list[bytes] = []
        self._size = 0
        self._second = _Second(-1, "")
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entry: Entry) -> None:
        """Log a request. `entry.time` is filled in here."""
        entry.time = self._time()
        entry.path = entry.path[:MAX_PATH_CHARACTERS]
        entry.method = entry.method[:MAX_METHOD_CHARACTERS]
        entry.user_agent = entry.user_agent[:MAX_AGENT_CHARACTERS]
        line = self._encoder.encode(entry) + b"\n" if self._is_json else _text(entry)
        if self._size + len(line) > MOST_AT_ONCE:
            self.flush()
        self._waiting.append(line)
        self._size += len(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WRITE_AFTER_SECONDS, self.flush)

    def flush(self) -> None:
        """Write what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._waiting, self._size = self._waiting, [], 0
        if lines:
            self._write(b"".join(lines))

    def _time(self) -> str:
        now = self._now()
        second = int(now)
        if second != self._second.number:
            self._second = _Second(second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)))
        return f"{self._second.text}.{int((now - second) * 1000):03d}Z"


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


def _to_standard_error(lines: bytes) -> None:
    """Write to standard error, all of it. Lines that nobody takes are no reason to fail a request."""
    left = memoryview(lines)
    try:
        while left:
            left = left[os.write(2, left) :]
    except OSError:
        log.debug("lines of the access log were lost")
