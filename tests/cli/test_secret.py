"""``sealift secret create`` at the command line."""

import base64
import io
import sys
from pathlib import Path

import pytest

from sealift.cli import main
from sealift.kubernetes.manifests import read_documents

_LOGIN = ("--docker-server=r.io", "--docker-username=ashok")


def run(*arguments: str) -> int:
    return main.run(["secret", "create", *arguments])


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("data", "password"),
    [
        pytest.param(b"pw", b"pw", id="as it is"),
        pytest.param(b"pw\n", b"pw", id="without one line break"),
        pytest.param(b"pw\r\n", b"pw", id="without one, of either kind"),
        pytest.param(b"pw\n\n", rb"pw\n", id="only one"),
    ],
)
def test_the_password_comes_from_standard_input(
    data: bytes, password: bytes, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    stdin(monkeypatch, data)
    assert run("regcred", *_LOGIN, "--password-stdin") == 0
    (document,) = read_documents(capsysbinary.readouterr().out, "-")
    found = document.root.plain()
    assert found["metadata"] == {"name": "regcred"}
    content = base64.b64decode(found["data"][".dockerconfigjson"])
    assert content.startswith(b'{"auths":{"r.io":{"username":"ashok","password":"' + password + b'",')


def test_a_password_on_the_command_line_works_and_warns(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("regcred", *_LOGIN, "--docker-password=hunter2", "-n", "prod", "-o", "name") == 0
    out, err = capsys.readouterr()
    assert out == "secret/regcred\n"
    assert err == "warning: others can see --docker-password in the list of processes\n"


def test_from_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b'{"auths":{"r.io":{"auth":"dTpw"}}}')
    assert run("regcred", f"--from-file={file}", "--append-hash", "-o", "json") == 0
    out, err = capsys.readouterr()
    assert '"name": "regcred-' in out
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        pytest.param(["x"], 2, "either --from-file or the combination", id="nothing given"),
        pytest.param(["", *_LOGIN, "--docker-password=p"], 2, "name must be specified", id="an empty name"),
        pytest.param([], 2, "Missing argument 'NAME'", id="no name"),
        pytest.param(["a", "b"], 2, "unexpected extra argument", id="two names"),
        pytest.param(
            ["x", "--from-file=missing"], 2, "error reading missing: no such file or directory", id="no file"
        ),
        pytest.param(
            ["x", "--from-file=."], 2, "cannot give a key name for a directory path", id="a directory"
        ),
        pytest.param(
            ["x", *_LOGIN, "--docker-password=p", "--apply"], 2, "--apply is not in this version", id="apply"
        ),
        pytest.param(
            ["x", *_LOGIN, "--docker-password=p", "--password-stdin"], 2, "are given both", id="two passwords"
        ),
    ],
)
def test_refusals(  # noqa: PLR0917  pytest passes by name
    arguments: list[str],
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    stdin(monkeypatch, b"")
    assert run(*arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "  next: " in err


def test_what_will_not_work_is_said_and_printed_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b'{"auths":{"r.io":{"auth":"hunter2"}}}')
    assert run("Regcred", f"--from-file={file}") == 0
    out, err = capsys.readouterr()
    assert out.startswith("apiVersion: v1\n")
    assert err.count("warning: ") == 2
    assert "hunter2" not in err
