"""The token flow, without any network: requests come out, replies go in, a token is what it returns.

`token_flow` is a generator. It yields each request for whoever drives it to
send, and is sent a `TokenReply`; it ends by returning a `Grant` or by raising.
All decisions about where a credential may go are made here and in
`sealift.client.realm`, and can be tested as a table.

Spec: R-AUT-4 to R-AUT-15.
"""

import base64
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode, urljoin

from sealift.client.errors import RealmRefused, UnusableAnswer, refusal_of
from sealift.client.origin import Origin
from sealift.client.realm import RealmTrust, judge_realm
from sealift.credentials.credential import Credential, SecretText
from sealift.protocol.challenge import Challenge, parse_challenges
from sealift.protocol.error_codes import read_errors, read_request_id
from sealift.protocol.scope import Scope
from sealift.protocol.token import MalformedTokenAnswer, TokenAnswer
from sealift.transport.http import Request
from sealift.transport.redaction import printable

CLIENT_ID = "sealift"

SHORTEST_LIFETIME_SECONDS = 60.0
"""What a token lives at least, whatever its issuer says (R-AUT-12). If it does not, a 401 tells."""

RENEWAL_MARGIN_SECONDS = 10.0
"""A token this close to its end is not used for one more request."""

MAX_REDIRECTS = 3
"""Of a token request. Each is judged like the realm itself."""

HTTP_OK = 200
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReply:
    """What a token server answered."""

    status: int
    body: bytes
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What goes into the Authorization header, and for how long."""

    scheme: Literal["Bearer", "Basic"]
    secret: SecretText
    """The token, or the base64 text of user name and password."""

    lifetime_seconds: float | None = None
    """From its arrival; None where it does not end. An issuer's clock is not trusted to be ours."""

    with_credential: bool = False
    """Whether a credential stands behind it: a refusal then means "may not", not "who are you"."""

    identity_token: SecretText | None = None
    """A refresh token, where one was asked for and given (R-AUT-13)."""

    def header(self) -> str:
        """The header's value, for the one request that leaves now."""
        return f"{self.scheme} {self.secret.reveal()}"


def choose_challenge(lines: Sequence[str]) -> Challenge | None:
    """The challenge to answer: Bearer before Basic, whatever their order; None where there is neither.

    Spec: R-AUT-4, containerd's choice, since that is who pulls on a node.
    """
    usable = (challenge for challenge in parse_challenges(lines) if challenge.scheme in {"bearer", "basic"})
    return next(usable, None)


def basic_grant(credential: Credential) -> Grant | None:
    """Basic authentication, or None where it cannot be: it takes a name and a password (R-AUT-14)."""
    if not credential.username or not credential.password:
        return None
    return Grant(scheme="Basic", secret=_basic(credential), with_credential=True)


def _basic(credential: Credential) -> SecretText:
    pair = f"{credential.username}:{credential.password.reveal()}"
    return SecretText(base64.b64encode(_bytes_of(pair)).decode("ascii"))


