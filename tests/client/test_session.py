"""Scheme, credentials, tokens, redirects and patience, in the order in which they are decided."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.fakes.scripted_transport import Outcome, ScriptedTransport, Told

from sealift.client.errors import (
    Denied,
    NotFound,
    RateLimited,
    RealmRefused,
    RegistryClientError,
    RegistryFailed,
    Unauthenticated,
    UnusableAnswer,
)
from sealift.client.retry import RetryPolicy
from sealift.client.session import Call, Session, SessionOptions
from sealift.credentials.credential import Credential, SecretText, Source
from sealift.protocol.scope import Scope, repository_scope
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

R = "registry.example.com"
REALM = "https://auth.example.com/token"
BEARER = f'Bearer realm="{REALM}",service="s"'
PING = f"GET https://{R}/v2/"
WANTED = f"GET https://{R}/v2/a/b"
NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
PULL = repository_scope("a", "pull")


def person(name: str, password: str = "canary") -> Credential:
    return Credential(
        username=name, password=SecretText(password), source=Source(kind="Flag", name="-u"), key=R
    )


class Keys:
    """A keyring of whatever it is given, which counts how often it was asked."""

    def __init__(self, *credentials: Credential) -> None:
        self.credentials = credentials
        self.asked = 0

    async def credentials_for(self, registry: str, path: str = "") -> Sequence[Credential]:  # noqa: ARG002  the protocol's
        self.asked += 1
        return self.credentials


class World:
    """A session with its script, a clock that stands still, and a record of what it waited."""

    def __init__(
        self, table: Mapping[str, Outcome | Sequence[Outcome]], *credentials: Credential, **options: object
    ) -> None:
        self.transport = ScriptedTransport(table)
        self.waits: list[float] = []
        self.time = 0.0
        self.keys = Keys(*credentials)
        policy = RetryPolicy(attempts=3, first_wait_seconds=1, longest_wait_seconds=10)
        self.session = Session(
            self.transport,
            self.keys,
            SessionOptions(retry=policy, **options),  # type: ignore[arg-type]  # names and values of the options
            clock=lambda: self.time,
            now=lambda: NOW,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def send(self, call: Call | None = None) -> int:
        response = await self.session.send(call if call is not None else CALL)
        await response.close()
        return response.status

    def shown(self) -> list[str | None]:
        """Each Authorization header that was sent, in order."""
        return [request.headers.get("Authorization") for request in self.transport.sent]


CALL = Call(registry=R, path="a", method="GET", target="/v2/a/b", doing="do it", scopes=(PULL,))


# ----------------------------------------------------------------- the scheme


@pytest.mark.parametrize(
    ("registry", "failure", "plain_http", "falls_back"),
    [
        pytest.param("127.0.0.1:5000", NotTls(""), False, True, id="loopback without TLS"),
        pytest.param("localhost:5000", NotTls(""), False, True, id="localhost without TLS"),
        pytest.param("[::1]:5000", NotTls(""), False, True, id="::1 without TLS"),
        pytest.param("127.8.8.8:5000", NotTls(""), False, True, id="all of 127/8"),
        pytest.param("r.lan:5000", NotTls(""), False, False, id="elsewhere only with the flag"),
        pytest.param("r.lan:5000", NotTls(""), True, True, id="elsewhere with the flag"),
        pytest.param(
            "127.0.0.1:5000", CertificateRefused(""), False, False, id="never after a certificate error"
        ),
        pytest.param("r.lan:5000", CertificateRefused(""), True, False, id="not even with the flag"),
        pytest.param("127.0.0.1:5000", TlsFailed(""), False, False, id="it does speak TLS"),
        pytest.param("127.0.0.1:5000", TimedOut(""), False, False, id="never after a timeout"),
        pytest.param("r.lan:5000", TimedOut(""), True, False, id="a timeout, with the flag"),
        pytest.param(
            "127.0.0.1:5000", ConnectionRefused(""), False, False, id="the same port is closed for both"
        ),
        pytest.param("localhost", ConnectionRefused(""), False, True, id="443 says nothing about 80"),
        pytest.param(
            "r.lan", ConnectionRefused(""), True, True, id="443 says nothing about 80, with the flag"
        ),
        pytest.param("r.lan", ConnectionRefused(""), False, False, id="without the flag there is no 80"),
        pytest.param("r.lan", NameNotResolved(""), True, False, id="no name"),
        pytest.param("r.lan", ConnectionBroken(""), True, False, id="it broke"),
    ],
)
async def test_plain_http_is_tried_where_the_contract_says(
    registry: str, failure: Unreachable, plain_http: bool, falls_back: bool
) -> None:
    world = World(
        {f"GET https://{registry}/v2/": failure, f"GET http://{registry}/v2/": Told()}, plain_http=plain_http
    )
    if falls_back:
        assert (await world.session.settle(registry)).origin.scheme == "http"
    else:
        with pytest.raises(type(failure)):
            await world.session.settle(registry)
        assert not any(line.startswith("GET http://") for line in world.transport.lines())


async def test_no_credential_is_sent_before_the_scheme_is_settled() -> None:
    table: dict[str, Outcome] = {
        "GET https://127.0.0.1:5000/v2/": NotTls(""),
        "GET http://127.0.0.1:5000/v2/": Told(401, challenges=('Basic realm="x"',)),
        "GET http://127.0.0.1:5000/v2/a/b": Told(),
    }
    world = World(table, person("ashok"))
    await world.send(replace(CALL, registry="127.0.0.1:5000"))
    assert world.shown() == [None, None, "Basic " + base64.b64encode(b"ashok:canary").decode()]


async def test_a_registry_is_settled_once_for_all_who_ask() -> None:
    world = World({PING: Told(), WANTED: Told()})
    await asyncio.gather(*(world.send() for _ in range(5)))
    assert world.transport.lines().count(PING) == 1


async def test_docker_hub_is_called_by_the_host_it_has() -> None:
    world = World({"GET https://registry-1.docker.io/v2/": Told()})
    assert str((await world.session.settle("docker.io")).origin) == "https://registry-1.docker.io"


# ----------------------------------------------------------------- credentials


def issue(request: Request) -> Told:
    """A token server that knows ashok, and gives nobody a token that is as good as none."""
    header = request.headers.get("Authorization")
    if header is None:
        return Told(body=b'{"token":"nobody"}')
    name, _, password = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return Told(body=f'{{"token":"for-{name}"}}'.encode()) if password == "canary" else Told(401)


def needs(token: str) -> Outcome:
    def answer(request: Request) -> Told:
        if request.headers.get("Authorization") == f"Bearer {token}":
            return Told()
        return Told(401, challenges=(f'{BEARER},scope="repository:a:pull",error="insufficient_scope"',))

    return answer


TOKEN = f"GET {REALM}?service=s&scope=repository%3Aa%3Apull"
TOKEN_ASHOK = f"{TOKEN}&account=ashok&client_id=sealift"


def bearer_world(*credentials: Credential, token: str = "for-ashok", **options: object) -> World:
    table: dict[str, Outcome] = {
        PING: Told(401, challenges=(BEARER,)),
        WANTED: needs(token),
        TOKEN: issue,
        TOKEN_ASHOK: issue,
        f"{TOKEN}&account=sue&client_id=sealift": issue,
    }
    return World(table, *credentials, **options)


async def test_the_pings_challenge_is_answered_before_the_request_is_sent() -> None:
    world = bearer_world(person("ashok"))
    assert await world.send() == 200
    assert world.transport.lines() == [PING, TOKEN_ASHOK, WANTED]


async def test_one_token_serves_every_request_of_its_scope() -> None:
    world = bearer_world(person("ashok"))
    await asyncio.gather(*(world.send() for _ in range(8)))
    assert world.transport.lines().count(TOKEN_ASHOK) == 1
    assert world.keys.asked == 1


async def test_a_token_is_renewed_shortly_before_it_ends() -> None:
    world = bearer_world(person("ashok"))
    for world.time in (0.0, 49.0, 51.0, 52.0):
        await world.send()
    assert world.transport.lines().count(TOKEN_ASHOK) == 2


async def test_a_token_that_was_revoked_is_asked_for_again_once() -> None:
    world = World(
        {
            PING: Told(401, challenges=(BEARER,)),
            TOKEN_ASHOK: [Told(body=b'{"token":"old"}'), Told(body=b'{"token":"new"}')],
            WANTED: [Told(), needs("new"), needs("new")],
        },
        person("ashok"),
    )
    assert [await world.send(), await world.send()] == [200, 200]
    assert world.transport.lines() == [PING, TOKEN_ASHOK, WANTED, WANTED, TOKEN_ASHOK, WANTED]


async def test_a_wider_scope_that_is_asked_for_is_fetched() -> None:
    wider = f'{BEARER},scope="repository:a:pull repository:b:pull"'
    world = World(
        {
            PING: Told(401, challenges=(BEARER,)),
            TOKEN: Told(body=b'{"token":"narrow"}'),
            f"{TOKEN}&scope=repository%3Ab%3Apull": Told(body=b'{"token":"wide"}'),
            WANTED: [Told(401, challenges=(wider,)), Told()],
        }
    )
    assert await world.send() == 200
    assert world.shown()[-1] == "Bearer wide"


async def test_a_registry_that_challenges_only_the_request_itself_is_answered() -> None:
    world = World({PING: Told(), WANTED: needs("for-ashok"), TOKEN_ASHOK: issue}, person("ashok"))
    assert await world.send() == 200
    assert world.shown() == [
        None,
        None,
        "Basic " + base64.b64encode(b"ashok:canary").decode(),
        "Bearer for-ashok",
    ]


@pytest.mark.parametrize(
    ("credentials", "kind"),
    [
        pytest.param((), Unauthenticated, id="nobody"),
        pytest.param((person("sue"),), Denied, id="somebody else, with a token that is not enough"),
        pytest.param((person("ashok", "wrong"),), Unauthenticated, id="a wrong password"),
        pytest.param((person("ashok", "wrong"), person("sue")), Denied, id="'may not' says more than 'who?'"),
        pytest.param((person("sue"), person("ashok", "wrong")), Denied, id="in whatever order"),
    ],
)
async def test_a_refusal_ends_and_says_which(
    credentials: tuple[Credential, ...], kind: type[RegistryClientError]
) -> None:
    world = bearer_world(*credentials)
    with pytest.raises(kind) as raised:
        await world.send()
    assert type(raised.value) is kind
    assert len(world.transport.sent) <= 5
    assert "canary" not in f"{raised.value} {raised.value.why} {raised.value.hint}"


async def test_every_credential_is_tried_and_the_good_one_is_remembered() -> None:
    world = bearer_world(person("sue", "wrong"), person("ashok"))
    assert [await world.send(), await world.send()] == [200, 200]
    assert [line for line in world.transport.lines() if "sue" in line] == [
        f"{TOKEN}&account=sue&client_id=sealift"
    ]


async def test_who_was_let_in_before_is_tried_first() -> None:
    good = "Basic " + base64.b64encode(b"ashok:canary").decode()

    def answer(request: Request) -> Told:
        if request.headers.get("Authorization") == good:
            return Told()
        return Told(401, challenges=('Basic realm="x"',))

    world = World(
        {PING: Told(401, challenges=('Basic realm="x"',)), WANTED: answer}, person("sue"), person("ashok")
    )
    assert [await world.send(), await world.send()] == [200, 200]
    assert world.transport.lines() == [PING, WANTED, WANTED, WANTED]


async def test_a_password_that_was_refused_is_not_offered_again() -> None:
    world = bearer_world(person("ashok", "wrong"))
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await world.send()
    assert world.transport.lines().count(TOKEN_ASHOK) == 1


@pytest.mark.parametrize(
    ("challenges", "requests"),
    [
        pytest.param((), 2, id="a 401 without a challenge (R-OCI-30)"),
        pytest.param(("Negotiate",), 2, id="a challenge that is none of ours"),
        pytest.param(('Basic realm="x"',), 2, id="Basic, refused"),
        pytest.param((BEARER,), 3, id="Bearer, refused"),
    ],
)
async def test_401_for_ever_ends(challenges: tuple[str, ...], requests: int) -> None:
    token = f"GET {REALM}?service=s&scope=repository%3Aa%3Apull&account=u&client_id=sealift"
    table: dict[str, Outcome] = {
        PING: Told(401, challenges=challenges),
        WANTED: Told(401, challenges=challenges),
        token: Told(body=b'{"token":"t"}'),
    }
    world = World(table, person("u"))
    with pytest.raises((Unauthenticated, Denied)):
        await world.send()
    assert len(world.transport.sent) == requests


async def test_403_is_final_for_its_credential_and_the_next_is_tried() -> None:
    basic = ('Basic realm="x"',)
    sue, ashok = (base64.b64encode(f"{name}:canary".encode()).decode() for name in ("sue", "ashok"))

    def answer(request: Request) -> Told:
        return {f"Basic {sue}": Told(403), f"Basic {ashok}": Told(200)}[request.headers["Authorization"]]

    world = World({PING: Told(401, challenges=basic), WANTED: answer}, person("sue"), person("ashok"))
    assert await world.send() == 200


async def test_another_error_is_no_reason_to_try_another_credential() -> None:
    basic = ('Basic realm="x"',)
    world = World({PING: Told(401, challenges=basic), WANTED: Told(404)}, person("sue"), person("ashok"))
    with pytest.raises(NotFound):
        await world.send()
    assert world.transport.lines() == [PING, WANTED]


async def test_a_foreign_realm_gets_no_credential() -> None:
    world = World({PING: Told(401, challenges=('Bearer realm="https://evil.test/t"',))}, person("ashok"))
    with pytest.raises(RealmRefused):
        await world.send()
    assert world.transport.lines() == [PING]


async def test_a_basic_challenge_without_a_password_is_not_answered() -> None:
    basic = ('Basic realm="x"',)
    world = World(
        {PING: Told(401, challenges=basic), WANTED: Told(401, challenges=basic)}, person("ashok", "")
    )
    with pytest.raises(Unauthenticated):
        await world.send()
    assert world.shown() == [None, None]


# ------------------------------------------------------------------- redirects

STORE = "https://store.test/blob?X-Sig=1"


def redirecting(location: str, *, status: int = 307, **more: Outcome) -> dict[str, Outcome]:
    table: dict[str, Outcome] = {
        PING: Told(401, challenges=('Basic realm="x"',)),
        WANTED: Told(status, {"location": location}),
    }
    return table | more


async def test_authorization_does_not_follow_to_another_host() -> None:
    world = World(redirecting(STORE) | {f"GET {STORE}": Told()}, person("ashok"))
    assert await world.send() == 200
    assert world.transport.lines()[-1] == f"GET {STORE}"
    assert [header is not None for header in world.shown()] == [False, True, False]


@pytest.mark.parametrize(
    "location",
    [f"https://{R}:8443/b", f"https://sub.{R}/b", f"https://{R}.evil.test/b", f"https://x@evil.test/{R}"],
)
async def test_another_port_or_name_is_another_host(location: str) -> None:
    table: dict[str, Outcome | Sequence[Outcome]] = {**redirecting(location), f"GET {location}": Told()}
    world = World(table, person("ashok"))
    await world.send()
    assert world.shown()[-1] is None


async def test_authorization_stays_on_the_host_and_comes_back_to_it() -> None:
    table = redirecting("/v2/a/c") | {
        f"GET https://{R}/v2/a/c": Told(302, {"location": STORE}),
        f"GET {STORE}": Told(302, {"location": f"https://{R}:443/v2/a/d"}),
        f"GET https://{R}:443/v2/a/d": Told(),
    }
    world = World(table, person("ashok"))
    await world.send()
    assert [header is not None for header in world.shown()] == [False, True, True, False, True]


async def test_a_stranger_that_wants_a_token_gets_an_anonymous_one() -> None:
    other = "https://other.test/v2/a/b"
    table: dict[str, Outcome | Sequence[Outcome]] = {
        **redirecting(other),
        f"GET {other}": [Told(401, challenges=('Bearer realm="https://other.test/t"',)), Told()],
        "GET https://other.test/t?scope=repository%3Aa%3Apull": Told(body=b'{"token":"stranger"}'),
    }
    world = World(table, person("ashok"))
    assert await world.send() == 200
    assert [header for header in world.shown() if header is not None and "Basic" not in header] == [
        "Bearer stranger"
    ]
    assert all("ashok" not in line for line in world.transport.lines())


@pytest.mark.parametrize("challenge", ['Basic realm="x"', "Negotiate"])
async def test_a_stranger_that_wants_a_password_gets_none(challenge: str) -> None:
    table = redirecting(STORE) | {f"GET {STORE}": Told(401, challenges=(challenge,))}
    world = World(table, person("ashok"))
    with pytest.raises(Unauthenticated):
        await world.send()
    assert world.shown()[-1] is None


@pytest.mark.parametrize(
    ("location", "why"),
    [
        pytest.param(f"http://{R}/v2/a/b", "from https to plain http", id="to plain http on the same host"),
        pytest.param("http://store.test/b", "from https to plain http", id="to plain http elsewhere"),
        pytest.param("ftp://store.test/b", "neither http nor https", id="to another protocol"),
        pytest.param("file:///etc/passwd", "neither http nor https", id="to a file"),
        pytest.param("https://store.test:99999/x", "out of range", id="to a port that is none"),
        pytest.param("/v2/a/b", "more than 10 redirects", id="in circles"),
    ],
)
async def test_a_redirect_that_leads_astray_is_an_error(location: str, why: str) -> None:
    world = World(redirecting(location), person("ashok"))
    with pytest.raises(UnusableAnswer) as raised:
        await world.send()
    assert why in (raised.value.why or "")


async def test_a_body_is_sent_again_where_the_redirect_keeps_the_method() -> None:
    put = replace(CALL, method="PUT", body=b"manifest")
    table: dict[str, Outcome] = {
        PING: Told(),
        f"PUT https://{R}/v2/a/b": Told(307, {"location": "/v2/a/c"}),
        f"PUT https://{R}/v2/a/c": Told(201),
    }
    world = World(table)
    assert await world.send(put) == 201
    assert world.transport.sent[-1].body == b"manifest"


async def test_a_put_is_not_turned_into_a_get() -> None:
    put = replace(CALL, method="PUT", body=b"manifest")
    world = World({PING: Told(), f"PUT https://{R}/v2/a/b": Told(302, {"location": "/v2/a/c"})})
    with pytest.raises(UnusableAnswer):
        await world.send(put)


async def test_a_target_on_another_host_gets_no_credential() -> None:
    world = World(
        {PING: Told(401, challenges=('Basic realm="x"',)), "PUT https://uploads.test/u?a=b": Told(201)},
        person("ashok"),
    )
    await world.send(replace(CALL, method="PUT", target="https://uploads.test/u?a=b", body=b""))
    assert world.shown() == [None, None]


# -------------------------------------------------------------------- patience


async def test_a_busy_registry_is_waited_for_as_long_as_it_asks() -> None:
    world = World({PING: Told(), WANTED: [Told(429, {"retry-after": "7"}), Told()]})
    assert await world.send() == 200
    assert world.waits == [7]


async def test_a_registry_that_stays_busy_is_given_up() -> None:
    world = World({PING: Told(), WANTED: Told(503)})
    with pytest.raises(RegistryFailed):
        await world.send()
    assert world.waits == [1, 2]


async def test_a_rate_limit_that_is_too_long_is_told_at_once() -> None:
    world = World({PING: Told(), WANTED: Told(429, {"retry-after": "3600"})})
    with pytest.raises(RateLimited) as raised:
        await world.send()
    assert (world.waits, raised.value.retry_after_seconds) == ([], 3600)


async def test_a_broken_connection_is_tried_again() -> None:
    world = World({PING: Told(), WANTED: [ConnectionBroken("it broke"), Told()]})
    assert await world.send() == 200
    assert world.waits == [1]


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_post_is_tried_again_where_it_does_no_harm(repeatable: bool) -> None:
    world = World({PING: Told(), f"POST https://{R}/v2/a/b": [ConnectionBroken("kept too long"), Told(202)]})
    post = replace(CALL, method="POST", repeatable=repeatable)
    if repeatable:
        assert await world.send(post) == 202
    else:
        with pytest.raises(ConnectionBroken):
            await world.send(post)


@pytest.mark.parametrize("registry", ["r.io:99999", "[1:2]:5000", "r.io:x"])
async def test_a_host_that_is_no_address_is_unreachable(registry: str) -> None:
    with pytest.raises(Unreachable):
        await World({}).session.settle(registry)


async def test_what_may_not_be_repeated_is_not() -> None:
    world = World({PING: Told(), f"PUT https://{R}/v2/a/b": ConnectionBroken("it broke")})
    with pytest.raises(ConnectionBroken):
        await world.send(replace(CALL, method="PUT", body=b"", once=True))
    assert world.waits == []


async def test_an_error_page_is_an_error_without_its_page() -> None:
    world = World(
        {PING: Told(), WANTED: Told(404, {"content-type": "text/html"}, body=b"<html>canary</html>")}
    )
    with pytest.raises(NotFound) as raised:
        await world.send()
    assert raised.value.errors == ()
    assert "canary" not in f"{raised.value} {raised.value.why}"


async def test_a_status_that_is_an_answer_here_is_handed_back() -> None:
    world = World({PING: Told(), WANTED: Told(404)})
    assert await world.send(replace(CALL, accepted=frozenset({404}))) == 404


async def test_scopes_are_part_of_what_a_token_is_remembered_by() -> None:
    world = bearer_world(person("ashok"))
    await world.send()
    other: tuple[Scope, ...] = (repository_scope("b", "pull"),)
    with pytest.raises(AssertionError, match="repository%3Ab%3Apull"):
        await world.send(replace(CALL, scopes=other))


# ---------------------------------------------------------------------- login


async def test_a_credential_is_proved_with_a_token_without_scope() -> None:
    token = f"GET {REALM}?service=s&account=ashok&client_id=sealift&offline_token=true"
    table: dict[str, Outcome | Sequence[Outcome]] = {
        PING: [Told(401, challenges=(BEARER,)), Told()],
        token: Told(body=b'{"token":"t","refresh_token":"r"}'),
    }
    world = World(table)
    _, grant = await world.session.prove(R, person("ashok"))
    assert grant is not None
    assert grant.identity_token == SecretText("r")
    assert world.shown()[-1] == "Bearer t"


@pytest.mark.parametrize("challenge", ['Basic realm="x"', BEARER])
async def test_a_credential_that_does_not_open_the_registry_is_not_proved(challenge: str) -> None:
    token = f"GET {REALM}?service=s&account=ashok&client_id=sealift&offline_token=true"
    world = World({PING: Told(401, challenges=(challenge,)), token: Told(body=b'{"token":"t"}')})
    with pytest.raises(Unauthenticated):
        await world.session.prove(R, person("ashok"))


async def test_a_registry_that_asks_for_nothing_proves_nothing() -> None:
    world = World({PING: Told()})
    assert (await world.session.prove(R, person("ashok")))[1] is None
    assert world.shown() == [None]
