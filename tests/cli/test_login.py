"""``login`` and ``logout`` as a user types them, against our own registry and scripted ones."""

import base64
import contextlib
import json
import os
import pty
from pathlib import Path

import pytest
from tests.cli.outcomes import Command, check_refused, files_in
from tests.cli.scripted import beside
from tests.fakes.scripted_registry import Reply, ScriptedRegistry, Seen, Step, challenge
from tests.served import SEALIFT, Served

from sealift.cli.login import NotAServer, registry_of

pytestmark = pytest.mark.usefixtures("home")


def auths(home: Path) -> dict[str, dict[str, str]]:
    path = home / ".docker" / "config.json"
    found: dict[str, dict[str, str]] = json.loads(path.read_text())["auths"] if path.exists() else {}
    return found


def test_a_login_is_proved_and_kept_where_docker_keeps_it(
    sealift: Command, server: Served, home: Path
) -> None:
    password = server.admin_password.encode()
    outcome = sealift("login", "-u", "admin", "--password-stdin", server.address, stdin=password + b"\n")
    assert (outcome.status, outcome.out) == (0, b"Login Succeeded\n")
    assert auths(home) == {server.address: {"auth": base64.b64encode(b"admin:" + password).decode()}}
    assert outcome.err == (
        f"warning: it is kept unencrypted in {home}/.docker/config.json;"
        " a credential helper would keep it safer\n"
    )
    assert (home / ".config" / "sealift" / "server").read_text() == f"{server.address}\n"
    again = sealift("login", server.address)
    assert (again.status, again.out, again.err) == (
        0,
        b"Login Succeeded\n",
        "trying the login that is stored as admin\n",
    )


def test_a_login_goes_when_it_is_told_to(sealift: Command, logged_in: Served, home: Path) -> None:
    outcome = sealift("logout", logged_in.address)
    assert (outcome.status, outcome.out) == (
        0,
        f"Removing login credentials for {logged_in.address}\n".encode(),
    )
    assert auths(home) == {}
    assert not (home / ".config" / "sealift" / "server").exists()
    again = sealift("logout", logged_in.address)
    assert (again.status, again.out, again.err) == (0, b"", f"not logged in to {logged_in.address}\n")


def test_a_wrong_password_is_not_kept(sealift: Command, server: Served, home: Path) -> None:
    before = files_in(home)
    outcome = sealift("login", "-u", "admin", "--password-stdin", server.address, stdin=b"wrong\n")
    check_refused(outcome, 4, server.address)
    assert "check the user name and the password; nothing was stored" in outcome.err
    assert files_in(home) == before


def test_a_password_on_the_command_line_works_and_warns(sealift: Command, server: Served) -> None:
    outcome = sealift("login", "-u", "admin", "-p", server.admin_password, server.address)
    assert outcome.status == 0
    assert outcome.err.startswith("warning: -p shows the password to everyone who can list processes")


def test_a_dash_as_password_is_standard_input(sealift: Command, server: Served) -> None:
    password = server.admin_password.encode()
    assert sealift("login", "-u", "admin", "-p", "-", server.address, stdin=password).status == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        pytest.param(("--password-stdin",), b"x", "--password-stdin needs --username", id="no user"),
        pytest.param(("-u", "a", "-p", "b", "--password-stdin"), b"x", "cannot be used together", id="twice"),
        pytest.param(("-u", ""), b"", "the user name is empty", id="an empty user"),
        pytest.param(("-u", "a:b", "-p", "c"), b"", "cannot hold a colon", id="a user with a colon"),
        pytest.param(("-u", "a", "--password-stdin"), b"\n", "the password is empty", id="a blank password"),
        pytest.param(("-u", "a", "-p", ""), b"", "the password is empty", id="an empty password"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(
    arguments: tuple[str, ...], stdin: bytes, says: str, sealift: Command, home: Path
) -> None:
    outcome = sealift("login", *arguments, "r.invalid", stdin=stdin)
    assert outcome.status == 2
    assert says in outcome.err
    assert files_in(home) == {}


def test_without_a_terminal_there_is_nothing_to_ask_on(sealift: Command, server: Served) -> None:
    outcome = sealift("login", server.address)
    check_refused(outcome, 2, f"sealift login {server.address} --username USER --password-stdin < FILE")


def test_a_password_has_a_limit(sealift: Command, server: Served) -> None:
    outcome = sealift("login", "-u", "a", "--password-stdin", server.address, stdin=b"x" * 100_000)
    assert outcome.status == 2
    assert "longer than 65536 bytes" in outcome.err


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param(b"secret", b"secret", id="as it is"),
        pytest.param(b"secret\n", b"secret", id="without one line end"),
        pytest.param(b"secret\r\n", b"secret", id="without one line end of the other kind"),
        pytest.param(b"secret\n\n", b"secret\n", id="and no second"),
        pytest.param(b" secret ", b" secret ", id="with its spaces"),
        pytest.param("ünï✓".encode(), "ünï✓".encode(), id="unicode"),
        pytest.param(b"a\xffb", b"a\xffb", id="bytes that are no UTF-8"),
    ],
)
def test_a_password_from_standard_input_is_what_was_typed(
    given: bytes, kept: bytes, sealift: Command, home: Path
) -> None:
    expected = "Basic " + base64.b64encode(b"u:" + kept).decode()

    def answer(seen: Seen) -> Reply:
        return Reply(200) if seen.authorization == expected else challenge('Basic realm="x"')

    with beside(
        lambda _: [Step("GET", "/v2/", answer, times=0), Step("GET", "/api/v1", Reply(404))]
    ) as registry:
        outcome = sealift("login", "-u", "u", "--password-stdin", registry.host, stdin=given)
    assert outcome.status == 0, outcome
    assert base64.b64decode(auths(home)[registry.host]["auth"]) == b"u:" + kept


