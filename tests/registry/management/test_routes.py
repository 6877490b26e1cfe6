"""The management API as one table: every route, by everyone who might ask.

`TABLE` says what each identity gets; a route without a row fails
`test_every_route_has_a_row`. Each cell starts from the same registry.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from tests.registry.open_registry import PASSWORD, Client, basic, open_client

from sealift.image.manifest import OCI_INDEX
from sealift.registry.catalog.database import Catalog
from sealift.registry.management.tag_routes import PAGE

Row = tuple[str, str, Any, dict[str, int]]

PUBLIC: Final = {"anonymous": 200, "stranger": 200, "ashok": 200, "admin": 200}


def _cells(stranger: int, ashok: int, admin: int) -> dict[str, int]:
    return {"anonymous": 401, "stranger": stranger, "ashok": ashok, "admin": admin}


TABLE: Final[dict[tuple[str, str], list[Row]]] = {
    ("GET", ""): [("GET", "/api/v1", None, PUBLIC)],
    ("GET", "/"): [("GET", "/api/v1/", None, PUBLIC)],
    ("GET", "/openapi.json"): [("GET", "/api/v1/openapi.json", None, PUBLIC)],
    ("GET", "/whoami"): [("GET", "/api/v1/whoami", None, _cells(200, 200, 200))],
    ("GET", "/accounts"): [("GET", "/api/v1/accounts", None, _cells(200, 200, 200))],
    ("POST", "/accounts"): [
        ("POST", "/api/v1/accounts", {"name": "new", "password": "tall giraffe"}, _cells(403, 403, 201)),
        (
            "POST",
            "/api/v1/accounts",
            {"name": "new", "password": "tall giraffe", "admin": True},
            _cells(403, 403, 201),
        ),
        ("POST", "/api/v1/accounts", {"name": "reader", "password": "tall giraffe"}, _cells(403, 403, 409)),
        (
            "POST",
            "/api/v1/accounts",
            {"name": "serviceaccount", "password": "tall giraffe"},
            _cells(403, 403, 409),
        ),
    ],
    ("GET", "/accounts/{name}"): [
        ("GET", "/api/v1/accounts/ashok", None, _cells(404, 200, 200)),
        ("GET", "/api/v1/accounts/nobody", None, _cells(404, 404, 404)),
    ],
    ("PATCH", "/accounts/{name}"): [
        ("PATCH", "/api/v1/accounts/ashok", {"disabled": True}, _cells(403, 403, 200)),
        ("PATCH", "/api/v1/accounts/nobody", {"disabled": True}, _cells(403, 403, 404)),
        ("PATCH", "/api/v1/accounts/admin", {"disabled": True}, _cells(403, 403, 409)),
        ("PATCH", "/api/v1/accounts/ashok", {"quotaBytes": 10**9}, _cells(403, 403, 200)),
        ("PATCH", "/api/v1/accounts/ashok", {"quotaBytes": None}, _cells(403, 403, 200)),
        ("PATCH", "/api/v1/accounts/nobody", {"quotaBytes": 1}, _cells(403, 403, 404)),
        ("PATCH", "/api/v1/accounts/ashok", {"quotaBytes": -1}, _cells(403, 403, 400)),
        ("PATCH", "/api/v1/accounts/ashok", {}, _cells(403, 403, 400)),
    ],
    ("DELETE", "/accounts/{name}"): [
        ("DELETE", "/api/v1/accounts/reader", None, _cells(403, 403, 204)),
        ("DELETE", "/api/v1/accounts/ashok", None, _cells(403, 403, 409)),
        ("DELETE", "/api/v1/accounts/ashok?transferTo=reader", None, _cells(403, 403, 204)),
        ("DELETE", "/api/v1/accounts/ashok?transferTo=nobody", None, _cells(403, 403, 404)),
        ("DELETE", "/api/v1/accounts/ashok?transferTo=ashok", None, _cells(403, 403, 409)),
        ("DELETE", "/api/v1/accounts/admin", None, _cells(403, 403, 409)),
        ("DELETE", "/api/v1/accounts/nobody", None, _cells(403, 403, 404)),
    ],
    ("PUT", "/accounts/{name}/password"): [
        ("PUT", "/api/v1/accounts/ashok/password", {"password": "tall giraffe"}, _cells(404, 200, 200)),
        ("PUT", "/api/v1/accounts/ashok/password", {"password": "short"}, _cells(404, 400, 400)),
        ("PUT", "/api/v1/accounts/nobody/password", {"password": "tall giraffe"}, _cells(404, 404, 404)),
    ],
    ("GET", "/repositories"): [("GET", "/api/v1/repositories", None, _cells(200, 200, 200))],
    ("POST", "/repositories"): [
        ("POST", "/api/v1/repositories", {"name": "ashok/new"}, _cells(403, 201, 201)),
        ("POST", "/api/v1/repositories", {"name": "apps/new"}, _cells(403, 403, 201)),
        ("POST", "/api/v1/repositories", {"name": "ashok/private"}, _cells(403, 409, 409)),
    ],
    ("GET", "/repositories/{name...}"): [
        ("GET", "/api/v1/repositories/ashok/private", None, _cells(404, 200, 200)),
        ("GET", "/api/v1/repositories/ashok/public", None, _cells(200, 200, 200)),
        ("GET", "/api/v1/repositories/ashok/missing", None, _cells(404, 404, 404)),
    ],
    ("PATCH", "/repositories/{name...}"): [
        ("PATCH", "/api/v1/repositories/ashok/private", {"visibility": "public"}, _cells(404, 200, 200)),
        ("PATCH", "/api/v1/repositories/ashok/public", {"visibility": "private"}, _cells(403, 200, 200)),
        ("PATCH", "/api/v1/repositories/ashok/private", {"immutable": ["v*"]}, _cells(404, 200, 200)),
        ("PATCH", "/api/v1/repositories/ashok/public", {"immutable": ["v*"]}, _cells(403, 200, 200)),
        ("PATCH", "/api/v1/repositories/ashok/public", {"immutableExcept": []}, _cells(403, 200, 200)),
        ("PATCH", "/api/v1/repositories/ashok/private", {"immutable": ["v/*"]}, _cells(404, 400, 400)),
        ("PATCH", "/api/v1/repositories/ashok/private", {"immutable": [""]}, _cells(404, 400, 400)),
        ("PATCH", "/api/v1/repositories/ashok/private", {"immutable": ["v"] * 33}, _cells(404, 400, 400)),
        ("PATCH", "/api/v1/repositories/ashok/missing", {"visibility": "public"}, _cells(404, 404, 404)),
    ],
    ("DELETE", "/repositories/{name...}"): [
        ("DELETE", "/api/v1/repositories/ashok/private", None, _cells(404, 204, 204)),
        ("DELETE", "/api/v1/repositories/ashok/public", None, _cells(403, 204, 204)),
        ("DELETE", "/api/v1/repositories/ashok/missing", None, _cells(404, 404, 404)),
    ],
    ("GET", "/tag-history/{name...}"): [
        ("GET", "/api/v1/tag-history/ashok/private", None, _cells(404, 200, 200)),
        ("GET", "/api/v1/tag-history/ashok/public", None, _cells(403, 200, 200)),
        ("GET", "/api/v1/tag-history/ashok/public?before=x", None, _cells(403, 400, 400)),
        ("GET", "/api/v1/tag-history/ashok/missing", None, _cells(404, 404, 404)),
    ],
    ("POST", "/tag-restores/{name...}"): [
        ("POST", "/api/v1/tag-restores/ashok/private", {"tag": "v1"}, _cells(404, 404, 404)),
        ("POST", "/api/v1/tag-restores/ashok/public", {"tag": "v1"}, _cells(403, 404, 404)),
        (
            "POST",
            "/api/v1/tag-restores/ashok/public",
            {"tag": "v1", "to": "sha256:x", "before": "2026-01-01T00:00:00Z"},
            _cells(403, 400, 400),
        ),
        (
            "POST",
            "/api/v1/tag-restores/ashok/public",
            {"tag": "v1", "before": "2026-01-01T00:00:00"},
            _cells(403, 400, 400),
        ),
        ("POST", "/api/v1/tag-restores/ashok/missing", {"tag": "v1"}, _cells(404, 404, 404)),
    ],
    ("GET", "/deleted/{name...}"): [
        ("GET", "/api/v1/deleted/ashok/private", None, _cells(404, 200, 200)),
        ("GET", "/api/v1/deleted/ashok/public", None, _cells(403, 200, 200)),
        ("GET", "/api/v1/deleted/ashok/missing", None, _cells(404, 404, 404)),
    ],
    ("POST", "/deleted/{name...}"): [
        ("POST", "/api/v1/deleted/ashok/private", {"digest": "sha256:" + "0" * 64}, _cells(404, 404, 404)),
        ("POST", "/api/v1/deleted/ashok/public", {"digest": "sha256:" + "0" * 64}, _cells(403, 404, 404)),
        ("POST", "/api/v1/deleted/ashok/private", {"digest": "v1"}, _cells(404, 400, 400)),
    ],
    ("GET", "/garbage"): [("GET", "/api/v1/garbage", None, _cells(403, 403, 200))],
    ("POST", "/garbage"): [("POST", "/api/v1/garbage", {}, _cells(403, 403, 200))],
    ("GET", "/grants"): [("GET", "/api/v1/grants", None, _cells(200, 200, 200))],
    ("POST", "/grants"): [
        (
            "POST",
            "/api/v1/grants",
            {"to": "stranger", "repository": "ashok/*", "actions": ["pull"]},
            _cells(403, 201, 201),
        ),
        (
            "POST",
            "/api/v1/grants",
            {"to": "stranger", "repository": "apps/*", "actions": ["pull"]},
            _cells(403, 403, 201),
        ),
        (
            "POST",
            "/api/v1/grants",
            {"to": "stranger", "repository": "*/private", "actions": ["pull"]},
            _cells(403, 403, 201),
        ),
        (
            "POST",
            "/api/v1/grants",
            {"to": "nobody", "repository": "ashok/*", "actions": ["pull"]},
            _cells(403, 404, 404),
        ),
        (
            "POST",
            "/api/v1/grants",
            {"to": "stranger", "repository": "ashok/w*", "actions": ["pull"]},
            _cells(400, 400, 400),
        ),
    ],
    ("DELETE", "/grants/{id}"): [
        ("DELETE", "/api/v1/grants/1", None, _cells(404, 204, 204)),
        ("DELETE", "/api/v1/grants/99", None, _cells(404, 404, 404)),
        ("DELETE", "/api/v1/grants/x", None, _cells(404, 404, 404)),
        ("DELETE", "/api/v1/grants/99999999999999999999", None, _cells(404, 404, 404)),
    ],
    ("GET", "/audit"): [
        ("GET", "/api/v1/audit", None, _cells(403, 403, 200)),
        ("GET", "/api/v1/audit?since=2026-11-24T12:00:00Z&after=3&limit=2", None, _cells(403, 403, 200)),
        ("GET", "/api/v1/audit?since=yesterday", None, _cells(403, 403, 400)),
        ("GET", "/api/v1/audit?after=-1", None, _cells(403, 403, 400)),
        ("GET", "/api/v1/audit?after=99999999999999999999", None, _cells(403, 403, 400)),
    ],
}

CELLS: Final = [
    pytest.param(row, who, status, id=f"{row[0]} {row[1]} as {who}")
    for rows in TABLE.values()
    for row in rows
    for who, status in row[3].items()
]


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with open_client(tmp_path) as opened:
        yield opened


def test_every_route_has_a_row(client: Client) -> None:
    routes = client.app._management.routes
    assert {(route.method, route.template) for route in routes} == set(TABLE)
    assert [route.template for route in routes if route.is_open] == ["", "/", "/openapi.json"]


async def _auth(client: Client, who: str, *, by: str) -> str | None:
    if who == "anonymous":
        return None
    return basic(who) if by == "password" else await client.token(who, "registry:management:*")


@pytest.mark.parametrize(("row", "who", "status"), CELLS)
async def test_the_table(client: Client, row: Row, who: str, status: int) -> None:
    method, target, document, _ = row
    body = None if document is None else json.dumps(document).encode()
    reply = await client.ask(method, target, body=body, auth=await _auth(client, who, by="token"))
    assert reply.status == status, reply.body
    if status >= 400:
        assert reply.json["errors"][0]["message"]
    if status == 401:
        assert reply.challenge.endswith('scope="registry:management:*"')


OWN: Final = [("GET", "/api/v1/whoami"), ("GET", "/api/v1/accounts"), ("POST", "/api/v1/accounts")]


@pytest.mark.parametrize(("method", "target"), OWN)
@pytest.mark.parametrize(
    "scopes",
    [
        pytest.param((), id="a token without scopes"),
        pytest.param(("repository:ashok/private:pull,push,delete",), id="a token for a push"),
        pytest.param(("registry:catalog:*",), id="a token for a list"),
        pytest.param(("repository:management:*",), id="a token for a repository of that name"),
    ],
)
async def test_no_other_token_opens_it_whoever_it_was_made_for(
    client: Client, method: str, target: str, scopes: tuple[str, ...]
) -> None:
    token = await client.token("admin", *scopes)
    reply = await client.ask(method, target, auth=token, body=b"{}")
    assert (reply.status, 'error="insufficient_scope"' in reply.challenge) == (401, True)


async def test_nobody_in_particular_gets_no_token_for_it(client: Client) -> None:
    token = await client.token(None, "registry:management:*")
    assert (await client.ask("GET", "/api/v1/whoami", auth=token)).status == 401


@pytest.mark.parametrize("auth", [basic("disabled"), basic("admin", "wrong horse"), "Bearer x"])
async def test_wrong_credentials_are_a_401(client: Client, auth: str) -> None:
    assert (await client.ask("GET", "/api/v1/whoami", auth=auth)).status == 401


@pytest.mark.parametrize(
    ("target", "content"),
    [
        pytest.param(
            "/accounts", '{"name":"x","password":"tall giraffe","isAdmin":true}', id="another spelling"
        ),
        pytest.param("/accounts", '{"name":"x","password":"tall giraffe","id":1}', id="a column"),
        pytest.param("/accounts", '{"name":"x","password":"tall giraffe","admin":"yes"}', id="another type"),
        pytest.param("/accounts", '{"name":"x"}', id="a field is missing"),
        pytest.param("/accounts", "[]", id="a list"),
        pytest.param("/accounts", "", id="nothing"),
        pytest.param("/accounts", "[" * 100_000, id="deep, and too long"),
        pytest.param("/accounts", "[" * 20_000, id="deep"),
        pytest.param("/accounts", '{"name":"Upper","password":"tall giraffe"}', id="a name that is none"),
        pytest.param("/accounts", '{"name":"a/b","password":"tall giraffe"}', id="a name with a slash"),
        pytest.param("/accounts", '{"name":"x","password":"short"}', id="a weak password"),
        pytest.param("/repositories", '{"name":"apps/web","owner":"ashok"}', id="an owner of one's choice"),
        pytest.param("/repositories", '{"name":"apps/web","visibility":"internal"}', id="no such visibility"),
        pytest.param("/repositories", '{"name":"Apps/web"}', id="a repository's name that is none"),
        pytest.param("/grants", '{"to":"x","repository":"a/*","actions":["*"]}', id="an action that is none"),
        pytest.param("/grants", '{"to":"x","repository":"a/*","actions":[]}', id="no action"),
        pytest.param(
            "/grants", '{"to":"x","repository":"a/*","actions":["pull"],"createdBy":"y"}', id="an author"
        ),
    ],
)
async def test_what_does_not_fit_is_refused_and_not_repeated(
    client: Client, target: str, content: str
) -> None:
    body = content.replace("tall giraffe", "canary giraffe").encode()
    reply = await client.ask("POST", "/api/v1" + target, body=body, auth=basic("admin"))
    assert reply.status in {400, 413}
    assert reply.code in {"INVALID", "TOO_LARGE"}
    assert b"canary" not in reply.body


@pytest.mark.parametrize(
    ("method", "target", "status", "allow"),
    [
        pytest.param("GET", "/nothing", 404, None, id="no path"),
        pytest.param("PUT", "/accounts", 405, "GET, HEAD, POST", id="no method"),
    ],
)
async def test_what_is_not_there(
    client: Client, method: str, target: str, status: int, allow: str | None
) -> None:
    """A 405 says which methods there are. Spec: RFC 9110, section 15.5.6."""
    reply = await client.ask(method, "/api/v1" + target)
    assert (reply.status, reply.headers.get("allow")) == (status, allow)


async def test_head_is_answered(client: Client) -> None:
    reply = await client.ask("HEAD", "/api/v1/whoami", auth=basic("ashok"))
    assert (reply.status, reply.body) == (200, b"")


# ------------------------------------------------------------------ documents


async def test_documents(client: Client) -> None:
    admin = basic("admin")
    assert (await client.ask("GET", "/api/v1")).json == {
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": "Registry",
        "product": "sealift",
    }
    assert (await client.ask("GET", "/api/v1/whoami", auth=basic("ashok"))).json == {
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": "WhoAmI",
        "name": "ashok",
        "admin": False,
    }
    made = await client.send_json(
        "POST",
        "/api/v1/grants",
        {"to": "stranger", "repository": "apps/internal-app", "actions": ["push", "pull"]},
        auth=admin,
    )
    assert {**made.json, "createdAt": None} == {
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": "Grant",
        "id": 4,
        "to": "stranger",
        "repository": "apps/internal-app",
        "actions": ["pull", "push"],
        "createdAt": None,
        "createdBy": "admin",
    }
    listed = await client.ask("GET", "/api/v1/accounts", auth=admin)
    assert (listed.json["kind"], [item["name"] for item in listed.json["items"]]) == (
        "AccountList",
        ["admin", "ashok", "disabled", "reader", "stranger", "writer"],
    )
    assert listed.json["items"][2] == {
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": "Account",
        "name": "disabled",
        "admin": False,
        "quotaBytes": None,
        "disabled": True,
        "createdAt": "1970-01-01T00:00:01Z",
    }


async def test_a_hash_never_leaves(client: Client) -> None:
    for route in ("/accounts", "/accounts/admin", "/whoami", "/repositories", "/grants"):
        assert b"argon2" not in (await client.ask("GET", "/api/v1" + route, auth=basic("admin"))).body


@pytest.mark.parametrize(
    ("who", "accounts", "repositories", "grants"),
    [
        pytest.param("admin", 6, ["ashok/private", "ashok/public"], [1, 2, 3], id="an admin sees all"),
        pytest.param("ashok", 1, ["ashok/private", "ashok/public"], [1, 2, 3], id="an owner its own"),
        pytest.param("reader", 1, ["ashok/private", "ashok/public"], [1], id="a reader what it has"),
        pytest.param("stranger", 1, ["ashok/public"], [], id="a stranger what is public"),
    ],
)
async def test_lists_show_what_the_caller_may_see(
    client: Client, who: str, accounts: int, repositories: list[str], grants: list[int]
) -> None:
    auth = basic(who)

    async def items(path: str) -> list[dict[str, Any]]:
        listed = (await client.ask("GET", "/api/v1" + path, auth=auth)).json
        return list(listed["items"])

    assert len(await items("/accounts")) == accounts
    assert [item["name"] for item in await items("/repositories")] == repositories
    assert [item["id"] for item in await items("/grants")] == grants


async def test_an_openapi_document_that_describes_every_route(client: Client) -> None:
    document = (await client.ask("GET", "/api/v1/openapi.json")).json
    assert document["openapi"] == "3.1.0"
    described = {
        (method.upper(), path) for path, operations in document["paths"].items() for method in operations
    }
    routes = client.app._management.routes
    assert described == {(route.method, "/api/v1" + route.template.replace("...", "")) for route in routes}
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"$ref": "#/')[1:]}:
        found: Any = document
        for key in reference.split("/"):
            found = found[key]
        assert found
    for model in (
        "NewAccount",
        "NewPassword",
        "AccountChange",
        "NewRepository",
        "RepositoryChange",
        "NewGrant",
    ):
        assert document["components"]["schemas"][model]["additionalProperties"] is False


# ------------------------------------------------------------------ what follows


async def test_the_first_password_goes_when_it_is_changed(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "data" / "admin-password"
    file.write_text("x\n")
    await client.send_json(
        "PUT", "/api/v1/accounts/ashok/password", {"password": "tall giraffe"}, auth=basic("admin")
    )
    assert file.exists()
    await client.send_json(
        "PUT", "/api/v1/accounts/admin/password", {"password": "tall giraffe"}, auth=basic("admin")
    )
    assert not file.exists()


async def test_a_changed_password_ends_tokens_and_the_old_one(client: Client) -> None:
    token = await client.token("ashok", "registry:management:*")
    changed = await client.send_json(
        "PUT", "/api/v1/accounts/ashok/password", {"password": "tall giraffe"}, auth=token
    )
    assert changed.status == 200
    assert (await client.ask("GET", "/api/v1/whoami", auth=token)).status == 401
    assert (await client.ask("GET", "/api/v1/whoami", auth=basic("ashok"))).status == 401
    assert (await client.ask("GET", "/api/v1/whoami", auth=basic("ashok", "tall giraffe"))).status == 200


async def test_a_name_that_is_used_again_inherits_nothing(client: Client) -> None:
    """Neither repositories, nor grants, nor tokens, nor the right to give on what was another's."""
    admin = basic("admin")
    before = await client.token("ashok", "repository:ashok/private:pull")
    grant = {"to": "ashok", "repository": "apps/*", "actions": ["pull"]}
    await client.send_json("POST", "/api/v1/grants", grant, auth=admin)
    removed = await client.ask("DELETE", "/api/v1/accounts/ashok?transferTo=reader", auth=admin)
    assert removed.status == 204
    made = {"name": "ashok", "password": PASSWORD}
    assert (await client.send_json("POST", "/api/v1/accounts", made, auth=admin)).status == 201
    again = basic("ashok")
    assert (await client.ask("GET", "/v2/ashok/private/tags/list", auth=before)).status == 401
    assert (await client.ask("GET", "/v2/ashok/private/tags/list", auth=again)).status == 404
    assert (await client.ask("GET", "/api/v1/repositories/ashok/private", auth=again)).status == 404
    assert (await client.ask("GET", "/api/v1/grants?to=ashok", auth=again)).json["items"] == []
    own = {"to": "ashok", "repository": "ashok/*", "actions": ["pull"]}
    refused = await client.send_json("POST", "/api/v1/grants", own, auth=again)
    assert (refused.status, refused.json["errors"][0]["detail"]["why"]) == (
        403,
        "ashok/private is under your name and not yours",
    )
    heir = await client.ask("GET", "/api/v1/repositories/ashok/private", auth=basic("reader"))
    assert heir.json["actions"] == ["delete", "pull", "push"]


