"""One HTTP exchange: what is sent, what comes back, and who carries it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from sealift.errors import SealiftError

MAX_ERROR_BODY = 64 * 1024
"""Bytes of an error answer that anyone reads. What is longer says nothing more."""


class Unreachable(SealiftError):
    """No response came: DNS, TCP, TLS or a timeout. The message says which."""

    exit_status: ClassVar[int] = 6


class CertificateRefused(Unreachable):
    """The other side speaks TLS and its certificate was not accepted. Never a reason to try plain HTTP."""


class NotTls(Unreachable):
    """The other side answered, and not in TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent: method, absolute URL, headers, body."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] | None = None
    content_length: int | None = None
    """Bytes of a streamed `body`, where they are known. None sends it chunked."""


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
    """Read it to the end, or `close`: the connection is held until then."""

    async def read(self, limit: int) -> bytes:
        """The whole body. Past `limit` bytes it stops and raises `ValueError`."""
        parts: list[bytes] = []
        size = 0
        async for part in self.body:
            size += len(part)
            if size > limit:
                await self.close()
                raise ValueError(f"the body is longer than {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    async def close(self) -> None:
        """Give up on the rest of the body."""
        closer = getattr(self.body, "aclose", None)
        if closer is not None:
            await closer()


class Transport(Protocol):
    """Sends one request and returns one response: no retry, no redirect, no auth."""

    async def send(self, request: Request) -> Response:
        """Raise `Unreachable`, and only that, where no response came."""
