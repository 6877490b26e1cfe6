"""One repository, from what a registry holds into another registry.

First every manifest that can be found, each after what it refers to; then the
tags, of which one that stands for something else in the target is left alone.
What cannot be brought over is noted with its place, and the rest goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from sealift.client.blob_mover import BlobMover, SourceFailed
from sealift.client.copy import MAX_DEPTH, Progress
from sealift.client.errors import (
    Denied,
    RateLimited,
    RegistryFull,
    Unauthenticated,
    UnusableManifest,
)
from sealift.client.holdings import Gap, Holdings
from sealift.client.registry_client import Delivery, RegistryClient
from sealift.client.takeover_report import Failure, Kind, RepositoryReport
from sealift.errors import SealiftError
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import MANIFEST_TYPES, Manifest
from sealift.image.reference import ImageReference, Repository
from sealift.transport.http import ConnectionBroken, Unreachable

_Item = TypeVar("_Item")

MAX_HELD_BYTES = 16 * 1024 * 1024
"""Of manifests that are kept from their push until their tags are set. Beyond it they are read again."""

_FULL = 507


class Hopeless(Exception):
    """Going on is of no use, for this repository or for all of them.

    Attributes:
        error: The cause.
        everywhere: Whether it holds for every other repository too.
    """

    def __init__(self, error: SealiftError, *, everywhere: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.everywhere = everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How a takeover is to be done."""

    dry_run: bool = False
    overwrite_tags: bool = False
    at_once: int = 4
    """Blobs at a time, requests about manifests at a time, and repositories at a time."""


