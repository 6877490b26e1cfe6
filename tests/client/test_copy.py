"""The walk of a copy: what is brought, in which order, and what is left when it stops."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest
from tests.client.images import (
    MemorySource,
    Sample,
    index_of,
    sample_image,
    sample_index,
)
from tests.client.world import blob_of, gathered

from sealift.client.copy import copy_image
from sealift.client.errors import ContentMismatch, NotFound, PlatformMissing, UnusableManifest
from sealift.client.registry_client import Delivery
from sealift.errors import SealiftError
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import FOREIGN_LAYER_TYPES, Manifest
from sealift.image.platform import Platform
from sealift.image.reference import Repository


@dataclass(slots=True)
class MemoryDestination:
    """A `Destination` that keeps everything, and notes in which order it came."""

    has: set[Digest] = field(default_factory=set)
    events: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    finished: Manifest | None = None

    async def put_blob(
        self,
        blob: Descriptor,
        content: Callable[[], AsyncIterator[bytes]],
        *,
        mount_from: Repository | None,  # noqa: ARG002  the protocol's
    ) -> Delivery:
        if blob.digest in self.has:
            return Delivery.EXISTED
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)
            assert Digest.of(await gathered(content())) == blob.digest
        finally:
            self.at_once -= 1
        self.has.add(blob.digest)
        self.events.append("blob")
        return Delivery.SENT

    async def put_manifest(self, manifest: Manifest) -> None:
        assert {each.digest for each in manifest.references} <= self.has, "it refers to what is not there"
        self.has.add(manifest.digest)
        self.events.append("index" if manifest.is_index else "manifest")

    async def finish(self, root: Manifest) -> None:
        assert root.digest in self.has
        self.finished = root

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class Watched:
    """A `Progress` that counts."""

    announced: int = 0
    passed: int = 0
    ended: list[Delivery] = field(default_factory=list)

    def begin(self, descriptors: Sequence[Descriptor]) -> None:
        self.announced = sum(each.size for each in descriptors)

    def restart(self, descriptor: Descriptor) -> None:
        pass

    def advance(self, descriptor: Descriptor, size: int) -> None:  # noqa: ARG002  the protocol's
        self.passed += size

    def end(self, descriptor: Descriptor, delivery: Delivery) -> None:  # noqa: ARG002  the protocol's
        self.ended.append(delivery)


async def test_an_index_is_copied_with_all_its_platforms_children_before_parents() -> None:
    sample, destination, watched = sample_index(), MemoryDestination(), Watched()
    report = await copy_image(MemorySource(sample), destination, progress=watched)
    assert destination.finished == sample.root
    assert destination.events == ["blob"] * 4 + ["manifest"] * 2 + ["index"]
    assert (report.root.digest, report.manifests) == (sample.root.digest, 3)
    size = sum(len(data) for data in sample.blobs.values())
    assert (report.count(Delivery.SENT), report.bytes_of(Delivery.SENT)) == (4, size)
    assert (watched.announced, watched.passed, watched.ended) == (size, size, [Delivery.SENT] * 4)


async def test_what_is_there_already_is_not_read() -> None:
    sample = sample_image()
    source, destination = MemorySource(sample), MemoryDestination(has=set(sample.blobs))
    report = await copy_image(source, destination)
    assert (source.opened, report.count(Delivery.EXISTED)) == ([], 2)


async def test_one_platform_of_an_index_is_that_image() -> None:
    sample, destination = sample_index(), MemoryDestination()
    await copy_image(MemorySource(sample), destination, platform=Platform("linux", "arm64"))
    assert destination.finished == sample.manifests[1]
    assert destination.events == ["blob", "blob", "manifest"]


async def test_a_platform_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(PlatformMissing) as raised:
        await copy_image(
            MemorySource(sample_index()), MemoryDestination(), platform=Platform("linux", "s390x")
        )
    assert str(raised.value) == "there is no image for linux/s390x"
    assert raised.value.why == "the index has linux/amd64, linux/arm64"
    assert raised.value.exit_status == 3


async def test_a_blob_of_two_images_is_brought_once() -> None:
    image = sample_image()
    root = index_of([(image.root, Platform("linux", "amd64")), (image.root, Platform("linux", "386"))])
    source = MemorySource(Sample(root, (image.root,), image.blobs))
    await copy_image(source, MemoryDestination())
    assert len(source.opened) == 2


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_blobs_at_once_than_was_said(limit: int) -> None:
    destination = MemoryDestination()
    await copy_image(MemorySource(sample_index()), destination, blobs_at_once=limit)
    assert destination.most_at_once == limit


@pytest.mark.parametrize(
    "failure",
    [ContentMismatch("damaged"), NotFound("gone", http_status=404, method="GET", url="https://r/")],
)
async def test_a_blob_that_fails_ends_the_copy_with_its_own_error_and_no_image(failure: SealiftError) -> None:
    destination = MemoryDestination()
    with pytest.raises(type(failure)) as raised:
        await copy_image(MemorySource(sample_index(), failure=failure), destination)
    assert raised.value is failure
    assert (destination.finished, "manifest" in destination.events) == (None, False)


async def test_a_manifest_that_is_missing_ends_the_copy_before_anything_is_sent() -> None:
    sample = sample_index()
    destination = MemoryDestination()
    with pytest.raises(NotFound):
        await copy_image(MemorySource(Sample(sample.root, sample.manifests[:1], sample.blobs)), destination)
    assert destination.events == []


async def test_a_layer_that_need_not_be_distributed_may_be_missing() -> None:
    plain = blob_of(b"windows")
    foreign = Descriptor(min(FOREIGN_LAYER_TYPES), plain.digest, plain.size, urls=("https://x.test/",))
    sample = sample_image(extra=[foreign])

    class Lenient(MemoryDestination):
        async def put_manifest(self, manifest: Manifest) -> None:
            self.has.add(manifest.digest)

    report = await copy_image(MemorySource(sample), Lenient())
    assert report.deliveries[foreign.digest] is Delivery.LEFT_OUT


def nested(depth: int) -> Sample:
    image = sample_image()
    manifests, inner = [image.root], image.root
    for _ in range(depth):
        inner = index_of([(inner, Platform("linux", "amd64"))])
        manifests.append(inner)
    return Sample(inner, tuple(manifests[:-1]), image.blobs)


async def test_indexes_in_indexes_are_walked_to_a_depth() -> None:
    await copy_image(MemorySource(nested(3)), MemoryDestination())
    with pytest.raises(UnusableManifest):
        await copy_image(MemorySource(nested(20)), MemoryDestination())
    with pytest.raises(UnusableManifest):
        await copy_image(MemorySource(nested(20)), MemoryDestination(), platform=Platform("linux", "amd64"))


async def test_an_index_of_thousands_is_refused_before_anything_is_fetched() -> None:
    many = [(sample_image(content=str(number).encode()).root, None) for number in range(2001)]
    with pytest.raises(UnusableManifest, match="too large"):
        await copy_image(MemorySource(Sample(index_of(many), (), {})), MemoryDestination())
