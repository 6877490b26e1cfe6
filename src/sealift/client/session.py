"""One request to a registry, the way that registry wants it: scheme, credential, redirects, patience.

`Session.send` is the one door through which the verbs of `RegistryClient`
leave. What is decided here, and in which order:

1. The scheme is settled first, by ``GET /v2/`` without any credential. https
   is tried; plain http only where the other end does not speak TLS *and* it
   is loopback or the user said so; never after a certificate error or a
   timeout.
2. That ping's challenge says how to authenticate; a challenge of the request
   itself goes before it.
3. Each credential of the keyring in turn until one is not answered with 401.
4. Redirects are followed by hand: the Authorization header stays with the
   origin it was made for.
5. What may pass is tried again, see `sealift.client.retry`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import NamedTuple
from urllib.parse import urljoin

from sealift.client.errors import Denied, RegistryRefused, Unauthenticated, UnusableAnswer, refusal_of
from sealift.client.keyring import Keyring
from sealift.client.origin import Origin
from sealift.client.patience import Patience
from sealift.client.retry import RetryPolicy
from sealift.client.token_auth import Grant, basic_grant, choose_challenge
from sealift.client.token_cache import TokenCache, Wish
from sealift.client.user_agent import USER_AGENT
from sealift.credentials.credential import Credential
from sealift.image import docker_hub
from sealift.image.reference import Repository
from sealift.protocol.challenge import Challenge
from sealift.protocol.error_codes import read_errors, read_request_id
from sealift.protocol.scope import Scope, parse_scopes
from sealift.transport.http import (
    MAX_ERROR_BODY,
    ConnectionRefused,
    NotTls,
    Request,
    Response,
    Transport,
    Unreachable,
)
from sealift.transport.redaction import printable

MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KEEPS_METHOD = frozenset({307, 308})

Body = bytes | Callable[[], AsyncIterator[bytes]] | None
"""A request's body. A stream is given as what makes it, since it may have to be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How this session behaves, whatever registry it talks to."""

    plain_http: bool = False
    """Whether registries beyond this machine may be asked without TLS, where they do not speak it."""

    trusted_realms: frozenset[str] = frozenset()
    """Hosts that may issue tokens for registries of another domain."""

    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One thing wanted of a registry."""

    registry: str
    """As it stands in a reference."""

    path: str
    """Of the repository, for the keyring; empty for the registry itself."""

    method: str
    target: str
    """A path from ``/v2/`` on, or an absolute URL that the registry gave us."""

    doing: str
    """For "cannot …"."""

    scopes: tuple[Scope, ...] = ()
    """What a token has to cover."""

    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = None
    content_length: int | None = None
    accepted: frozenset[int] = frozenset()
    """Statuses from 400 on that are an answer here, and no error."""

    once: bool = False
    """Not to be repeated after a failure: whoever asks knows better how to go on."""

    repeatable: bool = False
    """A POST that may arrive twice: a connection that was kept open may be closed when it is used again."""


class Host(NamedTuple):
    """What the ping told about a registry."""

    origin: Origin
    status: int
    challenge: Challenge | None
    headers: Mapping[str, str]


class Session:
    """Sends requests to registries. One instance serves any number of them, and of tasks.

    Tokens are held in memory only, by host, scopes and credential.
    """

    def __init__(
        self,
        transport: Transport,
        keyring: Keyring,
        options: SessionOptions | None = None,
        *,
        clock: Callable[[], float] = monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._keyring = keyring
        self._options = options if options is not None else SessionOptions()
        self._patience = Patience(transport, self._options.retry, now=now, sleep=sleep)
        self._tokens = TokenCache(self._patience, self._options.trusted_realms, clock=clock)
        self._hosts: dict[str, Host] = {}
        self._locks: dict[object, asyncio.Lock] = {}
        self._credentials: dict[tuple[str, str], tuple[Credential, ...]] = {}
        self._preferred: dict[tuple[str, str], Credential | None] = {}

    # ------------------------------------------------------------ the scheme

    async def settle(self, registry: str) -> Host:
        """Which scheme this registry speaks, and what it challenges with. Asked once and remembered.

        Raises:
            Unreachable: it answers on no scheme that may be tried.
        """
        async with self._lock(("settle", registry)):
            host = self._hosts.get(registry)
            if host is None:
                host = self._hosts[registry] = await self._settle(registry)
            return host

    async def _settle(self, registry: str) -> Host:
        authority = docker_hub.dial_host(registry)
        try:
            secure = Origin.of(f"https://{authority}")
        except ValueError as error:
            raise Unreachable(
                f"cannot reach {authority}",
                why=f"it is no address: {error}",
                hint="check the host and the port",
            ) from None
        try:
            return await self._ping(secure)
        except (NotTls, ConnectionRefused) as failure:
            # Without a port, plain http is another port than https: 443 refusing says nothing about 80.
            other_port = isinstance(failure, ConnectionRefused)
            if other_port and ":" in authority.rpartition("]")[2]:
                raise
            if not (secure.is_loopback or self._options.plain_http):
                raise
            return await self._ping(Origin.of(f"http://{authority}"))

    async def _ping(self, origin: Origin) -> Host:
        """Any answer of HTTP settles the scheme: registries differ in what they say to ``/v2/``."""
        request = Request(method="GET", url=f"{origin}/v2/", headers={"User-Agent": USER_AGENT})
        response = await self._patience.send(partial(_same, request))
        await response.close()
        challenge = (
            choose_challenge(response.challenges) if response.status == HTTPStatus.UNAUTHORIZED else None
        )
        return Host(origin, response.status, challenge, response.headers)

    # ------------------------------------------------------------- one call

    async def send(self, call: Call) -> Response:
        """Send `call`, and whatever has to be sent before it.

        Raises:
            Unreachable: no answer.
            RegistryRefused: an answer from 400 on that is not among those accepted.
            UnusableAnswer: redirects without end or to nowhere.
        """
        host = await self.settle(call.registry)
        refusals: list[RegistryRefused] = []
        for credential in await self._candidates(call.registry, call.path):
            try:
                response, grant = await self._send_as(call, host, credential)
            except (Unauthenticated, Denied) as refusal:  # by the token server
                refusals.append(refusal)
                continue
            if response.status < HTTPStatus.BAD_REQUEST or response.status in call.accepted:
                self._preferred[call.registry, call.path] = credential
                return response
            refusals.append(await self._refused(call, response, grant))
            if response.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                break
        # What is not "who are you?" says more than what is, and the last said is as good as any.
        raise next(
            (each for each in reversed(refusals) if not isinstance(each, Unauthenticated)), refusals[-1]
        )

    async def _candidates(self, registry: str, path: str) -> list[Credential | None]:
        """Who to be, in order: whoever it worked with, then as the keyring has it. Nobody if it has none."""
        candidates: list[Credential | None] = list(await self._credentials_for(registry, path)) or [None]
        if (registry, path) in self._preferred:
            preferred = self._preferred[registry, path]
            candidates.sort(key=lambda each: each is not preferred)
        return candidates

    async def _send_as(
        self, call: Call, host: Host, credential: Credential | None
    ) -> tuple[Response, Grant | None]:
        """Send as one identity. A 401 leads to one more try, where its challenge asks for something new."""
        challenge, scopes = host.challenge, call.scopes
        grant, fresh = None, True
        if challenge is not None:
            wish = Wish(host.origin, challenge, scopes, credential)
            fresh = not self._tokens.holds(wish)
            grant = await self._tokens.grant(wish)
        response = await self._follow(call, host, grant)
        asked = choose_challenge(response.challenges) if response.status == HTTPStatus.UNAUTHORIZED else None
        if asked is None:  # also a 401 without a usable challenge: no loop (R-OCI-30)
            return response, grant
        wider = tuple(dict.fromkeys((*scopes, *parse_scopes(asked.parameters.get("scope", "")))))
        if asked.scheme == "basic":
            if grant is not None or credential is None or basic_grant(credential) is None:
                return response, grant
        elif grant is not None and grant.scheme == "Bearer":
            if fresh and set(wider) == set(scopes):
                return response, grant
            # It may have been revoked, have ended early, or been for less than this endpoint wants.
            self._tokens.forget(Wish(host.origin, asked, wider, credential))
            if challenge is not None:
                self._tokens.forget(Wish(host.origin, challenge, scopes, credential))
        await response.close()
        grant = await self._tokens.grant(Wish(host.origin, asked, wider, credential))
        return await self._follow(call, host, grant), grant

    async def _credentials_for(self, registry: str, path: str) -> tuple[Credential, ...]:
        key = (registry, path)
        async with self._lock(("keyring", key)):
            if key not in self._credentials:
                self._credentials[key] = tuple(await self._keyring.credentials_for(registry, path))
            return self._credentials[key]

    async def _refused(self, call: Call, response: Response, grant: Grant | None) -> RegistryRefused:
        try:
            body = await response.read_start(MAX_ERROR_BODY)
        except Unreachable:
            body = b""  # the status has come, and says enough
        return refusal_of(
            call.doing,
            method=call.method,
            url=response.url,
            http_status=response.status,
            errors=read_errors(body),
            credentialed=grant is not None and grant.with_credential,
            granted=grant is not None and grant.scheme == "Bearer",
            retry_after_seconds=self._patience.asked_to_wait(response),
            registry=call.registry,
            request_id=read_request_id(body) or response.headers.get("x-request-id", "")[:64],
        )

    # ----------------------------------------------------- the registry itself

    async def prove(self, registry: str, credential: Credential) -> tuple[Host, Grant | None]:
        """Have the registry itself say that it knows this credential; None where it asks nobody for one.

        A refresh token is asked for as well: whoever logs in keeps that rather than the password (R-CFG-11).

        Raises:
            Unauthenticated: it does not know it.
        """
        host = await self.settle(registry)
        if host.challenge is None:
            return host, None
        call = Call(registry=registry, path="", method="GET", target="/v2/", doing=f"log in to {registry}")
        if host.challenge.scheme == "basic":
            grant = basic_grant(credential)
        else:
            grant = await self._tokens.fetch(Wish(host.origin, host.challenge, (), credential), offline=True)
        response = await self._follow(call, host, grant)
        if response.status >= HTTPStatus.BAD_REQUEST:
            refusal = await self._refused(call, response, grant)
            # A token that does not open its own registry was granted for nobody.
            raise (
                Unauthenticated(
                    str(refusal),
                    http_status=refusal.http_status,
                    method="GET",
                    url=response.url,
                    errors=refusal.errors,
                    why=refusal.why,
                )
                if response.status == HTTPStatus.UNAUTHORIZED
                else refusal
            )
        await response.close()
        return host, grant

    async def ask_openly(self, registry: str, path: str) -> Response:
        """GET a path of the registry's host without any credential, whatever it answers."""
        host = await self.settle(registry)
        request = Request(method="GET", url=f"{host.origin}{path}", headers={"User-Agent": USER_AGENT})
        return await self._patience.send(partial(_same, request))

    # ------------------------------------------------- redirects and patience

    async def _follow(self, call: Call, host: Host, grant: Grant | None) -> Response:
        """Send and follow redirects. Authorization goes to the registry's own origin and no other."""
        url = urljoin(f"{host.origin}/", call.target)
        method, body = call.method, call.body
        stranger: Grant | None = None
        for _ in range(MAX_REDIRECTS):
            origin = _origin_of(url, call)
            authority = grant if origin == host.origin else stranger
            response = await self._patience.send(
                partial(_request, call, method, url, body, authority),
                once=call.once,
                repeatable=call.repeatable,
            )
            if response.status == HTTPStatus.UNAUTHORIZED and origin != host.origin and stranger is None:
                stranger = await self._as_stranger(origin, response, call)
                if stranger is None:
                    return response
                continue
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or location is None:
                return response
            await response.close()
            target = urljoin(url, location)
            if _origin_of(target, call) != origin:
                stranger = None
            if origin.scheme == "https" and _origin_of(target, call).scheme == "http":
                raise UnusableAnswer(
                    f"cannot {call.doing}", why=f"{origin.authority} redirects from https to plain http"
                )
            if method not in {"GET", "HEAD"} and response.status not in _KEEPS_METHOD:
                raise UnusableAnswer(
                    f"cannot {call.doing}",
                    why=f"{origin.authority} answers a {method} with redirect {response.status}",
                )
            url = target
        raise UnusableAnswer(
            f"cannot {call.doing}",
            why=f"more than {MAX_REDIRECTS} redirects, the last to {_origin_of(url, call)}",
        )

    async def _as_stranger(self, origin: Origin, response: Response, call: Call) -> Grant | None:
        """An anonymous token for a host that we were redirected to. No credential is ever for it."""
        challenge = choose_challenge(response.challenges)
        if challenge is None or challenge.scheme != "bearer":
            return None
        await response.close()
        scopes = parse_scopes(challenge.parameters.get("scope", "")) or call.scopes
        return await self._tokens.grant(Wish(origin, challenge, scopes, None))

    async def pause(self, attempt: int) -> None:
        """Wait as the retry policy has it after attempt number `attempt`; not at all after number 0."""
        await self._patience.pause(attempt)

    def _lock(self, key: object) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())


