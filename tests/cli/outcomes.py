"""How a command ended, as a user sees it; and what every refusal has to look like."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.served import SEALIFT


class Outcome(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: bytes
    err: str


class Command(Protocol):
    """Runs one command line."""

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Outcome: ...


def run_program(
    *arguments: str, wrapper: Sequence[str] = (), cwd: Path | None = None, stdin: bytes = b""
) -> Outcome:
    """The program, run by the system."""
    done = subprocess.run(
        [*wrapper, *SEALIFT, *arguments], cwd=cwd, input=stdin, capture_output=True, timeout=60, check=False
    )
    return Outcome(done.returncode, done.stdout, done.stderr.decode())


def check_refused(outcome: Outcome, status: int, place: str = "") -> None:
    """The command failed as the contract has it: status, three parts with the place, and no traceback."""
    lines = outcome.err.splitlines()
    assert outcome.status == status, outcome
    assert outcome.out == b"", outcome
    assert [line.partition(":")[0] for line in lines[-3:]] == ["error", "  why", "  next"], outcome.err
    assert all(len(line.partition(":")[2].strip()) > 3 for line in lines[-3:]), outcome.err
    assert "Traceback" not in outcome.err
    assert "does not handle" not in outcome.err  # the last door of the command line
    assert place in outcome.err, outcome.err
    assert "None" not in outcome.err, outcome.err


def files_in(directory: Path) -> dict[str, bytes]:
    """Every file below `directory`."""
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def damage(path: Path) -> None:
    """Change one byte of a file and leave its length."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def largest(directory: Path) -> Path:
    """The largest file below `directory`: the layer."""
    return max(
        (path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size
    )
