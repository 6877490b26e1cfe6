"""The front door: what goes in and out of a handler, and what a client may do to it."""

import asyncio
import hashlib
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.registry.open_registry import HOST, Client, Reply, basic, open_client

from sealift.protocol.endpoints import Endpoint
from sealift.protocol.error_codes import ErrorCode
from sealift.registry.access_log import Form
from sealift.registry.app import WATCHED_BYTES, ClientGone
from sealift.registry.blob_store.blob_store import BlobDamaged, StorageRefused
from sealift.registry.catalog.database import Catalog, CatalogFailed
from sealift.registry.exchange import Answer, Call, FileSlice
from sealift.registry.file_reader import MOST_PIECE_BYTES
from sealift.registry.pace import Patience
from sealift.registry.refusal import RegistryRefusal
from sealift.registry.request_head import Door
from sealift.registry.server.log_lines import JsonLines

ADMIN = basic("admin")

TAGS = "/v2/ashok/private/tags/list"

Handler = Callable[[Call], Awaitable[Answer]]


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with open_client(tmp_path) as opened:
        yield opened


def _answering(client: Client, handler: Handler) -> None:
    """Have every endpoint of the protocol answered by `handler`."""
    client.app.routes = {
        endpoint: replace(route, handler=handler) for endpoint, route in client.app.routes.items()
    }


@dataclass
class Wire:
    """One request by hand: what is received when, and what was sent."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    """What `receive` gives in turn; then it waits for ever."""

    blocks_after: int | None = None
    """The number of messages after which `send` waits for ever: a client that does not read."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once somebody waits for ever."""

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            return self.messages.pop(0)
        self.waiting.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets that event")

    async def send(self, message: dict[str, Any]) -> None:
        if self.blocks_after is not None and len(self.sent) >= self.blocks_after:
            self.waiting.set()
            await asyncio.Event().wait()
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def ended(self) -> bool:
        return len(self.sent) > 1 and not self.sent[-1].get("more_body", False)


def _scope(method: str, target: str, **headers: str) -> dict[str, Any]:
    path, _, query = target.partition("?")
    named = {"host": HOST, "authorization": ADMIN} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "client": ("127.0.0.1", 1),
    }


# ------------------------------------------------------------------ in


async def test_a_handler_gets_what_was_sent(client: Client) -> None:
    seen: list[Call] = []

    async def handler(call: Call) -> Answer:
        seen.append(call)
        return Answer(status=200, body=b"".join([piece async for piece in call.body]))

    _answering(client, handler)
    reply = await client.ask(
        "PATCH",
        "/v2/ashok/private/blobs/uploads/abc?a=1&b=x%2Fy&a=2&c",
        headers={"X-One": "1", "content-range": "0-3"},
        body=[b"ab", b"", b"cd"],
        auth=ADMIN,
    )
    (call,) = seen
    assert reply.body == b"abcd"
    assert call.path == {"name": "ashok/private", "upload_id": "abc"}
    assert call.query == {"a": ("1", "2"), "b": ("x/y",), "c": ("",)}
    assert call.headers["x-one"] == "1"
    assert call.headers["content-range"] == "0-3"
    assert (call.method, call.principal.name, call.principal.is_admin) == ("PATCH", "admin", True)
    assert (call.base_url, call.readable) == ("", frozenset())


