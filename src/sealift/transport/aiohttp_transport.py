"""The transport that leaves through aiohttp; the only importer of it.

What the library would do by itself and must not: follow redirects, keep
cookies, decompress bodies (a digest is over what was sent), rewrite URLs
(upload locations are to be used verbatim), read ``.netrc``. Each of them is
switched off here. Proxies are our own decision, see `sealift.transport.proxy`.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from sealift.errors import SealiftError
from sealift.transport.http import (
    CertificateRefused,
    ConnectionBroken,
    ConnectionRefused,
    NameNotResolved,
    NotTls,
    Request,
    Response,
    TimedOut,
    TlsFailed,
    Unreachable,
)
from sealift.transport.proxy import proxy_for
from sealift.transport.redaction import printable, redacted_url

READ_BUFFER = 512 * 1024
"""Bytes that wait between the socket and the reader of one response; twice that at most."""

MAX_HEADER = 64 * 1024
"""Bytes of one header. Upload locations carry signed state, and challenges many scopes."""

_NOT_TLS_REASONS = frozenset(
    {
        "BAD_PACKET_LENGTH",
        "HTTP_REQUEST",
        "HTTPS_PROXY_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
        "UNEXPECTED_EOF_WHILE_READING",
        "WRONG_VERSION_NUMBER",
    }
)
"""OpenSSL's words for an answer whose first bytes are no TLS record, or for an end without one."""

_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21, 26, 27})
_NOT_VALID_NOW = frozenset({9, 10})
_OTHER_NAME = frozenset({62, 63, 64})
"""X509_V_ERR_* numbers, as OpenSSL's x509_vfy.h has them."""


_PORT = re.compile(r":[0-9]+\Z")


class UnusableCaFile(SealiftError):
    """A file given as ``--ca-file`` that holds no certificate, or cannot be read."""


