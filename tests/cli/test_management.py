"""``sealift account``, ``repo`` and ``grant``, against a real server, as a user types them."""

import base64
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
import yaml
from tests.registry.server.serving import Server, serving

from sealift.cli.main import run
from sealift.image.manifest import OCI_INDEX


class Ended(NamedTuple):
    status: int
    out: str
    err: str


class Refusal(NamedTuple):
    arguments: list[str]
    stdin: str
    as_: str
    status: int
    told: str


class Sealift(Protocol):
    def __call__(self, *arguments: str, stdin: str = "", as_: str = "admin") -> Ended: ...


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("management")) as running:
        yield running


@pytest.fixture
def sealift(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Sealift:
    """Runs one command line, as one account."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in (
        "SEALIFT_SERVER",
        "REGISTRY_AUTH_FILE",
        "XDG_RUNTIME_DIR",
        "XDG_CONFIG_HOME",
        "XDG_STATE_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "admin").write_text(server.password + "\n")
    (tmp_path / "ashok").write_text("correct horse\n")
    (tmp_path / "wrong").write_text("wrong horse\n")

    def go(*arguments: str, stdin: str = "", as_: str = "admin") -> Ended:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        username, _, password = as_.partition(":")
        whom = ("--username", username, "--password-file", str(tmp_path / (password or username)))
        status = run([*arguments, "--server", f"127.0.0.1:{server.port}", *whom])
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return go


def test_the_story(sealift: Sealift) -> None:
    """An account, a private repository, a grant: what the first minutes with a registry are made of."""
    added = sealift("account", "add", "ashok", "--password-stdin", stdin="correct horse\n")
    assert (added.status, added.out.split()[:5]) == (0, ["NAME", "ADMIN", "DISABLED", "CREATED", "ashok"])
    created = sealift("repo", "create", "apps/internal-app", "--visibility", "private")
    assert (created.status, created.out.splitlines()[1].split()) == (
        0,
        ["apps/internal-app", "private", "-", "delete,pull,push"],
    )
    assert sealift("repo", "show", "apps/internal-app", as_="ashok").status == 3
    granted = sealift(
        "grant", "add", "--to", "ashok", "--repo", "apps/internal-app", "--actions", "pull,push", "-o", "json"
    )
    document = json.loads(granted.out)
    assert (document["apiVersion"], document["kind"], document["to"], document["actions"]) == (
        "sealift.dev/v1alpha1",
        "Grant",
        "ashok",
        ["pull", "push"],
    )
    shown = sealift("repo", "show", "apps/internal-app", "-o", "yaml", as_="ashok")
    assert yaml.safe_load(shown.out)["actions"] == ["pull", "push"]
    listed = sealift("grant", "list", "--to", "ashok")
    assert listed.out.splitlines()[1].split() == [
        str(document["id"]),
        "ashok",
        "apps/internal-app",
        "pull,push",
        "admin",
    ]
    assert sealift("grant", "remove", str(document["id"])).status == 0
    assert sealift("repo", "show", "apps/internal-app", as_="ashok").status == 3
    assert sealift("repo", "set", "apps/internal-app", "--visibility", "public").status == 0
    assert sealift("repo", "list", "-o", "json", as_="ashok").out.count("apps/internal-app") == 1
    assert sealift("repo", "delete", "apps/internal-app").status == 0
    disabled = sealift("account", "disable", "ashok")
    assert disabled.out.splitlines()[1].split()[:3] == ["ashok", "no", "yes"]
    assert sealift("account", "show", "ashok", as_="ashok").status == 4
    assert sealift("account", "enable", "ashok").status == 0
    assert sealift("account", "show", "ashok", as_="ashok").status == 0
    assert sealift("account", "remove", "ashok").status == 0


def test_a_quota_and_what_is_held_against_it(sealift: Sealift) -> None:
    """Admins see what others hold too; who looks at its own account sees one number."""
    assert sealift("account", "add", "ashok", "--password-stdin", stdin="correct horse\n").status == 0
    limited = sealift("account", "set", "ashok", "--quota", "50GiB")
    assert (limited.status, limited.out.splitlines()[0].split()[-1]) == (0, "QUOTA")
    assert limited.out.splitlines()[1].split()[-1] == "50GiB"
    shown = json.loads(sealift("account", "show", "ashok", "-o", "json").out)
    assert (shown["quotaBytes"], shown["storage"]) == (
        50 << 30,
        {"usedBytes": 0, "uniqueBytes": 0, "sharedBytes": 0},
    )
    own = json.loads(sealift("account", "show", "ashok", "-o", "json", as_="ashok").out)
    assert own["storage"] == {"usedBytes": 0}
    assert sealift("repo", "create", "ashok/app").status == 0
    text = sealift("repo", "show", "ashok/app", as_="ashok").out.splitlines()
    assert text[0].split()[-3:] == ["USED", "UNIQUE", "SHARED"]
    assert text[1].split()[-4:] == ["0", "B", "-", "-"]
    assert sealift("account", "set", "ashok", "--quota", "1GiB", as_="ashok").status == 5
    assert sealift("account", "set", "ashok", "--quota", "much").status == 2
    assert sealift("account", "set", "ashok").status == 2
    freed = sealift("account", "set", "ashok", "--quota", "none", "-o", "json")
    assert json.loads(freed.out)["quotaBytes"] is None
    for command in (("repo", "delete", "ashok/app"), ("account", "remove", "ashok")):
        assert sealift(*command).status == 0


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Refusal(["account", "show", "nobody"], "", "admin", 3, "there is no account"),
            id="no such account",
        ),
        pytest.param(
            Refusal(["grant", "remove", "99"], "", "admin", 3, "there is no grant"), id="no such grant"
        ),
        pytest.param(
            Refusal(["repo", "delete", "no/such"], "", "admin", 3, "there is no repository"),
            id="no such repository",
        ),
        pytest.param(
            Refusal(["account", "add", "x", "--password-stdin"], "short\n", "admin", 2, "shorter than 8"),
            id="a weak password",
        ),
        pytest.param(
            Refusal(
                ["account", "add", "Upper", "--password-stdin"],
                "correct horse",
                "admin",
                2,
                "cannot be the name",
            ),
            id="a bad name",
        ),
        pytest.param(
            Refusal(["account", "disable", "admin"], "", "admin", 2, "the last admin"), id="the last admin"
        ),
        pytest.param(
            Refusal(
                ["grant", "add", "--to", "admin", "--repo", "a*/b", "--actions", "pull"],
                "",
                "admin",
                2,
                "not a repository pattern",
            ),
            id="a bad pattern",
        ),
        pytest.param(
            Refusal(
                ["grant", "add", "--to", "admin", "--repo", "a/b", "--actions", "fly"],
                "",
                "admin",
                2,
                "fly is no action",
            ),
            id="a bad action",
        ),
        pytest.param(Refusal(["account", "list"], "", "admin:wrong", 4, "cannot"), id="a wrong password"),
        pytest.param(Refusal(["account", "list"], "", "nobody:wrong", 4, "cannot"), id="nobody"),
        pytest.param(
            Refusal(["account", "add", "x"], "", "admin", 2, "no terminal"), id="nobody to ask for a password"
        ),
    ],
)
def test_refusals(sealift: Sealift, case: Refusal) -> None:
    ended = sealift(*case.arguments, stdin=case.stdin, as_=case.as_)
    assert (ended.status, ended.out) == (case.status, "")
    assert case.told in ended.err
    assert "Traceback" not in ended.err
    assert "horse" not in ended.err


def test_who_is_no_admin_is_told_so(sealift: Sealift) -> None:
    sealift("account", "add", "ashok", "--password-stdin", stdin="correct horse\n")
    for arguments in (
        ("account", "add", "other", "--password-stdin"),
        ("repo", "create", "apps/web"),
        ("grant", "add", "--to", "ashok", "--repo", "apps/*", "--actions", "pull"),
    ):
        ended = sealift(*arguments, stdin="correct horse\n", as_="ashok")
        assert (ended.status, ended.out) == (5, "")
        assert "next:" in ended.err
    assert sealift("repo", "create", "ashok/web", as_="ashok").status == 0
    assert sealift("repo", "delete", "ashok/web", as_="ashok").status == 0
    sealift("account", "remove", "ashok")


def test_repositories_go_to_an_heir_or_keep_their_account(sealift: Sealift) -> None:
    for name in ("ashok", "heir"):
        sealift("account", "add", name, "--password-stdin", stdin="correct horse\n")
    sealift("repo", "create", "ashok/web", as_="ashok")
    kept = sealift("account", "remove", "ashok")
    assert (kept.status, "--transfer-to" in kept.err) == (2, True)
    assert sealift("account", "remove", "ashok", "--transfer-to", "heir").status == 0
    assert "heir" in sealift("repo", "show", "ashok/web").out
    sealift("repo", "delete", "ashok/web")
    sealift("account", "remove", "heir")


def test_the_environment_names_the_server(
    sealift: Sealift,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SEALIFT_SERVER", f"127.0.0.1:{server.port}")
    assert run(["account", "list", "--username", "admin", "--password-file", str(tmp_path / "admin")]) == 0
    assert "admin" in capsys.readouterr().out
    assert run(["account", "list", "--username", "admin"]) == 2


def test_a_password_is_changed_and_the_first_one_goes(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    directory = tmp_path_factory.mktemp("password")
    with serving(directory) as server:
        file = server.data / "admin-password"
        first = directory / "first"
        first.write_text(server.password)
        where = ["--server", f"127.0.0.1:{server.port}", "--username", "admin"]
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"correct horse\n")))
        arguments = ["account", "password", "admin", "--password-stdin", "--password-file", str(first)]
        assert run([*arguments, *where]) == 0
        assert not file.exists()
        assert run(["account", "list", *where, "--password-file", str(first)]) == 4
        held = run(["account", "password", "admin", "--password-stdin", "--data", str(server.data)])
        assert held == 8
        assert "in use by another Sealift" in capsys.readouterr().err
        server.stop()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"tall giraffe\n")))
    assert run(["account", "password", "admin", "--password-stdin", "--data", str(server.data)]) == 0
    with serving(directory) as server:
        second = directory / "second"
        second.write_text("tall giraffe")
        where = [
            "--server",
            f"127.0.0.1:{server.port}",
            "--username",
            "admin",
            "--password-file",
            str(second),
        ]
        assert run(["account", "list", *where]) == 0


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Refusal(["nobody"], "correct horse", "", 3, "there is no account 'nobody'"),
            id="nobody of that name",
        ),
        pytest.param(Refusal(["admin"], "short", "", 2, "shorter than 8"), id="a weak password"),
    ],
)
def test_a_reset_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], case: Refusal
) -> None:
    with serving(tmp_path) as server:
        server.stop()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(case.stdin.encode())))
    where = ["--password-stdin", "--data", str(server.data)]
    assert run(["account", "password", *case.arguments, *where]) == case.status
    assert case.told in capsys.readouterr().err
    assert (server.data / "admin-password").exists()


def test_a_reset_where_no_registry_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["account", "password", "admin", "--data", str(tmp_path)]) == 8
    assert "is no data directory of a registry" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def push_index(server: Server, target: str, salt: str) -> str:
    """Push a manifest that needs nothing, as the admin; returns its digest."""
    body = json.dumps(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [], "annotations": {"salt": salt}}
    ).encode()
    auth = "Basic " + base64.b64encode(f"admin:{server.password}".encode()).decode()
    name, _, tag = target.partition(":")
    headers = {"content-type": OCI_INDEX}
    status, answered, _ = server.ask(
        "PUT", f"/v2/{name}/manifests/{tag}", headers=headers, body=body, auth=auth
    )
    assert status == 201
    return answered["docker-content-digest"]


def test_a_tag_that_was_moved_by_mistake(server: Server, sealift: Sealift) -> None:
    """The history says what happened, and the tag goes back; then it is made to stay."""
    good, bad = [push_index(server, "apps/history:v1", salt) for salt in ("good", "bad")]
    shown = sealift("repo", "show", "apps/history", "--history")
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0] == ["TIME", "TAG", "FROM", "TO", "BY", "ADDRESS"]
    assert [line[1:] for line in lines[1:]] == [
        ["v1", good, bad, "admin", "127.0.0.1"],
        ["v1", "-", good, "admin", "127.0.0.1"],
    ]
    restored = sealift("repo", "restore", "apps/history:v1", "--before", lines[1][0])
    assert (restored.status, restored.out.splitlines()[1].split()) == (0, ["apps/history", "v1", good, bad])
    document = json.loads(sealift("repo", "show", "apps/history", "--history", "-o", "json").out)
    assert (document["kind"], [move["newDigest"] for move in document["items"]]) == (
        "TagHistory",
        [good, bad, good],
    )
    as_yaml = yaml.safe_load(sealift("repo", "show", "apps/history", "--history", "-o", "yaml").out)
    assert as_yaml["items"][0]["oldDigest"] == bad
    kept = sealift("repo", "set", "apps/history", "--immutable", "v*", "--immutable-except", "*-rc*")
    assert kept.out.splitlines()[1].split()[-2:] == ["v*", "*-rc*"]
    assert {"v*", "*-rc*"} <= set(sealift("repo", "show", "apps/history").out.splitlines()[1].split())
    refused = sealift("repo", "restore", "apps/history:v1", "--to", bad)
    assert (refused.status, "the tag v1 is immutable" in refused.err) == (5, True)
    refused = sealift("repo", "delete", "apps/history")
    assert (refused.status, "the tag v1 is immutable" in refused.err) == (5, True)
    freed = sealift("repo", "set", "apps/history", "--no-immutable", "-o", "json")
    assert [json.loads(freed.out)[field] for field in ("immutable", "immutableExcept")] == [[], []]
    assert sealift("repo", "restore", "apps/history:v1", "--to", bad).status == 0
    assert sealift("repo", "restore", "apps/history:v1").out.splitlines()[1].split()[2] == good


def test_a_long_history_is_cut_and_says_so(server: Server, sealift: Sealift) -> None:
    for number in range(60):
        for tag in ("a", "b"):
            push_index(server, f"apps/long:{tag}", str(number))
    shown = sealift("repo", "show", "apps/long", "--history")
    assert len(shown.out.splitlines()) == 1 + 100
    assert "older moves are left out" in shown.err
    every = sealift("repo", "show", "apps/long", "--history", "--limit", "500")
    assert (len(every.out.splitlines()), every.err) == (1 + 120, "")
    few = sealift("repo", "show", "apps/long", "--history", "--tag", "a", "--limit", "7", "-o", "json")
    assert [move["tag"] for move in json.loads(few.out)["items"]] == ["a"] * 7
    assert "older moves are left out" in few.err


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        pytest.param(["show", "apps/x", "--tag", "v1"], 2, "--history", id="a tag without a history"),
        pytest.param(["show", "apps/none", "--history"], 3, "there is no repository", id="no repository"),
        pytest.param(["restore", "apps/x"], 2, "is not NAME:TAG", id="no tag"),
        pytest.param(["restore", "localhost:5000/apps/x"], 2, "is not NAME:TAG", id="a port is no tag"),
        pytest.param(["restore", "apps/refused:v1", "--before", "noon"], 2, "with its zone", id="no time"),
        pytest.param(
            ["restore", "apps/refused:v1", "--before", "2026-01-01T12:00:00"],
            2,
            "with its zone",
            id="no zone",
        ),
        pytest.param(
            ["restore", "apps/refused:v1", "--before", "2026-01-01T12:00:00Z", "--to", "sha256:x"],
            2,
            "do not go together",
            id="two places to go to",
        ),
        pytest.param(
            ["restore", "apps/refused:v1", "--to", "sha256:x"],
            3,
            "never stood for",
            id="a digest it never was",
        ),
        pytest.param(
            ["restore", "apps/refused:v1", "--before", "2020-01-01T00:00:00Z"],
            3,
            "stood for nothing then",
            id="a time before it",
        ),
        pytest.param(["set", "apps/refused"], 2, "say what to set", id="nothing to set"),
        pytest.param(
            ["set", "apps/refused", "--immutable", "v/*"], 2, "is not a pattern of tags", id="no pattern"
        ),
        pytest.param(
            ["set", "apps/refused", "--immutable", "v*", "--no-immutable"], 2, "does not go with", id="both"
        ),
    ],
)
def test_what_cannot_be_done_with_tags(
    server: Server, sealift: Sealift, arguments: list[str], status: int, told: str
) -> None:
    push_index(server, "apps/refused:v1", "a")
    ended = sealift("repo", *arguments)
    assert (ended.status, told in ended.err) == (status, True), ended.err
