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
    """One a platform: of the layer unzipped."""

    layer: str = ""
    """Of the layer as it stands in the layout, if there is one platform."""

    archive: Path | None = None
    """Its image is called ``sample:v1``."""

    @property
    def config_of_this_machine(self) -> str:
        """Of an index: what a client without a wish of its own ends up with."""
        return self.config_digests[ARCHITECTURES.index(_ARCHITECTURE_NAMES[platform.machine()])]


def sample_image(directory: Path, *, size: int = 1000) -> SampleImage:
    """An image for linux/amd64 of one layer with `size` random bytes in it."""
    layout = _Layout(directory / "layout")
    layer, diff_id = _layer(size)
    manifest, config = layout.image(layer, diff_id, architecture="amd64")
    layout.finish(manifest)
    archive = directory / "archive.tar"
    _write_archive(archive, config=layout.read(config), layer=gzip.decompress(layer))
    zipped = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    return SampleImage(layout.root, manifest["digest"], (config,), (diff_id,), zipped, archive)


def sample_index(directory: Path) -> SampleImage:
    """An index of two images, for linux/amd64 and linux/arm64 (v8)."""
    layout = _Layout(directory / "layout")
    manifests, configs, diff_ids = [], [], []
    for architecture in ARCHITECTURES:
        layer, diff_id = _layer(1000)
        manifest, config = layout.image(layer, diff_id, architecture=architecture)
        manifests.append({**manifest, "platform": {"os": "linux", "architecture": architecture}})
        configs.append(config)
        diff_ids.append(diff_id)
    index = layout.blob(
        _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}), media_type=OCI_INDEX
    )
    layout.finish(index)
    return SampleImage(layout.root, index["digest"], tuple(configs), tuple(diff_ids))


def file_in_layer(path: Path) -> bytes:
    """The one file's content in a layer that a client wrote, zipped or not."""
    with tarfile.open(path) as layer:
        member = layer.extractfile("data")
        assert member is not None
        return member.read()


class _Layout:
    """An OCI image layout while it is written. Spec: image-spec v1.1, image-layout.md."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)

    def blob(self, content: bytes, *, media_type: str) -> dict[str, Any]:
        encoded = hashlib.sha256(content).hexdigest()
        (self._blobs / encoded).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{encoded}", "size": len(content)}

    def read(self, digest: str) -> bytes:
        return (self._blobs / digest.removeprefix("sha256:")).read_bytes()

    def image(self, layer: bytes, diff_id: str, *, architecture: str) -> tuple[dict[str, Any], str]:
        """Write an image's three blobs, and return its manifest's descriptor and its config's digest."""
        config = self.blob(
            _json(
                {
                    "created": "2026-11-01T00:00:00Z",
                    "architecture": architecture,
                    "os": "linux",
                    "config": {"Cmd": ["/data"]},
                    "rootfs": {"type": "layers", "diff_ids": [diff_id]},
                    "history": [{"created": "2026-11-01T00:00:00Z", "created_by": "sealift tests"}],
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
                    "layers": [self.blob(layer, media_type=OCI_LAYER)],
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


def _layer(size: int) -> tuple[bytes, str]:
    """A zipped layer with one file ``data`` of random bytes, and the digest of it unzipped."""
    content = os.urandom(size)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as layer:
        member = tarfile.TarInfo("data")
        member.size, member.mode = len(content), 0o755
        layer.addfile(member, io.BytesIO(content))
    plain = buffer.getvalue()
    # Level 0: random bytes do not get smaller, and zipping 64 MiB for that takes seconds.
    return gzip.compress(plain, compresslevel=0, mtime=0), f"sha256:{hashlib.sha256(plain).hexdigest()}"


def _write_archive(path: Path, *, config: bytes, layer: bytes) -> None:
    """A docker archive as ``docker save`` writes one and ``docker load`` and ``podman load`` read it."""
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    table = _json([{"Config": config_name, "RepoTags": ["sample:v1"], "Layers": ["layer.tar"]}])
    with tarfile.open(path, "w") as archive:
        for name, content in ((config_name, config), ("layer.tar", layer), ("manifest.json", table)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
