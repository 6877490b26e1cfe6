"""``/token`` as the clients speak it. The requests are those of docker, containerd, podman and skopeo."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from tests.registry.open_registry import PASSWORD, Client, Reply, basic, open_client

from sealift.registry.access.passwords import WAITING_PER_THREAD
from sealift.registry.access.token_endpoint import MAX_FORM_BYTES


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with open_client(tmp_path_factory.mktemp("token")) as opened:
        yield opened


pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {"content-type": "application/x-www-form-urlencoded"}


async def _post(client: Client, fields: dict[str, str] | list[tuple[str, str]], **more: Any) -> Reply:
    return await client.ask("POST", "/token", headers=FORM, body=urlencode(fields).encode(), **more)


def _access(reply: Reply) -> dict[str, list[str]]:
    """What the token in an answer gives, by name."""
    payload = reply.json["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {entry["name"]: entry["actions"] for entry in claims["access"]}


@pytest.mark.parametrize(
    ("target", "auth", "access"),
    [
        pytest.param(
            "/token?account=writer&client_id=docker&offline_token=true&service=sealift",
            basic("writer"),
            {},
            id="docker login: no scope, offline_token",
        ),
        pytest.param(
            "/token?account=writer&scope=repository%3Aashok%2Fprivate%3Apush%2Cpull&service=sealift",
            basic("writer"),
            {"ashok/private": ["pull", "push"]},
            id="docker push",
        ),
        pytest.param(
            "/token?account=writer&scope=repository%3Aashok%2Fprivate%3Apull%2Cpush"
            "&scope=repository%3Aashok%2Fother%3Apull&service=sealift",
            basic("writer"),
            {"ashok/private": ["pull", "push"], "ashok/other": ["pull"]},
            id="docker push that mounts: two scopes",
        ),
        pytest.param(
            "/token?scope=repository%3Aashok%2Fprivate%3Apull+repository%3Aashok%2Fother%3Apull",
            basic("reader"),
            {"ashok/private": ["pull"], "ashok/other": ["pull"]},
            id="two scopes with a space between",
        ),
        pytest.param(
            "/token?scope=repository%3Aashok%2Fprivate%3A*",
            basic("ashok"),
            {"ashok/private": ["delete", "pull", "push"]},
            id="skopeo delete asks for everything",
        ),
        pytest.param(
            "/token?scope=repository%3Aashok%2Fprivate%3Apull%2Cpush",
            basic("reader"),
            {"ashok/private": ["pull"]},
            id="fewer rights than asked for is an answer",
        ),
        pytest.param(
            "/token?scope=repository%3Aashok%2Fprivate%3Apull",
            basic("stranger"),
            {},
            id="no right is an answer",
        ),
        pytest.param(
            "/token?scope=repository%3Aashok%2Fabsent%3Apull", basic("stranger"), {}, id="absent is the same"
        ),
        pytest.param(
            "/token?scope=repository%3Aashok%2Fpublic%3Apull%2Cpush",
            None,
            {"ashok/public": ["pull"]},
            id="nobody gets what is public",
        ),
        pytest.param(
            "/token?scope=repository%3Aashok%2Fprivate%3Apull",
            None,
            {},
            id="nobody gets nothing of what is private",
        ),
        pytest.param(
            "/token?scope=registry%3Acatalog%3A*&scope=registry%3Amanagement%3A*&scope=registry%3Asecrets%3A*",
            basic("reader"),
            {"catalog": ["*"], "management": ["*"]},
            id="the parts of the registry that there are, for an account",
        ),
        pytest.param(
            "/token?scope=registry%3Acatalog%3A*&scope=registry%3Amanagement%3A*",
            None,
            {},
            id="and for nobody else",
        ),
        pytest.param(
            "/token?scope=repository%3Amanagement%3A*",
            basic("reader"),
            {},
            id="a repository called so is none",
        ),
        pytest.param(
            "/token?scope=nonsense&scope=plugin%3Ax%3Apull&scope=repository%3AUPPER%3Apull&scope=",
            basic("admin"),
            {},
            id="what is no scope of ours is left out",
        ),
        pytest.param(
            "/token?scope=repository(plugin)%3Aashok%2Fprivate%3Apull",
            basic("reader"),
            {"ashok/private": ["pull"]},
            id="a class after the type is ignored",
        ),
    ],
)
async def test_get(client: Client, target: str, auth: str | None, access: dict[str, list[str]]) -> None:
    reply = await client.ask("GET", target, auth=auth)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.headers["cache-control"] == "no-store"
    assert set(reply.json) == {"token", "access_token", "expires_in", "issued_at"}
    assert reply.json["token"] == reply.json["access_token"]
    assert reply.json["expires_in"] == 300
    age = datetime.now(UTC) - datetime.fromisoformat(reply.json["issued_at"])
    assert 0 <= age.total_seconds() < 60
    assert _access(reply) == access


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param(basic("reader", "wrong horse"), id="a wrong password"),
        pytest.param(basic("nobody-of-that-name"), id="an unknown user"),
        pytest.param(basic("disabled"), id="a disabled account, with its right password"),
        pytest.param(basic("reader", ""), id="no password"),
        pytest.param("Basic " + base64.b64encode(b":").decode(), id="no user and no password"),
        pytest.param("Basic " + base64.b64encode(b"reader").decode(), id="no colon"),
        pytest.param("Basic " + base64.b64encode(b"\xff\xfe:x").decode(), id="no UTF-8"),
        pytest.param("Basic ???", id="no base64"),
        pytest.param("Basic", id="a scheme alone"),
        pytest.param("Bearer abc", id="another scheme"),
        pytest.param(basic("READER"), id="names are compared as they are"),
    ],
)
async def test_wrong_credentials_are_one_and_the_same_401(client: Client, auth: str) -> None:
    """Never an anonymous token: a client that shows something wrong must hear of it."""
    reply = await client.ask("GET", "/token?scope=repository%3Aashok%2Fpublic%3Apull", auth=auth)
    reference = await client.ask("GET", "/token", auth=basic("reader", "wrong horse"))
    assert reply.status == 401
    assert reply.without_its_id() == reference.without_its_id()
    assert reply.challenge == 'Bearer realm="http://registry.test:5000/token",service="sealift"'
    assert reply.code == "UNAUTHORIZED"


async def test_containerd_posts_the_password_grant(client: Client) -> None:
    reply = await _post(
        client,
        {
            "grant_type": "password",
            "service": "sealift",
            "client_id": "containerd-client",
            "username": "reader",
            "password": PASSWORD,
            "scope": "repository:ashok/private:pull",
        },
    )
    assert reply.status == 200
    assert set(reply.json) == {"token", "access_token", "expires_in", "issued_at", "token_type", "scope"}
    assert reply.json["scope"] == "repository:ashok/private:pull"
    assert _access(reply) == {"ashok/private": ["pull"]}


async def test_offline_access_gets_no_refresh_token(client: Client) -> None:
    fields = {"grant_type": "password", "username": "reader", "password": PASSWORD, "access_type": "offline"}
    assert "refresh_token" not in (await _post(client, fields)).json


async def test_scopes_of_a_form_may_be_joined_or_repeated(client: Client) -> None:
    credentials = [("grant_type", "password"), ("username", "reader"), ("password", PASSWORD)]
    one, two = "repository:ashok/private:pull", "repository:ashok/public:pull"
    joined = await _post(client, [*credentials, ("scope", f"{one} {two}")])
    repeated = await _post(client, [*credentials, ("scope", one), ("scope", two)])
    assert _access(joined) == _access(repeated) == {"ashok/private": ["pull"], "ashok/public": ["pull"]}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        pytest.param(
            {"grant_type": "password", "username": "reader", "password": "x"}, None, id="wrong password"
        ),
        pytest.param(
            {"grant_type": "password", "username": "nobody", "password": "x"}, None, id="unknown user"
        ),
        pytest.param({"grant_type": "password"}, None, id="no user"),
        pytest.param(
            {"grant_type": "refresh_token", "refresh_token": "x"},
            "unsupported_grant_type",
            id="a refresh token",
        ),
        pytest.param({"grant_type": "authorization_code"}, "unsupported_grant_type", id="a reserved grant"),
        pytest.param(
            {"username": "reader", "password": PASSWORD}, "unsupported_grant_type", id="no grant type"
        ),
        pytest.param({}, "unsupported_grant_type", id="an empty form"),
    ],
)
async def test_what_a_form_cannot_get_is_a_401_so_that_containerd_tries_get(
    client: Client, fields: dict[str, str], error: str | None
) -> None:
    reply = await _post(client, fields)
    assert (reply.status, reply.code, reply.json.get("error")) == (401, "UNAUTHORIZED", error)
    assert reply.challenge.startswith("Bearer ")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        pytest.param({"content-type": "application/json"}, b"{}", 415, id="JSON"),
        pytest.param({}, b"grant_type=password", 415, id="no type"),
        pytest.param(FORM, b"a=" + b"x" * MAX_FORM_BYTES, 413, id="too long"),
        pytest.param(FORM, b"&".join(b"a=b" for _ in range(500)), 400, id="too many fields"),
        pytest.param(FORM, b"grant_type=password&username=\xff\xff", 400, id="bytes that are no ASCII"),
        pytest.param(
            FORM, b"grant_type=password&username=%FF%FE&password=x", 400, id="escapes that are no UTF-8"
        ),
    ],
)
async def test_what_is_no_form_is_refused(
    client: Client, headers: dict[str, str], body: bytes, status: int
) -> None:
    reply = await client.ask("POST", "/token", headers=headers, body=body)
    assert reply.status == status
    assert reply.json["errors"]


async def test_more_scopes_than_anyone_needs_are_refused(client: Client) -> None:
    scopes = " ".join(f"repository:a/b{number}:pull" for number in range(101))
    reply = await _post(
        client, {"grant_type": "password", "username": "reader", "password": PASSWORD, "scope": scopes}
    )
    assert reply.status == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_refused(client: Client, method: str) -> None:
    reply = await client.ask(method, "/token")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_a_password_never_comes_back(client: Client) -> None:
    secret = "canary-s3cr3t-horse"
    for reply in (
        await client.ask("GET", f"/token?password={secret}&scope={secret}", auth=basic("reader", secret)),
        await _post(client, {"grant_type": "password", "username": "reader", "password": secret}),
        await _post(client, {"grant_type": secret}),
    ):
        assert secret.encode() not in reply.body
        assert secret not in str(reply.headers)


async def test_a_full_queue_is_a_429_with_a_time(tmp_path: Path) -> None:
    async with open_client(tmp_path, workers=1000) as crowded:  # one thread, whatever the machine has
        passwords = crowded.app._guard._passwords
        passwords._room = 0
        reply = await crowded.ask("GET", "/token", auth=basic("reader"))
        assert (reply.status, reply.headers["retry-after"], reply.code) == (429, "1", "TOOMANYREQUESTS")
        passwords._room = 1 + WAITING_PER_THREAD
        assert (await crowded.ask("GET", "/token", auth=basic("reader"))).status == 200
        assert (await crowded.ask("GET", "/token")).status == 200


async def test_the_realm_follows_the_host_that_the_client_used(client: Client) -> None:
    for host, realm in (("a.test", "http://a.test/token"), ("[::1]:5000", "http://[::1]:5000/token")):
        reply = await client.ask("GET", "/v2/", headers={"host": host})
        assert f'realm="{realm}"' in reply.challenge


@pytest.mark.parametrize("host", ["", "a b", 'a"', "a/b", "a@b", "a.test:port", "a.test:123456", "a,b"])
async def test_a_host_that_is_none_is_refused(client: Client, host: str) -> None:
    reply = await client.ask("GET", "/v2/", headers={"host": host})
    assert (reply.status, "www-authenticate" in reply.headers) == (400, False)
