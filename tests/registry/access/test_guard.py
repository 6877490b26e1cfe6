"""The gate as one table: every route, by every identity, by every state of a repository.

A route without a row in `NEEDS` fails `test_every_route_has_a_row`. The cells
are computed here from what the contract says, not from the code: see
`expected`. A handler that is reached answers 299, so that what is looked at is
the gate alone.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import pytest
import pytest_asyncio
from joserfc import jws
from joserfc.jwk import ECKey
from tests.registry.open_registry import PASSWORD, Client, Reply, basic, open_client

from sealift.protocol.endpoints import Endpoint
from sealift.protocol.scope import Scope
from sealift.registry.access.token_issuer import TokenIssuer
from sealift.registry.catalog.accounts import account_by_name, remove_grant, set_disabled, set_password
from sealift.registry.catalog.database import Catalog
from sealift.registry.catalog.repository_rows import set_visibility
from sealift.registry.exchange import Answer, Call, Principal

DIGEST: Final = "sha256:" + "0" * 64
REACHED: Final = 299

Needs = Literal["pull", "push", "delete", "login", "account"]

NEEDS: Final[dict[Endpoint, tuple[str, str, Needs]]] = {
    Endpoint.BASE: ("GET", "/v2/", "login"),
    Endpoint.GET_BLOB: ("GET", f"/v2/{{}}/blobs/{DIGEST}", "pull"),
    Endpoint.GET_MANIFEST: ("GET", "/v2/{}/manifests/v1", "pull"),
    Endpoint.START_UPLOAD: ("POST", "/v2/{}/blobs/uploads/", "push"),
    Endpoint.SEND_CHUNK: ("PATCH", "/v2/{}/blobs/uploads/abc", "push"),
    Endpoint.FINISH_UPLOAD: ("PUT", f"/v2/{{}}/blobs/uploads/abc?digest={DIGEST}", "push"),
    Endpoint.UPLOAD_STATUS: ("GET", "/v2/{}/blobs/uploads/abc", "push"),
    Endpoint.CANCEL_UPLOAD: ("DELETE", "/v2/{}/blobs/uploads/abc", "push"),
    Endpoint.PUT_MANIFEST: ("PUT", "/v2/{}/manifests/v1", "push"),
    Endpoint.LIST_TAGS: ("GET", "/v2/{}/tags/list", "pull"),
    Endpoint.LIST_REFERRERS: ("GET", f"/v2/{{}}/referrers/{DIGEST}", "pull"),
    Endpoint.DELETE_MANIFEST: ("DELETE", "/v2/{}/manifests/v1", "delete"),
    Endpoint.DELETE_BLOB: ("DELETE", f"/v2/{{}}/blobs/{DIGEST}", "delete"),
    Endpoint.LIST_REPOSITORIES: ("GET", "/v2/_catalog", "account"),
}
"""Method, path and need of every endpoint. ``account``: any account, and nobody anonymous."""

STATES: Final = {
    "public": "ashok/public",
    "private": "ashok/private",
    "absent": "ashok/missing",
    "just made private": "ashok/public",
}

ALL: Final = frozenset({"pull", "push", "delete"})
PULL: Final = frozenset({"pull"})

GOOD: Final[dict[str, frozenset[str]]] = {
    "anonymous token": frozenset(),
    "stranger": frozenset(),
    "reader": PULL,
    "writer": frozenset({"pull", "push"}),
    "owner": ALL,
    "admin": ALL,
}
"""Who holds a good token, and their rights under ``ashok/`` beside what is public."""

BAD_TOKENS: Final = (
    "expired",
    "revoked",
    "disabled",
    "garbage",
    "alg none",
    "wrong key",
    "removed account",
)
NO_TOKEN: Final = ("nothing", "digest scheme", "basic nonsense", "basic wrong password", "basic disabled")
BASIC: Final = {f"basic {name}": held for name, held in GOOD.items() if name != "anonymous token"}

IDENTITIES: Final = (*GOOD, "wrong-repository token", *BAD_TOKENS, *NO_TOKEN, *BASIC)

ACCOUNTS: Final = {"owner": "ashok"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What the contract says of one cell."""

    status: int
    error: str | None = None
    """The challenge's ``error``; None where there is a challenge without one, or no challenge."""