async def test_what_is_deleted_is_gone_and_can_be_made_again(client: Client) -> None:
    admin = basic("admin")
    assert (await client.ask("DELETE", "/api/v1/repositories/ashok/private", auth=admin)).status == 204
    assert (await client.ask("GET", "/v2/ashok/private/tags/list", auth=admin)).status == 404
    made = await client.send_json("POST", "/api/v1/repositories", {"name": "ashok/private"}, auth=admin)
    assert (made.status, made.json["owner"]) == (201, "ashok")


async def test_the_same_grant_twice_is_one(client: Client) -> None:
    grant = {"to": "stranger", "repository": "apps/*", "actions": ["push", "pull"]}
    first = await client.send_json("POST", "/api/v1/grants", grant, auth=basic("admin"))
    again = await client.send_json(
        "POST", "/api/v1/grants", grant | {"actions": ["pull", "push"]}, auth=basic("admin")
    )
    assert first.json == again.json


async def test_changes_are_written_down(client: Client, tmp_path: Path) -> None:
    admin = basic("admin")
    await client.send_json(
        "POST", "/api/v1/accounts", {"name": "new", "password": "tall giraffe"}, auth=admin
    )
    await client.send_json("PATCH", "/api/v1/accounts/new", {"disabled": True}, auth=admin)
    await client.send_json(
        "PATCH", "/api/v1/repositories/ashok/private", {"visibility": "public"}, auth=basic("ashok")
    )
    await client.ask("DELETE", "/api/v1/grants/1", auth=admin)
    await client.ask("DELETE", "/api/v1/accounts/new", auth=admin)
    await client.app._guard._audit.flush()
    with Catalog(tmp_path / "data" / "catalog.sqlite3") as catalog:
        rows = catalog._connection.execute(
            "SELECT principal, action, repository, outcome, detail FROM audit ORDER BY id"
        ).fetchall()
    assert rows == [
        ("admin", "account.add", None, "allowed", "new"),
        ("admin", "account.disable", None, "allowed", "new"),
        ("ashok", "repository.visibility", "ashok/private", "allowed", "public"),
        ("admin", "grant.remove", "ashok/*", "allowed", "pull of reader"),
        ("admin", "account.remove", None, "allowed", "new"),
    ]


