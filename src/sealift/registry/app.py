"""The registry's front door: one ASGI application, from the request to a handler and back.

It decides nothing. Every request is matched against one table, `Routes`; what
the route needs goes to the one gate (`sealift.registry.access.guard`); what the
handler answers is written out. A route without a row in the table of the tests
(route by identity by visibility) fails them.

``HEAD`` is answered as ``GET`` without the body: status, type, length and
digest are the same (R-OCI-4). What a handler raises becomes the protocol's JSON
envelope; what nobody foresaw becomes a 500 that says nothing, and a traceback in
the log.

Clients are held to a pace (`sealift.registry.pace`), and memory does not grow
with what a client does not read: a file is read in pieces, each after the
server has taken the one before.

Every request has an id (`sealift.registry.request_id`): in the header
``X-Request-Id`` of its answer, in the body of a refusal beside ``errors``, where
clients look past it, and in every line of the log.

This module is longer than others: reading a request and writing its answer share
the state of one exchange, and neither can be understood without the other.

Spec: ASGI 3.0; distribution-spec v1.1.1, "Endpoints"; R-OCI-4, R-OCI-28.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from sealift.protocol.endpoints import (
    Endpoint,
    Match,
    MethodNotAllowed,
    is_name,
    match,
)
from sealift.protocol.error_codes import ErrorCode
from sealift.registry.access.guard import Demand, Guard
from sealift.registry.access.token_endpoint import TokenEndpoint
from sealift.registry.exchange import ANONYMOUS, Answer, Call, FileSlice, Principal
from sealift.registry.file_reader import FileReader
from sealift.registry.management.refusal import ManagementRefusal
from sealift.registry.management.routes import PREFIX, Management
from sealift.registry.pace import Pace, Waiting
from sealift.registry.readiness import Readiness, health_answer
from sealift.registry.refusal import RegistryRefusal
from sealift.registry.refusal_answer import (
    NO_FILES_LEFT,
    FileDamaged,
    name_request,
    refusal_answer,
    unmatched,
)
from sealift.registry.request_head import Door, read_headers, read_query, refuse_long
from sealift.registry.request_id import HEADER, TRACE, RequestIds
from sealift.registry.watchers import Watchers

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Handler = Callable[[Call], Awaitable[Answer]]

WATCHED_BYTES: Final = 1024 * 1024
"""From this size on, a response stops when its client goes away: the server does not say so by itself."""

DRAIN_BYTES: Final = 64 * 1024 * 1024
"""Bytes of a refused request's body that are read and thrown away, so that a client
which is still sending gets to read the refusal instead of a reset connection."""

DRAIN_SECONDS: Final = 5.0

_API_VERSION: Final = (b"docker-distribution-api-version", b"registry/2.0")
"""What old clients look for to tell a registry of this protocol."""

_REQUEST_ID: Final = HEADER.encode("ascii")

_NAMES: Final = {endpoint: endpoint.name.lower() for endpoint in Endpoint}
"""What an endpoint is called in the access log and in metrics."""

PULL: Final = frozenset({"pull"})
PUSH: Final = frozenset({"push"})
DELETE: Final = frozenset({"delete"})


class ClientGone(Exception):
    """The client went away, or was given up, in the middle of its request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What an endpoint of the registry protocol needs, and who answers."""

    handler: Handler
    actions: frozenset[str] = frozenset()
    registry: str = ""


@dataclass(slots=True)
class _Exchange:
    """One request on its way through."""

    method: str
    headers: dict[str, str]
    request_id: str
    client: str
    """The address that it came from, behind the proxies that are named."""

    route: str = "none"
    """The name of its endpoint, out of a bounded set. ``none``: there is nothing there."""

    waiting: Waiting | None = None
    """Set where it has had to wait for its client."""

    body_read: bool = False
    """Whether the request's body has been read to its end, or has none."""

    started: bool = False
    """Whether the status has been sent: after that an error can only end the connection."""

    is_sized: bool = False
    """Whether the response's length has been sent."""

    status: int = 0
    sent: int = 0
    principal: Principal = ANONYMOUS


