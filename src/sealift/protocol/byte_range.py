"""Byte ranges: of a blob that is read, and of an upload that goes on.

Spec: RFC 9110, section 14 (reading); distribution-spec v1.1.1, "Pushing a blob
in chunks" (R-OCI-7, R-OCI-8): ``Content-Range`` and ``Range`` without a unit.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from sealift.errors import SealiftError

_RANGE = re.compile(r"bytes=[ \t]*([0-9]*)-([0-9]*)[ \t]*", re.ASCII | re.IGNORECASE)
_CHUNK = re.compile(r"([0-9]{1,19})-([0-9]{1,19})", re.ASCII)
_RECEIVED = re.compile(r"(?:bytes=)?0-([0-9]{1,19})", re.ASCII)
_MANY_DIGITS = 18


class MalformedRange(SealiftError):
    """The text of a ``Content-Range`` of an upload is no range."""

    exit_status: ClassVar[int] = 2


@dataclass(frozen=True, slots=True)
class Unsatisfiable:
    """A range that begins where the content has ended: status 416."""

    size: int
    """Bytes of the content."""

    @property
    def content_range(self) -> str:
        """The ``Content-Range`` of the refusal."""
        return f"bytes */{self.size}"


def parse_range(header: str | None, size: int) -> tuple[int, int] | Unsatisfiable | None:
    """Which bytes of content of `size` bytes a ``Range`` header asks for.

    Returns:
        ``(start, stop)``, stop excluded and at most `size`. None for the whole:
        no header, several ranges, another unit, text that is no range, or
        content that is empty (RFC 9110 lets a server ignore the header). A
        range that ends before it begins may be ignored or refused; it is
        refused, as distribution-spec's own suite wants it.
    """
    if not header or size == 0:
        return None
    match = _RANGE.fullmatch(header)
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        length = _number(last)
        return (max(size - length, 0), size) if length else Unsatisfiable(size)
    start = _number(first)
    stop = _number(last) + 1 if last else size
    if stop <= start and last:
        return Unsatisfiable(size)
    return (start, min(stop, size)) if start < size else Unsatisfiable(size)


def write_content_range(start: int, stop: int, size: int) -> str:
    """The ``Content-Range`` of a 206; `stop` is excluded."""
    return f"bytes {start}-{stop - 1}/{size}"


def parse_content_range(text: str) -> tuple[int, int]:
    """First and last byte, both included, of a chunk: ``a-b``, without unit or total (R-OCI-7).

    Raises:
        MalformedRange: It is something else, or ends before it begins.
    """
    match = _CHUNK.fullmatch(text)
    if match is None or int(match[2]) < int(match[1]):
        raise MalformedRange(f"{text[:60]!a} is not the range of a chunk: write it as 0-1023")
    return int(match[1]), int(match[2])


def write_chunk_range(start: int, stop: int) -> str:
    """The ``Content-Range`` of a chunk that is sent; `stop` is excluded."""
    return f"{start}-{stop - 1}"


def write_range(received: int) -> str:
    """The ``Range`` of an upload that has `received` bytes. None and one look alike (R-OCI-8)."""
    return f"0-{max(received - 1, 0)}"


def parse_received(text: str | None) -> int | None:
    """How many bytes an upload has by its ``Range``. None where it does not say.

    ``0-0`` does not say: it is sent for no bytes and for one (R-OCI-8).
    """
    match = _RECEIVED.fullmatch(text or "")
    last = int(match[1]) if match else 0
    return last + 1 if last else None


def _number(digits: str) -> int:
    """The number, or one beyond any content where there are more digits than that could need."""
    digits = digits.lstrip("0")
    return int(digits[:_MANY_DIGITS] or "0") if len(digits) <= _MANY_DIGITS else 10**_MANY_DIGITS
