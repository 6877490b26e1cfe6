"""The token endpoint: a password in, a short-lived registry token out.

As clients really speak it (section 8.2 of Docker token authentication in the
wild): GET with Basic (docker, podman, skopeo), or the OAuth2 form by POST
(containerd, which falls back to GET). Nothing shown is anonymous, and gets what
is public. Fewer rights than asked for is an answer, not an error; a wrong
password is one. No refresh token is ever handed out: ``offline_token`` is read
and ignored, since a kubelet and older clients cannot use an ``identitytoken``.

Spec: distribution, spec/auth/token.md and spec/auth/oauth.md; RFC 6749, sections
4.3 and 5; R-AUT-7 to R-AUT-13.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from sealift.credentials.credential import SecretText
from sealift.protocol.error_codes import ErrorCode, ProtocolError, write_errors
from sealift.protocol.scope import Scope, parse_scopes, write_scopes
from sealift.protocol.token import TokenAnswer
from sealift.registry.access.guard import ANYTHING, REGISTRY_PARTS, Guard, Identity, may_use
from sealift.registry.access.permissions import grant
from sealift.registry.access.token_issuer import TokenIssuer
from sealift.registry.exchange import Answer
from sealift.registry.refusal import RegistryRefusal

MAX_FORM_BYTES: Final = 64 * 1024
"""Bytes of a POST. A hundred scopes and a long password fit; a client id needs little."""

MAX_FORM_FIELDS: Final = 200

MAX_SCOPES: Final = 100
"""Scopes of one request. Each is looked up; no client asks for more than a few."""

_HEADERS: Final = {"content-type": "application/json", "cache-control": "no-store", "pragma": "no-cache"}
"""Spec: RFC 6749, section 5.1: an answer with a token is not kept by anyone on the way."""


class TokenEndpoint:
    """Answers ``/token``."""

    def __init__(self, guard: Guard, issuer: TokenIssuer) -> None:
        self._guard = guard
        self._issuer = issuer

    async def get(
        self, authorization: str | None, query: Mapping[str, tuple[str, ...]], *, realm: str
    ) -> Answer:
        """GET: credentials as Basic, one ``scope`` parameter a scope (R-AUT-7).

        Raises:
            RegistryRefusal: 401: the credentials are wrong. 400: too many scopes.
            TooManyChecks: The password cannot be checked now.
        """
        identity = await self._guard.log_in(authorization, realm=realm)
        return self._answer(identity, query.get("scope", ()), is_form=False)

    async def post(
        self, authorization: str | None, content_type: str, body: AsyncIterator[bytes], *, realm: str
    ) -> Answer:
        """POST: the OAuth2 form, ``grant_type=password`` (R-AUT-8).

        Other grants are answered 401, not RFC 6749's 400: containerd and
        go-containerregistry take that as the sign to try GET with Basic.

        Raises:
            RegistryRefusal: 401, or 400 where the form cannot be read.
            TooManyChecks: The password cannot be checked now.
        """
        if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise RegistryRefusal(ErrorCode.UNSUPPORTED, "the token endpoint takes a form", status=415)
        form = _read_form(await _read(body))
        grant_type = form.get("grant_type", ("",))[0]
        if grant_type == "password":
            username, password = form.get("username", ("",))[0], form.get("password", ("",))[0]
            identity = await self._guard.prove(username, SecretText(password), realm=realm)
        elif not grant_type and authorization:
            identity = await self._guard.log_in(authorization, realm=realm)
        else:
            refused = self._guard.refuse(realm=realm)
            return Answer(
                status=401,
                headers={"content-type": "application/json", **refused.headers},
                body=_oauth_error("unsupported_grant_type", "only grant_type=password is known here"),
            )
        return self._answer(identity, form.get("scope", ()), is_form=True)

    def _answer(self, identity: Identity, texts: Iterable[str], *, is_form: bool) -> Answer:
        wanted = tuple(scope for text in texts for scope in parse_scopes(text))
        if len(wanted) > MAX_SCOPES:
            raise RegistryRefusal(
                ErrorCode.UNSUPPORTED, f"more than {MAX_SCOPES} scopes in one request", status=400
            )
        granted = grant(wanted, self._held(identity, wanted))
        token, lifetime, issued = self._issuer.issue(
            identity.principal, generation=identity.generation, scopes=granted
        )
        body = TokenAnswer(
            token=token, expires_in=lifetime, issued_at=datetime.fromtimestamp(issued, UTC)
        ).write()
        if is_form:  # RFC 6749, section 5.1, asks for the type; section 3.3 for the scope where it differs
            document = msgspec.json.decode(body)
            document |= {"token_type": "Bearer", "scope": write_scopes(granted)}
            body = msgspec.json.encode(document)
        return Answer(status=200, headers=dict(_HEADERS), body=body)

    def _held(self, identity: Identity, wanted: Iterable[Scope]) -> Iterable[Scope]:
        """What is held of the things asked for, looked up now."""
        for kind, path in dict.fromkeys((scope.resource_type, scope.repository_path) for scope in wanted):
            if kind == "repository":
                yield Scope(path, self._guard.held(identity.principal, path))
            elif path in REGISTRY_PARTS and may_use(identity.principal, path):
                yield Scope(path, ANYTHING, "registry")


def _oauth_error(error: str, description: str) -> bytes:
    """Both envelopes in one: OAuth2's (RFC 6749, section 5.2) and the registry's (R-OCI-28)."""
    document = msgspec.json.decode(write_errors([ProtocolError(ErrorCode.UNAUTHORIZED, description)]))
    return msgspec.json.encode(document | {"error": error, "error_description": description})


async def _read(body: AsyncIterator[bytes]) -> bytes:
    parts = bytearray()
    async for part in body:
        parts += part
        if len(parts) > MAX_FORM_BYTES:
            raise RegistryRefusal(
                ErrorCode.SIZE_INVALID, f"the form is longer than {MAX_FORM_BYTES} bytes", status=413
            )
    return bytes(parts)


def _read_form(body: bytes) -> dict[str, tuple[str, ...]]:
    """The fields of a form. Spec: WHATWG URL, "application/x-www-form-urlencoded parsing"."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS, errors="strict"
        )
    except ValueError:
        raise RegistryRefusal(ErrorCode.UNSUPPORTED, "the form cannot be read", status=400) from None
    form: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        form[name] = (*form.get(name, ()), value)
    return form