@dataclass(slots=True)
class RepositoryTakeover:
    """Takes one repository over. Use it once."""

    source: Holdings
    name: str
    """In the source."""

    client: RegistryClient
    target: Repository
    mover: BlobMover
    progress: Progress
    wishes: Wishes
    gate: asyncio.Semaphore
    """Passed by each request about a manifest or a tag, of all repositories together."""

    report: RepositoryReport = field(init=False)
    _manifests: dict[Digest, asyncio.Future[bool]] = field(default_factory=dict)
    _blobs: dict[Digest, asyncio.Future[bool]] = field(default_factory=dict)
    _referrers: list[Digest] = field(default_factory=list)
    _tagged: set[Digest] = field(default_factory=set)
    _held: dict[Digest, Manifest] = field(default_factory=dict)
    _held_bytes: int = 0

    def __post_init__(self) -> None:
        self.report = RepositoryReport(self.name, self.target.path)

    async def run(self) -> None:
        """Take it over; `report` says in the end, and at any time before, what was done.

        Raises:
            Hopeless: the target cannot be reached, is full, or does not let us.
        """
        tags = await self._read_tags()
        self._tagged = set(tags.values())
        revisions: list[Digest] = []
        try:
            async for found in self.source.revisions(self.name):
                if isinstance(found, Gap):
                    self._fail(Kind.MANIFEST, found.place, found.error)
                else:
                    revisions.append(found)
        except SealiftError as error:
            self._fail(Kind.REPOSITORY, "", error)
        level = list(dict.fromkeys((*tags.values(), *revisions)))
        while level:
            await each_of(level, self._root, self.wishes.at_once)
            level, self._referrers = (
                [digest for digest in dict.fromkeys(self._referrers) if digest not in self._manifests],
                [],
            )
        await each_of(tags.items(), self._tag, self.wishes.at_once)

    # ------------------------------------------------------------------ what there is

    async def _read_tags(self) -> dict[str, Digest]:
        """What every tag of the source stands for now. It may move while we work; we stay with this."""
        names: list[str] = []
        try:
            async for tag in self.source.tags(self.name):
                if isinstance(tag, Gap):
                    self._fail(Kind.TAG, tag.place, tag.error)
                else:
                    names.append(tag)
        except SealiftError as error:
            self._fail(Kind.REPOSITORY, "", error)
        found: dict[str, Digest] = {}

        async def read(tag: str) -> None:
            try:
                async with self.gate:
                    found[tag] = await self.source.digest_of(self.name, tag)
            except SealiftError as error:
                self._fail(Kind.TAG, tag, error)

        await each_of(names, read, self.wishes.at_once)
        return {tag: found[tag] for tag in names if tag in found}

    # ------------------------------------------------------------------ manifests

    async def _root(self, digest: Digest) -> None:
        await self._have(digest, MAX_DEPTH)

    async def _have(self, digest: Digest, depth: int) -> bool:
        """Have a manifest in the target, with all that it refers to. Each is brought once."""
        return await _once(self._manifests, digest, lambda: self._bring(digest, depth))

    async def _bring(self, digest: Digest, depth: int) -> bool:
        counts = self.report.manifests
        there = await self._is_there(digest)
        try:
            async with self.gate:
                manifest = await self.source.manifest(self.name, digest)
        except SealiftError as error:
            if there:  # what the source has lost since is nothing that the target lacks
                counts.there += 1
                return True
            self._fail(Kind.MANIFEST, str(digest), error)
            return False
        await self._note_referrers(digest)
        children = [each for each in manifest.manifests if each.media_type in MANIFEST_TYPES]
        if children and not depth:
            deep = UnusableManifest(
                f"{self.name}@{digest} has no end", why=f"indexes are nested more than {MAX_DEPTH} deep"
            )
            self._fail(Kind.MANIFEST, str(digest), deep)
            return False
        blobs = [
            each
            for each in manifest.references
            if not (manifest.is_index and each.media_type in MANIFEST_TYPES)
        ]
        lacking = await self._bring_parts(children, blobs, depth, there=there)
        self._hold(digest, manifest)
        if there:
            counts.there += 1
            return True
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            self._fail_because(
                Kind.MANIFEST,
                str(digest),
                f"{self.name}@{digest} is not whole",
                f"it needs {lacking[0]}{more}, which could not be brought over",
            )
            return False
        if not self.wishes.dry_run:
            try:
                async with self.gate:
                    await self.client.push_manifest(self._reference(digest=digest), manifest)
            except SealiftError as error:
                self._refused(Kind.MANIFEST, str(digest), error)
                return False
        counts.copied += 1
        counts.size += len(manifest.body)
        return True

    async def _is_there(self, digest: Digest) -> bool:
        try:
            async with self.gate:
                found = await self.client.find_digest(
                    self._reference(digest=digest), pushing=not self.wishes.dry_run
                )
        except SealiftError as error:
            _raise_if_hopeless(error)
            return False  # a registry that cannot say so may take it all the same
        return found is not None

    async def _bring_parts(
        self, children: list[Descriptor], blobs: list[Descriptor], depth: int, *, there: bool
    ) -> list[Digest]:
        """Have what a manifest refers to; those that could not be had are returned.

        A registry has no manifest without its blobs: where it has the manifest, it is not asked for them.
        """
        lacking: list[Digest] = []

        async def child(part: Descriptor) -> None:
            if not await self._have(part.digest, depth - 1):
                lacking.append(part.digest)

        async def blob(part: Descriptor) -> None:
            if not await _once(self._blobs, part.digest, lambda: self._bring_blob(part, there=there)):
                lacking.append(part.digest)

        wanted = list({each.digest: each for each in blobs if each.digest not in self._blobs}.values())
        if wanted and not there:
            self.progress.begin(wanted)
        await each_of(children, child, self.wishes.at_once)
        await each_of(blobs, blob, self.wishes.at_once)
        return lacking

    async def _bring_blob(self, blob: Descriptor, *, there: bool) -> bool:
        counts = self.report.blobs
        if there:
            self.mover.note(self.target, blob)
            counts.there += 1
            return True
        try:
            delivery = await self.mover.bring(self.name, self.target, blob)
        except SourceFailed as failed:
            self._fail(Kind.BLOB, str(blob.digest), failed.error)
            return False
        except SealiftError as error:
            self._refused(Kind.BLOB, str(blob.digest), error)
            return False
        match delivery:
            case Delivery.SENT:
                counts.copied += 1
                counts.size += blob.size
            case Delivery.MOUNTED:
                counts.mounted += 1
            case Delivery.EXISTED:
                counts.there += 1
            case Delivery.LEFT_OUT:
                counts.left_out += 1
        return True

    async def _note_referrers(self, digest: Digest) -> None:
        try:
            async with self.gate:
                async for found in self.source.referrers(self.name, digest):
                    self._referrers.append(found)
        except SealiftError as error:
            self._fail(Kind.MANIFEST, str(digest), error)

    # ------------------------------------------------------------------ tags

    async def _tag(self, item: tuple[str, Digest]) -> None:
        tag, digest = item
        if not await self._have(digest, MAX_DEPTH):
            why = f"{digest}, which it stands for, could not be brought over"
            self._fail_because(Kind.TAG, tag, f"the tag {self.name}:{tag} is not set", why)
            return
        try:
            async with self.gate:
                await self._set(tag, digest)
        except SourceFailed as failed:
            self._fail(Kind.TAG, tag, failed.error)
        except SealiftError as error:
            self._refused(Kind.TAG, tag, error)

    async def _set(self, tag: str, digest: Digest) -> None:
        counts = self.report.tags
        reference = self._reference(tag=tag)
        found = await self.client.find_digest(reference, pushing=not self.wishes.dry_run)
        if found is not None and (found == digest or found == await self._as(digest, found.algorithm)):
            counts.there += 1
            return
        if found is not None and not self.wishes.overwrite_tags:
            self._fail_because(
                Kind.CONFLICT,
                tag,
                f"the tag {self.target}:{tag} is left alone",
                f"it stands for {found} there, and for {digest} in the source",
                "see which is right; --overwrite-tags takes the source's",
            )
            return
        if not self.wishes.dry_run:
            manifest = await self._again(digest)
            await self.client.push_manifest(self._reference(tag=tag, digest=digest), manifest)
        counts.copied += 1

    async def _as(self, digest: Digest, algorithm: str) -> Digest | None:
        """The same manifest by another algorithm's digest; None where that cannot be said."""
        if algorithm == digest.algorithm:
            return digest
        return Digest.of((await self._again(digest)).body, algorithm)

    async def _again(self, digest: Digest) -> Manifest:
        """A manifest that was read before."""
        held = self._held.get(digest)
        if held is not None:
            return held
        try:
            return await self.source.manifest(self.name, digest)
        except SealiftError as error:
            raise SourceFailed(error) from error

    def _hold(self, digest: Digest, manifest: Manifest) -> None:
        if digest in self._tagged and self._held_bytes + len(manifest.body) <= MAX_HELD_BYTES:
            self._held[digest] = manifest
            self._held_bytes += len(manifest.body)

    # ------------------------------------------------------------------ failures

    def _reference(self, *, tag: str | None = None, digest: Digest | None = None) -> ImageReference:
        return ImageReference(repository=self.target, tag=tag, digest=digest)

    def _refused(self, kind: Kind, place: str, error: SealiftError) -> None:
        """Note what the target refused, or give up where it will refuse all the rest as well."""
        _raise_if_hopeless(error)
        self._fail(kind, place, error)

    def _fail(self, kind: Kind, place: str, error: SealiftError) -> None:
        """Note what cannot be had, or give up where nothing more can be had from there."""
        _raise_if_out_of_reach(error)
        self._note(Failure.of(kind, self.name, place, error))

    def _fail_because(self, kind: Kind, place: str, what: str, why: str, hint: str | None = None) -> None:
        self._note(Failure(kind=kind, repository=self.name, place=place, what=what, why=why, hint=hint))

    def _note(self, failure: Failure) -> None:
        self.report.failures.append(failure)
        match failure.kind:
            case Kind.TAG | Kind.CONFLICT:
                self.report.tags.failed += 1
            case Kind.MANIFEST:
                self.report.manifests.failed += 1
            case Kind.BLOB:
                self.report.blobs.failed += 1
            case Kind.REPOSITORY:
                pass