async def test_a_repeated_header_is_one_with_commas(client: Client) -> None:
    seen: list[str] = []

    async def handler(call: Call) -> Answer:
        seen.append(call.headers["accept"])
        return Answer(status=200)

    _answering(client, handler)
    scope = _scope("GET", TAGS)
    scope["headers"] += [(b"Accept", b"a/b"), (b"accept", b"c/d, e/f")]
    await client.app(scope, Wire([{"type": "http.request"}]).receive, Wire().send)
    assert seen == ["a/b, c/d, e/f"]


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        pytest.param("GET", "/", {}, 404, id="nothing there"),
        pytest.param("GET", "/v3/", {}, 404, id="another protocol"),
        pytest.param("GET", "/v2/nothing/like/this", {}, 404, id="no endpoint"),
        pytest.param("GET", "/v2/UPPER/tags/list", {}, 400, id="a name that is none"),
        pytest.param("GET", "/v2/../../etc/passwd/manifests/v1", {}, 400, id="a name that climbs"),
        pytest.param("GET", "/v2/a%2Fb/tags/list", {}, 400, id="an escaped slash"),
        pytest.param("GET", "/v2/a/blobs/sha256:short", {}, 400, id="a digest that is none"),
        pytest.param("POST", TAGS, {}, 405, id="a method that the path does not take"),
        pytest.param("BREW", TAGS, {}, 405, id="a method that is none"),
        pytest.param("GET", TAGS + "?" + "a" * 20_000, {}, 414, id="a long query"),
        pytest.param("GET", TAGS + "?" + "a=1&" * 1000, {}, 400, id="a query of many fields"),
        pytest.param("GET", TAGS + "?a=%FF", {}, 400, id="a query that is no UTF-8"),
        pytest.param("GET", TAGS, {"x": "y" * 40_000}, 431, id="long headers"),
        pytest.param("PUT", "/healthz", {}, 405, id="health takes no PUT"),
        pytest.param("GET", "/healthzz", {}, 404, id="no prefix matches"),
        pytest.param("GET", "/v2x", {}, 404, id="nor that one"),
        pytest.param("GET", "/api/v1x", {}, 404, id="nor that one of the management"),
        pytest.param("GET", "/metrics", {}, 404, id="metrics are not on this listener"),
    ],
)
async def test_what_is_no_request_of_ours(
    client: Client, method: str, target: str, headers: dict[str, str], status: int
) -> None:
    reply = await client.ask(method, target, headers=headers, auth=ADMIN)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    assert reply.json["errors"][0]["message"]
    assert (status == 405) == ("allow" in reply.headers)


# ------------------------------------------------------------------ out


async def test_head_is_get_without_its_body(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "blob"
    file.write_bytes(b"0123456789")

    async def stream() -> AsyncIterator[bytes]:
        yield b"never read"

    bodies: list[Answer] = [
        Answer(status=200, headers={"content-type": "a/b"}, body=b"12345"),
        Answer(status=200, headers={"content-length": "4"}, body=FileSlice(path=file, start=2, stop=6)),
        Answer(status=200, headers={"content-length": "10"}, body=stream()),
    ]

    async def handler(call: Call) -> Answer:
        assert call.method == "HEAD"  # for ranges only, which HEAD has none of
        return bodies.pop(0)

    _answering(client, handler)
    replies = [await client.ask("HEAD", TAGS, auth=ADMIN) for _ in range(3)]
    assert [(reply.status, reply.headers["content-length"], reply.body) for reply in replies] == [
        (200, "5", b""),
        (200, "4", b""),
        (200, "10", b""),
    ]


async def test_a_refusal_of_head_has_no_body_either(client: Client) -> None:
    head = await client.ask("HEAD", "/v2/ashok/private/manifests/v1")
    get = await client.ask("GET", "/v2/ashok/private/manifests/v1")
    assert (head.status, head.body) == (401, b"")
    assert head.without_its_id().headers == get.without_its_id().headers


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        pytest.param(0, 3 * MOST_PIECE_BYTES + 17, id="the whole"),
        pytest.param(1, MOST_PIECE_BYTES + 2, id="across a boundary"),
        pytest.param(5, 6, id="one byte"),
        pytest.param(7, 7, id="none"),
    ],
)
async def test_a_slice_of_a_file_goes_out(client: Client, tmp_path: Path, start: int, stop: int) -> None:
    content = hashlib.shake_128(b"x").digest(3 * MOST_PIECE_BYTES + 17)
    file = tmp_path / "blob"
    file.write_bytes(content)

    async def handler(_: Call) -> Answer:
        return Answer(status=206, body=FileSlice(path=file, start=start, stop=stop))

    _answering(client, handler)
    reply = await client.ask("GET", TAGS, auth=ADMIN)
    assert (reply.status, reply.headers["content-length"]) == (206, str(stop - start))
    assert reply.body == content[start:stop]