def expected(needs: Needs, identity: str, state: str) -> Cell:
    """The contract, as a function of words."""
    if identity in NO_TOKEN:
        return Cell(401)
    if identity in BAD_TOKENS:
        return Cell(401, "invalid_token")
    if needs == "login":
        return Cell(REACHED)
    if needs == "account":
        somebody = identity not in {"anonymous token", "wrong-repository token"}
        return Cell(REACHED) if somebody else Cell(401, "insufficient_scope")
    public = PULL if state == "public" else frozenset()
    if identity in BASIC:
        held = BASIC[identity] | public
        return Cell(REACHED) if needs in held else Cell(403) if held else Cell(404)
    if identity == "wrong-repository token":
        return Cell(401, "insufficient_scope")
    return Cell(REACHED) if needs in GOOD[identity] | public else Cell(401, "insufficient_scope")


@dataclass(slots=True)
class Gate:
    """A registry whose handlers only say that they were reached."""

    client: Client
    catalog: Catalog
    credentials: dict[tuple[str, str], str]
    """The Authorization header of each identity for each repository."""

    async def ask(self, endpoint: Endpoint, identity: str, state: str) -> Reply:
        method, path, _ = NEEDS[endpoint]
        name = STATES[state]
        return await self.client.ask(method, path.format(name), auth=self.credentials[identity, name] or None)


async def _reached(_: Call) -> Answer:
    return Answer(status=REACHED)


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["as set up", "just made private"])
async def gate(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gate]:
    directory: Path = tmp_path_factory.mktemp("gate")
    async with open_client(directory) as client:
        routes = dict(client.app.routes)
        client.app.routes = {endpoint: replace(route, handler=_reached) for endpoint, route in routes.items()}
        with Catalog(directory / "data" / "catalog.sqlite3") as catalog:
            credentials = await _credentials(client, catalog)
            if request.param == "just made private":
                # The tokens above were issued while it was public.
                await catalog.write(
                    lambda transaction: set_visibility(transaction, name="ashok/public", visibility="private")
                )
            yield Gate(client, catalog, credentials)


async def _credentials(client: Client, catalog: Catalog) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for name in sorted(set(STATES.values())):
        scopes = (f"repository:{name}:pull,push,delete", "registry:catalog:*")
        for identity in GOOD:
            account = None if identity == "anonymous token" else ACCOUNTS.get(identity, identity)
            found[identity, name] = await client.token(account, *scopes)
        found["wrong-repository token", name] = await client.token(
            "admin", "repository:ashok/other:pull,push,delete"
        )
        found |= {(identity, name): header for identity, header in _broken(catalog, name).items()}
        found["nothing", name] = ""
        found["digest scheme", name] = 'Digest username="admin"'
        found["basic nonsense", name] = "Basic !!!"
        found["basic wrong password", name] = basic("admin", "wrong horse")
        found["basic disabled", name] = basic("disabled", PASSWORD)
        for identity in BASIC:
            account = identity.removeprefix("basic ")
            found[identity, name] = basic(ACCOUNTS.get(account, account))
    return found


def _broken(catalog: Catalog, repository: str) -> dict[str, str]:
    """Tokens of an admin, or of a writer, that are not good any more or never were."""
    admin, disabled = account_by_name(catalog, "admin"), account_by_name(catalog, "disabled")
    assert admin is not None
    assert disabled is not None
    scopes = (Scope(repository, ALL), Scope("catalog", frozenset({"*"}), "registry"))

    def issue(account_id: int, name: str, generation: int, now: Callable[[], float] = time.time) -> str:
        issuer = TokenIssuer(catalog, issuer="sealift", service="sealift", lifetime_seconds=300, now=now)
        who = Principal(id=account_id, name=name, is_admin=name == "admin")
        return issuer.issue(who, generation=generation, scopes=scopes)[0]

    good = issue(admin.id, "admin", admin.generation)
    head, payload, signature = good.split(".")
    foreign = ECKey.generate_key("P-256")
    return {
        "expired": "Bearer " + issue(admin.id, "admin", admin.generation, lambda: time.time() - 301),
        "revoked": "Bearer " + issue(admin.id, "admin", admin.generation - 1),
        "disabled": "Bearer " + issue(disabled.id, "disabled", disabled.generation),
        "removed account": "Bearer " + issue(9999, "gone", 1),
        "garbage": "Bearer garbage",
        "alg none": "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + payload + ".",
        "wrong key": "Bearer "
        + jws.serialize_compact(
            {"alg": "ES256", "kid": "another", "typ": "JWT"}, b"{}", foreign, algorithms=["ES256"]
        ),
        "signature of another": f"Bearer {head}.{payload}.{signature[::-1]}",
    }


def test_every_route_has_a_row(gate: Gate) -> None:
    assert set(gate.client.app.routes) == set(NEEDS) == set(Endpoint)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize("endpoint", NEEDS, ids=lambda endpoint: endpoint.name)
