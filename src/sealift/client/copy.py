"""An image and everything it refers to, from one place to another.

A `Source` gives manifests and blobs, a `Destination` takes them; a registry, an
OCI layout and an archive are each one or both. `copy_image` walks from the root
to the leaves, brings the blobs over several at a time, then writes the
manifests children first, so that nothing in the destination ever refers to
what is not there.

Nothing is held but manifests: a blob passes through as a stream, whatever its
size, and is checked against its digest on the way.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sealift.client.blob_upload import Content
from sealift.client.errors import NotFound, PlatformMissing, UnusableManifest
from sealift.client.registry_client import Delivery
from sealift.client.stream import closing
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import FOREIGN_LAYER_TYPES, MANIFEST_TYPES, Manifest
from sealift.image.platform import Platform, choose
from sealift.image.reference import Repository
from sealift.transport.redaction import printable

BLOBS_AT_ONCE = 4
"""Enough to fill a line, few enough to stay polite; a connection and a buffer each."""

MAX_MANIFESTS = 2000
"""Of one image. An index of all platforms with attestations has some dozens."""

MAX_MANIFEST_BYTES = 64 * 1024 * 1024
"""Of all manifests of one image together, which are held in memory."""

MAX_DEPTH = 8
"""Indexes in indexes. Two is rare."""


class Source(Protocol):
    """Where an image comes from."""

    @property
    def repository(self) -> Repository | None:
        """The repository, where it is one: blobs may be mounted from it."""

    async def root(self) -> Manifest:
        """The manifest or index that is meant."""

    async def manifest(self, descriptor: Descriptor) -> Manifest:
        """A manifest below the root, checked against its digest."""

    def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """A blob's bytes, checked: the iteration raises at its end if they are not what they should be."""

    async def close(self) -> None:
        """Let go of whatever is held."""


class Destination(Protocol):
    """Where an image goes."""

    async def put_blob(
        self, blob: Descriptor, content: Content, *, mount_from: Repository | None
    ) -> Delivery:
        """Have a blob, whole or not at all."""

    async def put_manifest(self, manifest: Manifest) -> None:
        """Have a manifest whose blobs and children are there already."""

    async def finish(self, root: Manifest) -> None:
        """Make the root known under its name. Only now is there an image."""

    async def close(self) -> None:
        """Let go of whatever is held. Without a `finish` before, nothing half-written is left."""


class Companions(Protocol):
    """What comes along with an image: whatever refers to it, and to which it does not refer."""

    async def bring(self, manifests: Sequence[Manifest]) -> None:
        """Bring what goes with these manifests, all of which are there, and have no name yet."""


class Progress(Protocol):
    """Who wants to know how it goes."""

    def begin(self, descriptors: Sequence[Descriptor]) -> None:
        """These blobs will be brought over, beside those of before."""

    def advance(self, descriptor: Descriptor, size: int) -> None:
        """`size` more bytes of this blob have passed."""

    def restart(self, descriptor: Descriptor) -> None:
        """This blob begins from its first byte, perhaps not for the first time."""

    def end(self, descriptor: Descriptor, delivery: Delivery) -> None:
        """This blob is there."""


class NoProgress:
    """A `Progress` that nobody looks at."""

    def begin(self, descriptors: Sequence[Descriptor]) -> None:
        """Say nothing."""

    def advance(self, descriptor: Descriptor, size: int) -> None:
        """Say nothing."""

    def restart(self, descriptor: Descriptor) -> None:
        """Say nothing."""

    def end(self, descriptor: Descriptor, delivery: Delivery) -> None:
        """Say nothing."""


@dataclass(slots=True)
class Report:
    """What a copy did."""

    root: Descriptor
    deliveries: dict[Digest, Delivery] = field(default_factory=dict)
    sizes: dict[Digest, int] = field(default_factory=dict)
    manifests: int = 0

    def count(self, delivery: Delivery) -> int:
        """How many blobs came to be there in this way."""
        return sum(1 for each in self.deliveries.values() if each is delivery)

    def bytes_of(self, delivery: Delivery) -> int:
        """How many bytes they have together."""
        return sum(self.sizes[digest] for digest, each in self.deliveries.items() if each is delivery)