@pytest.mark.parametrize("there", [None, b"", b"12345"], ids=["missing", "empty", "short"])
async def test_a_file_that_is_not_what_it_should_be_is_an_error_with_an_alarm_and_never_a_200(
    client: Client, tmp_path: Path, caplog: pytest.LogCaptureFixture, there: bytes | None
) -> None:
    file = tmp_path / "blob"
    if there is not None:
        file.write_bytes(there)

    async def handler(_: Call) -> Answer:
        return Answer(status=200, body=FileSlice(path=file, start=0, stop=10))

    _answering(client, handler)
    reply = await client.ask("GET", TAGS, auth=ADMIN)
    assert (reply.status, reply.code) == (500, "UNKNOWN")
    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]


async def test_an_empty_answer_says_so_and_204_says_nothing(client: Client) -> None:
    answers = [Answer(status=202), Answer(status=204)]

    async def handler(_: Call) -> Answer:
        return answers.pop(0)

    _answering(client, handler)
    accepted = await client.ask("GET", TAGS, auth=ADMIN)
    nothing = await client.ask("GET", TAGS, auth=ADMIN)
    assert accepted.headers["content-length"] == "0"
    assert "content-length" not in nothing.headers


async def test_every_answer_says_which_protocol(client: Client) -> None:
    for target in ("/v2/", "/token", "/healthz", "/nothing", "/api/v1"):
        reply = await client.ask("GET", target)
        assert reply.headers["docker-distribution-api-version"] == "registry/2.0"


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        pytest.param(
            RegistryRefusal(ErrorCode.MANIFEST_UNKNOWN, "no such"), 404, "MANIFEST_UNKNOWN", id="a refusal"
        ),
        pytest.param(CatalogFailed("x"), 503, "UNAVAILABLE", id="the catalog cannot be written"),
        pytest.param(StorageRefused("x", is_full=True), 507, "UNAVAILABLE", id="the disk is full"),
        pytest.param(StorageRefused("x", is_full=False), 503, "UNAVAILABLE", id="the disk refuses"),
        pytest.param(OSError(5, "secret-canary"), 500, "UNKNOWN", id="an error of the system"),
        pytest.param(ZeroDivisionError("secret-canary"), 500, "UNKNOWN", id="a mistake of ours"),
    ],
)
async def test_what_a_handler_raises_becomes_an_envelope(
    client: Client, failure: Exception, status: int, code: str
) -> None:
    async def handler(_: Call) -> Answer:
        raise failure

    _answering(client, handler)
    reply = await client.ask("GET", TAGS, auth=ADMIN)
    assert (reply.status, reply.code) == (status, code)
    assert b"secret-canary" not in reply.body


async def test_damage_names_no_path(client: Client) -> None:
    from sealift.image.digest import Digest  # noqa: PLC0415  used here only

    async def handler(_: Call) -> Answer:
        raise BlobDamaged(Digest.of(b""), expected=3, found=None)

    _answering(client, handler)
    reply = await client.ask("GET", TAGS, auth=ADMIN)
    assert reply.status == 500
    assert b"/" not in reply.body


# ------------------------------------------------------------------ where it stands


@pytest.mark.parametrize(
    ("url", "begins"),
    [
        pytest.param(None, "/v2/", id="relative: no proxy can get them wrong"),
        pytest.param("https://registry.example", "https://registry.example/v2/", id="or as one was told"),
    ],
)
async def test_locations(tmp_path: Path, url: str | None, begins: str) -> None:
    async with open_client(tmp_path, door=Door(external_url=url)) as client:
        reply = await client.ask("POST", "/v2/ashok/private/blobs/uploads/", body=b"", auth=ADMIN)
        assert reply.headers["location"].startswith(begins)


async def test_health_needs_no_host(client: Client) -> None:
    """A probe that speaks HTTP/1.0 sends none."""
    client.headers["host"] = ""
    assert (await client.ask("GET", "/healthz", headers={"host": ""})).status == 200


def _failing(reply: Reply) -> dict[str, str]:
    return {check["name"]: check["why"] for check in reply.json["checks"] if not check["ok"]}


async def _write_something(client: Client) -> None:
    catalog = client.app._guard._catalog
    assert isinstance(catalog, Catalog)
    await catalog.write(lambda _: None)


