"""Which file, which key, which helper: the places docker and podman look. R-CFG, R-POD, R-HLP."""

import base64
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sealift.credentials.credential import Credential, SecretText, Source
from sealift.credentials.helper import HelperFailed
from sealift.credentials.login_document import MalformedLoginFile
from sealift.credentials.login_file import (
    LoginFile,
    LoginKeyring,
    UnreadableLoginFile,
    docker_file,
    erase_login,
    files_in,
    hostname,
    login_key,
    read_document,
    server_key,
    spellings,
    store_login,
)
from sealift.errors import SealiftError

HUB = "https://index.docker.io/v1/"


def auth(username: str, password: str = "p") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def put(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own, and nothing in it."""
    return {
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin",
        "XDG_RUNTIME_DIR": f"{tmp_path}/run",
    }


def add_helper(tmp_path: Path, name: str, script: str) -> None:
    """A credential helper that keeps a diary."""
    program = put(
        tmp_path / "bin" / f"docker-credential-{name}",
        f'#!/bin/sh\nread -r given\necho "$1 $given" >> "{tmp_path}/diary"\n{script}\n',
    )
    program.chmod(0o755)


def diary(tmp_path: Path) -> list[str]:
    path = tmp_path / "diary"
    return path.read_text().splitlines() if path.exists() else []


async def found(environment: Mapping[str, str], registry: str, path: str = "") -> str | None:
    """The user name that is found, or None."""
    credentials = await LoginKeyring(environment).credentials_for(registry, path)
    assert len(credentials) <= 1
    return credentials[0].username if credentials else None


# ------------------------------------------------------------------ the places


@pytest.mark.parametrize(
    ("variables", "files"),
    [
        pytest.param(
            {"HOME": "/h", "XDG_RUNTIME_DIR": "/run/user/7"},
            ["/h/.docker/config.json", "/run/user/7/containers/auth.json", "/h/.config/containers/auth.json"],
            id="the usual",
        ),
        pytest.param(
            {"HOME": "/h", "DOCKER_CONFIG": "/d", "XDG_RUNTIME_DIR": "/r", "XDG_CONFIG_HOME": "/c"},
            ["/d/config.json", "/r/containers/auth.json", "/c/containers/auth.json"],
            id="each with its variable",
        ),
        pytest.param(
            {"HOME": "/h", "REGISTRY_AUTH_FILE": "/a.json", "XDG_RUNTIME_DIR": "/r"},
            ["/h/.docker/config.json", "/a.json"],
            id="an explicit one, and none of podman's places",
        ),
        pytest.param(
            {"HOME": "/h"},
            [
                "/h/.docker/config.json",
                f"/run/containers/{os.getuid()}/auth.json",
                "/h/.config/containers/auth.json",
            ],
            id="without a runtime directory",
        ),
    ],
)
def test_the_places_are_those_of_the_contract(variables: dict[str, str], files: list[str]) -> None:
    assert [str(file.path) for file in files_in(variables)] == files


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Root reads everything: be nobody for a while."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that every user gets to, as they do not to pytest's."""
    with TemporaryDirectory() as path:
        Path(path).chmod(0o755)
        yield Path(path)


def test_what_is_guessed_and_out_of_reach_is_nobodys(reachable: Path) -> None:
    closed = reachable / "containers"
    put(closed / "auth.json", {"auths": {}})
    closed.chmod(0)
    guess = LoginFile(closed / "auth.json", "containers", guessed=True)
    with an_ordinary_user():
        assert read_document(guess) is None
        with pytest.raises(UnreadableLoginFile):
            read_document(replace(guess, guessed=False))
    closed.chmod(0o755)
    (closed / "auth.json").chmod(0)
    with an_ordinary_user(), pytest.raises(UnreadableLoginFile):
        read_document(guess)


def test_only_the_place_that_no_variable_names_is_guessed(home: dict[str, str]) -> None:
    without = {name: value for name, value in home.items() if name != "XDG_RUNTIME_DIR"}
    assert [file.path for file in files_in(without) if file.guessed] == [
        Path(f"/run/containers/{os.getuid()}/auth.json")
    ]
    assert not any(file.guessed for file in files_in(without | {"XDG_RUNTIME_DIR": "/run/user/7"}))


async def test_the_first_place_that_has_something_wins(home: dict[str, str], tmp_path: Path) -> None:
    home |= {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json")}
    put(tmp_path / "auth.json", {"auths": {"r.io": auth("podman"), "p.io": auth("podman")}})
    put(tmp_path / ".docker" / "config.json", {"auths": {"r.io": auth("docker"), "p.io": {}}})
    assert [await found(home, "r.io"), await found(home, "p.io"), await found(home, "x.io")] == [
        "docker",
        "podman",
        None,
    ]
    home["DOCKER_AUTH_CONFIG"] = json.dumps({"auths": {"r.io": auth("environment")}})
    assert [await found(home, "r.io"), await found(home, "p.io")] == ["environment", "podman"]


async def test_a_credential_knows_where_it_came_from(home: dict[str, str], tmp_path: Path) -> None:
    path = put(tmp_path / ".docker" / "config.json", {"auths": {"https://r.io/v2/": auth("u")}})
    assert await LoginKeyring(home).credentials_for("r.io") == (
        Credential(
            username="u",
            password=SecretText("p"),
            source=Source(kind="LoginFile", name=str(path)),
            key="https://r.io/v2/",
        ),
    )


async def test_nothing_anywhere_is_no_credential(home: dict[str, str]) -> None:
    assert await found(home, "r.io") is None


# -------------------------------------------------------------------- the keys


@pytest.mark.parametrize(
    ("keys", "registry", "user"),
    [
        pytest.param(["r.io"], "r.io", "r.io", id="the host"),
        pytest.param(["r.io:5000"], "r.io:5000", "r.io:5000", id="host and port"),
        pytest.param(["r.io"], "r.io:5000", None, id="another port"),
        pytest.param(["r.io:443"], "r.io", None, id="a port said aloud is another key"),
        pytest.param(["https://r.io"], "r.io", "https://r.io", id="a URL"),
        pytest.param(
            ["http://r.io/v1/"], "r.io", "http://r.io/v1/", id="a URL of any scheme and path (R-CFG-8)"
        ),
        pytest.param(["r.io/team"], "r.io", "r.io/team", id="the text before the first slash is the host"),
        pytest.param(["https://r.io", "r.io"], "r.io", "r.io", id="the exact key goes first"),
        pytest.param(
            ["https://r.io/a", "https://r.io/b"], "r.io", "https://r.io/a", id="of several the first"
        ),
        pytest.param([HUB], "docker.io", HUB, id="Docker Hub by its key"),
        pytest.param(
            ["docker.io"], "docker.io", None, id="Docker Hub by its name is not found, as by docker"
        ),
        pytest.param(["index.docker.io"], "docker.io", None, id="nor by its old name (R-CFG-10)"),
        pytest.param(["evil-r.io", "r.io.evil"], "r.io", None, id="what only looks like it"),
        pytest.param(["R.IO"], "r.io", None, id="case counts"),
    ],
)
async def test_docker_looks_by_host(
    keys: list[str], registry: str, user: str | None, home: dict[str, str], tmp_path: Path
) -> None:
    put(tmp_path / ".docker" / "config.json", {"auths": {key: auth(key.replace(":", "_")) for key in keys}})
    assert await found(home, registry, "a/b") == (user.replace(":", "_") if user is not None else None)


@pytest.mark.parametrize(
    ("keys", "registry", "path", "user"),
    [
        pytest.param(["r.io"], "r.io", "a/b", "r.io", id="the host"),
        pytest.param(["r.io", "r.io/a", "r.io/a/b"], "r.io", "a/b", "r.io/a/b", id="the longest"),
        pytest.param(["r.io", "r.io/a"], "r.io", "a/b", "r.io/a", id="a namespace"),
        pytest.param(["r.io/a"], "r.io", "ab/c", None, id="whole segments only (R-POD-4)"),
        pytest.param(["https://r.io/v1/"], "r.io", "a", "https://r.io/v1/", id="a URL by its host"),
        pytest.param([HUB], "docker.io", "library/x", HUB, id="Docker Hub in docker's spelling"),
        pytest.param(["docker.io"], "docker.io", "library/x", "docker.io", id="Docker Hub in podman's"),
        pytest.param(
            ["registry-1.docker.io"], "docker.io", "library/x", "registry-1.docker.io", id="and by its host"
        ),
        pytest.param(
            ["docker.io/library"], "docker.io", "library/x", "docker.io/library", id="a namespace of it"
        ),
    ],
)
async def test_podman_looks_by_path_and_then_by_host(  # noqa: PLR0917  a row of the table
    keys: list[str], registry: str, path: str, user: str | None, home: dict[str, str], tmp_path: Path
) -> None:
    put(
        tmp_path / "run" / "containers" / "auth.json",
        {"auths": {key: auth(key.replace(":", "_")) for key in keys}},
    )
    assert await found(home, registry, path) == (user.replace(":", "_") if user is not None else None)


@pytest.mark.parametrize(
    ("server", "key"),
    [
        ("", HUB),
        ("docker.io", HUB),
        (HUB, HUB),
        ("index.docker.io", "index.docker.io"),
        ("registry-1.docker.io/bork/test", "registry-1.docker.io"),
        ("https://foo.io/v2/", "foo.io"),
        ("http://foo.io:5000", "foo.io:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("foo.io/a/b", "foo.io"),
    ],
)
def test_a_login_is_filed_under_dockers_key(server: str, key: str) -> None:
    assert login_key(server) == key


@pytest.mark.parametrize(
    ("registry", "key"), [("docker.io", HUB), ("index.docker.io", HUB), ("r.io:5000", "r.io:5000")]
)
def test_a_login_is_looked_for_under_dockers_key(registry: str, key: str) -> None:
    assert server_key(registry) == key


def test_a_key_with_a_user_in_it_is_its_host() -> None:
    assert hostname("https://u:p@r.io/x") == "r.io"


# ------------------------------------------------------------------ the helpers

GET = """printf '{"Username":"helped","Secret":"s"}'"""


@pytest.mark.parametrize(
    ("document", "registry", "user", "asked"),
    [
        pytest.param({"credsStore": "a"}, "r.io", "helped", ["get r.io"], id="the store"),
        pytest.param({"credHelpers": {"r.io": "a"}}, "r.io", "helped", ["get r.io"], id="the registry's own"),
        pytest.param({"credHelpers": {"r.io": "a"}}, "other.io", None, [], id="another registry's"),
        pytest.param(
            {"credHelpers": {"docker.io": "a"}}, "docker.io", None, [], id="Hub is not docker.io (R-HLP-1)"
        ),
        pytest.param({"credHelpers": {HUB: "a"}}, "docker.io", "helped", [f"get {HUB}"], id="Hub by its key"),
        pytest.param(
            {"credHelpers": {"r.io": "a"}, "credsStore": "missing"},
            "r.io",
            "helped",
            ["get r.io"],
            id="its own before the store",
        ),
        pytest.param(
            {"credsStore": "a", "auths": {"r.io": auth("file")}},
            "r.io",
            "helped",
            ["get r.io"],
            id="before the file",
        ),
    ],
)
async def test_a_helper_that_is_named_is_asked(  # noqa: PLR0917  a row of the table
    document: dict[str, object],
    registry: str,
    user: str | None,
    asked: list[str],
    home: dict[str, str],
    tmp_path: Path,
) -> None:
    add_helper(tmp_path, "a", GET)
    put(tmp_path / ".docker" / "config.json", document)
    assert await found(home, registry) == user
    assert diary(tmp_path) == asked


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("exit 1", id="broken"),
        pytest.param(None, id="missing"),
        pytest.param("echo rubbish", id="rubbish"),
    ],
)
async def test_a_helper_that_fails_is_never_passed_over(
    script: str | None, home: dict[str, str], tmp_path: Path
) -> None:
    """Security table row 21: not the file, not the next file, not anonymous."""
    if script is not None:
        add_helper(tmp_path, "a", script)
    put(tmp_path / ".docker" / "config.json", {"credsStore": "a", "auths": {"r.io": auth("file")}})
    put(tmp_path / "run" / "containers" / "auth.json", {"auths": {"r.io": auth("podman")}})
    with pytest.raises(HelperFailed):
        await found(home, "r.io")


async def test_a_helper_that_has_nothing_lets_the_next_place_be_asked_but_not_its_file(
    home: dict[str, str], tmp_path: Path
) -> None:
    add_helper(tmp_path, "a", "echo 'credentials not found in native keychain'; exit 1")
    put(
        tmp_path / ".docker" / "config.json",
        {"credsStore": "a", "auths": {"r.io": auth("file"), "q.io": auth("file")}},
    )
    put(tmp_path / "run" / "containers" / "auth.json", {"auths": {"r.io": auth("podman")}})
    assert [await found(home, "r.io"), await found(home, "q.io")] == ["podman", None]


async def test_podman_knows_no_store(home: dict[str, str], tmp_path: Path) -> None:
    """R-POD-1, R-POD-4."""
    add_helper(tmp_path, "a", GET)
    put(
        tmp_path / "run" / "containers" / "auth.json",
        {"credsStore": "a", "auths": {"r.io": auth("file")}, "credHelpers": {"h.io": "a"}},
    )
    assert [await found(home, "r.io"), await found(home, "h.io")] == ["file", "helped"]


async def test_an_identity_token_of_a_helper_is_one(home: dict[str, str], tmp_path: Path) -> None:
    add_helper(tmp_path, "a", """printf '{"Username":"<token>","Secret":"t"}'""")
    put(tmp_path / ".docker" / "config.json", {"credsStore": "a"})
    (credential,) = await LoginKeyring(home).credentials_for("r.io")
    assert (credential.username, credential.identity_token) == ("", SecretText("t"))


# ---------------------------------------------------------------- what is broken


@pytest.mark.parametrize(
    ("place", "content", "kind", "exit_status"),
    [
        pytest.param(".docker/config.json", "{", MalformedLoginFile, 2, id="docker's"),
        pytest.param(
            ".docker/config.json",
            {"auths": {"other.io": {"auth": "%"}}},
            MalformedLoginFile,
            2,
            id="another registry's entry (R-CFG-4)",
        ),
        pytest.param("run/containers/auth.json", "{", MalformedLoginFile, 2, id="podman's"),
    ],
)
async def test_a_file_that_cannot_be_read_stops_the_search(  # noqa: PLR0917  a row of the table
    place: str,
    content: object,
    kind: type[SealiftError],
    exit_status: int,
    home: dict[str, str],
    tmp_path: Path,
) -> None:
    put(tmp_path / place, content)
    put(tmp_path / ".config" / "containers" / "auth.json", {"auths": {"r.io": auth("last")}})
    with pytest.raises(kind) as raised:
        await found(home, "r.io")
    assert raised.value.exit_status == exit_status


async def test_a_directory_in_the_place_of_a_file_is_an_error(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".docker" / "config.json").mkdir(parents=True)
    with pytest.raises(UnreadableLoginFile) as raised:
        await found(home, "r.io")
    assert raised.value.exit_status == 8


async def test_a_broken_variable_is_named(home: dict[str, str]) -> None:
    with pytest.raises(MalformedLoginFile, match="DOCKER_AUTH_CONFIG"):
        await found(home | {"DOCKER_AUTH_CONFIG": "{canary"}, "r.io")


# --------------------------------------------------------------------- writing


async def log_in(environment: Mapping[str, str], server: str, **more: SecretText) -> Source:
    return await store_login(environment, server, "ashok", SecretText("secret"), **more)


async def test_a_login_is_written_where_docker_writes_it(home: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / ".docker" / "config.json"
    assert await log_in(home, "r.io") == Source(kind="LoginFile", name=str(path))
    assert (
        path.read_bytes()
        == b'{\n\t"auths": {\n\t\t"r.io": {\n\t\t\t"auth": "YXNob2s6c2VjcmV0"\n\t\t}\n\t}\n}'
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["config.json"]


async def test_the_rest_of_the_file_and_its_mode_stay(home: dict[str, str], tmp_path: Path) -> None:
    path = put(
        tmp_path / ".docker" / "config.json", {"auths": {"a.io": auth("u")}, "detachKeys": "x", "future": 1}
    )
    path.chmod(0o640)
    await log_in(home, "r.io")
    written = json.loads(path.read_text())
    assert list(written) == ["auths", "detachKeys", "future"]
    assert list(written["auths"]) == ["a.io", "r.io"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_symbolic_link_stays_one(home: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").symlink_to("../dotfiles.json")
    await log_in(home, "r.io")
    assert (tmp_path / ".docker" / "config.json").is_symlink()
    assert "r.io" in (tmp_path / "dotfiles.json").read_text()


async def test_an_identity_token_takes_the_place_of_the_password(
    home: dict[str, str], tmp_path: Path
) -> None:
    await log_in(home, "r.io", identity_token=SecretText("t"))
    text = (tmp_path / ".docker" / "config.json").read_text()
    assert json.loads(text)["auths"]["r.io"] == {
        "auth": base64.b64encode(b"ashok:").decode(),
        "identitytoken": "t",
    }
    (credential,) = await LoginKeyring(home).credentials_for("r.io")
    assert credential.identity_token == SecretText("t")


STORE = 'echo "stored"'


async def test_a_helper_keeps_the_secret_and_the_file_only_the_mark(
    home: dict[str, str], tmp_path: Path
) -> None:
    add_helper(tmp_path, "a", STORE)
    path = put(
        tmp_path / ".docker" / "config.json",
        {"credsStore": "a", "auths": {"r.io": auth("old", "old-secret")}},
    )
    assert await log_in(home, "r.io") == Source(kind="CredentialHelper", name="a")
    assert json.loads(path.read_text()) == {"auths": {"r.io": {}}, "credsStore": "a"}
    action, _, given = diary(tmp_path)[0].partition(" ")
    assert (action, json.loads(given)) == (
        "store",
        {"ServerURL": "r.io", "Username": "ashok", "Secret": "secret"},
    )


async def test_a_helper_keeps_an_identity_token_as_docker_has_it(
    home: dict[str, str], tmp_path: Path
) -> None:
    add_helper(tmp_path, "a", STORE)
    put(tmp_path / ".docker" / "config.json", {"credHelpers": {"r.io": "a"}})
    await log_in(home, "r.io", identity_token=SecretText("t"))
    assert json.loads(diary(tmp_path)[0].partition(" ")[2])["Username"] == "<token>"


async def test_a_helper_that_cannot_store_leaves_the_file_as_it_was(
    home: dict[str, str], tmp_path: Path
) -> None:
    add_helper(tmp_path, "a", "exit 1")
    path = put(tmp_path / ".docker" / "config.json", {"credsStore": "a"})
    before = path.read_bytes()
    with pytest.raises(HelperFailed):
        await log_in(home, "r.io")
    assert path.read_bytes() == before


async def test_a_malformed_file_is_not_overwritten(home: dict[str, str], tmp_path: Path) -> None:
    path = put(tmp_path / ".docker" / "config.json", "{ precious")
    with pytest.raises(MalformedLoginFile):
        await log_in(home, "r.io")
    assert path.read_text() == "{ precious"


async def test_a_place_that_cannot_be_written_is_told(home: dict[str, str], tmp_path: Path) -> None:
    put(tmp_path / "file", "")
    with pytest.raises(UnreadableLoginFile) as raised:
        await log_in(home | {"DOCKER_CONFIG": str(tmp_path / "file" / "sub")}, "r.io")
    assert raised.value.exit_status == 8


# --------------------------------------------------------------------- logging out


@pytest.mark.parametrize(
    ("server", "keys"),
    [
        ("r.io", ("r.io", "http://r.io", "https://r.io")),
        ("https://r.io/v2/", ("https://r.io/v2/", "r.io", "http://r.io", "https://r.io")),
        (HUB, (HUB, "index.docker.io", "http://index.docker.io", "https://index.docker.io")),
        ("docker.io", ("docker.io", "http://docker.io", "https://docker.io", HUB)),
        ("", (HUB,)),
    ],
)
def test_a_logout_removes_the_spellings_of_a_server(server: str, keys: tuple[str, ...]) -> None:
    assert spellings(server) == keys


async def test_a_logout_removes_and_leaves_the_rest(home: dict[str, str], tmp_path: Path) -> None:
    path = put(
        tmp_path / ".docker" / "config.json",
        {
            "auths": {
                "r.io": auth("u"),
                "https://r.io": auth("u"),
                "http://r.io": auth("u"),
                "a.io": auth("u"),
            }
        },
    )
    assert await erase_login(home, "r.io")
    assert list(json.loads(path.read_text())["auths"]) == ["a.io"]
    assert not await erase_login(home, "r.io")


async def test_a_logout_without_a_file_makes_none(home: dict[str, str]) -> None:
    assert not await erase_login(home, "r.io")
    assert not docker_file(home).path.exists()


async def test_a_logout_tells_the_helper_every_spelling(home: dict[str, str], tmp_path: Path) -> None:
    add_helper(tmp_path, "a", "")
    put(tmp_path / ".docker" / "config.json", {"credsStore": "a", "auths": {"r.io": {}}})
    assert await erase_login(home, "r.io")
    assert diary(tmp_path) == ["erase r.io", "erase http://r.io", "erase https://r.io"]


async def test_a_logout_fails_where_every_erasure_failed(home: dict[str, str], tmp_path: Path) -> None:
    add_helper(tmp_path, "a", "exit 1")
    put(tmp_path / ".docker" / "config.json", {"credsStore": "a", "auths": {"r.io": {}}})
    with pytest.raises(HelperFailed):
        await erase_login(home, "r.io")
