"""What clients say they accept, word for word as they sent it: each gets the bytes that were pushed.

Recorded with a relay before this registry (`tests.peers.relay`) for the
programs that tests can have, and from their sources for the others. Go's
clients send one header line for each type, in an order of their map's whim:
here they stand joined, as the line that means the same.
"""

import json
from collections.abc import Iterator

import pytest
from tests.conformance.registry_socket import (
    INDEX,
    MANIFEST,
    Repository,
    described,
    digest_of,
)
from tests.registry.server.serving import serving

LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
SIGNED_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"

ACCEPTS = {
    "docker pull (20.10)": [MANIFEST, SCHEMA2, LIST, INDEX, SIGNED_1, "application/json"],
    "podman, skopeo, buildah": [MANIFEST, SCHEMA2, SIGNED_1, SCHEMA1, LIST, INDEX],
    "containerd and the kubelet behind it, by tag": [SCHEMA2, LIST, MANIFEST, f"{INDEX}, */*"],
    "containerd, an index by digest": [INDEX, "*/*"],
    "containerd, an image by digest": [MANIFEST, "*/*"],
    "containerd, docker's own by digest": [SCHEMA2, "*/*"],
    "BuildKit": [SCHEMA2, LIST, MANIFEST, INDEX, "*/*"],
    "helm 4, oras": [SCHEMA2, LIST, MANIFEST, INDEX, ARTIFACT],
    "helm 4, after a push": [MANIFEST],
    "crane, cosign: any": [f"{SCHEMA1},{SIGNED_1},{SCHEMA2},{MANIFEST},{LIST},{INDEX}"],
    "crane, cosign: an image": [f"{SCHEMA2},{MANIFEST}"],
    "crane, cosign: referrers": [INDEX],
    "oras-py": [MANIFEST],
    "curl, nothing": ["*/*"],
}


def index_of(manifest: bytes, media_type: str, own_type: str) -> bytes:
    """An index of one manifest, in a hand that no JSON library writes."""
    entry = json.dumps(described(manifest, media_type, platform={"os": "linux", "architecture": "amd64"}))
    return f'{{ "manifests" : [{entry}],\n  "mediaType":"{own_type}","schemaVersion":2 }}\n'.encode()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    with serving(tmp_path_factory.mktemp("accept")) as running:
        yield Repository(running, "conformance/accept")


@pytest.fixture(scope="module")
def kept(repository: Repository) -> dict[str, tuple[str, bytes]]:
    """One manifest of each type, by its tag: OCI's and docker's, an image and an index of it."""
    image = repository.push_image("image")
    schema2 = image.replace(MANIFEST.encode(), SCHEMA2.encode())
    found = {
        "image": (MANIFEST, image),
        "index": (INDEX, index_of(image, MANIFEST, INDEX)),
        "schema2": (SCHEMA2, schema2),
        "list": (LIST, index_of(schema2, SCHEMA2, LIST)),
    }
    for tag, (media_type, body) in found.items():
        assert repository.push_manifest(body, tag, media_type).status == 201
    return found


@pytest.mark.parametrize("client", ACCEPTS)
def test_it_gets_what_was_pushed(
    client: str, repository: Repository, kept: dict[str, tuple[str, bytes]]
) -> None:
    for tag, (media_type, body) in kept.items():
        for method, reference in (("HEAD", tag), ("GET", digest_of(body))):
            accept = {"accept": ", ".join(ACCEPTS[client])}
            reply = repository.ask(method, f"manifests/{reference}", headers=accept)
            assert (reply.status, reply.headers["content-type"]) == (200, media_type), (tag, method)
            assert reply.headers["docker-content-digest"] == digest_of(body)
            assert reply.headers["content-length"] == str(len(body))
            assert reply.body == (body if method == "GET" else b"")
