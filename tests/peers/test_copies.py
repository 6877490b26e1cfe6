"""Manifests of every shape, copied from registry to registry and back, the same to the last byte."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.peers.clients import Sealift, Skopeo
from tests.peers.registries import PASSWORD, USERNAME, Registry
from tests.raw_repository import (
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    RawRepository,
    described,
)
from tests.served import basic

pytestmark = pytest.mark.peers

LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
SCHEMA2 = "application/vnd.docker.distribution.manifest.v2+json"
SCHEMA2_CONFIG = "application/vnd.docker.container.image.v1+json"
SCHEMA2_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
AMD64 = {"os": "linux", "architecture": "amd64"}

Shape = Callable[[RawRepository], dict[str, Any]]


def written(document: dict[str, Any]) -> bytes:
    """A document in a hand that no JSON library writes, with a field that nobody knows."""
    return json.dumps({"org.example.unknown": [1.50, None, "ü"], **document}, indent=3).encode() + b"\n\n"


def an_index_in_an_index(repository: RawRepository) -> dict[str, Any]:
    """Images, an index of them, and an index of that and another image."""
    inner_image = {**repository.push_image("inner"), "platform": AMD64}
    inner = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [inner_image]}
    below = repository.push(written(inner), media_type=OCI_INDEX)
    beside = {**repository.push_image("beside"), "platform": {**AMD64, "variant": "v3"}}
    outer = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [below, beside]}
    return repository.push(written(outer), "v1", OCI_INDEX)


def an_artifact_with_all_in_its_manifest(repository: RawRepository) -> dict[str, Any]:
    """The empty config and the empty layer, embedded, and a layer of no bytes."""
    empty = {**repository.push_blob(b"{}", OCI_EMPTY), "data": "e30="}
    nothing = repository.push_blob(b"", "application/vnd.example.nothing")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.note+json",
        "config": empty,
        "layers": [empty, nothing],
        "annotations": {"org.example.note": "all that there is, \u00fcber alles\n"},
    }
    return repository.push(written(document), "v1")


def an_artifact_without_layers(repository: RawRepository) -> dict[str, Any]:
    """An empty list of layers."""
    empty = repository.push_blob(b"{}", OCI_EMPTY)
    document = {"schemaVersion": 2, "config": empty, "artifactType": "application/vnd.example", "layers": []}
    return repository.push(written(document), "v1")


def a_list_of_dockers(repository: RawRepository) -> dict[str, Any]:
    """Docker's own types: a list of images, one of them with the same layer twice."""
    config = repository.push_blob(b'{"architecture":"amd64","os":"linux"}', SCHEMA2_CONFIG)
    layer = repository.push_blob(b"a layer", SCHEMA2_LAYER)
    image = {"schemaVersion": 2, "mediaType": SCHEMA2, "config": config, "layers": [layer, layer]}
    entry = {**repository.push(written(image), media_type=SCHEMA2), "platform": AMD64}
    document = {"schemaVersion": 2, "mediaType": LIST, "manifests": [entry]}
    return repository.push(written(document), "v1", LIST)


def a_cache_of_buildx(repository: RawRepository) -> dict[str, Any]:
    """An index whose entries are blobs."""
    entries = [
        repository.push_blob(b"a cached layer", OCI_LAYER),
        repository.push_blob(b'{"layers":[]}', "application/vnd.buildkit.cacheconfig.v0"),
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return repository.push(written(document), "v1", OCI_INDEX)


def an_image_with_a_layer_that_is_elsewhere(repository: RawRepository) -> dict[str, Any]:
    """A layer that must not be distributed: nobody has it, and it says where it is."""
    config = repository.push_blob(b'{"architecture":"amd64","os":"windows"}', OCI_CONFIG)
    foreign = described(
        b"not here",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        urls=["https://unreachable.invalid/layer"],
    )
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [foreign]}
    return repository.push(written(document), "v1")


SHAPES: list[Shape] = [
    an_index_in_an_index,
    an_artifact_with_all_in_its_manifest,
    an_artifact_without_layers,
    a_list_of_dockers,
    a_cache_of_buildx,
]


def raw(registry: Registry, name: str) -> RawRepository:
    return RawRepository(registry.address, name, basic(USERNAME, PASSWORD))


def check_same(one: RawRepository, other: RawRepository, digest: str) -> None:
    """Whatever is below a digest is in both, in the same bytes and of the same type."""
    here, there = one.get(digest), other.get(digest)
    assert (here.status, there.status, there.body) == (200, 200, here.body)
    assert there.headers["content-type"] == here.headers["content-type"]
    document = json.loads(here.body)
    for entry in document.get("manifests", []):
        if "manifest" in entry["mediaType"] or "index" in entry["mediaType"]:
            check_same(one, other, entry["digest"])
    for blob in (*document.get("layers", []), *([document["config"]] if "config" in document else [])):
        if "nondistributable" not in blob["mediaType"]:
            assert (
                other.ask("GET", f"blobs/{blob['digest']}").body
                == one.ask("GET", f"blobs/{blob['digest']}").body
            )


def check_there_and_back(
    shape: Shape, ours: Sealift, home: Registry, away: Registry, repository: str
) -> None:
    """Our client takes it to another registry, and from there to another repository at home."""
    auth = {"auth": basic(USERNAME, PASSWORD).removeprefix("Basic ")}
    ours.credentials.write_text(json.dumps({"auths": {each.address: auth for each in (home, away)}}))
    first, there, back = raw(home, repository), raw(away, repository), raw(home, f"{repository}-back")
    top = shape(first)
    for source, target in ((first, there), (there, back)):
        names = [f"docker://{each.address}/{each.name}:v1" for each in (source, target)]
        ours.run("copy", *names).checked()
    assert back.get("v1").headers["docker-content-digest"] == top["digest"]
    check_same(first, back, top["digest"])


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_to_docker_registry_and_back(
    shape: Shape, ours: Sealift, sealift: Registry, registry_with_passwords: Registry, repository: str
) -> None:
    check_there_and_back(shape, ours, sealift, registry_with_passwords, repository)


@pytest.mark.parametrize(
    "shape",
    # docker-registry takes no layer that is elsewhere, unless its settings name the place.
    [an_index_in_an_index, an_image_with_a_layer_that_is_elsewhere],
    ids=lambda shape: shape.__name__,
)
def test_to_another_of_ours_and_back(
    shape: Shape, ours: Sealift, sealift: Registry, other_sealift: Registry, repository: str
) -> None:
    check_there_and_back(shape, ours, sealift, other_sealift, repository)


def test_skopeo_copies_dockers_list_within_ours(skopeo: Skopeo, sealift: Registry, repository: str) -> None:
    first, second = raw(sealift, repository), raw(sealift, f"{repository}-copy")
    top = a_list_of_dockers(first)
    skopeo.log_in(sealift).checked()
    names = [f"docker://{sealift.image(each.name)}" for each in (first, second)]
    skopeo.copy(names[0], names[1], "--all", "--preserve-digests").checked()
    check_same(first, second, top["digest"])
