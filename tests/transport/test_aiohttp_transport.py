"""Each way in which nothing comes back has its class and words; the library does nothing by itself."""

import asyncio
import datetime as dt
import gzip
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from tests.fakes.scripted_registry import Reply, ScriptedRegistry, Step, server_tls

from sealift.transport.aiohttp_transport import AiohttpTransport, Timeouts, UnusableCaFile
from sealift.transport.http import (
    CertificateRefused,
    ConnectionBroken,
    ConnectionRefused,
    NameNotResolved,
    NotTls,
    Request,
    TimedOut,
    TlsFailed,
    Unreachable,
)

QUICK = Timeouts(connect_seconds=0.3, idle_seconds=0.3, answer_seconds=0.3)
PAST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.cert_pem.bytes())
    return path


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object],
) -> AsyncIterator[int]:
    """A server that treats a connection as `answer` has it."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        answer(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


async def failure(transport: AiohttpTransport, url: str) -> Unreachable:
    async def whole() -> bytes:
        return await (await transport.send(Request(method="GET", url=url))).read(1000)

    with pytest.raises(Unreachable) as raised:
        await whole()
    return raised.value


def get(url: str) -> Request:
    return Request(method="GET", url=url)


async def test_a_response_comes_back_with_status_headers_and_body() -> None:
    reply = Reply(
        201,
        [("X-A", "1"), ("X-A", "2"), ("WWW-Authenticate", "Basic"), ("WWW-Authenticate", "Bearer")],
        b"body",
    )
    async with (
        ScriptedRegistry([Step("GET", "/v2/?a=b%3Ac", reply)]) as server,
        AiohttpTransport() as transport,
    ):
        response = await transport.send(get(f"{server.url}/v2/?a=b%3Ac"))
        assert response.status == 201
        assert response.headers["x-a"] == "1, 2"
        assert response.challenges == ("Basic", "Bearer")
        assert "www-authenticate" not in response.headers
        assert await response.read(10) == b"body"
        assert server.seen[0].headers["accept-encoding"] == "identity"
        assert "user-agent" not in server.seen[0].headers


async def test_redirects_cookies_and_compression_are_left_alone() -> None:
    packed = gzip.compress(b"body")
    steps = [
        Step("GET", "/a", Reply(302, [("Location", "/b"), ("Set-Cookie", "session=1; Path=/")])),
        Step("GET", "/b", Reply(200, [("Content-Encoding", "gzip")], packed)),
    ]
    async with ScriptedRegistry(steps) as server, AiohttpTransport() as transport:
        url = server.url.replace("127.0.0.1", "localhost")  # a jar keeps no cookies of bare addresses
        first = await transport.send(get(f"{url}/a"))
        await first.close()
        second = await transport.send(get(f"{url}/b"))
        assert (first.status, await second.read(1000)) == (302, packed)
        assert "cookie" not in server.seen[1].headers


async def test_a_url_is_sent_as_it_was_given() -> None:
    target = "/v2/a/blobs/uploads/1?_state=a%2Bb%2F==&x=%7e~"
    async with ScriptedRegistry([Step("PUT", target, Reply(201))]) as server, AiohttpTransport() as transport:
        response = await transport.send(Request(method="PUT", url=f"{server.url}{target}", body=b""))
        await response.close()
        assert server.seen[0].target == target


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


@pytest.mark.parametrize(("length", "header"), [(6, "content-length"), (None, "transfer-encoding")])
async def test_a_body_is_streamed(length: int | None, header: str) -> None:
    async with ScriptedRegistry([Step("PUT", "/", Reply(201))]) as server, AiohttpTransport() as transport:
        body = parts(b"abc", b"def")
        response = await transport.send(
            Request(method="PUT", url=f"{server.url}/", body=body, content_length=length)
        )
        await response.close()
        assert server.seen[0].body == b"abcdef"
        assert header in server.seen[0].headers


async def test_what_the_source_of_a_body_raises_reaches_the_caller_unchanged() -> None:
    class SourceFailedError(Exception):
        pass

    async def failing() -> AsyncIterator[bytes]:
        yield b"abc"
        raise SourceFailedError

    async with ScriptedRegistry([], strict=False) as server, AiohttpTransport() as transport:
        with pytest.raises(SourceFailedError):
            await transport.send(
                Request(method="PUT", url=f"{server.url}/", body=failing(), content_length=6)
            )


async def test_an_answer_that_is_longer_than_wanted_is_given_up() -> None:
    reply = Reply(200, body=b"x" * 1000)
    async with (
        ScriptedRegistry([Step("GET", "/", reply, times=2)]) as server,
        AiohttpTransport() as transport,
    ):
        with pytest.raises(ValueError, match="longer than 10 bytes"):
            await (await transport.send(get(f"{server.url}/"))).read(10)
        assert await (await transport.send(get(f"{server.url}/"))).read_start(10) == b"x" * 10


async def test_a_body_that_nobody_read_is_let_go() -> None:
    async with (
        ScriptedRegistry([Step("GET", "/", Reply(200, body=b"x" * 10))]) as server,
        AiohttpTransport() as transport,
    ):
        response = await transport.send(get(f"{server.url}/"))
        await response.close()
        await response.close()


async def test_a_known_certificate_is_accepted(authority: trustme.CA, ca_file: Path) -> None:
    async with (
        ScriptedRegistry([Step("GET", "/", Reply(200))], tls=server_tls(authority)) as server,
        AiohttpTransport(ca_files=[ca_file]) as transport,
    ):
        response = await transport.send(get(f"{server.url}/"))
        await response.close()
        assert response.status == 200


async def test_checks_can_be_switched_off(authority: trustme.CA) -> None:
    tls = server_tls(authority, "other.example")
    async with (
        ScriptedRegistry([Step("GET", "/", Reply(200))], tls=tls) as server,
        AiohttpTransport(verify=False) as transport,
    ):
        assert (await transport.send(get(f"{server.url}/"))).status == 200


@pytest.mark.parametrize(
    ("known", "names", "expired", "why", "hint"),
    [
        pytest.param(
            False,
            ("localhost",),
            False,
            "unable to get local issuer certificate",
            "--ca-file",
            id="unknown issuer",
        ),
        pytest.param(True, ("localhost",), True, "certificate has expired", "clock", id="expired"),
        pytest.param(
            True, ("other.example",), False, "Hostname mismatch", "a name it is for", id="another name"
        ),
    ],
)
async def test_a_certificate_that_is_not_accepted_says_why(  # noqa: PLR0917  a row of the table
    known: bool,
    names: tuple[str, ...],
    expired: bool,
    why: str,
    hint: str,
    authority: trustme.CA,
    ca_file: Path,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    validity = {"not_before": PAST, "not_after": PAST + dt.timedelta(days=1)} if expired else {}
    authority.issue_cert(*names, **validity).configure_cert(context)  # type: ignore[arg-type]  # dates only
    async with (
        ScriptedRegistry([], tls=context) as server,
        AiohttpTransport(ca_files=[ca_file] if known else []) as transport,
    ):
        error = await failure(transport, f"https://localhost:{server.port}/")
    assert type(error) is CertificateRefused
    assert str(error) == f"the certificate of localhost:{server.port} is not accepted"
    assert why in (error.why or "")
    assert hint in (error.hint or "")


async def test_tls_that_both_ends_cannot_agree_on_is_no_reason_for_plain_http(authority: trustme.CA) -> None:
    context = server_tls(authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED  # a client certificate that we do not have
    async with (
        ScriptedRegistry([], tls=context) as server,
        AiohttpTransport(verify=False, timeouts=QUICK) as transport,
    ):
        error = await failure(transport, f"https://localhost:{server.port}/")
    assert not isinstance(error, NotTls)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            lambda _, writer: writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            id="as Go answers a ClientHello",
        ),
        pytest.param(lambda _, writer: writer.close(), id="closed"),
        pytest.param(lambda _, writer: writer.transport.abort(), id="reset"),
        pytest.param(lambda _, writer: writer.write(b"SSH-2.0-OpenSSH_9\r\n"), id="another protocol"),
    ],
)
async def test_an_answer_that_is_no_tls_is_told_apart(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object],
) -> None:
    async with raw_server(answer) as port, AiohttpTransport(timeouts=QUICK) as transport:
        error = await failure(transport, f"https://127.0.0.1:{port}/")
    assert type(error) is NotTls
    assert isinstance(error, TlsFailed)
    assert "--plain-http" in (error.hint or "")


async def test_silence_is_a_timeout_and_never_no_tls() -> None:
    async with raw_server(lambda *_: None) as port, AiohttpTransport(timeouts=QUICK) as transport:
        assert type(await failure(transport, f"https://127.0.0.1:{port}/")) is TimedOut
        assert type(await failure(transport, f"http://127.0.0.1:{port}/")) is TimedOut


async def test_a_body_that_stalls_is_a_timeout() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
    async with (
        raw_server(lambda _, writer: writer.write(head)) as port,
        AiohttpTransport(timeouts=QUICK) as transport,
    ):
        assert type(await failure(transport, f"http://127.0.0.1:{port}/")) is TimedOut


async def test_a_peer_that_stops_reading_does_not_hold_an_upload_for_ever() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024 * 1024

    def stop_reading(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()

    async with raw_server(stop_reading) as port, AiohttpTransport(timeouts=QUICK) as transport:
        with pytest.raises(TimedOut):
            await transport.send(Request(method="PUT", url=f"http://127.0.0.1:{port}/", body=endless()))


async def test_a_source_that_is_slow_is_not_the_peers_fault() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        # Longer than every limit of `QUICK`: a wait that has to be real, since the clock is the loop's.
        await asyncio.sleep(0.5)
        yield b"b"

    async with (
        ScriptedRegistry([Step("PUT", "/", Reply(201))]) as server,
        AiohttpTransport(timeouts=QUICK) as transport,
    ):
        response = await transport.send(
            Request(method="PUT", url=f"{server.url}/", body=slow(), content_length=2)
        )
        await response.close()
        assert server.seen[0].body == b"ab"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200, body=b"x" * 20, cut_after=3), id="cut off"),
        pytest.param(Reply(200, body=b"x" * 3, length=20), id="shorter than announced"),
    ],
)
async def test_a_body_that_ends_too_early_is_a_broken_connection(reply: Reply) -> None:
    async with ScriptedRegistry([Step("GET", "/", reply)]) as server, AiohttpTransport() as transport:
        error = await failure(transport, f"{server.url}/")
    assert type(error) is ConnectionBroken


async def test_what_does_not_speak_http_is_a_broken_connection() -> None:
    async with (
        ScriptedRegistry([Step("GET", "/", Reply(raw=b"SSH-2.0-\x1b[31m\r\n"))]) as server,
        AiohttpTransport() as transport,
    ):
        error = await failure(transport, f"{server.url}/")
    assert type(error) is ConnectionBroken
    assert "\x1b" not in f"{error} {error.why}"


async def test_a_closed_port_and_an_unknown_name_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with AiohttpTransport() as transport:
        refused = await failure(transport, f"http://127.0.0.1:{port}/")
        unknown = await failure(transport, "https://registry.invalid/v2/")
        odd = await failure(transport, "http:///v2/")
    assert (type(refused), type(unknown), type(odd)) == (ConnectionRefused, NameNotResolved, Unreachable)
    assert str(unknown) == "cannot reach registry.invalid: no address is known for this name"
    assert "getent hosts registry.invalid" in (unknown.hint or "")


async def test_a_proxy_is_asked_and_its_refusal_says_so() -> None:
    async with ScriptedRegistry(
        [Step("GET", "http://r.example/v2/", Reply(200, body=b"from the proxy"))]
    ) as proxy:
        async with AiohttpTransport(environment={"HTTP_PROXY": proxy.url}) as transport:
            response = await transport.send(get("http://r.example/v2/"))
            assert await response.read(100) == b"from the proxy"
        url = f"http://user:canary@127.0.0.1:{proxy.port}"
    async with AiohttpTransport(environment={"HTTPS_PROXY": url}) as transport:
        error = await failure(transport, "https://r.example/v2/")
    assert "through the proxy" in str(error)
    assert "canary" not in f"{error} {error.why} {error.hint}"


@pytest.mark.parametrize(
    "content", [pytest.param(None, id="missing"), pytest.param(b"no certificate", id="no certificate")]
)
def test_a_ca_file_that_cannot_be_used_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusableCaFile) as raised:
        AiohttpTransport(ca_files=[path])
    assert str(path) in str(raised.value)
    assert raised.value.why
    assert raised.value.hint


async def test_a_transport_can_be_used_again_after_it_was_closed() -> None:
    async with ScriptedRegistry([Step("GET", "/", Reply(200), times=2)]) as server:
        transport = AiohttpTransport()
        for _ in range(2):
            response = await transport.send(get(f"{server.url}/"))
            await response.close()
            await transport.close()