async def test_a_long_list_of_repositories_comes_in_pages(client: Client, tmp_path: Path) -> None:
    with Catalog(tmp_path / "data" / "catalog.sqlite3") as catalog:
        await catalog.write(
            lambda transaction: (
                [
                    transaction._connection.execute(
                        "INSERT INTO repository (name, created_at, created_by) VALUES (?, 1, 'x')",
                        (f"apps/n{number:04}",),
                    )
                    for number in range(501)
                ]
                and None
            )
        )
    seen: list[str] = []
    last: str | None = ""
    while last is not None:
        page = (await client.ask("GET", f"/api/v1/repositories?last={last}", auth=basic("admin"))).json
        seen += [item["name"] for item in page["items"]]
        last = page["continue"]
    assert seen == sorted(seen)
    assert len(seen) == 503


async def test_pages_tell_nothing_of_repositories_that_the_caller_may_not_see(
    client: Client, tmp_path: Path
) -> None:
    with Catalog(tmp_path / "data" / "catalog.sqlite3") as catalog:
        await catalog.write(
            lambda transaction: (
                [
                    transaction._connection.execute(
                        "INSERT INTO repository (name, visibility, created_at, created_by)"
                        " VALUES (?, ?, 1, 'x')",
                        (f"apps/{number:04}", "public" if number > 600 else "private"),
                    )
                    for number in range(1, 1102)
                ]
                and None
            )
        )
    pages, last = [], ""
    while True:
        reply = await client.ask("GET", f"/api/v1/repositories?last={last}", auth=basic("stranger"))
        pages.append([item["name"] for item in reply.json["items"]])
        last = reply.json["continue"]
        if last is None:
            break
        assert last == pages[-1][-1]
    public = [f"apps/{number:04}" for number in range(601, 1102)] + ["ashok/public"]
    assert pages == [public[:500], public[500:]]


