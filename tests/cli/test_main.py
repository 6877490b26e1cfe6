"""The program itself: errors in three parts, exit statuses, a quick start, lazy imports."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from sealift.cli import main
from sealift.errors import SealiftError


class _Gone(SealiftError):
    exit_status = 3


def _run_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setitem(main.sealift.commands, "broken", broken)
    monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: broken)
    return main.run(["broken"])


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        pytest.param(
            _Gone("no such image", why="the registry has no tag v2", hint="sealift tags r.io/app"),
            3,
            "error: no such image\n  why: the registry has no tag v2\n  next: sealift tags r.io/app\n",
            id="three parts, and the class's own status",
        ),
        pytest.param(_Gone("no such image"), 3, "error: no such image\n", id="what is not known is not said"),
        pytest.param(
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/x"),
            7,
            "error: nothing can be written: /data/x\n  why: No space left on device\n"
            "  next: free some space there, then run it again\n",
            id="a full disk is storage that refused",
        ),
        pytest.param(
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/root/x"),
            8,
            "error: this machine refused: /root/x\n  why: Permission denied\n  next: ls -ld /root/x\n",
            id="no right to a file is this machine refusing",
        ),
        pytest.param(KeyboardInterrupt(), 130, "\nstopped\n", id="Ctrl-C"),
        pytest.param(click.Abort(), 130, "stopped\n", id="Ctrl-C at a prompt"),
        pytest.param(
            click.UsageError("no such thing"),
            2,
            "error: this is not how sealift broken is used\n  why: no such thing\n"
            "  next: sealift broken --help\n",
            id="usage",
        ),
    ],
)
def test_what_is_raised_becomes_lines_and_a_status(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    text: str,
) -> None:
    assert _run_with(monkeypatch, error) == status
    assert capsys.readouterr() == ("", text)


def test_an_unforeseen_error_shows_neither_traceback_nor_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run_with(monkeypatch, ValueError("canary-secret")) == 2
    shown = capsys.readouterr().err
    assert "canary-secret" not in shown
    assert "Traceback" not in shown
    assert "ValueError" in shown


def test_an_unknown_command_names_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["pul"]) == 2
    assert "sealift --help" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(main.COMMANDS))
def test_the_table_says_what_the_command_says_of_itself(name: str) -> None:
    command = main.sealift.get_command(click.Context(main.sealift), name)
    assert command is not None
    assert command.get_short_help_str(limit=200) == main.COMMANDS[name].help


def _cpu_seconds(*command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_version_costs_under_100_ms_of_cpu_beyond_the_interpreter() -> None:
    program = str(Path(sys.executable).parent / "sealift")
    bare = min(_cpu_seconds(sys.executable, "-c", "pass") for _ in range(5))
    ours = min(_cpu_seconds(program, "--version") for _ in range(5))
    assert ours - bare < 0.100


def test_help_and_version_import_no_command() -> None:
    code = (
        "import sys; from sealift.cli.main import run; run(['--help']); run(['--version']);"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = done.stderr.split()
    ours = [name for name in loaded if name.startswith("sealift.")]
    assert ours == ["sealift.cli", "sealift.cli.main", "sealift.errors"]
    heavy = {"aiohttp", "asyncio", "granian", "grpc", "joserfc", "msgspec", "rich", "sqlalchemy", "yaml"}
    assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_names_us(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main.run(["completion", shell]) == 0
    assert "_SEALIFT_COMPLETE" in capsys.readouterr().out


@pytest.mark.parametrize("spelling", ["-o=json", "-ojson", "--output=json"])
def test_the_format_may_be_spelled_as_kubectl_spells_it(
    capsys: pytest.CaptureFixture[str], spelling: str
) -> None:
    assert main.run(["explain", "nginx", spelling]) == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "PullExplanation"