class NoRightToCaFile(UnusableCaFile):
    """The file is there, and this user may not read it."""

    exit_status: ClassVar[int] = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long nothing may happen. There is no limit to the whole: a layer takes as long as it takes."""

    connect_seconds: float = 15.0
    """TCP and TLS handshake together."""

    idle_seconds: float = 60.0
    """Silence of the other end while a body passes, in either direction, and before an answer."""

    answer_seconds: float = 300.0
    """Silence after a body was sent: a registry on object storage copies the blob before it answers."""


def tls_context(ca_files: Sequence[Path] = (), *, verify: bool = True) -> ssl.SSLContext:
    """The machine's certificate authorities and `ca_files`; TLS 1.2 and later.

    Raises:
        UnusableCaFile: one of the files is missing, unreadable, or no PEM certificate.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in ca_files:
        try:
            context.load_verify_locations(cafile=path)
        except ssl.SSLError as error:
            raise UnusableCaFile(
                f"the CA file {path} cannot be used",
                why="it holds no certificate in PEM form (or a broken one)",
                hint=f"openssl x509 -in {path} -noout -subject",
            ) from error
        except OSError as error:
            kind = NoRightToCaFile if isinstance(error, PermissionError) else UnusableCaFile
            raise kind(
                f"the CA file {path} cannot be read",
                why=error.strerror or type(error).__name__,
                hint=f"ls -l {path}",
            ) from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class AiohttpTransport:
    """Implements `Transport`. One instance serves any number of hosts and tasks.

    Use it as an async context manager, or call `close`.
    """

    def __init__(
        self,
        *,
        ca_files: Sequence[Path] = (),
        verify: bool = True,
        timeouts: Timeouts | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Read the CA files; connect nowhere yet. Proxies are looked up in `environment` (None: nowhere).

        Raises:
            UnusableCaFile: one of `ca_files` cannot be used.
        """
        self._tls = tls_context(ca_files, verify=verify)
        self._timeouts = timeouts if timeouts is not None else Timeouts()
        self._environment = dict(environment or {})
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection. The transport may be used again and then opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            # A TLS connection says goodbye after close() has returned (aiohttp's documentation,
            # "Graceful Shutdown"): let the loop turn, or the interpreter warns of an open socket.
            await asyncio.sleep(0)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # No limit on connections: a copy holds one to read from while it waits for one to write to,
                # and several copies under one limit would wait for each other. Who asks bounds how much.
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=0, ttl_dns_cache=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                read_bufsize=READ_BUFFER,
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
                skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    sock_connect=self._timeouts.connect_seconds,
                    sock_read=self._timeouts.idle_seconds,
                ),
            )
        return self._session

    async def send(self, request: Request) -> Response:
        """Send one request.

        Raises:
            Unreachable: no response came; the subclass says why.
        """
        headers = {"Accept-Encoding": "identity", **request.headers}
        body: bytes | _WatchedBody | None = None
        try:
            # One limit for "nothing happens", moved on by every part that is sent: aiohttp's own
            # starts only when the whole body is out, and a peer that stops reading would hold us forever.
            async with asyncio.timeout(None) as limit:
                if request.body is None or isinstance(request.body, bytes):
                    body = request.body
                    _start(limit, self._timeouts.connect_seconds + self._timeouts.idle_seconds)
                else:
                    body = _WatchedBody(request.body, limit, self._timeouts)
                    _start(limit, self._timeouts.connect_seconds)
                    if request.content_length is not None:
                        headers["Content-Length"] = str(request.content_length)
                answer = await self._opened().request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    proxy=proxy_for(request.url, self._environment),
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if isinstance(body, _WatchedBody) and body.failure is not None:
                raise body.failure from None
            raise unreachable(request, error) from error
        finally:
            if isinstance(body, _WatchedBody):
                await body.close()
        return Response(
            status=answer.status,
            headers=_joined(answer),
            url=request.url,
            challenges=tuple(answer.headers.getall("WWW-Authenticate", [])),
            body=_AnswerBody(request, answer),
        )


class _WatchedBody(AsyncIterator[bytes]):
    """A request's body that moves the time limit on, and remembers what its source raised.

    While the source is asked for more the limit rests: a slow source has limits of its own.
    """

    def __init__(self, source: AsyncIterator[bytes], limit: asyncio.Timeout, timeouts: Timeouts) -> None:
        self._source = source
        self._limit = limit
        self._timeouts = timeouts
        self.failure: Exception | None = None

    async def __anext__(self) -> bytes:
        self._limit.reschedule(None)
        try:
            part = await anext(self._source)
        except StopAsyncIteration:
            _start(self._limit, self._timeouts.answer_seconds)
            raise
        except (
            Exception
        ) as error:  # whatever the source raises has to reach the caller, not aiohttp's wrapping of it
            self.failure = error
            raise
        _start(self._limit, self._timeouts.idle_seconds)
        return part

    async def close(self) -> None:
        """Let the source go, if it can be: no more of it will be asked for."""
        closer = getattr(self._source, "aclose", None)
        if closer is not None:
            with contextlib.suppress(
                RuntimeError
            ):  # aiohttp's writer may be in it until it sees that it is over
                await closer()


class _AnswerBody(AsyncIterator[bytes]):
    """A response's body as it arrives.

    Not a generator: one that was never started would not let go in ``aclose``.
    """

    def __init__(self, request: Request, answer: aiohttp.ClientResponse) -> None:
        self._request = request
        self._answer = answer

    async def __anext__(self) -> bytes:
        try:
            part = await self._answer.content.readany()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._answer.close()
            raise unreachable(self._request, error) from error
        if not part:
            self._answer.release()
            raise StopAsyncIteration
        return part

    async def aclose(self) -> None:
        """Let go. The connection is kept only if the body was read to its end."""
        if self._answer.content.at_eof():
            self._answer.release()
        else:
            self._answer.close()


def _start(limit: asyncio.Timeout, seconds: float) -> None:
    limit.reschedule(asyncio.get_running_loop().time() + seconds)


def _joined(answer: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in answer.headers.items():
        lowered = name.lower()
        if lowered != "www-authenticate":
            headers[lowered] = f"{headers[lowered]}, {value}" if lowered in headers else value
    return headers


def unreachable(request: Request, error: Exception) -> Unreachable:  # noqa: C901, PLR0912  one row for each way to fail
    """What a failure of the library means, in our words. The order of the rows is that of its class tree."""
    host = urlsplit(redacted_url(request.url)).netloc or redacted_url(request.url)
    match error:
        case aiohttp.ClientProxyConnectionError():
            return Unreachable(
                f"cannot reach {host} through the proxy",
                why=f"the proxy at {error.host}:{error.port} refused the connection ({_system(error)})",
                hint="check HTTPS_PROXY, or add the registry to NO_PROXY",
            )
        case aiohttp.ClientHttpProxyError():
            return Unreachable(
                f"cannot reach {host} through the proxy",
                why=f"the proxy answered {error.status} {printable(error.message, 200)}",
                hint="check HTTPS_PROXY and its credentials, or add the registry to NO_PROXY",
            )
        case aiohttp.ClientConnectorDNSError():
            return NameNotResolved(
                f"cannot reach {host}: no address is known for this name",
                why=_system(error),
                hint=f"check the spelling of the registry; getent hosts {host.partition(':')[0]}",
            )
        case aiohttp.ClientConnectorCertificateError():
            return _certificate_refused(host, error.certificate_error)
        case ssl.SSLCertVerificationError():
            return _certificate_refused(host, error)
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return _tls_failed(host, error)
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return ConnectionRefused(
                f"cannot reach {host}: connection refused",
                why="the address answers, and nothing listens at this port",
                hint="check the port, and that the registry runs",
            )
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionError | EOFError):
            # TCP stood, and the TLS handshake was cut off: what a server does that speaks something else.
            return NotTls(
                f"cannot speak TLS with {host}",
                why="it closed the connection during the handshake",
                hint="if this registry is plain HTTP: --plain-http",
            )
        case aiohttp.ClientConnectorError():
            return Unreachable(
                f"cannot reach {host}", why=_system(error), hint="check the address and the network"
            )
        case TimeoutError():
            return TimedOut(
                f"{host} does not answer in time",
                why="nothing was heard from it for longer than the limit",
                hint="check the address, the port and the firewall between",
            )
        case aiohttp.InvalidURL() | ValueError():
            return Unreachable(
                f"{redacted_url(request.url)} is not an address that can be asked", why="malformed URL"
            )
        case aiohttp.ClientResponseError():
            return ConnectionBroken(
                f"{host} does not speak HTTP as it should",
                why=printable(error.message, 200),
                hint="check the port",
            )
        case aiohttp.ClientPayloadError():
            return ConnectionBroken(
                f"the connection to {host} broke", why="the answer ended before its announced length"
            )
        case _:
            return ConnectionBroken(
                f"the connection to {host} broke", why=_system(error) or "the other end closed it too early"
            )


def _system(error: Exception) -> str:
    """The operating system's words, else the library's."""
    inner = getattr(error, "os_error", error)
    text = getattr(inner, "strerror", None) or str(inner) or type(inner).__name__
    return printable(str(text), 200)


def _certificate_refused(host: str, error: BaseException) -> CertificateRefused:
    number = getattr(error, "verify_code", 0)
    address = host if _PORT.search(host) else f"{host}:443"
    words = printable(str(getattr(error, "verify_message", "") or error), 300)
    if number in _UNKNOWN_ISSUER:
        hint = "if you trust who issued it: --ca-file FILE with the issuer's certificate"
    elif number in _NOT_VALID_NOW:
        hint = "renew the registry's certificate, or check this machine's clock: date -u"
    elif number in _OTHER_NAME:
        hint = f"use a name it is for: openssl s_client -connect {address} | openssl x509 -noout -text"
    else:
        hint = f"look at it: openssl s_client -connect {address} -showcerts"
    return CertificateRefused(f"the certificate of {host} is not accepted", why=words, hint=hint)


def _tls_failed(host: str, error: Exception) -> TlsFailed:
    inner = getattr(error, "os_error", error)
    reason = str(getattr(inner, "reason", "") or "")
    if reason.upper().replace(" ", "_") in _NOT_TLS_REASONS:
        return NotTls(
            f"{host} does not speak TLS",
            why=f"its answer is no TLS record ({reason})",
            hint="if this registry is plain HTTP: --plain-http",
        )
    return TlsFailed(
        f"no TLS connection with {host}",
        why=printable(reason.replace("_", " ").lower() or str(inner), 200),
        hint=f"openssl s_client -connect {host}",
    )
