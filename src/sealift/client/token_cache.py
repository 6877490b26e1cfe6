"""Tokens, fetched when they are needed and kept while they are good. In memory only.

A token is kept by who issued it, for which scopes and which credential. So is
a refusal: several blobs at once would ask several times with the same wrong
password, and some servers lock an account for that.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from sealift.client.errors import Unauthenticated
from sealift.client.origin import Origin
from sealift.client.patience import Patience
from sealift.client.token_auth import (
    RENEWAL_MARGIN_SECONDS,
    Grant,
    TokenReply,
    basic_grant,
    token_flow,
)
from sealift.client.user_agent import USER_AGENT
from sealift.credentials.credential import Credential
from sealift.protocol.challenge import Challenge
from sealift.protocol.scope import Scope
from sealift.transport.http import Request

MAX_TOKENS = 1024
"""Tokens that are kept. A copy of a whole registry passes through many repositories."""

MAX_TOKEN_ANSWER = 1024 * 1024
"""Bytes of a token server's answer. Tokens with many scopes are long, and not that long."""


class Wish(NamedTuple):
    """A token that is wanted: of whom, for what, and as whom."""

    registry: Origin
    challenge: Challenge
    scopes: tuple[Scope, ...]
    credential: Credential | None

    @property
    def key(self) -> tuple[object, ...]:
        """What two wishes have in common that the same token fulfils."""
        parameters = self.challenge.parameters
        scopes = tuple(sorted(str(scope) for scope in self.scopes))
        issuer = (parameters.get("realm", ""), parameters.get("service", ""))
        return (self.registry, issuer, scopes, self.credential)


class _Token(NamedTuple):
    grant: Grant
    expires: float | None
    """On the monotonic clock; None where it does not end."""


class TokenCache:
    """Grants for wishes. Tasks that wish for the same wait for one request."""

    def __init__(
        self, patience: Patience, trusted_realms: frozenset[str], *, clock: Callable[[], float]
    ) -> None:
        self._patience = patience
        self._trusted_realms = trusted_realms
        self._clock = clock
        self._tokens: dict[object, _Token] = {}
        self._refusals: dict[object, Unauthenticated] = {}
        self._locks: dict[object, asyncio.Lock] = {}

    def holds(self, wish: Wish) -> bool:
        """Whether there is a token already, however old."""
        return wish.key in self._tokens

    def forget(self, wish: Wish) -> None:
        """Ask anew the next time."""
        self._tokens.pop(wish.key, None)

    async def grant(self, wish: Wish) -> Grant | None:
        """What fulfils the wish; None where its credential is of no use for it (R-AUT-14).

        Raises:
            Unauthenticated: the token server does not know the credential.
        """
        if wish.challenge.scheme == "basic":
            return basic_grant(wish.credential) if wish.credential is not None else None
        key = wish.key
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key in self._refusals:
                raise self._refusals[key]
            token = self._tokens.get(key)
            if token is None or self._ends(token):
                try:
                    grant = await self.fetch(wish)
                except Unauthenticated as refusal:
                    self._refusals[key] = refusal
                    raise
                token = self._tokens[key] = self._dated(grant)
                while len(self._tokens) > MAX_TOKENS:
                    self._tokens.pop(next(iter(self._tokens)))
            return token.grant

    async def fetch(self, wish: Wish, *, offline: bool = False) -> Grant:
        """Ask the issuer, whatever is kept. `offline` asks for a refresh token too."""
        flow = token_flow(
            wish.challenge,
            registry=wish.registry,
            scopes=wish.scopes,
            credential=wish.credential,
            trusted_realms=self._trusted_realms,
            offline=offline,
        )
        request = next(flow)
        while True:
            response = await self._patience.send(_named(request), repeatable=True)
            reply = TokenReply(
                status=response.status,
                body=await response.read_start(MAX_TOKEN_ANSWER),
                location=response.headers.get("location"),
            )
            try:
                request = flow.send(reply)
            except StopIteration as end:
                grant: Grant = end.value
                return grant

    def _ends(self, token: _Token) -> bool:
        return token.expires is not None and token.expires - RENEWAL_MARGIN_SECONDS <= self._clock()

    def _dated(self, grant: Grant) -> _Token:
        lifetime = grant.lifetime_seconds
        return _Token(grant, None if lifetime is None else self._clock() + lifetime)


def _named(request: Request) -> Callable[[], Request]:
    """A token request that says who sends it. Its body is bytes: it can be sent twice."""
    named = Request(
        method=request.method,
        url=request.url,
        headers={"User-Agent": USER_AGENT, **request.headers},
        body=request.body,
    )
    return lambda: named
