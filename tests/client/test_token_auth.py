"""The token flow as a table: what is asked, what is answered, what comes of it. Nothing is sent."""

import base64
from collections.abc import Generator, Sequence
from urllib.parse import parse_qs, urlsplit

import pytest

from sealift.client.errors import (
    Denied,
    RateLimited,
    RealmRefused,
    RegistryClientError,
    RegistryFailed,
    Unauthenticated,
    UnusableAnswer,
)
from sealift.client.origin import Origin
from sealift.client.token_auth import Grant, TokenReply, basic_grant, choose_challenge, token_flow
from sealift.credentials.credential import Credential, SecretText, Source
from sealift.protocol.challenge import Challenge
from sealift.protocol.scope import Scope, repository_scope
from sealift.transport.http import Request

REGISTRY = Origin.of("https://registry.example.com")
REALM = "https://auth.example.com/token"
PULL = repository_scope("apps/x", "pull")


def credential(username: str = "ashok", password: str = "canary", identity: str | None = None) -> Credential:
    return Credential(
        username=username,
        password=SecretText(password),
        source=Source(kind="Flag", name="-u"),
        key="registry.example.com",
        identity_token=SecretText(identity) if identity is not None else None,
    )


def drive(
    replies: Sequence[TokenReply],
    *,
    realm: str = REALM,
    service: str | None = "registry",
    scopes: Sequence[Scope] = (PULL,),
    who: Credential | None = None,
    trusted: frozenset[str] = frozenset(),
    offline: bool = False,
) -> tuple[list[Request], Grant]:
    """Run the flow to its end; the requests it made, and what came of it."""
    parameters = {"realm": realm} | ({"service": service} if service is not None else {})
    flow: Generator[Request, TokenReply, Grant] = token_flow(
        Challenge("bearer", parameters),
        registry=REGISTRY,
        scopes=scopes,
        credential=who,
        trusted_realms=trusted,
        offline=offline,
    )
    requests = [next(flow)]
    for reply in replies:
        try:
            requests.append(flow.send(reply))
        except StopIteration as end:
            return requests, end.value
    raise AssertionError("the flow wants more replies than there are")


def token(body: str = '{"token":"t"}') -> TokenReply:
    return TokenReply(status=200, body=body.encode())


def query(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.url).query)


def test_anonymous_is_a_get_without_authorization() -> None:
    (request,), grant = drive([token()])
    assert (request.method, request.body) == ("GET", None)
    assert "Authorization" not in request.headers
    assert query(request) == {"service": ["registry"], "scope": ["repository:apps/x:pull"]}
    assert grant == Grant(scheme="Bearer", secret=SecretText("t"), lifetime_seconds=60)
    assert grant.header() == "Bearer t"


def test_user_and_password_go_as_basic_in_a_get() -> None:
    (request,), grant = drive([token()], who=credential())
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"ashok:canary").decode()
    assert "canary" not in request.url
    assert query(request)["account"] == ["ashok"]
    assert "offline_token" not in query(request)
    assert grant.with_credential


@pytest.mark.parametrize(
    ("password", "sent"),
    [
        pytest.param("ünï:✓", "ünï:✓".encode(), id="unicode and colons"),
        pytest.param("a\udcff", b"a\xff", id="bytes that are no UTF-8"),
        pytest.param("a\ud800", "a\ufffd".encode(), id="half a surrogate pair, as Go reads it"),
    ],
)
def test_a_password_of_any_bytes_is_sent_as_it_is(password: str, sent: bytes) -> None:
    (request,), _ = drive([token()], who=credential("ü", password))
    assert base64.b64decode(request.headers["Authorization"][6:]) == "ü:".encode() + sent


def test_login_asks_for_a_refresh_token() -> None:
    (request,), grant = drive([token('{"token":"t","refresh_token":"r"}')], who=credential(), offline=True)
    assert query(request)["offline_token"] == ["true"]
    assert grant.identity_token == SecretText("r")


def test_an_identity_token_is_posted_and_only_to_the_realm() -> None:
    (request,), _ = drive([token()], who=credential("", "", identity="canary"))
    assert (request.method, request.url) == ("POST", REALM)
    assert isinstance(request.body, bytes)
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["canary"],
        "service": ["registry"],
        "client_id": ["sealift"],
        "scope": ["repository:apps/x:pull"],
    }
    assert "Authorization" not in request.headers


def test_several_scopes_are_several_parameters_in_a_get() -> None:
    scopes = (repository_scope("b", "push", "pull"), repository_scope("a", "pull"))
    (request,), _ = drive([token()], scopes=scopes)
    assert query(request)["scope"] == ["repository:b:pull,push", "repository:a:pull"]


@pytest.mark.parametrize(
    ("realm", "url"),
    [
        pytest.param(
            f"{REALM}?a=b", f"{REALM}?a=b&service=registry", id="the realm's own query stays (R-AUT-7)"
        ),
        pytest.param(REALM, f"{REALM}?service=registry", id="none of its own"),
    ],
)
def test_the_realms_own_parameters_stay(realm: str, url: str) -> None:
    (request,), _ = drive([token()], realm=realm, scopes=())
    assert request.url == url


def test_a_realm_without_service_and_scope_is_asked_as_it_is() -> None:
    (request,), _ = drive([token()], service=None, scopes=())
    assert request.url == REALM


