"""An image with all that people attach to one, in the shapes that tools write: signatures, SBOMs and more."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from tests.raw_repository import (
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    RawRepository,
    signed_tag,
)

SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SBOM = "application/spdx+json"


@dataclass(frozen=True, slots=True)
class Attached:
    """An index ``v1`` of two platforms, and what is attached to it, by descriptors."""

    index: dict[str, Any]
    platform: dict[str, Any]
    """One of its images, which has an SBOM of its own."""

    referring: dict[str, dict[str, Any]]
    """What has a subject, by its kind."""

    tags: dict[str, dict[str, Any]]
    """What hangs on a tag made of a digest, by that tag."""

    @property
    def digests(self) -> set[str]:
        """Of all that is attached."""
        return {each["digest"] for each in (*self.referring.values(), *self.tags.values())}


def push_attached(repository: RawRepository) -> Attached:
    """Push it; nothing here depends on a list of referrers."""
    images = [repository.push_image(f"{repository.name} {each}") for each in ("amd64", "arm64")]
    entries = [
        {**image, "platform": {"os": "linux", "architecture": architecture}}
        for image, architecture in zip(images, ("amd64", "arm64"), strict=True)
    ]
    index = repository.push(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, "v1", OCI_INDEX
    )
    payload = json.dumps(
        {"critical": {"image": {"docker-manifest-digest": index["digest"]}}, "optional": None}
    ).encode()
    signature = {"dev.cosignproject.cosign/signature": base64.b64encode(b"a signature").decode()}
    empty = repository.push_blob(b"{}", OCI_EMPTY)

    def image(config_type: str, layer: dict[str, Any], tag: str = "", **more: Any) -> dict[str, Any]:
        config = repository.push_blob(json.dumps({"for": layer["digest"]}).encode(), config_type)
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config,
            "layers": [layer],
            **more,
        }
        return repository.push(document, tag)

    def artifact(kind: str, content: bytes, subject: dict[str, Any], **more: Any) -> dict[str, Any]:
        layer = repository.push_blob(content, kind)
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": kind,
            "config": {**empty, "data": "e30="},
            "layers": [layer],
            "subject": subject,
            **more,
        }
        return repository.push(document)

    signed = {**repository.push_blob(payload, SIMPLE_SIGNING), "annotations": signature}
    sbom = artifact(SBOM, b'{"spdxVersion":"SPDX-2.3"}', images[0])
    referring = {
        # cosign sign --registry-referrers-mode oci-1-1
        "signature": image(SIGNATURE, signed, artifactType=SIGNATURE, subject=index),
        # cosign sign, from version 3
        "bundle": artifact(
            BUNDLE,
            b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}',
            index,
            annotations={"dev.sigstore.bundle.content": "dsse-envelope"},
        ),
        "sbom": sbom,
        "signature of the sbom": artifact(BUNDLE, b'{"of":"the sbom"}', sbom),
    }
    envelope = repository.push_blob(b'{"payloadType":"application/vnd.in-toto+json"}', DSSE)
    tags = {
        # cosign sign, cosign attest, cosign attach sbom: until version 3
        signed_tag(index["digest"]): image(OCI_CONFIG, signed, signed_tag(index["digest"])),
        signed_tag(index["digest"], ".att"): image(OCI_CONFIG, envelope, signed_tag(index["digest"], ".att")),
        signed_tag(images[0]["digest"], ".sbom"): image(
            OCI_CONFIG,
            repository.push_blob(b'{"bomFormat":"CycloneDX"}', "application/vnd.cyclonedx+json"),
            signed_tag(images[0]["digest"], ".sbom"),
        ),
    }
    return Attached(index, images[0], referring, tags)
