"""Secrets are seeded wherever they can enter, and all that the commands print is searched for them.

Security table row 16, threat model "no secret in output". ``--debug`` is on everywhere.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.outcomes import Command, Outcome
from tests.cli.scripted import beside
from tests.client.images import sample_image, write_layout
from tests.fakes.scripted_registry import Reply, ScriptedRegistry, Seen, Step

CANARIES = {
    "password": "canary-password-Zq7",
    "token": "canary-token-Zq7",
    "refresh": "canary-refresh-Zq7",
    "cookie": "canary-cookie-Zq7",
    "state": "canary-state-Zq7",
    "signature": "canary-signature-Zq7",
    "body": "canary-body-Zq7",
    "helper": "canary-helper-Zq7",
}
SAMPLE = sample_image()


def forms(secret: str) -> list[str]:
    """What a secret looks like when somebody did not mean to print it."""
    plain = secret.encode()
    return [
        secret,
        base64.b64encode(b"ashok:" + plain).decode(),
        base64.b64encode(plain).decode().rstrip("="),
        plain.hex(),
    ]


def check(outcome: Outcome) -> None:
    """None of the canaries sings."""
    printed = outcome.out.decode("utf-8", "replace") + outcome.err
    for name, secret in CANARIES.items():
        for form in forms(secret):
            assert form not in printed, f"{name} is in the output"
    assert "Traceback" not in printed


def script(registry: ScriptedRegistry) -> list[Step]:
    """A registry with tokens, cookies, stateful locations and signed storage URLs."""
    bearer = f"Bearer {CANARIES['token']}"
    cookie = ("Set-Cookie", f"session={CANARIES['cookie']}")

    def guarded(reply: Reply) -> object:
        def answer(seen: Seen) -> Reply:
            if seen.authorization == bearer:
                return Reply(reply.status, [*reply.headers, cookie], reply.body)
            asks = f'Bearer realm="{registry.url}/token",service="s"'
            body = json.dumps({"errors": [{"code": "UNAUTHORIZED", "detail": CANARIES["body"]}]}).encode()
            return Reply(401, [("WWW-Authenticate", asks), cookie], body)

        return answer

    def issue(seen: Seen) -> Reply:
        good = "Basic " + base64.b64encode(f"ashok:{CANARIES['password']}".encode()).decode()
        if seen.authorization not in {good, None}:
            return Reply(401, [cookie], json.dumps({"details": "no such user"}).encode())
        return Reply(
            200,
            [cookie],
            json.dumps({"token": CANARIES["token"], "refresh_token": CANARIES["refresh"]}).encode(),
        )

    upload = f"/up/1?_state={CANARIES['state']}"
    signed = f"/store?X-Amz-Signature={CANARIES['signature']}"
    manifest = Reply(200, [("Content-Type", SAMPLE.root.media_type)], SAMPLE.root.body)
    steps = [
        Step("GET", "/v2/", guarded(Reply(200)), times=0),  # type: ignore[arg-type]  # a callable is an answer
        Step("GET", "/token*", issue, times=0),
        Step("POST", "/token*", issue, times=0),
        Step("HEAD", "/v2/a/b/blobs/*", guarded(Reply(404)), times=0),  # type: ignore[arg-type]  # as above
        Step("POST", "/v2/a/b/blobs/uploads/*", guarded(Reply(202, [("Location", upload)])), times=0),  # type: ignore[arg-type]  # as above
        Step("PUT", "/up/1*", guarded(Reply(400, body=CANARIES["body"].encode())), times=0),  # type: ignore[arg-type]  # as above
        Step("DELETE", "/up/1*", guarded(Reply(204)), times=0),  # type: ignore[arg-type]  # as above
        Step("GET", "/v2/a/b/manifests/*", guarded(manifest), times=0),  # type: ignore[arg-type]  # as above
        Step("HEAD", "/v2/a/b/manifests/*", guarded(manifest), times=0),  # type: ignore[arg-type]  # as above
        Step("GET", "/v2/a/b/blobs/*", guarded(Reply(307, [("Location", signed)])), times=0),  # type: ignore[arg-type]  # as above
        Step("GET", "/store*", Reply(200, [cookie], CANARIES["body"].encode()), times=0),
        Step("GET", "/v2/a/b/tags/list*", Reply(500, body=f"<html>{CANARIES['body']}".encode()), times=0),
        Step("GET", "/api/v1", Reply(404, body=CANARIES["body"].encode()), times=0),
    ]
    for step in steps:
        step.required = False
    return steps


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    with beside(script) as running:
        yield running


@pytest.fixture(autouse=True)
def no_waiting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`home` is wanted by every test here."""
    monkeypatch.setenv("SEALIFT_PROGRESS", "plain")