@pytest.mark.parametrize(
    ("body", "lifetime"),
    [
        pytest.param('{"token":"t","expires_in":300}', 300, id="as told"),
        pytest.param('{"token":"t"}', 60, id="the default"),
        pytest.param('{"token":"t","expires_in":5}', 60, id="never shorter: a 401 tells if it was"),
        pytest.param('{"access_token":"t","expires_in":-1}', 60, id="nonsense"),
    ],
)
def test_a_token_lives_as_long_as_it_says(body: str, lifetime: float) -> None:
    assert drive([token(body)])[1].lifetime_seconds == lifetime


@pytest.mark.parametrize(
    ("realm", "who", "trusted"),
    [
        pytest.param(
            "https://evil.test/token", credential(), frozenset(), id="another domain, with a credential"
        ),
        pytest.param("http://auth.example.com/token", credential(), frozenset(), id="plain http"),
        pytest.param("http://auth.example.com/token", None, frozenset(), id="plain http, even without one"),
        pytest.param(
            "https://169.254.169.254/token", None, frozenset(), id="an address nobody may be sent to"
        ),
        pytest.param("", None, frozenset(), id="no realm"),
    ],
)
def test_a_realm_that_is_not_trusted_gets_nothing(
    realm: str, who: Credential | None, trusted: frozenset[str]
) -> None:
    with pytest.raises(RealmRefused) as raised:
        drive([], realm=realm, who=who, trusted=trusted)
    assert raised.value.exit_status == 4
    assert "canary" not in f"{raised.value} {raised.value.why} {raised.value.hint}"


def test_another_domain_may_be_asked_without_a_credential() -> None:
    assert drive([token()], realm="https://auth.other.test/token")[1].header() == "Bearer t"


def test_another_domain_gets_a_credential_where_the_user_says_so() -> None:
    trusted = frozenset({"auth.other.test"})
    (request,), _ = drive([token()], realm="https://auth.other.test/token", who=credential(), trusted=trusted)
    assert "Authorization" in request.headers


def test_the_refusal_of_another_domain_says_how_to_allow_it() -> None:
    with pytest.raises(RealmRefused) as raised:
        drive([], realm="https://auth.other.test/token", who=credential())
    assert raised.value.hint == "if auth.other.test is yours: --trust-realm auth.other.test"


def redirect(location: str, status: int = 307) -> TokenReply:
    return TokenReply(status=status, body=b"", location=location)


def test_a_redirect_on_the_same_host_keeps_the_credential() -> None:
    requests, _ = drive([redirect("/other?x=1"), token()], who=credential())
    assert requests[1].url == "https://auth.example.com/other?x=1"
    assert requests[1].headers["Authorization"] == requests[0].headers["Authorization"]


def test_a_redirect_to_another_host_of_the_domain_loses_it() -> None:
    requests, _ = drive([redirect("https://sso.example.com/t"), token()], who=credential())
    assert "Authorization" not in requests[1].headers


@pytest.mark.parametrize(
    "location",
    ["https://evil.test/t", "http://auth.example.com/t", "https://127.0.0.1/t", "file:///etc/passwd"],
)
def test_a_redirect_is_judged_like_a_realm(location: str) -> None:
    with pytest.raises(RealmRefused):
        drive([redirect(location)], who=credential())


def test_redirects_end() -> None:
    with pytest.raises(UnusableAnswer):
        drive([redirect("/a")] * 9)


def test_a_posted_refresh_token_is_not_redirected() -> None:
    with pytest.raises(UnusableAnswer):
        drive([redirect("/a")], who=credential("", "", identity="canary"))


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(TokenReply(status=401, body=b""), Unauthenticated, id="unknown there"),
        pytest.param(TokenReply(status=403, body=b"{}"), Denied, id="known, and not let in"),
        pytest.param(TokenReply(status=429, body=b""), RateLimited, id="busy"),
        pytest.param(TokenReply(status=502, body=b"<html>"), RegistryFailed, id="a proxy's error page"),
        pytest.param(TokenReply(status=200, body=b"<html>canary"), UnusableAnswer, id="a login page"),
        pytest.param(TokenReply(status=200, body=b'{"token":""}'), UnusableAnswer, id="an empty token"),
        pytest.param(
            TokenReply(status=200, body=b'{"token":"a\\nb"}'),
            UnusableAnswer,
            id="a token that breaks headers",
        ),
        pytest.param(TokenReply(status=200, body=b"[" * 100_000), UnusableAnswer, id="a JSON bomb"),
    ],
)
def test_what_is_no_token_is_an_error_without_content(
    reply: TokenReply, kind: type[RegistryClientError]
) -> None:
    with pytest.raises(kind) as raised:
        drive([reply], who=credential())
    assert type(raised.value) is kind
    assert "canary" not in f"{raised.value} {raised.value.why} {raised.value.hint}"


@pytest.mark.parametrize(
    ("lines", "scheme"),
    [
        pytest.param(
            ['Basic realm="x"', 'Bearer realm="https://a/t"'], "bearer", id="Bearer before Basic (R-AUT-4)"
        ),
        pytest.param(['Digest realm="x"', 'Basic realm="x"'], "basic", id="Digest is no use"),
        pytest.param(["Negotiate"], None, id="nothing of ours"),
        pytest.param([], None, id="a 401 that asks for nothing"),
    ],
)
def test_the_challenge_that_is_answered(lines: list[str], scheme: str | None) -> None:
    chosen = choose_challenge(lines)
    assert (chosen.scheme if chosen is not None else None) == scheme


@pytest.mark.parametrize(("username", "password"), [("", "p"), ("u", ""), ("", "")])
def test_basic_takes_a_name_and_a_password(username: str, password: str) -> None:
    assert basic_grant(credential(username, password)) is None


def test_a_grant_does_not_show_itself() -> None:
    assert "canary" not in repr(Grant(scheme="Bearer", secret=SecretText("canary")))
