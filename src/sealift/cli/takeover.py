"""``sealift import``: all that another registry holds, or its file tree, into a Sealift server."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sealift.cli.connection import Connection, connection_options, open_client, run
from sealift.cli.last_server import server_from
from sealift.cli.login import registry_of
from sealift.cli.output import OutputFormat, human_size, output_option, print_document, print_table
from sealift.cli.progress import PlainProgress, ProgressMode, progress_option
from sealift.cli.progress import progress as shown
from sealift.client.distribution_tree import DistributionTree
from sealift.client.errors import LocalNotFound
from sealift.client.holdings import Holdings
from sealift.client.registry_holdings import RegistryHoldings
from sealift.client.repository_takeover import Wishes
from sealift.client.takeover import take_over
from sealift.client.takeover_report import Failure, Kind, RepositoryReport, TakeoverReport, Tally
from sealift.image.reference import Repository
from sealift.registry.access.permissions import Pattern
from sealift.transport.redaction import printable

MOST_AT_ONCE = 32

FOUND_SOMETHING = 1
"""The exit status where something could not be brought over."""

_COLUMNS = ("REPOSITORY", "TAGS", "MANIFESTS", "BLOBS", "BYTES")


@click.command("import")
@click.argument("source")
@click.option(
    "--to",
    "target",
    metavar="SERVER",
    help="Where to.  [SEALIFT_SERVER, else the Sealift server last logged in to, else 127.0.0.1:5000]",
)
@click.option(
    "--repo",
    "patterns",
    metavar="PATTERN",
    multiple=True,
    help="Only these repositories: apps/web, apps/* or apps/**. May be repeated.",
)
@click.option("--prefix", metavar="NEW/", default="", help="Put this before every name in the target.")
@click.option("--dry-run", is_flag=True, help="Look at both sides, and say what would be done.")
@click.option(
    "--overwrite-tags",
    is_flag=True,
    help="Set tags that stand for something else in the target. Without it they are left alone.",
)
@click.option(
    "--at-once",
    type=click.IntRange(1, MOST_AT_ONCE),
    default=4,
    show_default=True,
    help="Blobs, and requests beside them, at a time.",
)
@click.option(
    "--source-plain-http",
    is_flag=True,
    help="Allow plain HTTP to the source alone, where it does not speak TLS.",
)
@progress_option
@output_option
@connection_options
def import_(
    source: str,
    *,
    target: str | None,
    patterns: tuple[str, ...],
    prefix: str,
    dry_run: bool,
    overwrite_tags: bool,
    at_once: int,
    source_plain_http: bool,
    progress: ProgressMode,
    output: OutputFormat,
    connection: Connection,
) -> int:
    """Take over all that another registry holds.

    SOURCE is a directory, the file tree of a CNCF Distribution registry
    (docker/registry/v2, from any of its levels), or a registry HOST[:PORT].
    Every tag comes along, every manifest, and what refers to it. What is in the
    target already is not sent again: stopped in the middle, run it again.

    It ends with 1 where something could not be brought over, and names it.
    """
    wishes = Wishes(dry_run=dry_run, overwrite_tags=overwrite_tags, at_once=at_once)
    wanted = [Pattern.parse(text) for text in patterns]
    server = registry_of(server_from(os.environ, target))
    prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
    if prefix:
        Repository(server, f"{prefix}x")  # a prefix that is none is refused before anything is done
    report = run(
        _import(
            _source_of(source, server, prefix),
            server,
            wanted=wanted,
            prefix=prefix,
            wishes=wishes,
            mode=progress,
            connection=connection,
            source_plain_http=source_plain_http,
        )
    )
    _complain_of_nothing(report, wanted)
    if output == "text":
        _print_report(report, server, dry_run=dry_run)
    else:
        print_document(
            "ImportReport", _report_fields(report, source, server, prefix, dry_run=dry_run), output
        )
    if report.stopped is not None:
        report.stopped.hint = report.stopped.hint or "run it again: it goes on where it was stopped"
        raise report.stopped
    return FOUND_SOMETHING if any(report.all_failures()) else 0


async def _import(
    source: DistributionTree | str,
    server: str,
    *,
    wanted: Sequence[Pattern],
    prefix: str,
    wishes: Wishes,
    mode: ProgressMode,
    connection: Connection,
    source_plain_http: bool,
) -> TakeoverReport:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(open_client(connection))
        holdings: Holdings
        if isinstance(source, str):
            theirs = replace(connection, plain_http=connection.plain_http or source_plain_http)
            reader = await stack.enter_async_context(open_client(theirs))
            exact = all("*" not in str(pattern) for pattern in wanted)
            holdings = RegistryHoldings(reader, source, [str(pattern) for pattern in wanted] if exact else ())
        else:
            holdings = source
        watched = stack.enter_context(shown("none" if wishes.dry_run else mode))
        return await take_over(
            holdings,
            client,
            server,
            wanted=_wanted(wanted),
            prefix=prefix,
            wishes=wishes,
            progress=watched,
            told=_tell if isinstance(watched, PlainProgress) else lambda _: None,
        )


def _source_of(source: str, server: str, prefix: str) -> DistributionTree | str:
    """The source: a directory, or else a registry."""
    if Path(source).is_dir():
        return DistributionTree(Path(source))
    if "/" in source.removeprefix("https://").removeprefix("http://").rstrip("/"):
        text = printable(source)
        raise LocalNotFound(f"there is no directory {text}", hint=f"ls -ld {text}")
    registry = registry_of(source)
    if registry == server and not prefix:
        raise click.UsageError(f"{registry} is the source and the target; name another one with --to")
    return registry


def _wanted(patterns: Sequence[Pattern]) -> Callable[[str], bool]:
    return lambda name: not patterns or any(pattern.matches(name) for pattern in patterns)


def _complain_of_nothing(report: TakeoverReport, patterns: Sequence[Pattern]) -> None:
    """A pattern that no repository of the source has is a mistake, and no success."""
    if report.stopped is not None:
        return
    for pattern in patterns:
        if not any(pattern.matches(each.name) for each in report.repositories):
            what = f"no repository of the source is {pattern}"
            report.failures.append(Failure(kind=Kind.REPOSITORY, repository=str(pattern), what=what))


def _tell(report: RepositoryReport) -> None:
    tags, manifests = _words(report.tags), _words(report.manifests)
    click.echo(f"{printable(report.name)}: tags {tags}; manifests {manifests}", err=True)


def _words(tally: Tally) -> str:
    """A tally as words: ``3 copied, 1 there``."""
    parts = (
        (tally.copied, "copied"),
        (tally.mounted, "mounted"),
        (tally.there, "there"),
        (tally.left_out, "left out"),
        (tally.failed, "failed"),
    )
    return ", ".join(f"{number} {word}" for number, word in parts if number) or "none"


def _print_report(report: TakeoverReport, server: str, *, dry_run: bool) -> None:
    rows = [_row(each.target, each) for each in report.repositories]
    print_table(_COLUMNS, [*rows, _row("all", report.sum())])
    failures = list(report.all_failures())
    if failures:
        click.echo(f"\nnot brought over: {len(failures)}")
    for failure in failures:
        click.echo(f"{failure.kind.value} {failure.name}")
        for label, text in (("what", failure.what), ("why", failure.why), ("next", failure.hint)):
            if text:
                click.echo(f"  {label}: {printable(text, 1000)}")
    number = len(report.repositories)
    done = f"{number} repositor{'y' if number == 1 else 'ies'}"
    click.echo(
        f"\n{done} would be brought to {server}; nothing was written"
        if dry_run
        else f"\n{done} brought to {server}"
        if not failures and report.stopped is None
        else f"\n{done} brought to {server}, not all of them whole"
    )


def _row(name: str, report: RepositoryReport) -> tuple[str, ...]:
    size = report.blobs.size + report.manifests.size
    return (name, _words(report.tags), _words(report.manifests), _words(report.blobs), human_size(size))


def _report_fields(
    report: TakeoverReport, source: str, server: str, prefix: str, *, dry_run: bool
) -> Mapping[str, Any]:
    return {
        "source": printable(source),
        "target": server,
        "prefix": prefix,
        "dryRun": dry_run,
        "complete": report.stopped is None and not any(report.all_failures()),
        "stopped": None if report.stopped is None else str(report.stopped),
        "total": _tallies(report.sum()),
        "repositories": [
            {"source": each.name, "target": each.target, **_tallies(each)} for each in report.repositories
        ],
        "failures": [
            {
                "kind": each.kind.value,
                "repository": each.repository,
                "place": each.place or None,
                "what": each.what,
                "why": each.why,
                "next": each.hint,
            }
            for each in report.all_failures()
        ],
    }


def _tallies(report: RepositoryReport) -> dict[str, dict[str, int]]:
    tags, manifests, blobs = report.tags, report.manifests, report.blobs
    return {
        "tags": {"copied": tags.copied, "there": tags.there, "failed": tags.failed},
        "manifests": {
            "copied": manifests.copied,
            "there": manifests.there,
            "failed": manifests.failed,
            "bytesCopied": manifests.size,
        },
        "blobs": {
            "copied": blobs.copied,
            "mounted": blobs.mounted,
            "there": blobs.there,
            "leftOut": blobs.left_out,
            "failed": blobs.failed,
            "bytesCopied": blobs.size,
        },
    }