def test_a_registry_that_asks_for_nothing_proves_nothing_and_says_so(sealift: Command, home: Path) -> None:
    with beside(
        lambda _: [Step("GET", "/v2/", Reply(200), times=0), Step("GET", "/api/v1", Reply(404))]
    ) as registry:
        outcome = sealift("login", "-u", "u", "-p", "p", registry.host)
    assert outcome.status == 0
    assert f"warning: {registry.host} asks for no login, so nothing is proved" in outcome.err
    assert registry.host in auths(home)


def test_another_registry_is_not_noted_for_management(sealift: Command, home: Path) -> None:
    """Contract: no password ever goes to another host because it was the last one."""
    with beside(
        lambda _: [Step("GET", "/v2/", Reply(200), times=0), Step("GET", "/api/v1", Reply(404))]
    ) as registry:
        assert sealift("login", "-u", "u", "-p", "p", registry.host).status == 0
    assert not (home / ".config").exists()


def test_an_identity_token_is_kept_instead_of_the_password(sealift: Command, home: Path) -> None:
    def script(registry: ScriptedRegistry) -> list[Step]:
        def open_to_tokens(seen: Seen) -> Reply:
            asks = challenge(f'Bearer realm="{registry.url}/token",service="s"')
            return Reply(200) if seen.authorization == "Bearer t" else asks

        return [
            Step("GET", "/v2/", open_to_tokens, times=0),
            Step(
                "GET",
                "/token?service=s&account=u&client_id=sealift&offline_token=true",
                Reply(200, body=b'{"token":"t","refresh_token":"r"}'),
            ),
            Step("GET", "/api/v1", Reply(404)),
        ]

    with beside(script, strict=True) as registry:
        assert sealift("login", "-u", "u", "-p", "canary", registry.host).status == 0
    assert auths(home)[registry.host] == {"auth": base64.b64encode(b"u:").decode(), "identitytoken": "r"}


def test_a_helper_keeps_the_login(
    sealift: Command, server: Served, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "bin").mkdir()
    program = home / "bin" / "docker-credential-mine"
    program.write_text(f'#!/bin/sh\ncat > "{home}/kept"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}/bin:/usr/bin:/bin")
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text('{"credsStore":"mine"}')
    outcome = sealift(
        "login", "-u", "admin", "--password-stdin", server.address, stdin=server.admin_password.encode()
    )
    assert (outcome.status, outcome.err) == (0, "")
    assert json.loads((home / "kept").read_text())["Secret"] == server.admin_password
    assert auths(home) == {server.address: {}}
    assert server.admin_password not in (home / ".docker" / "config.json").read_text()


def test_on_a_terminal_name_and_password_are_asked_for_and_the_password_is_not_shown(
    server: Served, home: Path
) -> None:
    pid, terminal = pty.fork()
    if pid == 0:  # the child: a terminal is all it has
        os.execv(SEALIFT[0], [*SEALIFT, "login", server.address])  # noqa: S606  the program itself, without a shell
    shown = b""
    for prompt, typed in ((b"Username:", b"admin\n"), (b"Password:", server.admin_password.encode() + b"\n")):
        while prompt not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, typed)
    with contextlib.suppress(OSError):  # the end of a terminal is an error of its own
        while more := os.read(terminal, 1000):
            shown += more
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    assert b"Login Succeeded" in shown
    assert server.admin_password.encode() not in shown
    assert server.address in auths(home)


@pytest.mark.parametrize(
    ("server", "registry"),
    [
        ("r.io", "r.io"),
        ("r.io:5000", "r.io:5000"),
        ("https://r.io/v2/", "r.io"),
        ("http://r.io:5000", "r.io:5000"),
        ("r.io/team/app", "r.io"),
        ("docker.io", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("[::1]:5000", "[::1]:5000"),
        ("myregistry", "myregistry"),
    ],
)
def test_a_server_is_a_registry(server: str, registry: str) -> None:
    assert registry_of(server) == registry


@pytest.mark.parametrize(
    "server", ["a b", "https://u:canary@r.io", "r.io:port", "/x", "-", "r.io:5000:1", "r\n.io"]
)
def test_what_is_no_registry_is_refused_without_its_password(server: str) -> None:
    with pytest.raises(NotAServer) as raised:
        registry_of(server)
    assert "canary" not in f"{raised.value} {raised.value.why} {raised.value.hint}"
