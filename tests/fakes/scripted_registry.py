"""A registry that does what a table says: expected request, answer. Over real loopback HTTP or TLS.

    async with ScriptedRegistry([
        Step("GET", "/v2/", Reply(200)),
        Step("GET", "/v2/a/b/blobs/sha256:…", Reply(200, body=blob, cut_after=10)),
    ]) as registry:
        ...                       # registry.host is what stands in an image's name
        registry.seen[0].headers  # what came

A request takes the first step that fits it and is not used up; a step is used
once unless it says otherwise. A request that no step fits is answered with 599
and fails the test when the ``async with`` ends, and so does a step that must be
used and was not. A reply can misbehave: break off, send less than it announced,
say nothing at all, or be raw bytes.

It is a server of its own, on asyncio streams, because a real one could not be
made to do these things.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import trustme


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it came."""

    method: str
    target: str
    """Path and query, byte for byte."""

    headers: Mapping[str, str]
    """Names in lower case."""

    body: bytes

    @property
    def authorization(self) -> str | None:
        """What was shown of a credential, if anything."""
        return self.headers.get("authorization")


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
    length: int | None = None
    """The Content-Length that is claimed, where it is not that of `body`."""

    cut_after: int | None = None
    """Bytes of `body` that are sent before the connection breaks."""

    close: bool = False
    """Whether the connection ends after this answer, politely."""

    silent: bool = False
    """Whether nothing is answered at all, until the client goes away."""

    raw: bytes | None = None
    """These bytes instead of an answer, and the end of the connection."""


Answer = Reply | Callable[[Seen], Reply]


@dataclass(slots=True)
class Step:
    """A request that is expected, and its answer."""

    method: str
    target: str
    """Path and query. One that ends in ``*`` fits whatever begins like it."""

    answer: Answer
    times: int = 1
    """How often it may be used; 0 is for ever."""

    required: bool = True
    """Whether the test fails where it was never used."""

    used: int = 0

    def fits(self, seen: Seen) -> bool:
        """Whether this step is for that request, and not used up."""
        if seen.method != self.method or (self.times and self.used >= self.times):
            return False
        if self.target.endswith("*"):
            return seen.target.startswith(self.target[:-1])
        return seen.target == self.target


def json_error(
    status: int, code: str, message: str = "", *, headers: Sequence[tuple[str, str]] = ()
) -> Reply:
    """An error as a registry sends it."""
    body = f'{{"errors":[{{"code":"{code}","message":"{message}"}}]}}'.encode()
    return Reply(status, [("Content-Type", "application/json"), *headers], body)


def challenge(line: str) -> Reply:
    """A 401 that asks for what `line` says."""
    return json_error(401, "UNAUTHORIZED", headers=[("WWW-Authenticate", line)])


def anonymous_ping() -> Step:
    """The ping of a registry that asks for nothing."""
    return Step("GET", "/v2/", Reply(200, body=b"{}"))


class ScriptedRegistry:
    """Plays a script. Use it as an async context manager."""

    def __init__(
        self, steps: Sequence[Step], *, tls: ssl.SSLContext | None = None, strict: bool = True
    ) -> None:
        self.steps = list(steps)
        self.seen: list[Seen] = []
        self.unexpected: list[str] = []
        self._tls = tls
        self._strict = strict
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def host(self) -> str:
        """As it stands in an image's name. With TLS a name, since that is what the certificate is for."""
        return f"{'localhost' if self._tls is not None else '127.0.0.1'}:{self.port}"

    @property
    def url(self) -> str:
        """Scheme and host."""
        return f"{'https' if self._tls is not None else 'http'}://{self.host}"

    def targets(self) -> list[str]:
        """What was asked, in order: ``GET /v2/``."""
        return [f"{each.method} {each.target}" for each in self.seen]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)
        if error is None and self._strict:
            assert self.unexpected == []
            left = [f"{step.method} {step.target}" for step in self.steps if step.required and not step.used]
            assert left == [], "these requests were expected and never came"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        self._writers.add(writer)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (seen := await _read_request(reader)) is not None:
                if not await self._answer(seen, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass  # a ClientHello, or a client that went away: what the client makes of it is the test
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection goes on."""
        self.seen.append(seen)
        step = next((each for each in self.steps if each.fits(seen)), None)
        if step is None:
            self.unexpected.append(f"{seen.method} {seen.target}")
            reply = Reply(599, body=b"nothing in the script fits this request")
        else:
            step.used += 1
            reply = step.answer(seen) if callable(step.answer) else step.answer
        if reply.silent:
            await asyncio.Event().wait()
        if reply.raw is not None:
            writer.write(reply.raw)
            await writer.drain()
            return False
        length = len(reply.body) if reply.length is None else reply.length
        head = [f"HTTP/1.1 {reply.status} Scripted", f"Content-Length: {length}"]
        head += [f"{name}: {value}" for name, value in reply.headers]
        if any(name.lower() == "content-length" for name, _ in reply.headers):
            head.remove(f"Content-Length: {length}")
        if reply.close:
            head.append("Connection: close")
        writer.write("\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n")
        body = reply.body if reply.cut_after is None else reply.body[: reply.cut_after]
        if seen.method != "HEAD":
            writer.write(body)
        await writer.drain()
        return not reply.close and reply.cut_after is None and (reply.length is None or seen.method == "HEAD")


async def _read_request(reader: asyncio.StreamReader) -> Seen | None:
    first = await reader.read(1)
    if first in {b"", b"\x16"}:  # the end, or a TLS handshake: what speaks plain HTTP hangs up on it
        return None
    line = (first + await reader.readline()).decode("latin-1")
    method, target, _version = line.split(" ")
    headers: dict[str, str] = {}
    while (header := (await reader.readline()).decode("utf-8", "surrogateescape").rstrip("\r\n")) != "":
        name, _, value = header.partition(":")
        headers[name.lower()] = value.strip()
    body = b""
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    return Seen(method=method, target=target, headers=headers, body=body)


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """What a server with a certificate for `names` speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
    return context
