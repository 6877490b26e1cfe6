"""``sealift backup`` and ``sealift restore``: a copy of a registry, and the registry of a copy."""

from dataclasses import asdict
from pathlib import Path

import click

from sealift.cli.output import OutputFormat, human_size, output_option, print_document
from sealift.cli.storage import existing_data, named_data


@click.command()
@click.argument("dest")
@click.option("--data", metavar="DIR", help="The data directory.  [~/.local/share/sealift]")
@click.option("--deep", is_flag=True, help="Read also the blobs that DEST has already.")
@output_option
def backup(dest: str, *, data: str | None, deep: bool, output: OutputFormat) -> int:
    """Copy a registry to a directory or a FILE.tar, also while it serves.

    A directory that holds a backup gets what is new. The status is 1 where a blob
    is damaged: the rest is copied, and `sealift storage check` says what to do.
    """
    from sealift.registry.backup import back_up

    directory = existing_data(data)
    report = back_up(directory, Path(dest), deep=deep)
    if output != "text":
        fields = {name: value for name, value in asdict(report).items() if "_" not in name}
        fields["copied"] = {"blobs": report.copied_blobs, "bytes": report.copied_bytes}
        print_document("Backup", {"data": str(directory.path), "destination": dest, **fields}, output)
        return 1 if report.damaged else 0
    click.echo(
        f"{dest}: {report.blobs} blobs ({human_size(report.bytes)}), "
        f"{report.copied_blobs} of them copied now ({human_size(report.copied_bytes)})"
    )
    for digest in report.damaged:
        click.echo(f"damaged, and not in the backup: {digest}")
    if report.damaged:
        click.echo(f"  next: sealift storage check --data {directory.path}")
    return 1 if report.damaged else 0


@click.command()
@click.argument("src")
@click.option("--data", metavar="DIR", help="The data directory to be made.  [~/.local/share/sealift]")
@output_option
def restore(src: str, *, data: str | None, output: OutputFormat) -> int:
    """Make a data directory of a backup. It overwrites nothing.

    The status is 1 where the backup lacks a blob: the rest is brought back.
    """
    from sealift.registry.restore import restore as bring_back

    directory = named_data(data)
    report = bring_back(Path(src), directory)
    if output != "text":
        print_document("Restore", {"data": str(directory.path), "source": src, **asdict(report)}, output)
        return 1 if report.missing else 0
    click.echo(
        f"{directory.path}: {report.blobs} blobs ({human_size(report.bytes)}), each held against its digest"
    )
    for digest in report.missing:
        click.echo(f"missing or damaged in the backup: {digest}")
    for image in report.images:
        click.echo(f"  next: sealift push SOURCE REGISTRY/{image}")
    return 1 if report.missing else 0
