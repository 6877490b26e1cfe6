"""``sealift demo``: the story, from start to a clean end however it ends."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import click

from sealift.cli.demo.ending import Ending
from sealift.errors import SealiftError

ENVIRONMENT_OF_OTHERS = (
    "DOCKER_AUTH_CONFIG",
    "REGISTRY_AUTH_FILE",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
)
"""Variables that would lead the demo's commands to the user's files, or away from this machine."""


class NotLoopback(SealiftError):
    """The demo was to listen on an address that others can reach."""

    exit_status: ClassVar[int] = 2


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
    from sealift.cli.demo.leavings import sweep
    from sealift.cli.demo.registry_server import is_loopback
    from sealift.cli.server_settings import read_address

    host = listen.rpartition(":")[0]
    try:
        read_address(listen)
    except ValueError:
        raise click.BadParameter(
            f"{listen} is not HOST:PORT with a port from 0 to 65535", param_hint="--listen"
        ) from None
    if not is_loopback(host):
        raise NotLoopback(
            f"the demo does not listen on {listen}",
            why="it serves plain HTTP, and so keeps to the loopback addresses of this machine",
            hint="sealift demo --listen 127.0.0.1:5000, or serve for others with: sealift serve --tls-cert …",
        )
    with Ending() as ending:
        try:
            with ending.after_this():
                for run_id in sweep():
                    click.echo(f"cleared what an earlier demo ({run_id}) had left", err=True)
            _tell(ending, listen, stay=not exit_)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            return 128 + (ending.number or signal.SIGINT)
    return 0


def _tell(ending: Ending, listen: str, *, stay: bool) -> None:
    """The story, with a clean machine at the end of it, however it ends."""
    from sealift.cli.demo.leavings import RunDirectory
    from sealift.cli.demo.story import Story

    run = RunDirectory.create()
    try:
        story = Story(run, ending, listen=listen)
        try:
            with own_environment(str(story.files)):
                story.tell()
                if stay:
                    story.say_what_next()
                    while True:
                        signal.pause()
        finally:
            with ending.not_now():
                story.end()
    finally:
        with ending.not_now():
            run.remove()


@contextmanager
def own_environment(directory: str) -> Iterator[None]:
    """The environment of the demo's commands: logins in its own directory, no settings of the user's."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("SEALIFT_") or name in ENVIRONMENT_OF_OTHERS:
            del os.environ[name]
    # All three: where one is not set, a login file of the user's is asked, which may not even be readable.
    os.environ |= dict.fromkeys(("DOCKER_CONFIG", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"), directory)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