async def test_health(client: Client, tmp_path: Path) -> None:
    assert (await client.ask("GET", "/healthz")).json["kind"] == "Health"
    assert (await client.ask("GET", "/readyz")).status == 200
    (tmp_path / "data" / "uploads").rename(tmp_path / "data" / "gone")
    gone = await client.ask("GET", "/readyz")
    assert (gone.status, _failing(gone)) == (503, {"blobs": "a directory of the blob store is gone"})
    assert str(tmp_path) not in gone.body.decode()
    (tmp_path / "data" / "gone").rename(tmp_path / "data" / "uploads")
    (tmp_path / "data" / "catalog.sqlite3-turn").unlink(missing_ok=True)
    (tmp_path / "data" / "catalog.sqlite3-turn").mkdir()
    with pytest.raises(CatalogFailed):
        await _write_something(client)
    refusing = await client.ask("GET", "/readyz")
    assert _failing(refusing) == {"catalog": "the catalog refuses to be written to"}
    (tmp_path / "data" / "catalog.sqlite3-turn").rmdir()
    await _write_something(client)
    assert (await client.ask("GET", "/readyz")).status == 200
    client.app.pace.stopping = True
    stopping = await client.ask("GET", "/readyz")
    assert (stopping.status, list(_failing(stopping))) == (503, ["stopping"])
    assert (await client.ask("GET", "/healthz")).status == 200


