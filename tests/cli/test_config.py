import json

import pytest
import yaml
from click.testing import CliRunner

from sealift.cli.config import config
from sealift.cli.main import run


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(config, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEALIFT_LISTEN", "SEALIFT_DATA", "SEALIFT_WORKERS", "SEALIFT_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_show_says_which_source_won(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALIFT_WORKERS", "2")
    lines = [line.split() for line in _run("show", "--listen", "[::1]:5001", "--data", "/srv/x").splitlines()]
    assert ["listen", "[::1]:5001", "--listen"] in lines
    assert ["data", "/srv/x", "--data"] in lines
    assert ["workers", "2", "SEALIFT_WORKERS"] in lines
    assert ["plain-http", "false", "default"] in lines
    assert ["trusted-proxies", "-", "default"] in lines


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_show_for_programs(output: str, read: object) -> None:
    assert callable(read)
    document = read(_run("show", "--data", "/srv/x", "--trusted-proxies", "10.0.0.0/8", "-o", output))
    assert (document["apiVersion"], document["kind"]) == ("sealift.dev/v1alpha1", "ServerSettings")
    assert {"name": "data", "value": "/srv/x", "source": "--data"} in document["settings"]
    assert {"name": "trusted-proxies", "value": ["10.0.0.0/8"], "source": "--trusted-proxies"} in document[
        "settings"
    ]
    assert {"name": "listen", "value": "127.0.0.1:5000", "source": "default"} in document["settings"]


def test_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check"]) == 0
    assert run(["config", "check", "--listen", "0.0.0.0:5000"]) == 2
    assert "next: give --tls-cert and --tls-key" in capsys.readouterr().err


def test_an_unknown_key_of_the_file_is_named_with_its_place(
    tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    file = f"{tmp_path}/sealift.toml"
    with open(file, "w", encoding="utf-8") as opened:  # noqa: PTH123  a path as a user types it
        opened.write("listen = ':1'\nworker = 2\n")
    assert run(["config", "check", "--config", file]) == 2
    assert f"{file}:2: there is no setting 'worker'" in capsys.readouterr().err
