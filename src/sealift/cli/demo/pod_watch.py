"""Runs `sealift node run` in the demo, shows what it prints, and presses Ctrl-C when enough was seen."""

import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from typing import ClassVar, Final

import click

from sealift.cli.demo.commands import Command, own_program, start
from sealift.errors import SealiftError

SECONDS: Final = 60.0
"""For a Pod to show what is waited for. It takes one or three."""

CTRL_C: Final = 130
"""The exit status of a command that was stopped by Ctrl-C."""


class PodDidOtherwise(SealiftError):
    """A Pod of the demo did not do what the demo says that it does."""

    exit_status: ClassVar[int] = 1


def watch(command: Command, *, seen: Callable[[str], bool], environment: Mapping[str, str]) -> list[str]:
    """Run a ``node run`` until `seen` says of a line that it was the last to wait for; return its lines.

    Raises:
        PodDidOtherwise: It ended before, or took too long.
    """
    process = start(
        own_program(*command.arguments),
        output=subprocess.PIPE,
        environment={**environment, "PYTHONUNBUFFERED": "1"},
        end_signal=signal.SIGTERM,
    )
    # Only a pipe that somebody closes ends a read: the clock closes it by ending the process.
    clock = threading.Timer(SECONDS, process.send_signal, [signal.SIGINT])
    clock.start()
    lines: list[str] = []
    stopped = False
    try:
        assert process.stdout is not None  # noqa: S101  it was asked for
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            lines.append(line)
            click.echo(line)
            if not stopped and seen(line):
                stopped = True
                click.echo("^C")
                process.send_signal(signal.SIGINT)
        status = process.wait()
    finally:
        clock.cancel()
        if process.poll() is None:
            # We are told to end: the Pod is stopped first, and what it says then is shown, too.
            process.terminate()
            click.echo(process.communicate()[0].decode("utf-8", "replace"), nl=False)
    if not stopped or status != CTRL_C:
        raise PodDidOtherwise(
            "the Pod did not do what it should",
            why=f"`{command.text}` ended with status {status} before that",
            hint="what it printed stands above; run it again with: sealift demo",
        )
    return lines
