"""One HTTP exchange: what is sent, what comes back, who carries it, and the ways in which nothing comes back.

The ways, all of them `Unreachable`:

* `NameNotResolved`     DNS knows no such name, or could not be asked
* `ConnectionRefused`   the address answers, nothing listens there
* `TimedOut`            no connection, or silence on one, for longer than the limit
* `ConnectionBroken`    there was a connection, and it ended too early
* `TlsFailed`           the two ends did not agree on TLS
  - `CertificateRefused`  the other end speaks TLS and its certificate was not accepted
  - `NotTls`              the other end answered, and not in TLS
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from sealift.errors import SealiftError

MAX_ERROR_BODY = 64 * 1024
"""Bytes of an error answer that anyone reads. What is longer says nothing more."""


class Unreachable(SealiftError):
    """No response came: DNS, TCP, TLS or a timeout. The class and the message say which."""

    exit_status: ClassVar[int] = 6


class NameNotResolved(Unreachable):
    """The host's name leads to no address."""


class ConnectionRefused(Unreachable):
    """The address answers, and nothing listens at that port."""


class TimedOut(Unreachable):
    """Nothing happened for longer than the limit. Never a reason to try plain HTTP."""


class ConnectionBroken(Unreachable):
    """There was a connection, and it ended before the answer did. A blob may be resumed."""


class TlsFailed(Unreachable):
    """The two ends did not agree on TLS: a version, a cipher, a client certificate."""


class CertificateRefused(TlsFailed):
    """The other side speaks TLS and its certificate was not accepted. Never a reason to try plain HTTP."""


class NotTls(TlsFailed):
    """The other side answered, and not in TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent: method, absolute URL, headers, body.

    ``repr`` leaves out the headers and the body, and the query of the URL: each of them may hold a secret.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] | None = None
    content_length: int | None = None
    """Bytes of a streamed `body`, where they are known. None sends it chunked."""

    def __repr__(self) -> str:
        return f"Request(method={self.method!r}, url={self.url.partition('?')[0]!r})"


@dataclass(slots=True, kw_only=True)
class Response:
    """What came back: status and headers at once, the body as it is read."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case. Repeated headers are joined with a comma, but for
    ``www-authenticate``: those are in `challenges`, one a line (R-AUT-1)."""

    url: str
    challenges: tuple[str, ...] = ()
    body: AsyncIterator[bytes]
    """Read it to the end, or `close`: the connection is held until then.
    Raises `Unreachable` where it breaks off."""

    async def read(self, limit: int) -> bytes:
        """The whole body. Past `limit` bytes it stops and raises `ValueError`."""
        parts: list[bytes] = []
        size = 0
        try:
            async for part in self.body:
                size += len(part)
                if size > limit:
                    raise ValueError(f"the body is longer than {limit} bytes")
                parts.append(part)
        finally:
            await self.close()
        return b"".join(parts)

    async def read_start(self, limit: int) -> bytes:
        """At most `limit` bytes of the body; the rest is given up. For error answers."""
        parts: list[bytes] = []
        size = 0
        try:
            async for part in self.body:
                parts.append(part)
                size += len(part)
                if size >= limit:
                    break
        finally:
            await self.close()
        return b"".join(parts)[:limit]

    async def close(self) -> None:
        """Give up on the rest of the body."""
        closer = getattr(self.body, "aclose", None)
        if closer is not None:
            await closer()


class Transport(Protocol):
    """Sends one request and returns one response: no retry, no redirect, no auth, no cookie."""

    async def send(self, request: Request) -> Response:
        """Raise `Unreachable`, and only that, where no response came.

        What the request's own body iterator raises passes through unchanged.
        """