def log_in(sealift: Command, registry: ScriptedRegistry, password: str = CANARIES["password"]) -> Outcome:
    return sealift(
        "login", "--debug", "-u", "ashok", "--password-stdin", registry.host, stdin=password.encode()
    )


def test_a_login_that_works_and_all_that_follows(
    sealift: Command, registry: ScriptedRegistry, tmp_path: Path
) -> None:
    outcome = log_in(sealift, registry)
    assert outcome.status == 0, outcome
    assert "debug: " in outcome.err
    check(outcome)
    layout = write_layout(tmp_path / "layout", SAMPLE, "v1")
    name = f"{registry.host}/a/b"
    for arguments, status in (
        (("push", f"oci:{layout}", f"{name}:1"), 2),
        (("pull", f"{name}:1", f"oci:{tmp_path}/out"), 7),
        (("pull", f"{name}:1", f"docker-archive:{tmp_path}/out.tar"), 7),
        (("digest", f"{name}:1"), 0),
        (("inspect", f"{name}:1"), 7),
        (("inspect", f"{name}:1", "--raw"), 0),
        (("tags", name), 6),
        (("login", registry.host), 0),
        (("logout", registry.host), 0),
    ):
        flags = () if arguments[0] == "logout" else ("--debug",)
        outcome = sealift(*arguments, *flags)
        assert outcome.status == status, outcome
        check(outcome)


def test_a_login_that_fails(sealift: Command, registry: ScriptedRegistry) -> None:
    for password in (CANARIES["helper"], f"{CANARIES['password']}x"):
        outcome = log_in(sealift, registry, password)
        assert outcome.status == 4
        check(outcome)
    outcome = sealift("login", "--debug", "-u", "ashok", "-p", CANARIES["helper"], registry.host)
    assert outcome.status == 4
    check(outcome)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param('{"auths":{"HOST":{"auth":"AUTH"', id="cut off"),
        pytest.param('{"auths":{"HOST":{"auth":"!AUTH"}}}', id="no base64"),
        pytest.param('{"auths":{"HOST":{"auth":["AUTH"]}}}', id="no string"),
        pytest.param('{"auths":{"HOST":{"username":{"x":"PASSWORD"}}}}', id="no user"),
        pytest.param('{"auths":"PASSWORD"}', id="no entries"),
        pytest.param('{"auths":{"u:PASSWORD@HOST":{"auth":"x"}}}', id="in a key"),
        pytest.param('{"credsStore":"mine"}', id="a helper that breaks"),
        pytest.param('{"credsStore":"PASSWORD/x"}', id="a helper that is none"),
        pytest.param("PASSWORD", id="the file is the password"),
    ],
)
def test_a_login_file_that_is_broken(  # noqa: PLR0917  pytest passes by name
    document: str,
    sealift: Command,
    registry: ScriptedRegistry,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = tmp_path / "docker-credential-mine"
    program.write_text(f"#!/bin/sh\n[ $1 != get ] || echo '{CANARIES['helper']}'\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    auth = base64.b64encode(f"ashok:{CANARIES['password']}".encode()).decode()
    text = (
        document.replace("HOST", registry.host)
        .replace("AUTH", auth)
        .replace("PASSWORD", CANARIES["password"])
    )
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(text)
    for arguments in (
        ("pull", f"{registry.host}/a/b:1", f"oci:{tmp_path}/x", "--debug"),
        ("logout", registry.host),
    ):
        outcome = sealift(*arguments)
        if outcome.status == 0:
            assert arguments[0] == "logout"
        check(outcome)
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", text)
    check(sealift("digest", "--debug", f"{registry.host}/a/b:1"))


def test_a_token_server_that_answers_with_rubbish(sealift: Command) -> None:
    def rubbish(registry: ScriptedRegistry) -> list[Step]:
        asks = f'Bearer realm="{registry.url}/token?x={CANARIES["state"]}",service="s"'
        return [
            Step("GET", "/v2/", Reply(401, [("WWW-Authenticate", asks)]), times=0),
            Step("GET", "/token*", Reply(200, body=f"<html>{CANARIES['token']}".encode()), times=0),
        ]

    with beside(rubbish) as running:
        outcome = sealift("login", "-u", "ashok", "-p", CANARIES["password"], running.host)
    assert outcome.status == 6
    check(outcome)