async def test_the_gate(
    gate: Gate, request: pytest.FixtureRequest, endpoint: Endpoint, identity: str
) -> None:
    after = request.node.callspec.params["gate"] == "just made private"
    needs = NEEDS[endpoint][2]
    for state in ("just made private",) if after else ("public", "private", "absent"):
        reply = await gate.ask(endpoint, identity, state)
        cell = expected(needs, identity, state)
        error = "none"
        if reply.status == 401:
            assert reply.challenge.startswith(
                'Bearer realm="http://registry.test:5000/token",service="sealift"'
            )
            error = reply.challenge.partition('error="')[2].partition('"')[0]
        assert (reply.status, error) == (
            cell.status,
            (cell.error or "") if cell.status == 401 else "none",
        ), f"{identity} at {endpoint.name}, {state}"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("identity", ["stranger", "anonymous token", "basic stranger", "nothing"])
@pytest.mark.parametrize("endpoint", NEEDS, ids=lambda endpoint: endpoint.name)
async def test_private_and_absent_cannot_be_told_apart(gate: Gate, endpoint: Endpoint, identity: str) -> None:
    """Not by status, not by header, not by body."""
    private = (await gate.ask(endpoint, identity, "private")).without_its_id()
    absent = (await gate.ask(endpoint, identity, "absent")).without_its_id()
    assert private.status == absent.status
    assert private.body.replace(b"private", b"missing") == absent.body
    assert {
        key: value.replace("private", "missing") for key, value in private.headers.items()
    } == absent.headers


# ------------------------------------------------------ what is taken away is gone


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with open_client(tmp_path) as opened:
        opened.app.routes = {
            endpoint: replace(route, handler=_reached) for endpoint, route in opened.app.routes.items()
        }
        yield opened


TAGS: Final = "/v2/ashok/private/tags/list"
SCOPE: Final = "repository:ashok/private:pull,push"

Change = Callable[[Catalog], Awaitable[object]]


@pytest.mark.parametrize(
    ("who", "change", "error"),
    [
        pytest.param(
            "reader",
            lambda catalog: catalog.write(lambda transaction: remove_grant(transaction, 1)),
            "insufficient_scope",
            id="a grant is taken back",
        ),
        pytest.param(
            "reader",
            lambda catalog: catalog.write(
                lambda transaction: set_disabled(transaction, name="reader", disabled=True)
            ),
            "invalid_token",
            id="an account is disabled",
        ),
        pytest.param(
            "reader",
            lambda catalog: catalog.write(
                lambda transaction: set_password(transaction, name="reader", password_hash="x")
            ),
            "invalid_token",
            id="a password is changed",
        ),
    ],
)
async def test_what_is_taken_away_in_one_process_is_gone_in_another_at_the_next_request(
    client: Client, tmp_path: Path, who: str, change: Change, error: str
) -> None:
    token = await client.token(who, SCOPE)
    assert (await client.ask("GET", TAGS, auth=token)).status == REACHED
    with Catalog(
        tmp_path / "data" / "catalog.sqlite3"
    ) as elsewhere:  # another connection, as another worker has
        await change(elsewhere)
        reply = await client.ask("GET", TAGS, auth=token)
    assert (reply.status, f'error="{error}"' in reply.challenge) == (401, True)


async def test_a_right_that_came_from_public_ends_with_it_and_a_readers_own_does_not(
    client: Client, tmp_path: Path
) -> None:
    scope, tags = "repository:ashok/public:pull", "/v2/ashok/public/tags/list"
    reader, stranger = await client.token("reader", scope), await client.token("stranger", scope)
    nobody = await client.token(None, scope)
    with Catalog(tmp_path / "data" / "catalog.sqlite3") as elsewhere:
        await elsewhere.write(
            lambda transaction: set_visibility(transaction, name="ashok/public", visibility="private")
        )
        statuses = [
            (await client.ask("GET", tags, auth=token)).status for token in (reader, stranger, nobody)
        ]
    assert statuses == [REACHED, 401, 401]


async def test_a_password_that_was_changed_is_not_remembered(client: Client, tmp_path: Path) -> None:
    assert (await client.ask("GET", TAGS, auth=basic("reader"))).status == REACHED
    with Catalog(tmp_path / "data" / "catalog.sqlite3") as elsewhere:
        await elsewhere.write(lambda transaction: set_password(transaction, name="reader", password_hash="x"))
    assert (await client.ask("GET", TAGS, auth=basic("reader"))).status == 401


# ------------------------------------------------------------------ challenges


