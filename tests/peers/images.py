"""Small real images, made on the spot: no network, no compiler, another digest each time.

An image is written twice, since no two clients read the same: as an OCI layout
(skopeo, podman, sealift) and as a docker archive (docker).
"""

import gzip
import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

ARCHITECTURES = ("amd64", "arm64")
"""Of a sample index, in the order of its entries."""

_ARCHITECTURE_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class SampleImage:
    """An image in an OCI layout, and in a docker archive if it has one platform.

    The layout holds it under the tag ``v1``.
    """

    layout: Path
    digest: str
    """Of the manifest, or of the index."""

    config_digests: tuple[str, ...]
    """One a platform: what docker, podman and the kubelet call the image's ID."""

    diff_ids: tuple[str, ...]
    """Of the layers unzipped, platform by platform."""

    layers: tuple[str, ...]
    """Of the layers as they stand in the layout, in the same order."""

    archive: Path | None = None
    """Its image is called ``sample:v1``."""

    @property
    def config_of_this_machine(self) -> str:
        """Of an index: what a client without a wish of its own ends up with."""
        return self.config_digests[ARCHITECTURES.index(_ARCHITECTURE_NAMES[platform.machine()])]


def sample_image(directory: Path, *, size: int = 1000, layers: int = 1) -> SampleImage:
    """An image for linux/amd64 whose layers hold `size` random bytes each."""
    layout = _Layout(directory / "layout")
    made = [_layer(size, f"data-{number}") for number in range(layers)]
    manifest, config = layout.image(made, architecture="amd64")
    layout.finish(manifest)
    archive = directory / "archive.tar"
    _write_archive(archive, config=layout.read(config), layers=made)
    return SampleImage(
        layout=layout.root,
        digest=manifest["digest"],
        config_digests=(config,),
        diff_ids=tuple(layer.diff_id for layer in made),
        layers=tuple(layer.digest for layer in made),
        archive=archive,
    )


def sample_index(directory: Path) -> SampleImage:
    """An index of two images of one layer each, for linux/amd64 and linux/arm64."""
    layout = _Layout(directory / "layout")
    manifests, configs = [], []
    made = [_layer(1000, "data") for _ in ARCHITECTURES]
    for architecture, layer in zip(ARCHITECTURES, made, strict=True):
        manifest, config = layout.image([layer], architecture=architecture)
        manifests.append({**manifest, "platform": {"os": "linux", "architecture": architecture}})
        configs.append(config)
    index = layout.blob(
        _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}), media_type=OCI_INDEX
    )
    layout.finish(index)
    return SampleImage(
        layout=layout.root,
        digest=index["digest"],
        config_digests=tuple(configs),
        diff_ids=tuple(layer.diff_id for layer in made),
        layers=tuple(layer.digest for layer in made),
    )


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer, as it travels and as it is unpacked."""

    zipped: bytes
    plain: bytes

    @property
    def digest(self) -> str:
        return _digest(self.zipped)

    @property
    def diff_id(self) -> str:
        return _digest(self.plain)


class _Layout:
    """An OCI image layout while it is written. Spec: image-spec v1.1, image-layout.md."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)

    def blob(self, content: bytes, *, media_type: str) -> dict[str, Any]:
        digest = _digest(content)
        (self._blobs / digest.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def read(self, digest: str) -> bytes:
        return (self._blobs / digest.removeprefix("sha256:")).read_bytes()

    def image(self, layers: Sequence[_Layer], *, architecture: str) -> tuple[dict[str, Any], str]:
        """Write an image's blobs, and return its manifest's descriptor and its config's digest."""
        config = self.blob(
            _json(
                {
                    "created": "2026-11-01T00:00:00Z",
                    "architecture": architecture,
                    "os": "linux",
                    "config": {"Cmd": ["/data"]},
                    "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
                    "history": [
                        {"created": "2026-11-01T00:00:00Z", "created_by": "sealift tests"} for _ in layers
                    ],
                }
            ),
            media_type=OCI_CONFIG,
        )
        manifest = self.blob(
            _json(
                {
                    "schemaVersion": 2,
                    "mediaType": OCI_MANIFEST,
                    "config": config,
                    "layers": [self.blob(layer.zipped, media_type=OCI_LAYER) for layer in layers],
                }
            ),
            media_type=OCI_MANIFEST,
        )
        return manifest, config["digest"]

    def finish(self, top: dict[str, Any]) -> None:
        named = {**top, "annotations": {"org.opencontainers.image.ref.name": "v1"}}
        (self.root / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
        (self.root / "index.json").write_bytes(
            _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [named]})
        )


def _layer(size: int, name: str) -> _Layer:
    """A layer with one file of random bytes."""
    content = os.urandom(size)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as layer:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o755
        layer.addfile(member, io.BytesIO(content))
    plain = buffer.getvalue()
    # Level 0: random bytes do not get smaller, and zipping 64 MiB for that takes seconds.
    return _Layer(gzip.compress(plain, compresslevel=0, mtime=0), plain)


def _write_archive(path: Path, *, config: bytes, layers: Sequence[_Layer]) -> None:
    """A docker archive as ``docker save`` writes one and ``docker load`` and ``podman load`` read it."""
    config_name = f"{_digest(config).removeprefix('sha256:')}.json"
    names = [f"layer-{number}.tar" for number in range(len(layers))]
    table = _json([{"Config": config_name, "RepoTags": ["sample:v1"], "Layers": names}])
    contents = [layer.plain for layer in layers]
    with tarfile.open(path, "w") as archive:
        for name, content in zip(
            [config_name, *names, "manifest.json"], [config, *contents, table], strict=True
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
