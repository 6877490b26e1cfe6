"""Commands of the demo: shown as a user would type them, and run as they are shown.

A password is in no line: it comes from a file that is named in it.
"""

import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sealift.cli import main
from sealift.cli.demo import launcher

PROGRAM = "sealift"


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of ours."""

    arguments: tuple[str, ...]
    stdin: Path | None = None
    stdout: Path | None = None

    @property
    def text(self) -> str:
        """As a shell takes it."""
        words = [PROGRAM, *(shlex.quote(argument) for argument in self.arguments)]
        if self.stdin is not None:
            words += ["<", shlex.quote(str(self.stdin))]
        if self.stdout is not None:
            words += [">", shlex.quote(str(self.stdout))]
        return " ".join(words)

    def run(self) -> int:
        """Run it in this process, which saves its start, and return its exit status."""
        with _redirected(self.stdin, self.stdout):
            return main.run(list(self.arguments))


def start(
    argv: list[str],
    *,
    output: IO[bytes] | int,
    environment: Mapping[str, str],
    end_signal: int,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C on the terminal is ours alone to hear.

    Args:
        argv: The program and its arguments.
        output: For standard output and error both.
        environment: Laid over ours.
        end_signal: What the kernel sends it when we die.
    """
    order = {"parent": os.getpid(), "signal": int(end_signal), "command": argv, "world": None}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(launcher.__file__), json.dumps(order)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def own_program(*arguments: str) -> list[str]:
    """The command line that starts us again. -P: nothing in the working directory passes for a module."""
    return [sys.executable, "-P", "-m", "sealift", *arguments]


@contextlib.contextmanager
def _redirected(stdin: Path | None, stdout: Path | None) -> Iterator[None]:
    """Standard input and output from and to files for a while."""
    with contextlib.ExitStack() as stack:
        if stdin is not None:
            given = stack.enter_context(stdin.open(encoding="utf-8"))
            stack.callback(setattr, sys, "stdin", sys.stdin)
            sys.stdin = given
        if stdout is not None:
            stack.enter_context(
                contextlib.redirect_stdout(stack.enter_context(stdout.open("w", encoding="utf-8")))
            )
        yield
