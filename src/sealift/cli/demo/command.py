"""``sealift demo``: the story, from start to a clean end however it ends."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import ClassVar

import click

from sealift.errors import SealiftError

ENVIRONMENT_OF_OTHERS = (
    "REGISTRY_AUTH_FILE",
    "XDG_RUNTIME_DIR",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
)
"""Variables that would lead the demo's commands to the user's files, or away from this machine."""

SIGNALS_THAT_END = (signal.SIGTERM, signal.SIGHUP)


class NotLoopback(SealiftError):
    """The demo was to listen on an address that others can reach."""

    exit_status: ClassVar[int] = 2


class _Told(BaseException):
    """A signal told us to end. Not an `Exception`: nothing on the way is to handle it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@click.command()
@click.option(
    "--exit", "exit_", is_flag=True, help="End after the last step, instead of serving until Ctrl-C."
)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:0",
    help="Where the registry listens: an address of loopback.  [a free port]",
)
def demo(*, exit_: bool, listen: str) -> int:
    """The story from end to end on this machine.

    A registry, a private image, a Secret, and two Pods: one that may not have
    the image, and one that may. Each step shows the command for it and runs
    it. The Pods need root, containerd and runc; without them the other steps
    are told.

    It keeps to a directory of its own and leaves nothing behind.
    """
    from sealift.cli.demo.leavings import RunDirectory, sweep
    from sealift.cli.demo.registry_server import is_loopback
    from sealift.cli.demo.story import Story

    host, colon, port = listen.rpartition(":")
    if not colon or not port.isdecimal():
        raise click.BadParameter(f"{listen} is not HOST:PORT", param_hint="--listen")
    if not is_loopback(host):
        raise NotLoopback(
            f"the demo does not listen on {listen}",
            why="it serves plain HTTP, and so keeps to the loopback addresses of this machine",
            hint="sealift demo --listen 127.0.0.1:5000, or serve for others with: sealift serve --tls-cert …",
        )
    for run_id in sweep():
        click.echo(f"cleared what an earlier demo ({run_id}) had left", err=True)
    try:
        with _signals_end_us():
            run = RunDirectory.create()
            story = Story(run, listen=listen)
            try:
                with _own_environment(str(story.files)):
                    story.tell()
                    if not exit_:
                        story.say_what_next()
                        while True:
                            signal.pause()
            finally:
                with _deaf():
                    story.end()
                    run.remove()
    except _Told as told:
        return 128 + told.number
    return 0


@contextmanager
def _signals_end_us() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: with a clean end."""

    def told(number: int, _frame: FrameType | None) -> None:
        raise _Told(number)

    before = {number: signal.signal(number, told) for number in SIGNALS_THAT_END}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _deaf() -> Iterator[None]:
    """Hear no signal while the machine is made clean: it takes a second, and half of it would be worse."""
    numbers = (signal.SIGINT, *SIGNALS_THAT_END)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _own_environment(directory: str) -> Iterator[None]:
    """The environment of the demo's commands: logins in its own directory, no settings of the user's."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("SEALIFT_") or name in ENVIRONMENT_OF_OTHERS:
            del os.environ[name]
    os.environ |= {"DOCKER_CONFIG": directory, "XDG_CONFIG_HOME": directory}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
