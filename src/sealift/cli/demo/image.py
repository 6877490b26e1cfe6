"""The demo's images as OCI layouts: a program for two architectures, in one index.

The same input gives the same bytes on every machine, so the same digests: no
clock, no owner, no compression.

Spec: OCI image-spec v1.1, "Image Layout", "Image Index", "Image Configuration".
"""

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from sealift.image.platform import Platform

CREATED = "2026-11-01T00:00:00Z"
"""What the images say of when they were made: a constant, so that they stay the same."""

USER = "65532:65532"
"""Nobody in particular. The programs need no right to anything."""

REF_NAME = "org.opencontainers.image.ref.name"


def write_layout(directory: Path, *, tag: str, name: str, programs: Mapping[str, bytes]) -> Digest:
    """Write an image to an OCI layout, and return the digest of its index.

    Args:
        directory: Made if it is not there.
        tag: What the layout calls the image.
        name: Name of the program's file in the root of the image.
        programs: The program for each architecture.
    """
    layout = _Layout(directory)
    manifests = [
        layout.manifest(name, program, Platform("linux", architecture))
        for architecture, program in programs.items()
    ]
    index = layout.blob(
        OCI_INDEX,
        _json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [manifest.to_document() for manifest in manifests],
            }
        ),
    )
    layout.finish(index, tag)
    return index.digest


class _Layout:
    """A layout while it is written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def blob(self, media_type: str, content: bytes, platform: Platform | None = None) -> Descriptor:
        digest = Digest.of(content)
        folder = self._directory / "blobs" / digest.algorithm
        folder.mkdir(parents=True, exist_ok=True)
        (folder / digest.encoded).write_bytes(content)
        return Descriptor(media_type, digest, len(content), platform=platform)

    def manifest(self, name: str, program: bytes, platform: Platform) -> Descriptor:
        layer = self.blob(OCI_LAYER, _layer(name, program))
        config = self.blob(
            OCI_CONFIG,
            _json(
                {
                    "created": CREATED,
                    "architecture": platform.architecture,
                    "os": platform.os,
                    "config": {"User": USER, "Entrypoint": [f"/{name}"], "WorkingDir": "/"},
                    "rootfs": {"type": "layers", "diff_ids": [str(layer.digest)]},
                    "history": [{"created": CREATED, "created_by": "sealift demo"}],
                }
            ),
        )
        return self.blob(
            OCI_MANIFEST,
            _json(
                {
                    "schemaVersion": 2,
                    "mediaType": OCI_MANIFEST,
                    "config": config.to_document(),
                    "layers": [layer.to_document()],
                }
            ),
            platform,
        )

    def finish(self, index: Descriptor, tag: str) -> None:
        named = {**index.to_document(), "annotations": {REF_NAME: tag}}
        (self._directory / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))
        (self._directory / "index.json").write_bytes(
            _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [named]})
        )


def _layer(name: str, program: bytes) -> bytes:
    """A tar of one file that everyone may run and nobody may change. No mtime but 1970."""
    member = tarfile.TarInfo(name)
    member.mode, member.size = 0o555, len(program)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as layer:
        layer.addfile(member, io.BytesIO(program))
    return buffer.getvalue()


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