def _bytes_of(text: str) -> bytes:
    """The bytes of `text`. Those that were no UTF-8 came in by ``surrogateescape`` (R-SEC-10)."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair out of JSON, which Go reads as U+FFFD (R-PY-7)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def token_flow(
    challenge: Challenge,
    *,
    registry: Origin,
    scopes: Iterable[Scope],
    credential: Credential | None,
    trusted_realms: frozenset[str] = frozenset(),
    offline: bool = False,
) -> Generator[Request, TokenReply, Grant]:
    """Get a token for `scopes` at the realm that `challenge` names.

    Args:
        challenge: A Bearer challenge of `registry`.
        registry: Where the challenge came from; the realm is judged by it.
        scopes: All that one token is to cover. The issuer may grant less, and that is no error here.
        credential: Who asks, or None for an anonymous token.
        trusted_realms: Hosts that the user trusts as token servers.
        offline: Ask for a refresh token too, as `login` does.

    Raises:
        RealmRefused: the realm does not get this credential, or no request at all.
        Unauthenticated: the token server does not know this credential.
        RegistryRefused: it refused in another way.
        UnusableAnswer: it answered, and not with a token.
    """
    realm = challenge.parameters.get("realm", "")
    _judge(realm, registry, credential, trusted_realms)
    texts = [str(scope) for scope in scopes]
    request = _token_request(realm, challenge.parameters.get("service"), texts, credential, offline=offline)
    for _ in range(MAX_REDIRECTS + 1):
        reply = yield request
        if reply.status not in _REDIRECTS or reply.location is None:
            return _grant(request, reply, registry, credential)
        target = urljoin(request.url, reply.location)
        _judge(target, registry, credential, trusted_realms)
        if request.method != "GET":
            break
        headers = dict(request.headers)
        if Origin.of(target) != Origin.of(request.url):
            headers.pop("Authorization", None)
        request = Request(method="GET", url=target, headers=headers)
    raise UnusableAnswer(
        f"the token server of {registry.authority} sends us in circles",
        why=f"last to {printable(request.url, 200)}",
    )


def _judge(
    realm: str, registry: Origin, credential: Credential | None, trusted_realms: frozenset[str]
) -> None:
    trust, reason = judge_realm(realm, registry, trusted_realms)
    if trust is RealmTrust.CREDENTIAL or (trust is RealmTrust.ANONYMOUS and credential is None):
        return
    shown = printable(realm.partition("?")[0], 200)
    hint = None
    if trust is RealmTrust.ANONYMOUS:
        hint = f"if {Origin.of(realm).authority} is yours: --trust-realm {Origin.of(realm).authority}"
    raise RealmRefused(
        f"{registry.authority} sends us to {shown} for a token, and no credential goes there",
        http_status=401,
        method="GET",
        url=realm,
        why=reason,
        hint=hint or "the registry has to name a token server that can be trusted: ask whoever runs it",
    )


def _token_request(
    realm: str, service: str | None, scopes: Sequence[str], credential: Credential | None, *, offline: bool
) -> Request:
    """GET with Basic (R-AUT-7), which every token server knows; POST only for a refresh token (R-AUT-8)."""
    if credential is not None and credential.identity_token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": _bytes_of(credential.identity_token.reveal()),
            "service": _bytes_of(service or ""),
            "client_id": CLIENT_ID.encode(),
        }
        if scopes:
            form["scope"] = " ".join(scopes).encode()
        return Request(
            method="POST",
            url=realm,
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            body=urlencode(form).encode("ascii"),
        )
    query: list[tuple[str, bytes]] = [] if service is None else [("service", _bytes_of(service))]
    query += [("scope", scope.encode()) for scope in scopes]
    headers = {"Accept": "application/json"}
    if credential is not None and (credential.username or credential.password):
        query.append(("account", _bytes_of(credential.username)))
        query.append(("client_id", CLIENT_ID.encode()))
        if offline:
            query.append(("offline_token", b"true"))
        headers["Authorization"] = f"Basic {_basic(credential).reveal()}"
    if not query:
        return Request(method="GET", url=realm, headers=headers)
    joint = "&" if "?" in realm else "?"
    return Request(method="GET", url=f"{realm}{joint}{urlencode(query)}", headers=headers)


def _grant(request: Request, reply: TokenReply, registry: Origin, credential: Credential | None) -> Grant:
    """Read the answer of the token server. Nothing of its body goes into an error but its own error words."""
    if reply.status != HTTP_OK:
        named = f" for {printable(credential.username, 80)}" if credential is not None else ""
        raise refusal_of(
            f"get a token{named} from {Origin.of(request.url).authority}",
            method=request.method,
            url=request.url,
            http_status=reply.status,
            errors=read_errors(reply.body),
            credentialed=credential is not None,
            registry=registry.authority,
            request_id=read_request_id(reply.body),
        )
    try:
        answer = TokenAnswer.read(reply.body)
    except MalformedTokenAnswer as error:
        raise UnusableAnswer(
            f"the token server of {registry.authority} did not send a token",
            why=str(error),
            hint=f"is {printable(request.url.partition('?')[0], 200)} its token server?",
        ) from None
    refresh = answer.refresh_token
    return Grant(
        scheme="Bearer",
        secret=SecretText(answer.token),
        lifetime_seconds=max(float(answer.expires_in), SHORTEST_LIFETIME_SECONDS),
        with_credential=credential is not None,
        identity_token=SecretText(refresh) if refresh else None,
    )
