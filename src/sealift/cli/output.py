"""What commands print: documents for programs, tables for people.

Data goes to standard output, everything else to standard error.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import click

from sealift.image.descriptor import Descriptor
from sealift.transport.redaction import printable

API_VERSION = "sealift.dev/v1alpha1"

OutputFormat = Literal["text", "json", "yaml"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


class OneOf(click.Choice[str]):
    """A choice that may be written ``-o=json``, as every user of kubectl does; click keeps that ``=``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take the value with or without its ``=``."""
        return super().convert(value.removeprefix("=") if isinstance(value, str) else value, param, ctx)


def output_option(command: _Command) -> _Command:
    """``-o text|json|yaml``."""
    return click.option(
        "-o",
        "--output",
        type=OneOf(["text", "json", "yaml"]),
        default="text",
        show_default=True,
        envvar="SEALIFT_OUTPUT",
        help="How to print it.",
    )(command)


MAX_CELL = 10_000
"""Characters of one cell of a table."""

_STEERING = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

THOUSAND = 1000
UNITS = ("kB", "MB", "GB", "TB", "PB")


def print_document(kind: str, fields: Mapping[str, Any], output: OutputFormat) -> None:
    """Print a document as JSON or YAML, with the version and kind that every one of ours carries."""
    document = {"apiVersion": API_VERSION, "kind": kind, **fields}
    # What other people wrote into an image may steer a terminal; escaped it is the same text to a program.
    if output == "yaml":
        import yaml

        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=False)
        if _STEERING.search(text):
            text = yaml.safe_dump(document, sort_keys=False, allow_unicode=False, default_flow_style=False)
    else:
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        text = _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    _write(text)


def print_bytes(data: bytes) -> None:
    """Print bytes as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their headers, as kubectl does: columns by spaces, nothing cut."""
    table = [tuple(headers), *(tuple(printable(cell, MAX_CELL) for cell in row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    for row in table:
        _write("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")


def _write(text: str) -> None:
    """Text may hold what the terminal's encoding does not have; it is escaped rather than refused."""
    encoding = sys.stdout.encoding or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), nl=False)


def human_size(size: int) -> str:
    """A number of bytes for people: ``12.3 MB``. Powers of ten, as registries show them."""
    if size < THOUSAND:
        return f"{size} B"
    value, units = size / THOUSAND, iter(UNITS)
    unit = next(units)
    while round(value, 1) >= THOUSAND and unit != UNITS[-1]:
        value, unit = value / THOUSAND, next(units)
    return f"{value:.1f} {unit}"


def short_digest(descriptor: Descriptor) -> str:
    """A digest as progress shows it: enough of it to tell blobs apart."""
    return f"{descriptor.digest.algorithm}:{descriptor.digest.encoded[:12]}"


def blob_line(descriptor: Descriptor, outcome: str) -> str:
    """A blob, and how it came to be where it was wanted."""
    return f"{short_digest(descriptor)}  {human_size(descriptor.size)}  {outcome}"