@pytest.mark.parametrize(
    ("method", "target", "scope"),
    [
        pytest.param("GET", "/v2/", "", id="a ping names none"),
        pytest.param("GET", "/v2/a/b/tags/list", "repository:a/b:pull", id="reading"),
        pytest.param(
            "PUT", "/v2/a/b/manifests/v1", "repository:a/b:pull,push", id="writing asks to look too"
        ),
        pytest.param("DELETE", "/v2/a/b/manifests/v1", "repository:a/b:delete", id="deleting"),
        pytest.param("GET", "/v2/_catalog", "registry:catalog:*", id="listing"),
        pytest.param("GET", "/api/v1/whoami", "registry:management:*", id="managing"),
        pytest.param(
            "POST",
            f"/v2/a/b/blobs/uploads/?mount={DIGEST}&from=c/d",
            "repository:a/b:pull,push repository:c/d:pull",
            id="a mount names both (R-AUT-11)",
        ),
        pytest.param(
            "POST",
            f"/v2/a/b/blobs/uploads/?mount={DIGEST}&from=c/d%22,error=%22x",
            "repository:a/b:pull,push",
            id="a mount from what is no name names one",
        ),
    ],
)
async def test_a_challenge_names_what_a_token_has_to_cover(
    client: Client, method: str, target: str, scope: str
) -> None:
    reply = await client.ask(method, target)
    named = f',scope="{scope}"' if scope else ""
    assert reply.status == 401
    assert reply.challenge == f'Bearer realm="http://registry.test:5000/token",service="sealift"{named}'


async def test_a_mount_source_is_readable_only_with_the_token_and_the_right(client: Client) -> None:
    seen: list[frozenset[str]] = []

    async def remember(call: Call) -> Answer:
        seen.append(call.readable)
        return Answer(status=REACHED)

    client.app.routes = {
        endpoint: replace(route, handler=remember) for endpoint, route in client.app.routes.items()
    }
    target = f"/v2/writer/x/blobs/uploads/?mount={DIGEST}&from=ashok/private"
    own, both = "repository:writer/x:pull,push", "repository:ashok/private:pull"
    for auth in (
        await client.token("writer", own, both),
        await client.token("writer", own),
        basic("writer"),
    ):
        assert (await client.ask("POST", target, auth=auth)).status == REACHED
    stranger = await client.token("stranger", "repository:stranger/x:pull,push", both)
    await client.ask(
        "POST", f"/v2/stranger/x/blobs/uploads/?mount={DIGEST}&from=ashok/private", auth=stranger
    )
    source = frozenset({"ashok/private"})
    assert seen == [source, frozenset(), source, frozenset()]


async def test_without_a_source_all_that_the_token_may_pull_are_sources(client: Client) -> None:
    seen: list[frozenset[str]] = []

    async def remember(call: Call) -> Answer:
        seen.append(call.readable)
        return Answer(status=REACHED)

    client.app.routes = {
        endpoint: replace(route, handler=remember) for endpoint, route in client.app.routes.items()
    }
    own, theirs = "repository:stranger/x:pull,push", "repository:ashok/private:pull"
    push_only = "repository:writer/x:push"
    for who, scopes in (
        ("writer", ("repository:writer/x:pull,push", theirs)),
        ("writer", (push_only,)),
        ("stranger", (own, theirs)),
    ):
        auth = await client.token(who, *scopes)
        await client.ask("POST", f"/v2/{who}/x/blobs/uploads/?mount={DIGEST}", auth=auth)
    await client.ask("POST", f"/v2/writer/x/blobs/uploads/?mount={DIGEST}", auth=basic("writer"))
    await client.ask("POST", "/v2/writer/x/blobs/uploads/", auth=await client.token("writer", push_only))
    assert seen == [
        frozenset({"writer/x", "ashok/private"}),
        frozenset(),
        frozenset({"stranger/x"}),
        frozenset(),
        frozenset(),
    ]


async def test_a_denial_is_written_down_without_what_was_typed_as_a_name(
    client: Client, tmp_path: Path
) -> None:
    await client.ask("GET", "/v2/", auth=basic("typed-my-password-here"))
    await client.ask("GET", "/v2/", auth=basic("reader", "wrong horse"))
    stranger = await client.token("stranger", SCOPE)
    await client.ask("GET", TAGS, auth=stranger)
    await client.app._guard._audit.flush()
    with Catalog(tmp_path / "data" / "catalog.sqlite3") as catalog:
        rows = catalog._connection.execute(
            "SELECT principal, action, repository, outcome, detail FROM audit"
        ).fetchall()
    assert rows == [
        ("unknown", "login", None, "denied", "no such account"),
        ("reader", "login", None, "denied", "wrong password"),
        ("stranger", "pull", "ashok/private", "denied", "not in the token or not held"),
    ]