async def _push(client: Client, tag: str, salt: str, forwarded: str | None = None) -> str:
    """Push a manifest that needs nothing to ashok/private, as the writer; returns its digest."""
    body = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"salt": salt}}
    ).encode()
    headers = {"content-type": OCI_INDEX} | ({"x-forwarded-for": forwarded} if forwarded else {})
    target = f"/v2/ashok/private/manifests/{tag}"
    reply = await client.ask("PUT", target, body=body, headers=headers, auth=basic("writer"))
    assert reply.status == 201, reply.body
    return reply.headers["docker-content-digest"]


HISTORY = "/api/v1/tag-history/ashok/private"


async def test_a_history_says_who_when_and_from_where(client: Client) -> None:
    client.peer = "::ffff:192.0.2.7"
    first = await _push(client, "v1", "a", forwarded="203.0.113.9")
    second = await _push(client, "v1", "b")
    await client.ask("DELETE", "/v2/ashok/private/manifests/v1", auth=basic("ashok"))
    reply = await client.ask("GET", HISTORY, auth=basic("writer"))
    assert reply.json["kind"] == "TagHistory"
    assert reply.json["continue"] is None
    moves = [{key: move[key] for key in move if key != "at"} for move in reply.json["items"]]
    common = {"apiVersion": "sealift.dev/v1alpha1", "kind": "TagMove", "tag": "v1", "address": "192.0.2.7"}
    assert moves == [
        common | {"by": "ashok", "oldDigest": second, "newDigest": None},
        common | {"by": "writer", "oldDigest": first, "newDigest": second},
        common | {"by": "writer", "oldDigest": None, "newDigest": first},
    ]


