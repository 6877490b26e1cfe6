import stat
from pathlib import Path

import pytest

from sealift.cli.last_server import DEFAULT_SERVER, forget_server, last_server, note_server, server_from


def test_a_server_is_noted_and_forgotten(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    assert last_server(environment) is None
    note_server(environment, "a:1")
    note_server(environment, "b:2")
    assert last_server(environment) == "b:2"
    assert [path.name for path in (tmp_path / ".config" / "sealift").iterdir()] == ["server"]
    assert stat.S_IMODE((tmp_path / ".config" / "sealift" / "server").stat().st_mode) == 0o600
    forget_server(environment, "a:1")
    assert last_server(environment) == "b:2"
    forget_server(environment, "b:2")
    assert last_server(environment) is None


@pytest.mark.parametrize(
    ("given", "variable", "noted", "server"),
    [
        ("flag:1", "env:1", "noted:1", "flag:1"),
        (None, "env:1", "noted:1", "env:1"),
        (None, None, "noted:1", "noted:1"),
        (None, None, None, DEFAULT_SERVER),
    ],
)
def test_the_server_is_the_first_that_was_said(
    given: str | None, variable: str | None, noted: str | None, server: str, tmp_path: Path
) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path)} | ({"SEALIFT_SERVER": variable} if variable else {})
    if noted is not None:
        note_server(environment, noted)
    assert server_from(environment, given) == server


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\n"])
def test_a_note_that_says_nothing_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "sealift").mkdir()
    (tmp_path / "sealift" / "server").write_bytes(content)
    assert last_server({"XDG_CONFIG_HOME": str(tmp_path)}) is None
