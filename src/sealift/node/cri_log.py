"""A container's log file as a runtime writes it, read back into lines.

Spec: Kubernetes CRI logging format: ``TIME STREAM TAG CONTENT`` a line, where
TIME is RFC 3339 with nanoseconds, STREAM is ``stdout`` or ``stderr``, and TAG
is ``F`` for a full line or ``P`` for a part that the next line of the same
stream goes on with.
"""

from dataclasses import dataclass
from typing import Final, Literal

MAX_LINE: Final = 1024 * 1024
"""Bytes of one line of output that are put together again. A longer one is shown in pieces."""

Stream = Literal["stdout", "stderr"]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a container printed."""

    stream: Stream
    text: str
    """Without the line's end. Bytes that are no UTF-8 are replaced."""

    time: str
    """When the runtime read it (its first part), as the runtime wrote it."""


class LogReader:
    """Puts lines together from the bytes of a log file, which come in any portions."""

    def __init__(self) -> None:
        self._rest = b""
        self._parts: dict[Stream, tuple[str, list[bytes]]] = {}

    def feed(self, data: bytes) -> list[LogLine]:
        """The lines that are complete with `data`."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [self._line(raw) for raw in whole]
        return [line for line in lines if line is not None]

    def finish(self) -> list[LogLine]:
        """What was left of output that did not end with a line's end, once the container has ended."""
        rest = [self._joined(stream) for stream in tuple(self._parts)]
        self._rest = b""
        return rest

    def _line(self, raw: bytes) -> LogLine | None:
        """A line if `raw` completes one. What is not of the format is passed over."""
        time, _, remainder = raw.partition(b" ")
        stream_name, _, remainder = remainder.partition(b" ")
        tag, _, content = remainder.partition(b" ")
        stream = _STREAMS.get(stream_name)
        if stream is None or not tag:
            return None
        _, parts = self._parts.setdefault(stream, (time.decode("ascii", "replace"), []))
        parts.append(content)
        partial = b"P" in tag.split(b":")
        if partial and sum(len(part) for part in parts) < MAX_LINE:
            return None
        return self._joined(stream)

    def _joined(self, stream: Stream) -> LogLine:
        time, parts = self._parts.pop(stream)
        return LogLine(stream, b"".join(parts).decode("utf-8", "replace"), time)


_STREAMS: Final[dict[bytes, Stream]] = {b"stdout": "stdout", b"stderr": "stderr"}
