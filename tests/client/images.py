"""Small images for tests: an index of two platforms, its blobs, and places that hold it."""

import gzip
import io
import json
import tarfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sealift.client.errors import NotFound
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Manifest,
)
from sealift.image.platform import Platform

ARCHITECTURES = ("amd64", "arm64")


@dataclass(frozen=True, slots=True)
class Sample:
    """An image and all that belongs to it."""

    root: Manifest
    manifests: tuple[Manifest, ...]
    """Without the root."""

    blobs: dict[Digest, bytes]


def layer_of(name: str, content: bytes) -> tuple[bytes, bytes]:
    """A layer with one file: as a tar, and compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue(), gzip.compress(buffer.getvalue(), mtime=0)


def sample_image(
    architecture: str = "amd64",
    content: bytes = b"hello",
    extra: Sequence[Descriptor] = (),
    command: str = "",
) -> Sample:
    """An image of one platform with one layer, and more layers where descriptors are given."""
    tar, packed = layer_of(f"bin/{architecture}", content)
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": [command or f"/bin/{architecture}"], "Env": ["PATH=/bin"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [str(Digest.of(tar)), *(str(each.digest) for each in extra)],
            },
        }
    ).encode()
    layers = [Descriptor(OCI_LAYER_GZIP, Digest.of(packed), len(packed)), *extra]
    body = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor(OCI_CONFIG, Digest.of(config), len(config)).to_document(),
            "layers": [layer.to_document() for layer in layers],
        }
    ).encode()
    manifest = Manifest.parse(body, OCI_MANIFEST)
    return Sample(manifest, (), {Digest.of(config): config, Digest.of(packed): packed})


def index_of(manifests: Sequence[tuple[Manifest, Platform | None]]) -> Manifest:
    """An index of some manifests."""
    listed = [
        Descriptor(each.media_type, each.digest, len(each.body), platform=platform).to_document()
        for each, platform in manifests
    ]
    return Manifest.parse(
        json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed}).encode(), OCI_INDEX
    )


def sample_index() -> Sample:
    """An index of two platforms."""
    images = [sample_image(each) for each in ARCHITECTURES]
    root = index_of(
        [(image.root, Platform("linux", each)) for image, each in zip(images, ARCHITECTURES, strict=True)]
    )
    blobs = {digest: data for image in images for digest, data in image.blobs.items()}
    return Sample(root, tuple(image.root for image in images), blobs)


def write_layout(directory: Path, sample: Sample, *tags: str) -> Path:
    """A sample as an OCI layout, with an entry for each tag, or one without."""
    contents = {
        **sample.blobs,
        **{each.digest: each.body for each in (*sample.manifests, sample.root)},
    }
    for digest, data in contents.items():
        path = directory / "blobs" / digest.algorithm / digest.encoded
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    entry = Descriptor(sample.root.media_type, sample.root.digest, len(sample.root.body)).to_document()
    entries = [entry | {"annotations": {"org.opencontainers.image.ref.name": tag}} for tag in tags] or [entry]
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return directory


@dataclass(slots=True)
class MemorySource:
    """A `Source` out of a sample. Digests in `missing` are not there; in `damaged` come other bytes."""

    sample: Sample
    missing: frozenset[Digest] = frozenset()
    failure: Exception | None = None
    """What every blob ends with, after its first byte."""

    opened: list[Digest] = field(default_factory=list)
    closed: bool = False
    repository: None = None

    async def root(self) -> Manifest:
        """The sample's root."""
        return self.sample.root

    async def manifest(self, descriptor: Descriptor) -> Manifest:
        """One of the sample's manifests."""
        for each in self.sample.manifests:
            if each.digest == descriptor.digest:
                return each
        raise not_there(descriptor)

    async def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """One of the sample's blobs, in two parts."""
        if descriptor.digest in self.missing or descriptor.digest not in self.sample.blobs:
            raise not_there(descriptor)
        self.opened.append(descriptor.digest)
        data = self.sample.blobs[descriptor.digest]
        yield data[:1]
        if self.failure is not None:
            raise self.failure
        yield data[1:]

    async def close(self) -> None:
        """Note it."""
        self.closed = True


def not_there(descriptor: Descriptor) -> NotFound:
    """As a registry has it."""
    return NotFound(f"no {descriptor.digest}", http_status=404, method="GET", url="https://r/")