def repository_call(
    repository: Repository,
    method: str,
    target: str,
    *,
    doing: str,
    scopes: tuple[Scope, ...],
    headers: Mapping[str, str] | None = None,
    body: Body = None,
    content_length: int | None = None,
    accepted: frozenset[int] = frozenset(),
    once: bool = False,
    repeatable: bool = False,
) -> Call:
    """A `Call` on a repository of whatever registry holds it."""
    return Call(
        registry=repository.registry or repository.dial_host,
        path=repository.path,
        method=method,
        target=target,
        doing=doing,
        scopes=scopes,
        headers=headers if headers is not None else {},
        body=body,
        content_length=content_length,
        accepted=accepted,
        once=once,
        repeatable=repeatable,
    )


def _same(request: Request) -> Request:
    return request


def _origin_of(url: str, call: Call) -> Origin:
    try:
        return Origin.of(url)
    except ValueError as error:
        raise UnusableAnswer(
            f"cannot {call.doing}",
            why=f"the registry sends us to {printable(url.partition('?')[0], 200)}, and {error}",
        ) from None


def _request(call: Call, method: str, url: str, body: Body, grant: Grant | None) -> Request:
    headers = {"User-Agent": USER_AGENT, **call.headers}
    if grant is not None:
        headers["Authorization"] = grant.header()
    return Request(
        method=method,
        url=url,
        headers=headers,
        body=body() if callable(body) else body,
        content_length=call.content_length,
    )