@pytest.mark.parametrize("form", ["text", "json"])
async def test_the_access_log_has_no_secrets(
    tmp_path: Path, form: Form, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_client(tmp_path, access_log=form) as client:
        token = await client.token("reader", "repository:ashok/private:pull")
        await client.ask("GET", TAGS + "?password=canary-1", auth=token)
        await client.ask("GET", "/v2/", auth=basic("reader", "canary-2"))
        await client.ask("GET", "/token?canary-3=x", auth=basic("canary-4", "canary-5"))
    lines = capfd.readouterr().err
    text = lines + caplog.text
    assert (f'reader "GET {TAGS}" 200' if form == "text" else f'"path":"{TAGS}","status":200') in lines
    assert "canary" not in text
    assert token.removeprefix("Bearer ") not in text


# ------------------------------------------------------------------ request ids


REFUSALS = [
    pytest.param("GET", TAGS, None, None, 401, id="the gate"),
    pytest.param("GET", "/nothing", None, None, 404, id="no route"),
    pytest.param("GET", "/v2/ashok/private/manifests/nope", ADMIN, None, 404, id="a handler"),
    pytest.param("GET", "/token", basic("reader", "wrong horse"), None, 401, id="the token endpoint"),
    pytest.param("POST", "/token", None, b"grant_type=refresh_token", 401, id="an OAuth2 error"),
    pytest.param("GET", "/api/v1/audit", basic("stranger"), None, 403, id="the management API"),
    pytest.param("PUT", "/healthz", None, None, 405, id="a method"),
]


@pytest.mark.parametrize(("method", "target", "auth", "body", "status"), REFUSALS)
async def test_a_refusal_says_its_request_id_in_its_body_and_its_header(  # noqa: PLR0917  pytest passes by name
    client: Client, method: str, target: str, auth: str | None, body: bytes | None, status: int
) -> None:
    headers = {} if body is None else {"content-type": "application/x-www-form-urlencoded"}
    reply = await client.ask(method, target, auth=auth, body=body, headers=headers)
    assert reply.status == status
    assert reply.json["requestId"] == reply.request_id
    assert len(reply.json["errors"]) == 1
    assert int(reply.headers["content-length"]) == len(reply.body)


async def test_a_failure_that_nobody_foresaw_is_found_in_the_log_by_its_id(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(_: Call) -> Answer:
        raise ValueError("unforeseen")

    seen: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(JsonLines().format(record))

    listening = Lines()
    logging.getLogger().addHandler(listening)
    try:
        _answering(client, handler)
        reply = await client.ask("GET", TAGS, auth=ADMIN)
    finally:
        logging.getLogger().removeHandler(listening)
    (line,) = [json.loads(each) for each in seen if "unforeseen" in each]
    assert line["requestId"] == reply.json["requestId"]
    assert (line["level"], line["logger"]) == ("error", "sealift.registry.refusal_answer")


async def test_no_two_requests_have_one_id_and_a_client_cannot_choose_it(client: Client) -> None:
    chosen = {"x-request-id": "0123456789abcdef"}
    seen = {(await client.ask("GET", "/healthz", headers=chosen)).request_id for _ in range(1000)}
    assert len(seen) == 1000
    assert chosen["x-request-id"] not in seen
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in seen)


@pytest.mark.parametrize(
    ("peer", "given", "taken"),
    [
        pytest.param("10.0.0.7", "from-nginx.1", True, id="a named proxy"),
        pytest.param("10.0.0.7", 'x","y":"', False, id="not well-formed"),
        pytest.param("10.0.0.7", "x" * 65, False, id="too long"),
        pytest.param("10.1.0.7", "from-nginx.1", False, id="an unnamed one"),
    ],
)
async def test_the_id_of_a_named_proxy_is_taken_over(
    tmp_path: Path, peer: str, given: str, taken: bool
) -> None:
    async with open_client(tmp_path, door=Door(trusted_proxies=(IPv4Network("10.0.0.0/24"),))) as client:
        client.peer = peer
        reply = await client.ask("GET", TAGS, headers={"x-request-id": given})
    assert (reply.request_id == given) is taken
    assert reply.json["requestId"] == reply.request_id


# ------------------------------------------------------------------ clients that misbehave


async def test_where_a_body_ends_early_the_handler_knows_and_whoever_is_left_is_told(
    client: Client,
) -> None:
    """Gone, or there with chunks that cannot be read: a server cannot tell, and a 500 would be a lie."""
    seen: list[object] = []

    async def handler(call: Call) -> Answer:
        try:
            async for piece in call.body:
                seen.append(piece)  # noqa: PERF401  what had come before it failed is the point
        except ClientGone:
            seen.append("gone")
            raise
        return Answer(status=200)

    _answering(client, handler)
    wire = Wire([{"type": "http.request", "body": b"ab", "more_body": True}, {"type": "http.disconnect"}])
    await client.app(_scope("PATCH", "/v2/a/b/blobs/uploads/x", content_length="10"), wire.receive, wire.send)
    assert seen == [b"ab", "gone"]
    assert wire.status == 400
    assert wire.ended


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def _until_waiting(client: Client, scope: dict[str, Any], wire: Wire) -> "asyncio.Task[None]":
    task = asyncio.create_task(client.app(scope, wire.receive, wire.send))
    await wire.waiting.wait()
    return task


async def _read_all(call: Call) -> Answer:
    async for _ in call.body:
        pass
    return Answer(status=200)


@pytest.mark.parametrize(
    ("stopping", "seconds", "given_up"),
    [
        pytest.param(False, 59, False, id="a pause is allowed"),
        pytest.param(False, 61, True, id="a stall is not"),
        pytest.param(True, 4, False, id="a pause while the server stops"),
        pytest.param(True, 6, True, id="a stall while the server stops holds it shortly"),
    ],
)
async def test_a_body_that_stalls(client: Client, stopping: bool, seconds: float, given_up: bool) -> None:
    _answering(client, _read_all)
    clock = client.app.pace.now = Clock()
    wire = Wire([{"type": "http.request", "body": b"x" * 100_000, "more_body": True}])
    scope = _scope("PATCH", "/v2/a/b/blobs/uploads/x", content_length="200000")
    task = await _until_waiting(client, scope, wire)
    client.app.pace.stopping = stopping
    clock.seconds += seconds
    client.app.pace.give_up_late()
    await asyncio.wait([task], timeout=0.05)
    assert task.done() is given_up
    if given_up:
        assert (wire.status, wire.ended) == (408, True)
    else:
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_body_that_drips_is_given_up_though_it_never_stalls(client: Client) -> None:
    _answering(client, _read_all)
    clock = client.app.pace.now = Clock()
    wire = Wire([{"type": "http.request", "body": b"x", "more_body": True}])
    task = await _until_waiting(
        client, _scope("PATCH", "/v2/a/b/blobs/uploads/x", content_length="999"), wire
    )
    (waiting,) = client.app.pace._all
    clock.seconds = 3600
    waiting.since = clock.seconds  # its last byte came just now
    client.app.pace.give_up_late()
    await task
    assert wire.status == 408


@pytest.mark.parametrize("size", [3 * MOST_PIECE_BYTES, WATCHED_BYTES + MOST_PIECE_BYTES])
async def test_a_client_that_does_not_read_holds_one_piece_and_is_given_up(
    client: Client, tmp_path: Path, size: int
) -> None:
    file = tmp_path / "blob"
    with file.open("wb") as sparse:
        sparse.truncate(size)

    async def handler(_: Call) -> Answer:
        return Answer(status=200, body=FileSlice(path=file, start=0, stop=size))

    _answering(client, handler)
    clock = client.app.pace.now = Clock()
    wire = Wire([{"type": "http.request"}], blocks_after=2)
    task = await _until_waiting(client, _scope("GET", TAGS), wire)
    assert len(wire.body) == MOST_PIECE_BYTES
    clock.seconds = 61
    client.app.pace.give_up_late()
    await task  # nothing is raised: the server would write a traceback for every client that stalls
    assert not wire.ended


async def test_a_long_answer_stops_when_its_client_goes_away(client: Client, tmp_path: Path) -> None:
    size = WATCHED_BYTES + 64 * MOST_PIECE_BYTES
    file = tmp_path / "blob"
    with file.open("wb") as sparse:
        sparse.truncate(size)

    async def handler(_: Call) -> Answer:
        return Answer(status=200, body=FileSlice(path=file, start=0, stop=size))

    _answering(client, handler)
    wire = Wire([{"type": "http.request"}, {"type": "http.disconnect"}])

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        wire.sent.append(message)

    await client.app(_scope("GET", TAGS), wire.receive, send)
    assert len(wire.body) < size


async def test_who_is_refused_while_sending_can_read_the_refusal(client: Client) -> None:
    """The refusal goes out first; then what is still coming is read and thrown away; then it ends."""
    pieces = [{"type": "http.request", "body": b"x" * 1000, "more_body": True} for _ in range(10)]
    wire = Wire([*pieces, {"type": "http.request", "body": b"", "more_body": False}])
    scope = _scope("PATCH", "/v2/a/b/blobs/uploads/x", content_length="10000", authorization="Bearer x")
    await client.app(scope, wire.receive, wire.send)
    assert wire.status == 401
    assert [message.get("more_body", False) for message in wire.sent[1:]] == [True, False]
    assert wire.messages == []


async def test_who_waits_for_a_100_is_refused_without_being_asked_for_the_body(client: Client) -> None:
    wire = Wire()
    scope = _scope(
        "PUT", "/v2/a/b/manifests/v1", content_length="10", expect="100-continue", authorization="Bearer x"
    )
    await client.app(scope, wire.receive, wire.send)
    assert (wire.status, wire.ended, wire.waiting.is_set()) == (401, True, False)


async def test_an_upload_of_somebody_else_or_elsewhere_is_not_there(client: Client) -> None:
    """Security table, row 3: an upload belongs to one repository and one principal."""
    begun = await client.ask("POST", "/v2/ashok/private/blobs/uploads/", body=b"", auth=basic("writer"))
    location = begun.headers["location"]
    elsewhere = location.replace("ashok/private", "ashok/public")
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        for target, who in ((location, "ashok"), (elsewhere, "writer"), (location, "admin")):
            query = f"?digest=sha256:{hashlib.sha256(b'').hexdigest()}" if method == "PUT" else ""
            reply = await client.ask(method, target + query, body=b"", auth=basic(who))
            assert reply.status == 404, (method, target, who)
    assert (await client.ask("GET", location, auth=basic("writer"))).status == 204


async def test_patience_can_be_set(tmp_path: Path) -> None:
    async with open_client(tmp_path, patience=Patience(stalled_seconds=1)) as client:
        assert client.app.pace._patience.stalled_seconds == 1


def test_every_endpoint_has_a_name_in_the_table() -> None:
    assert len(Endpoint) == 14
