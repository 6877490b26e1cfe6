"""``sealift audit`` against a real server, and the ids by which users and operators speak of one request."""

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from tests.peers.ground import await_that
from tests.registry.open_registry import basic
from tests.registry.server.serving import PATIENCE_SECONDS, Server, command, environment, serving

from sealift.cli.audit import moment_of

CANARY = "canary-password-Zq7"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("audit"), "--workers", "2", "--access-log", "json") as running:
        yield running


def _sealift(server: Server, home: Path, *arguments: str, as_: str = "admin") -> list[str]:
    (home / "admin").write_text(server.password)
    (home / "ashok").write_text("correct horse")
    whom = ("--username", as_, "--password-file", str(home / as_), "--server", f"127.0.0.1:{server.port}")
    return command(*arguments, *whom)


def _run(
    server: Server, home: Path, *arguments: str, as_: str = "admin"
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        _sealift(server, home, *arguments, as_=as_),
        capture_output=True,
        text=True,
        env=environment(home),
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_a_users_error_the_audit_row_and_the_operators_line_meet(server: Server, tmp_path: Path) -> None:
    admin = basic("admin", server.password)
    body = json.dumps({"name": "ashok", "password": "correct horse"}).encode()
    assert server.ask("POST", "/api/v1/accounts", body=body, auth=admin)[0] == 201
    refused = _run(server, tmp_path, "account", "add", "mallory", "--password-stdin", as_="ashok")
    assert refused.returncode == 5
    found = re.search("request id ([0-9a-f]{16})", refused.stderr)
    assert found is not None, refused.stderr
    rows: list[dict[str, Any]] = []

    def is_written() -> bool:
        """Rows are written together, half a second later at most."""
        shown = json.loads(_run(server, tmp_path, "audit", "-o", "json").stdout)
        assert (shown["kind"], shown["apiVersion"]) == ("AuditList", "sealift.dev/v1alpha1")
        rows[:] = [item for item in shown["items"] if item["requestId"] == found[1]]
        return bool(rows)

    assert await_that(is_written)
    (row,) = rows
    assert (row["principal"], row["outcome"], row["client"]) == ("ashok", "denied", "127.0.0.1")
    assert (row["action"], row["detail"]) == ("POST /accounts", "adding accounts is for admins")
    line = json.loads(server.wait_for(f'"requestId":"{found[1]}"').string)
    assert (line["status"], line["route"], line["principal"]) == (403, "/api/v1/accounts", "ashok")


def test_a_pull_that_is_refused_says_the_id_too(server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        command("digest", f"127.0.0.1:{server.port}/apps/none:v1"),
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 4
    found = re.search("request id ([0-9a-f]{16})", done.stderr)
    assert found is not None, done.stderr
    assert json.loads(server.wait_for(f'"requestId":"{found[1]}"').string)["status"] == 401


def test_it_follows_what_comes(server: Server, tmp_path: Path) -> None:
    following = subprocess.Popen(
        _sealift(server, tmp_path, "audit", "--follow", "--since", "1m", "-o", "json"),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    assert following.stdout is not None
    try:
        ids = []
        for number in range(3):  # the second and third come while it waits
            status, headers, _ = server.ask("GET", "/v2/", auth=basic("admin", CANARY))
            assert status == 401
            wanted = headers["x-request-id"]
            while (item := json.loads(following.stdout.readline()))["requestId"] != wanted:
                pass
            ids.append(item["id"])
            assert (number, item["action"], item["detail"]) == (number, "login", "wrong password")
        assert ids == sorted(set(ids))
    finally:
        following.kill()
        following.wait()
        following.stdout.close()


def test_what_was_typed_as_a_password_is_nowhere(server: Server, tmp_path: Path) -> None:
    """Security table row 16: as a password, as a user name, in a query, in a header, as a token."""
    for auth in (basic("admin", CANARY), basic(CANARY, "x"), f"Bearer {CANARY}", CANARY):
        server.ask("GET", f"/token?password={CANARY}", auth=auth, headers={"x-request-id": CANARY})
        server.ask("GET", "/v2/a/b/tags/list", auth=auth, headers={"cookie": CANARY})
    text = _run(server, tmp_path, "audit").stdout + _run(server, tmp_path, "audit", "-o", "yaml").stdout
    assert text.startswith("TIME ")
    assert "no such account" in text
    last = server.ask("GET", "/healthz")[1]["x-request-id"]
    server.wait_for(last)
    assert not any(CANARY in line for line in (text, *server.said))


def test_only_admins_read_it(server: Server, tmp_path: Path) -> None:
    body = json.dumps({"name": "ashok", "password": "correct horse"}).encode()
    server.ask("POST", "/api/v1/accounts", body=body, auth=basic("admin", server.password))
    refused = _run(server, tmp_path, "audit", as_="ashok")
    assert (refused.returncode, refused.stdout) == (5, "")
    assert "the audit trail is for admins" in refused.stderr


def test_pages_are_read_to_their_end(server: Server, tmp_path: Path) -> None:
    for _ in range(5):
        server.ask("GET", "/v2/", auth=basic("admin", "wrong horse"))
    admin = basic("admin", server.password)
    whole = json.loads(_run(server, tmp_path, "audit", "-o", "json").stdout)["items"]
    assert len(whole) >= 5
    seen: list[int] = []
    after, complete = "", False
    while not complete:
        query = f"?limit=2&after={after}" if after else "?limit=2"
        page = json.loads(server.ask("GET", f"/api/v1/audit{query}", auth=admin)[2])
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        after, complete = page["next"], page["complete"]
    assert seen[: len(whole)] == [item["id"] for item in whole]


NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("24h", "2026-11-23T12:00:00.000000Z", id="hours"),
        pytest.param("90d", "2026-08-26T12:00:00.000000Z", id="days"),
        pytest.param("0s", "2026-11-24T12:00:00.000000Z", id="now"),
        pytest.param("2026-11-24T13:00:00+01:00", "2026-11-24T12:00:00.000000Z", id="a time"),
        pytest.param("2026-11-24", "2026-11-24T00:00:00.000000Z", id="a day, in UTC"),
    ],
)
def test_since(text: str, moment: str) -> None:
    assert moment_of(text, now=NOON) == moment


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "yesterday", "9999999d", "999999d"])
def test_what_is_neither_an_age_nor_a_time(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither"):
        moment_of(text, now=NOON)
