"""A transport that carries requests to an ASGI application in this process: both ends of the wire, no socket.

It streams in both directions, a piece at a time. `exchanges` remembers what was
sent and answered, so that a test can say what went over the wire.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sealift.registry.app import App
from sealift.transport.http import NotTls, Request, Response


class Exchange(NamedTuple):
    """One request and the status it was answered with."""

    method: str
    target: str
    authorization: str
    """The scheme of the Authorization header, or nothing."""

    status: int


@dataclass
class AsgiTransport:
    """Implements `Transport`. It speaks plain HTTP: to https it answers as such a server does."""

    app: App
    exchanges: list[Exchange] = field(default_factory=list)

    async def send(self, request: Request) -> Response:
        """Have the application answer."""
        url = urlsplit(request.url)
        if url.scheme != "http":
            raise NotTls(f"{url.netloc} does not speak TLS")
        answered: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=2)
        pieces = _pieces(request.body)
        call = asyncio.create_task(self._call(request, pieces, answered))
        start = await _first(answered, call)
        headers: dict[str, str] = {}
        challenges: list[str] = []
        for raw_name, raw_value in start["headers"]:
            name, value = raw_name.decode(), raw_value.decode()
            if name == "www-authenticate":
                challenges.append(value)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        target = url.path + (f"?{url.query}" if url.query else "")
        scheme = request.headers.get("Authorization", "").partition(" ")[0]
        self.exchanges.append(Exchange(request.method, target, scheme, start["status"]))
        return Response(
            status=start["status"],
            headers=headers,
            url=request.url,
            challenges=tuple(challenges),
            body=_body(answered, call),
        )

    async def _call(
        self, request: Request, pieces: AsyncIterator[bytes], answered: "asyncio.Queue[dict[str, Any]]"
    ) -> None:
        url = urlsplit(request.url)
        headers = [(b"host", url.netloc.encode())]
        headers += [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
        if isinstance(request.body, bytes):
            headers.append((b"content-length", str(len(request.body)).encode()))
        elif request.content_length is not None:
            headers.append((b"content-length", str(request.content_length).encode()))
        elif request.body is not None:
            headers.append((b"transfer-encoding", b"chunked"))
        ended = False

        async def receive() -> dict[str, Any]:
            nonlocal ended
            if ended:
                await asyncio.Event().wait()
            async for piece in pieces:
                return {"type": "http.request", "body": piece, "more_body": True}
            ended = True
            return {"type": "http.request", "body": b"", "more_body": False}

        await self.app(
            {
                "type": "http",
                "method": request.method,
                "scheme": url.scheme,
                "path": url.path,
                "raw_path": url.path.encode(),
                "query_string": url.query.encode(),
                "headers": headers,
                "client": ("127.0.0.1", 1),
            },
            receive,
            answered.put,
        )


async def _first(answered: "asyncio.Queue[dict[str, Any]]", call: "asyncio.Task[None]") -> dict[str, Any]:
    """The start of the answer, or what the application raised before one."""
    getting = asyncio.create_task(answered.get())
    await asyncio.wait([getting, call], return_when=asyncio.FIRST_COMPLETED)
    if getting.done():
        return getting.result()
    getting.cancel()
    await call
    raise AssertionError("the application ended without an answer")


async def _pieces(body: bytes | AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    if isinstance(body, bytes):
        yield body
    elif body is not None:
        async for piece in body:
            yield piece


async def _body(
    answered: "asyncio.Queue[dict[str, Any]]", call: "asyncio.Task[None]"
) -> AsyncIterator[bytes]:
    try:
        while True:
            message = await answered.get()
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body", False):
                await call
                return
    finally:
        if not call.done():
            call.cancel()