class App:
    """The ASGI application of one worker."""

    def __init__(
        self,
        routes: Mapping[Endpoint, Route],
        *,
        guard: Guard,
        tokens: TokenEndpoint,
        management: Management,
        readiness: Readiness,
        pace: Pace,
        door: Door,
        watchers: Watchers,
    ) -> None:
        self.routes = routes
        self._guard = guard
        self._tokens = tokens
        self._management = management
        self.readiness = readiness
        self.pace = pace
        self._door = door
        self._watchers = watchers
        self._requests, self._is_watched = watchers.requests, watchers.is_any
        self._request_ids = RequestIds()
        readiness.add("stopping", lambda: "the server has been told to stop" if pace.stopping else None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Spec: ASGI 3.0, "HTTP Connection Scope"."""
        if scope["type"] != "http":
            return
        began = monotonic()
        headers = read_headers(scope)
        request_id, client = self._door.trace(scope, headers)
        exchange = _Exchange(scope["method"], headers, request_id or self._request_ids.make(), client)
        TRACE.set(exchange)
        if self._requests is not None:
            self._requests.begin()
        exchange.body_read = not (
            "content-length" in exchange.headers or "transfer-encoding" in exchange.headers
        )
        try:
            await self._exchange(scope, receive, send, exchange)
        except asyncio.CancelledError:
            if exchange.waiting is None or not exchange.waiting.given_up:
                raise
            await self._give_up(exchange, send)
        except ClientGone:
            if not exchange.started:
                await self._tell_whoever_is_left(exchange, send)
        finally:
            if exchange.waiting is not None:
                self.pace.leave(exchange.waiting)
            if self._is_watched:
                self._note(scope, exchange, monotonic() - began)

    async def _exchange(self, scope: Scope, receive: Receive, send: Send, exchange: _Exchange) -> None:
        """Find the answer, whatever goes wrong, and send it."""
        try:
            answer = await self._answer(scope, receive, exchange)
        except ClientGone:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever it is, the client gets an envelope and no traceback
            answer = refusal_answer(failure, self._watchers.alarms)
        try:
            await self._write(answer, exchange, receive, send)
        except (FileDamaged, OSError) as failure:
            if exchange.started:
                raise
            answer = refusal_answer(failure, self._watchers.alarms)
            await self._write(answer, exchange, receive, send)

    # ------------------------------------------------------------------ in

    async def _answer(self, scope: Scope, receive: Receive, exchange: _Exchange) -> Answer:
        """Find the route, pass the gate, call the handler."""
        raw_path = scope["raw_path"].decode("latin-1")
        headers = exchange.headers
        refuse_long(headers, self._door.header_bytes)
        if raw_path in {"/healthz", "/readyz"}:
            exchange.route = raw_path[1:]
            return self._health(raw_path, exchange.method)  # also for HTTP/1.0 without a Host
        query = read_query(scope["query_string"])
        base_url = self._door.base_url(scope, headers)
        realm = base_url + "/token"
        body = self._body(receive, exchange)
        if raw_path.startswith("/v2"):
            return await self._registry(raw_path, query, body, exchange, realm)
        if raw_path == "/token":
            exchange.route = "token"
            return await self._token(query, body, exchange, realm)
        if raw_path == "/api/v1" or raw_path.startswith("/api/v1/"):
            return await self._manage(raw_path, query, body, exchange, realm)
        raise RegistryRefusal(ErrorCode.UNSUPPORTED, "there is nothing here", status=404)

    async def _registry(
        self,
        raw_path: str,
        query: dict[str, tuple[str, ...]],
        body: AsyncIterator[bytes],
        exchange: _Exchange,
        realm: str,
    ) -> Answer:
        found = match(exchange.method, raw_path)
        if not isinstance(found, Match):
            raise unmatched(found)
        route = self.routes.get(found.endpoint)
        if route is None:
            raise RegistryRefusal(ErrorCode.UNSUPPORTED, "this registry does not do that", status=404)
        exchange.route = _NAMES[found.endpoint]
        mount_from, mounts_any = "", False
        if found.endpoint is Endpoint.START_UPLOAD and "mount" in query:
            source = query.get("from", ("",))[0]
            mount_from, mounts_any = source if is_name(source) else "", not source
        demand = Demand(
            repository=found.name,
            actions=route.actions,
            registry=route.registry,
            mount_from=mount_from,
            mounts_any=mounts_any,
        )
        admission = await self._guard.admit(exchange.headers.get("authorization"), demand, realm=realm)
        exchange.principal = admission.principal
        return await route.handler(
            Call(
                method=exchange.method,
                path=found.parts,
                query=query,
                headers=exchange.headers,
                body=body,
                principal=admission.principal,
                address=exchange.client or None,
                base_url=self._door.external_url or "",
                readable=admission.readable,
            )
        )

    async def _token(
        self,
        query: dict[str, tuple[str, ...]],
        body: AsyncIterator[bytes],
        exchange: _Exchange,
        realm: str,
    ) -> Answer:
        authorization = exchange.headers.get("authorization")
        if exchange.method in {"GET", "HEAD"}:
            return await self._tokens.get(authorization, query, realm=realm)
        if exchange.method == "POST":
            kind = exchange.headers.get("content-type", "")
            return await self._tokens.post(authorization, kind, body, realm=realm)
        raise unmatched(MethodNotAllowed(("GET", "HEAD", "POST")))

    async def _manage(
        self,
        raw_path: str,
        query: dict[str, tuple[str, ...]],
        body: AsyncIterator[bytes],
        exchange: _Exchange,
        realm: str,
    ) -> Answer:
        route, parts = self._management.find(exchange.method, raw_path)
        exchange.route = PREFIX + route.template
        principal = ANONYMOUS
        if not route.is_open:
            admission = await self._guard.admit(
                exchange.headers.get("authorization"), route.demand, realm=realm
            )
            principal = exchange.principal = admission.principal
        call = Call(
            method=exchange.method,
            path=parts,
            query=query,
            headers=exchange.headers,
            body=body,
            principal=principal,
            address=exchange.client or None,
        )
        try:
            return await route.handler(call)
        except ManagementRefusal as refused:
            if refused.status == 403:  # noqa: PLR2004 - the status of who is known and may not
                self._guard.note_denial(principal, f"{route.method} {route.template}", raw_path, str(refused))
            raise

    def _health(self, path: str, method: str) -> Answer:
        """``/healthz``: this process answers. ``/readyz``: it can also do its work, or why not."""
        if method not in {"GET", "HEAD"}:
            raise unmatched(MethodNotAllowed(("GET", "HEAD")))
        return health_answer(() if path == "/healthz" else self.readiness.checks())

    async def _body(self, receive: Receive, exchange: _Exchange) -> AsyncIterator[bytes]:
        """The request's body, piece by piece as it comes.

        Raises:
            ClientGone: It ended early: what was yielded is not all.
        """
        if exchange.body_read:
            return
        waiting, now = self._enter(exchange), self.pace.now
        while not exchange.body_read:
            waiting.since = now()
            message = await receive()
            waiting.since = None
            if message["type"] != "http.request":
                raise ClientGone
            exchange.body_read = not message.get("more_body", False)
            piece: bytes = message.get("body", b"")
            if piece:
                waiting.received += len(piece)
                yield piece

    def _note(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        """Tell whoever watches that a request is over."""
        waiting = exchange.waiting
        self._watchers.end(
            exchange,
            exchange.principal.name,
            exchange.method,
            exchange.route,
            scope["raw_path"],
            exchange.status,
            0 if waiting is None else waiting.received,
            exchange.sent,
            seconds,
            waiting is not None and waiting.given_up,
            exchange.headers.get("user-agent", ""),
        )

    def _enter(self, exchange: _Exchange) -> Waiting:
        """From here on the exchange may have to wait for its client, and is looked after."""
        if exchange.waiting is None:
            exchange.waiting = self.pace.enter()
        return exchange.waiting

    # ------------------------------------------------------------------ out

    async def _write(self, answer: Answer, exchange: _Exchange, receive: Receive, send: Send) -> None:
        """Send an answer."""
        if answer.status >= 400:  # noqa: PLR2004 - the statuses of refusals
            name_request(answer, exchange.request_id)
        body = answer.body
        if exchange.method == "HEAD":
            if isinstance(body, bytes) and body:
                answer.headers.setdefault("content-length", str(len(body)))
            if not isinstance(body, (bytes, FileSlice)):
                await _close(body)
            body = b""
        elif isinstance(body, bytes):
            if answer.status not in {204, 304}:
                answer.headers["content-length"] = str(len(body))
        elif isinstance(body, FileSlice):
            await self._write_file(body, answer, exchange, receive, send)
            return
        else:
            await self._write_stream(body, answer, exchange, send)
            return
        if not exchange.body_read and answer.status >= 400:  # noqa: PLR2004 - the statuses of refusals
            await self._write_and_drain(body, answer, exchange, receive, send)
            return
        await self._start(answer, exchange, send)
        exchange.sent = len(body)
        await send({"type": "http.response.body", "body": body})

    async def _start(self, answer: Answer, exchange: _Exchange, send: Send) -> None:
        headers = [_API_VERSION, (_REQUEST_ID, exchange.request_id.encode("ascii"))]
        headers += [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()
        ]
        exchange.started = True
        exchange.status = answer.status
        exchange.is_sized = "content-length" in answer.headers
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})

    async def _write_file(
        self, part: FileSlice, answer: Answer, exchange: _Exchange, receive: Receive, send: Send
    ) -> None:
        """Send a piece of a file. It is opened, and seen to be long enough, before a status is sent."""
        reader = _open(part)
        gone: asyncio.Task[None] | None = None
        with reader:
            if reader.size < part.stop:
                raise FileDamaged(f"{part.path.name} is shorter than it should be")
            if exchange.body_read and part.stop - part.start > WATCHED_BYTES:
                gone = asyncio.get_running_loop().create_task(_until_gone(receive))
            waiting, now = self._enter(exchange), self.pace.now
            try:
                answer.headers["content-length"] = str(part.stop - part.start)
                await self._start(answer, exchange, send)
                place = part.start
                while place < part.stop:
                    piece = await reader.read(place, part.stop - place)
                    if not piece:
                        raise FileDamaged(f"{part.path.name} became shorter while it was read")
                    place += len(piece)
                    waiting.since = now()
                    await send({"type": "http.response.body", "body": piece, "more_body": place < part.stop})
                    waiting.since = None
                    exchange.sent += len(piece)
                    if gone is not None:
                        # Without this nobody else's turn would come: a send to a client that
                        # has gone, or that takes all at once, does not wait.
                        await asyncio.sleep(0)
                        if gone.done():
                            raise ClientGone
                if part.start == part.stop:
                    await send({"type": "http.response.body", "body": b""})
            finally:
                if gone is not None:
                    gone.cancel()

    async def _write_stream(
        self, body: AsyncIterator[bytes], answer: Answer, exchange: _Exchange, send: Send
    ) -> None:
        """Send what a handler makes as it goes."""
        waiting, now = self._enter(exchange), self.pace.now
        try:
            await self._start(answer, exchange, send)
            async for piece in body:
                waiting.since = now()
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                waiting.since = None
                exchange.sent += len(piece)
            await send({"type": "http.response.body", "body": b""})
        finally:
            await _close(body)

    async def _write_and_drain(
        self, body: bytes, answer: Answer, exchange: _Exchange, receive: Receive, send: Send
    ) -> None:
        """Send a refusal to a client that is still sending, and let it find out.

        Closing at once would reset the connection, and the client would report
        that instead of what it was told. The refusal is sent in chunks, its end
        held back, since the server under us closes as soon as an answer is
        whole. Where a client waits for ``100 Continue`` it sends nothing, and is
        not asked to.
        """
        waits = exchange.headers.get("expect", "").lower() == "100-continue"
        if waits and (exchange.waiting is None or not exchange.waiting.received):
            await self._start(answer, exchange, send)
            await send({"type": "http.response.body", "body": body})
            return
        answer.headers.pop("content-length", None)
        await self._start(answer, exchange, send)
        exchange.sent = len(body)
        await send({"type": "http.response.body", "body": body, "more_body": True})
        thrown_away = 0
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                async for piece in self._body(receive, exchange):
                    thrown_away += len(piece)
                    if thrown_away > DRAIN_BYTES:
                        break
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b""})

    async def _give_up(self, exchange: _Exchange, send: Send) -> None:
        """End an exchange whose client has stalled."""
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        if exchange.started:
            if exchange.is_sized:
                return  # what was sent is shorter than was said: the connection ends, and its client knows
            raise ClientGone
        answer = Answer(status=408, headers={"connection": "close"})
        await self._start(answer, exchange, send)
        await send({"type": "http.response.body", "body": b""})

    async def _tell_whoever_is_left(self, exchange: _Exchange, send: Send) -> None:
        """Answer a request whose body ended early.

        The server under us does not tell a client that has gone from one that is
        there and sent a body which cannot be read, such as chunks without a
        length. Without an answer the second is told of a fault of ours (500).
        """
        answer = refusal_answer(
            RegistryRefusal(ErrorCode.SIZE_INVALID, "the body ended early, or its chunks cannot be read"),
            self._watchers.alarms,
        )
        name_request(answer, exchange.request_id)
        answer.headers["connection"] = "close"
        await self._start(answer, exchange, send)
        await send({"type": "http.response.body", "body": b"" if exchange.method == "HEAD" else answer.body})


def _open(part: FileSlice) -> FileReader:
    """Open a stored file.

    Raises:
        FileDamaged: It is not there, or not for us.
        OSError: No more files can be opened.
    """
    try:
        return FileReader(part.path)
    except OSError as refused:
        if refused.errno in NO_FILES_LEFT:
            raise
        raise FileDamaged(f"{part.path.name} cannot be opened: {refused.strerror}") from refused


async def _until_gone(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _close(body: AsyncIterator[bytes]) -> None:
    closer = getattr(body, "aclose", None)
    if closer is not None:
        await closer()
