"""Credential helpers: real programs, written for the test. R-HLP, security table row 21."""

import json
from pathlib import Path

import pytest

from sealift.credentials.credential import SecretText
from sealift.credentials.helper import CredentialHelper, HelperEntry, HelperFailed


def helper(directory: Path, script: str, name: str = "test") -> CredentialHelper:
    """A helper whose program is this shell script; what it is given is in the file ``given``."""
    program = directory / f"docker-credential-{name}"
    program.write_text(f'#!/bin/sh\necho "$1" > "{directory}/action"\ncat > "{directory}/given"\n{script}\n')
    program.chmod(0o755)
    return CredentialHelper(name, {"PATH": f"{directory}:/usr/bin:/bin"})


def printing(document: object) -> str:
    return f"cat <<'END'\n{document if isinstance(document, str) else json.dumps(document)}\nEND"


async def test_get_hands_the_server_over_and_reads_the_answer(tmp_path: Path) -> None:
    asked = helper(tmp_path, printing({"ServerURL": "r.io", "Username": "u", "Secret": "p"}))
    assert await asked.get("https://index.docker.io/v1/") == HelperEntry(username="u", secret=SecretText("p"))
    assert (tmp_path / "given").read_text() == "https://index.docker.io/v1/"
    assert (tmp_path / "action").read_text() == "get\n"


async def test_a_username_of_token_is_an_identity_token(tmp_path: Path) -> None:
    entry = await helper(tmp_path, printing({"Username": "<token>", "Secret": "t"})).get("r.io")
    assert entry is not None
    assert entry.is_identity_token


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            "echo 'credentials not found in native keychain'; exit 1", id="the words for nothing (R-HLP-4)"
        ),
        pytest.param(printing({"Username": "", "Secret": ""}), id="an empty answer"),
    ],
)
async def test_nothing_is_an_answer(script: str, tmp_path: Path) -> None:
    assert await helper(tmp_path, script).get("r.io") is None


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("echo canary; exit 1", id="it fails, with a secret"),
        pytest.param("echo canary >&2; exit 3", id="it fails, silently"),
        pytest.param("echo canary", id="no JSON"),
        pytest.param(printing(["canary"]), id="no object"),
        pytest.param(printing({"Username": "canary"}), id="no secret"),
        pytest.param(printing({"Username": 1, "Secret": "canary"}), id="no strings"),
        pytest.param("kill -9 $$", id="it is killed"),
    ],
)
async def test_a_helper_that_breaks_is_an_error_without_what_it_printed(script: str, tmp_path: Path) -> None:
    with pytest.raises(HelperFailed) as raised:
        await helper(tmp_path, script).get("r.io")
    error = raised.value
    assert error.exit_status == 8
    assert error.why
    assert error.hint
    assert "canary" not in f"{error} {error.why} {error.hint}"


async def test_a_helper_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HelperFailed) as raised:
        await CredentialHelper("missing", {"PATH": str(tmp_path)}).get("r.io")
    assert str(raised.value) == "the credential helper docker-credential-missing is not installed"
    assert "install docker-credential-missing" in (raised.value.hint or "")


async def test_a_helper_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "docker-credential-odd"
    program.write_bytes(b"\x7fELF no program")
    program.chmod(0o755)
    with pytest.raises(HelperFailed, match="cannot be started"):
        await CredentialHelper("odd", {"PATH": str(tmp_path)}).get("r.io")


@pytest.mark.parametrize("name", ["", "../evil", "a/b", "a b", "-x", "a\nb", "x" * 200])
async def test_a_name_that_cannot_be_one_is_not_run(name: str) -> None:
    with pytest.raises(HelperFailed, match="cannot be one"):
        await CredentialHelper(name, {"PATH": "/bin"}).get("r.io")


async def test_store_hands_everything_over_on_standard_input(tmp_path: Path) -> None:
    asked = helper(tmp_path, "")
    await asked.store("r.io", HelperEntry(username="ü", secret=SecretText('p"<')))
    given = json.loads((tmp_path / "given").read_text())
    assert given == {"ServerURL": "r.io", "Username": "ü", "Secret": 'p"<'}


async def test_what_a_helper_cannot_store_is_told_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(HelperFailed) as raised:
        await helper(tmp_path, "echo 'the keychain\x1b is locked'; exit 1").store(
            "r.io", HelperEntry(username="u", secret=SecretText("p"))
        )
    assert raised.value.why == "docker-credential-test store ended with status 1: the keychain  is locked"


@pytest.mark.parametrize(
    ("script", "fails"),
    [
        pytest.param("", False, id="erased"),
        pytest.param("echo 'credentials not found in native keychain'; exit 1", False, id="there was none"),
        pytest.param("echo locked; exit 1", True, id="it failed"),
    ],
)
async def test_erase(script: str, fails: bool, tmp_path: Path) -> None:
    asked = helper(tmp_path, script)
    if fails:
        with pytest.raises(HelperFailed):
            await asked.erase("r.io")
    else:
        await asked.erase("r.io")
    assert (tmp_path / "given").read_text() == "r.io"


@pytest.mark.parametrize("secret", ["canary", 'can"ary', "canäry"])
async def test_a_helper_that_shows_what_it_was_given_is_not_repeated(secret: str, tmp_path: Path) -> None:
    talkative = helper(tmp_path, f'cat "{tmp_path}/given"; exit 1')
    with pytest.raises(HelperFailed) as raised:
        await talkative.store("r.io", HelperEntry(username="u", secret=SecretText(secret)))
    assert raised.value.why == "docker-credential-test store ended with status 1"
