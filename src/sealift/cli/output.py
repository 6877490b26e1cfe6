"""What commands print: documents for programs, tables for people, and progress for whoever waits.

Data goes to standard output, everything else to standard error.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import click

from sealift.client.copy import NoProgress, Progress
from sealift.client.registry_client import Delivery
from sealift.image.descriptor import Descriptor

API_VERSION = "sealift.dev/v1alpha1"

OutputFormat = Literal["text", "json", "yaml"]
ProgressMode = Literal["auto", "plain", "none"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def output_option(command: _Command) -> _Command:
    """``-o text|json|yaml``."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["text", "json", "yaml"]),
        default="text",
        show_default=True,
        envvar="SEALIFT_OUTPUT",
        help="How to print it.",
    )(command)


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


def print_document(kind: str, fields: Mapping[str, Any], output: OutputFormat) -> None:
    """Print a document as JSON or YAML, with the version and kind that every one of ours carries."""
    document = {"apiVersion": API_VERSION, "kind": kind, **fields}
    if output == "yaml":
        import yaml

        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=False)
    else:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    _write(text)


def print_bytes(data: bytes) -> None:
    """Print bytes as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headers, as kubectl does: columns by spaces, nothing cut."""
    table = [tuple(headers), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    for row in table:
        _write("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


def _write(text: str) -> None:
    """Text may hold what the terminal's encoding does not have; it is escaped rather than refused."""
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), nl=False)


def human_size(size: int) -> str:
    """A number of bytes for people: ``12.3 MB``. Powers of ten, as registries show them."""
    if size < 1000:  # noqa: PLR2004  the first unit
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 1000:  # noqa: PLR2004  the next unit
            return f"{value:.1f} {unit}"
    return f"{value:.1f} PB"


def short(descriptor: Descriptor) -> str:
    """A digest as progress shows it: enough of it to tell blobs apart."""
    return f"{descriptor.digest.algorithm}:{descriptor.digest.encoded[:12]}"


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
            click.echo(f"{short(descriptor)}  {part}", err=True)

    def end(self, descriptor: Descriptor, delivery: Delivery) -> None:
        """Say how it came to be there."""
        click.echo(f"{short(descriptor)}  {human_size(descriptor.size)}  {delivery.value}", err=True)
