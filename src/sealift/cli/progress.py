"""How a copy is shown to whoever waits: bars on a terminal, lines elsewhere, or nothing."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import click

from sealift.cli.output import human_size, short_digest
from sealift.client.copy import NoProgress, Progress
from sealift.client.registry_client import Delivery
from sealift.image.descriptor import Descriptor

ProgressMode = Literal["auto", "plain", "none"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def progress_option(command: _Command) -> _Command:
    """``--progress auto|plain|none``."""
    return click.option(
        "--progress",
        type=click.Choice(["auto", "plain", "none"]),
        default="auto",
        show_default=True,
        envvar="SEALIFT_PROGRESS",
        show_envvar=True,
        help="Bars on a terminal and lines elsewhere, lines, or nothing.",
    )(command)


@contextmanager
def progress(mode: ProgressMode) -> Iterator[Progress]:
    """Who shows how a copy goes, for as long as it takes."""
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    if mode == "none":
        yield NoProgress()
    elif mode == "plain" or not terminal:
        yield PlainProgress()
    else:
        from sealift.cli.progress_bars import progress_bars

        with progress_bars() as bars:
            yield bars


class PlainProgress:
    """One line a blob when it is there, and a sign of life for one that takes long."""

    INTERVAL_SECONDS = 10.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._passed: dict[str, int] = {}
        self._told: dict[str, float] = {}

    def begin(self, descriptors: Sequence[Descriptor]) -> None:
        """Say how much there is."""
        total = human_size(sum(each.size for each in descriptors))
        click.echo(f"{len(descriptors)} blobs, {total}", err=True)

    def restart(self, descriptor: Descriptor) -> None:
        """Count from nothing."""
        key = str(descriptor.digest)
        self._passed[key] = 0
        self._told[key] = self._clock()

    def advance(self, descriptor: Descriptor, size: int) -> None:
        """Count, and now and then say so."""
        key = str(descriptor.digest)
        self._passed[key] = self._passed.get(key, 0) + size
        now = self._clock()
        if now - self._told.get(key, now) >= self.INTERVAL_SECONDS:
            self._told[key] = now
            part = f"{human_size(self._passed[key])} of {human_size(descriptor.size)}"
            click.echo(f"{short_digest(descriptor)}  {part}", err=True)

    def end(self, descriptor: Descriptor, delivery: Delivery) -> None:
        """Say how it came to be there."""
        click.echo(f"{short_digest(descriptor)}  {human_size(descriptor.size)}  {delivery.value}", err=True)
