"""``sealift demo`` before it begins. The whole of it is in tests/peers/test_demo.py."""

import os
from pathlib import Path

import pytest

from sealift.cli.demo.command import own_environment
from sealift.cli.demo.registry_server import is_loopback
from sealift.cli.main import run
from sealift.credentials.login_file import files_in


@pytest.mark.parametrize("listen", ["5000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536"])
def test_an_address_that_is_none(capsys: pytest.CaptureFixture[str], listen: str) -> None:
    assert run(["demo", "--exit", "--listen", listen]) == 2
    assert f"{listen} is not HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::1]:0", "10.0.0.1:5000", "example.com:80", ":5000"])
def test_an_address_that_others_reach(capsys: pytest.CaptureFixture[str], listen: str) -> None:
    assert run(["demo", "--exit", "--listen", listen]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: the demo does not listen on {listen}\n  why: ")
    assert "\n  next: sealift demo --listen 127.0.0.1:5000" in printed.err


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("localhost", True),
        ("127.0.0.1.example.com", False),
        ("1270.0.0.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_hosts_that_containerd_speaks_plain_http_to(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_directory_for_runs_that_is_not_ours_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trap = tmp_path / f"sealift-demo-{os.geteuid()}"
    trap.mkdir()
    trap.chmod(0o777)
    assert run(["demo", "--exit"]) == 8
    assert capsys.readouterr().err == (
        f"error: {trap} is not this user's alone\n"
        "  why: the demo keeps passwords there, and clears it\n"
        f"  next: look at it, remove it (rm -r {trap}), and run the demo again\n"
    )


def test_no_login_file_but_its_own_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "SEALIFT_SERVER"):
        monkeypatch.setenv(name, "/theirs")
    before = dict(os.environ)
    with own_environment("/demo"):
        assert [str(file.path) for file in files_in(os.environ)] == [
            "/demo/config.json",
            "/demo/containers/auth.json",
            "/demo/containers/auth.json",
        ]
        assert "/theirs" not in os.environ.values()
    assert dict(os.environ) == before