async def copy_image(
    source: Source,
    destination: Destination,
    *,
    platform: Platform | None = None,
    progress: Progress | None = None,
    companions: Companions | None = None,
    blobs_at_once: int = BLOBS_AT_ONCE,
) -> Report:
    """Copy an image with all its platforms, or the one for `platform`.

    `companions` come before the image has its name: whoever finds it by that
    finds its signatures too.

    Raises:
        PlatformMissing: `platform` was asked for and is not there.
        SealiftError: whatever source and destination raise. Under the final
            name there is then what was there before.
    """
    root = await source.root()
    if platform is not None:
        root = await choose_platform(source, root, platform)
    manifests = await _collect(source, root)
    blobs = _blobs_of(manifests)
    report = Report(Descriptor(root.media_type, root.digest, len(root.body)))
    await _bring(
        source,
        destination,
        blobs,
        report=report,
        progress=progress or NoProgress(),
        blobs_at_once=blobs_at_once,
    )
    for manifest in reversed(manifests):
        if manifest.digest != root.digest:
            await destination.put_manifest(manifest)
    await destination.put_manifest(root)
    if companions is not None:
        await companions.bring(manifests)
    await destination.finish(root)
    report.manifests = len(manifests)
    return report


async def choose_platform(source: Source, manifest: Manifest, platform: Platform) -> Manifest:
    """The manifest of an index that a node of this platform would run; an image is its own answer."""
    for _ in range(MAX_DEPTH):
        if not manifest.is_index:
            return manifest
        chosen = choose(manifest.manifests, platform)
        if chosen is None:
            offered = ", ".join(
                sorted({printable(str(each.platform), 80) for each in manifest.manifests if each.platform})
            )
            raise PlatformMissing(
                f"there is no image for {platform}",
                why=f"the index has {offered or 'none that names a platform'}",
                hint="choose one of them with --platform, or build and push one for this platform",
            )
        manifest = await source.manifest(chosen)
    raise UnusableManifest("the index has no end", why=f"indexes are nested more than {MAX_DEPTH} deep")


async def _collect(source: Source, root: Manifest) -> list[Manifest]:
    """The root and every manifest below it, parents first, each once."""
    found = {root.digest: root}
    level, size = [root], len(root.body)
    for _ in range(MAX_DEPTH):
        wanted = {
            child.digest: child for parent in level for child in parent.manifests if child.digest not in found
        }
        wanted = {digest: child for digest, child in wanted.items() if child.media_type in MANIFEST_TYPES}
        if not wanted:
            return list(found.values())
        if len(found) + len(wanted) > MAX_MANIFESTS:
            raise UnusableManifest(
                "the index is too large", why=f"it has more than {MAX_MANIFESTS} manifests"
            )
        level = []
        for child in wanted.values():
            manifest = await source.manifest(child)
            size += len(manifest.body)
            if size > MAX_MANIFEST_BYTES:
                raise UnusableManifest(
                    "the index is too large", why=f"its manifests have more than {MAX_MANIFEST_BYTES} bytes"
                )
            found[child.digest] = manifest
            level.append(manifest)
    raise UnusableManifest("the index has no end", why=f"indexes are nested more than {MAX_DEPTH} deep")


def _blobs_of(manifests: Sequence[Manifest]) -> list[Descriptor]:
    """Every blob that they refer to, once, the largest first: it decides how long all takes."""
    blobs: dict[Digest, Descriptor] = {}
    for manifest in manifests:
        for descriptor in manifest.references:
            if not manifest.is_index or descriptor.media_type not in MANIFEST_TYPES:
                blobs.setdefault(descriptor.digest, descriptor)
    return sorted(blobs.values(), key=lambda blob: blob.size, reverse=True)


async def _bring(
    source: Source,
    destination: Destination,
    blobs: Sequence[Descriptor],
    *,
    report: Report,
    progress: Progress,
    blobs_at_once: int,
) -> None:
    gate = asyncio.Semaphore(blobs_at_once)
    progress.begin(blobs)

    async def bring(blob: Descriptor) -> None:
        async with gate:
            try:
                delivery = await destination.put_blob(
                    blob, _content(source, blob, progress), mount_from=source.repository
                )
            except NotFound:
                # A registry need not have a layer that must not be distributed: a node gets it elsewhere.
                if blob.media_type not in FOREIGN_LAYER_TYPES:
                    raise
                delivery = Delivery.LEFT_OUT
            report.deliveries[blob.digest] = delivery
            report.sizes[blob.digest] = blob.size
            progress.end(blob, delivery)

    try:
        async with asyncio.TaskGroup() as group:
            for blob in blobs:
                group.create_task(bring(blob))
    except BaseExceptionGroup as several:
        # The first is the cause; the others are what it did to its neighbours.
        raise several.exceptions[0] from None


def _content(source: Source, blob: Descriptor, progress: Progress) -> Callable[[], AsyncIterator[bytes]]:
    async def parts() -> AsyncIterator[bytes]:
        progress.restart(blob)
        async with closing(source.blob(blob)) as stream:
            async for part in stream:
                progress.advance(blob, len(part))
                yield part

    return parts
