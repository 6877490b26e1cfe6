"""A takeover: all that a registry holds, into another registry.

It may be stopped at any time and run again: what is in the target is found
there and not sent again. Nothing in the target ever refers to what is not
there, whenever it was stopped.
"""

import asyncio
from collections.abc import Callable

from sealift.client.blob_mover import BlobMover
from sealift.client.copy import NoProgress, Progress
from sealift.client.holdings import Gap, Holdings
from sealift.client.registry_client import RegistryClient
from sealift.client.repository_takeover import Hopeless, RepositoryTakeover, Wishes, each_of
from sealift.client.takeover_report import Failure, Kind, RepositoryReport, TakeoverReport
from sealift.image.reference import MalformedReference, Repository

CAUSES_FIRST = (Kind.REPOSITORY, Kind.BLOB, Kind.MANIFEST, Kind.TAG, Kind.CONFLICT)
"""The order in which failures are told: a blob's is why its manifest's is there."""


async def take_over(
    source: Holdings,
    client: RegistryClient,
    registry: str,
    *,
    wanted: Callable[[str], bool] = lambda _: True,
    prefix: str = "",
    wishes: Wishes | None = None,
    progress: Progress | None = None,
    told: Callable[[RepositoryReport], None] = lambda _: None,
) -> TakeoverReport:
    """Take all repositories that `wanted` takes over into `registry`, each under `prefix` and its name.

    Args:
        source: Where they are.
        client: Speaks to the target.
        registry: The target, as it stands in references.
        wanted: Says by a repository's name in the source whether it comes along.
        prefix: Stands before every name in the target.
        wishes: How it is to be done.
        progress: Hears of every blob.
        told: Hears of every repository that is done.

    Returns:
        What was done. Its `stopped` says what ended it early, if something did.

    Raises:
        SealiftError: the list of repositories cannot be read, and nothing was done.
    """
    chosen, watched = wishes or Wishes(), progress or NoProgress()
    report = TakeoverReport()
    names: list[str] = []
    async for found in source.repositories(wanted):
        if isinstance(found, Gap):
            report.failures.append(Failure.of(Kind.REPOSITORY, found.place, "", found.error))
        else:
            names.append(found)
    mover = BlobMover(source, client, progress=watched, at_once=chosen.at_once, dry_run=chosen.dry_run)
    gate = asyncio.Semaphore(chosen.at_once)

    async def repository(name: str) -> None:
        try:
            target = Repository(registry, f"{prefix}{name}")
        except MalformedReference as refusal:
            report.failures.append(Failure.of(Kind.REPOSITORY, name, "", refusal))
            return
        taken = RepositoryTakeover(source, name, client, target, mover, watched, chosen, gate)
        report.repositories.append(taken.report)
        try:
            await taken.run()
        except Hopeless as hopeless:
            taken.report.failures.append(Failure.of(Kind.REPOSITORY, name, "", hopeless.error))
            if hopeless.everywhere:
                raise
        told(taken.report)

    try:
        await each_of(names, repository, chosen.at_once)
    except Hopeless as hopeless:
        report.stopped = hopeless.error
    report.repositories.sort(key=lambda each: each.name)
    for each in report.repositories:
        each.failures.sort(key=lambda failure: (CAUSES_FIRST.index(failure.kind), failure.place))
    return report