def _raise_if_hopeless(error: SealiftError) -> None:
    """Give up where what the target answered will be its answer to all the rest as well."""
    if isinstance(error, Denied):
        raise Hopeless(error, everywhere=False) from error
    if isinstance(error, Unauthenticated) or (isinstance(error, RegistryFull) and error.http_status == _FULL):
        raise Hopeless(error, everywhere=True) from error
    _raise_if_out_of_reach(error)


def _raise_if_out_of_reach(error: SealiftError) -> None:
    """Give up where a registry does not answer, or asks us to come back later, after every retry."""
    if isinstance(error, RateLimited):
        raise Hopeless(error, everywhere=True) from error
    if isinstance(error, Unreachable) and not isinstance(error, ConnectionBroken):
        raise Hopeless(error, everywhere=True) from error


async def _once(
    known: dict[Digest, asyncio.Future[bool]], digest: Digest, work: Callable[[], Awaitable[bool]]
) -> bool:
    """Do something for a digest, or wait for whoever does it."""
    future = known.get(digest)
    if future is not None:
        return await future
    future = known[digest] = asyncio.get_running_loop().create_future()
    try:
        done = await work()
    except BaseException:
        future.cancel()  # whoever waits is being stopped, too
        raise
    if not future.done():  # a waiter that was stopped takes it along
        future.set_result(done)
    return done


async def each_of(items: Iterable[_Item], work: Callable[[_Item], Awaitable[None]], at_once: int) -> None:
    """Do something for each item, some at a time. The first that raises ends it for all.

    Raises:
        BaseException: what the first raised, as it is.
    """
    iterator = iter(items)

    async def worker() -> None:
        for item in iterator:
            await work(item)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(worker())
    except BaseExceptionGroup as several:
        # The first is the cause; the others are what it did to its neighbours.
        raise several.exceptions[0] from None