async def test_who_may_only_pull_sees_no_history(client: Client) -> None:
    """It has the names and addresses of those who push; of a public repository everyone would have them."""
    await _push(client, "v1", "a")
    seen = {}
    for who in ("admin", "ashok", "writer", "reader", "stranger"):
        for method, target, body in (
            ("GET", HISTORY, None),
            ("POST", "/api/v1/tag-restores/ashok/private", b'{"tag":"v1","before":"2999-01-01T00:00:00Z"}'),
        ):
            reply = await client.ask(method, target, body=body, auth=basic(who))
            seen[who, method] = reply.status
            assert reply.status == 200 or b"127.0.0.1" not in reply.body
    expected = {"admin": 200, "ashok": 200, "writer": 200, "reader": 403, "stranger": 404}
    assert seen == {(who, method): expected[who] for who in expected for method in ("GET", "POST")}


async def test_a_long_history_comes_in_pages(client: Client) -> None:
    for number in range(PAGE // 2 + 1):
        for tag in ("a", "b"):
            await _push(client, tag, str(number))
    first = (await client.ask("GET", HISTORY, auth=basic("ashok"))).json
    assert len(first["items"]) == PAGE
    rest = (await client.ask("GET", f"{HISTORY}?before={first['continue']}", auth=basic("ashok"))).json
    assert [move["tag"] for move in rest["items"]] == ["b", "a"]
    assert rest["continue"] is None
    one = (await client.ask("GET", f"{HISTORY}?tag=a", auth=basic("ashok"))).json
    assert {move["tag"] for move in one["items"]} == {"a"}
    assert (len(one["items"]), one["continue"]) == (PAGE // 2 + 1, None)


async def test_a_tag_is_set_back_to_the_time_that_its_history_shows(client: Client) -> None:
    first, second = [await _push(client, "v1", salt) for salt in "ab"]
    moved_at = (await client.ask("GET", HISTORY, auth=basic("writer"))).json["items"][0]["at"]
    target = "/api/v1/tag-restores/ashok/private"
    reply = await client.send_json("POST", target, {"tag": "v1", "before": moved_at}, auth=basic("writer"))
    assert reply.json == {
        "apiVersion": "sealift.dev/v1alpha1",
        "kind": "RestoredTag",
        "repository": "ashok/private",
        "tag": "v1",
        "digest": first,
        "was": second,
    }
    stands = await client.ask("HEAD", "/v2/ashok/private/manifests/v1", auth=basic("writer"))
    assert stands.headers["docker-content-digest"] == first


async def test_what_is_brought_back_is_in_the_history_and_a_restore_says_how(client: Client) -> None:
    """A tag does not go back to what was deleted; undelete brings both, and that is a move too."""
    digest = await _push(client, "v1", "a")
    await client.ask("DELETE", f"/v2/ashok/private/manifests/{digest}", auth=basic("ashok"))
    target = "/api/v1/tag-restores/ashok/private"
    reply = await client.send_json("POST", target, {"tag": "v1", "to": digest}, auth=basic("ashok"))
    assert (reply.status, reply.code) == (409, "CONFLICT")
    assert f"sealift repo undelete NAME@{digest}" in reply.json["errors"][0]["detail"]["hint"]
    client.peer = "192.0.2.8"
    undelete = {"digest": digest}
    back = await client.send_json("POST", "/api/v1/deleted/ashok/private", undelete, auth=basic("ashok"))
    assert back.json["tags"] == ["v1"]
    newest = (await client.ask("GET", HISTORY, auth=basic("ashok"))).json["items"][0]
    assert [newest[key] for key in ("oldDigest", "newDigest", "by", "address")] == [
        None,
        digest,
        "ashok",
        "192.0.2.8",
    ]


async def test_rules_are_shown_and_each_is_changed_by_itself(client: Client) -> None:
    target, owner = "/api/v1/repositories/ashok/private", basic("ashok")

    async def change(**fields: object) -> tuple[str, list[str], list[str]]:
        reply = await client.send_json("PATCH", target, fields, auth=owner)
        shown = (await client.ask("GET", target, auth=basic("reader"))).json
        assert (reply.status, shown | {"actions": []}) == (200, reply.json | {"actions": []})
        return shown["visibility"], shown["immutable"], shown["immutableExcept"]

    assert await change(immutable=["v*", "stable", "v*"]) == ("private", ["stable", "v*"], [])
    assert await change(immutableExcept=["*-rc*"]) == ("private", ["stable", "v*"], ["*-rc*"])
    assert await change(visibility="public") == ("public", ["stable", "v*"], ["*-rc*"])
    assert await change(immutable=[]) == ("public", [], ["*-rc*"])
    assert await change() == ("public", [], ["*-rc*"])
