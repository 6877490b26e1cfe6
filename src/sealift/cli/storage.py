"""``sealift storage``: whether what a registry keeps is still what it was given."""

import os
from dataclasses import asdict
from pathlib import Path

import click

from sealift.cli.output import OutputFormat, human_size, output_option, print_document
from sealift.registry.data_directory import DataDirectory, DataDirectoryRefused


@click.group()
def storage() -> None:
    """See that what the registry keeps is whole."""


@storage.command()
@click.option("--data", metavar="DIR", help="The data directory.  [~/.local/share/sealift]")
@click.option("--deep", is_flag=True, help="Read every blob, and hold it against its digest.")
@output_option
def check(*, data: str | None, deep: bool, output: OutputFormat) -> int:
    """Hold a data directory against itself, also while it is served.

    It says which images are concerned and what mends them. The status is 1 where
    something is wrong.
    """
    from sealift.registry.storage_check import check_storage

    directory = existing_data(data)
    report = check_storage(directory, deep=deep)
    if output != "text":
        print_document(
            "StorageCheck",
            {
                "data": str(directory.path),
                "deep": report.deep,
                "blobs": report.blobs,
                "bytes": report.bytes,
                "manifests": report.manifests,
                "tags": report.tags,
                "garbage": {"files": report.garbage_files, "bytes": report.garbage_bytes},
                "faults": [
                    {
                        name: list(value) if isinstance(value, tuple) else value
                        for name, value in asdict(each).items()
                    }
                    for each in report.faults
                ],
            },
            output,
        )
        return 1 if report.faults else 0
    for fault in report.faults:
        click.echo(fault.message)
        if fault.images:
            click.echo(f"  images: {', '.join(fault.images)}")
        click.echo(f"  next: {fault.mend}")
    how = "read" if deep else "there"
    click.echo(
        f"{report.blobs} blobs {how} ({human_size(report.bytes)}), {report.manifests} manifests, "
        f"{report.tags} tags: {_count(len(report.faults))}"
    )
    if report.garbage_files:
        click.echo(
            f"{report.garbage_files} files ({human_size(report.garbage_bytes)}) belong to nothing; "
            "they do no harm"
        )
    return 1 if report.faults else 0


def existing_data(given: str | None) -> DataDirectory:
    """The data directory that a command is to work on, which is there.

    Raises:
        DataDirectoryRefused: It is no registry's.
    """
    directory = named_data(given)
    if not os.path.exists(directory.catalog):  # noqa: PTH110  Path.exists raises where there is no right to look
        raise DataDirectoryRefused(
            f"{directory.path} is no data directory of a registry",
            why=f"there is no {directory.catalog.name} in it, or no right to look",
            hint="give the directory that sealift serve names when it starts: --data DIR",
        )
    return directory


def named_data(given: str | None) -> DataDirectory:
    """The data directory that the flag, the environment or the configuration file names, or the default."""
    from sealift.cli.server_settings import resolve

    file = os.environ.get("SEALIFT_CONFIG")
    won = resolve({"data": given}, os.environ, Path(file) if file else None)
    return DataDirectory(won["data"].value)


def _count(faults: int) -> str:
    if not faults:
        return "nothing wrong"
    return "1 thing wrong" if faults == 1 else f"{faults} things wrong"
