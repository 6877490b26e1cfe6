"""Images for several platforms: an index goes through whole, and each client takes what fits its machine."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.peers.clients import Client, Clients, Docker, Podman, Skopeo, docker_clients
from tests.peers.images import ARCHITECTURES, SampleImage, sample_image, sample_index
from tests.peers.registries import Registry

pytestmark = pytest.mark.peers

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True, slots=True)
class Pushed:
    """An index that a registry has."""

    registry: Registry
    repository: str
    image: SampleImage

    @property
    def name(self) -> str:
        return self.registry.image(self.repository)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def pushed(skopeo: Skopeo, registry: Registry, repository: str, tmp_path: Path) -> Pushed:
    """An index in OCI's types. skopeo is logged in."""
    index = Pushed(registry, repository, sample_index(tmp_path))
    skopeo.log_in(registry).checked()
    skopeo.push(index.image, index.name).checked()
    return index


@pytest.fixture
def pushed_as_list(skopeo: Skopeo, registry: Registry, repository: str, tmp_path: Path) -> Pushed:
    """The same in docker's types: a manifest list of schema 2 manifests."""
    index = Pushed(registry, repository, sample_index(tmp_path))
    skopeo.log_in(registry).checked()
    skopeo.copy(
        f"oci:{index.image.layout}:v1", f"docker://{index.name}", "--all", "--format", "v2s2"
    ).checked()
    return index


@pytest.fixture
def pulled_layers(clients: Clients, tmp_path: Path) -> Callable[[str, str, Pushed], list[str]]:
    """Pull one platform of an index with docker, and return the layers it has then."""

    def pull(program: str, architecture: str, index: Pushed) -> list[str]:
        docker = clients.make(program, tmp_path)
        assert isinstance(docker, Docker)
        docker.log_in(index.registry).checked()
        docker.run("pull", "--platform", f"linux/{architecture}", index.name).checked()
        found = json.loads(docker.run("image", "inspect", index.name).checked().out)[0]
        assert found["Architecture"] == architecture
        layers: list[str] = found["RootFS"]["Layers"]
        return layers

    return pull


def test_skopeo_copies_an_index_with_all_its_platforms(skopeo: Skopeo, pushed: Pushed) -> None:
    assert digest_of(skopeo.inspect(pushed.name)) == pushed.image.digest
    second = pushed.registry.image(f"{pushed.repository}-copy")
    skopeo.copy(f"docker://{pushed.name}", f"docker://{second}", "--all").checked()
    assert digest_of(skopeo.inspect(second)) == pushed.image.digest
    for entry in json.loads(skopeo.inspect(second))["manifests"]:
        pinned = pushed.registry.image(f"{pushed.repository}-copy", f"@{entry['digest']}")
        assert digest_of(skopeo.inspect(pinned)) == entry["digest"]


def test_a_list_in_dockers_types_keeps_them(skopeo: Skopeo, pushed_as_list: Pushed) -> None:
    top = json.loads(skopeo.inspect(pushed_as_list.name))
    assert top["mediaType"] == DOCKER_LIST
    assert [entry["mediaType"] for entry in top["manifests"]] == [DOCKER_MANIFEST, DOCKER_MANIFEST]
    assert [entry["platform"]["architecture"] for entry in top["manifests"]] == list(ARCHITECTURES)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("program", docker_clients())
def test_docker_takes_the_platform_it_is_asked_for(
    program: str,
    architecture: str,
    pushed: Pushed,
    pulled_layers: Callable[[str, str, Pushed], list[str]],
) -> None:
    layers = pulled_layers(program, architecture, pushed)
    assert layers == [pushed.image.diff_ids[ARCHITECTURES.index(architecture)]]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("program", docker_clients())
def test_docker_takes_the_platform_from_a_list_in_its_own_types(
    program: str,
    architecture: str,
    pushed_as_list: Pushed,
    pulled_layers: Callable[[str, str, Pushed], list[str]],
) -> None:
    layers = pulled_layers(program, architecture, pushed_as_list)
    assert layers == [pushed_as_list.image.diff_ids[ARCHITECTURES.index(architecture)]]


def test_every_client_takes_the_platform_of_its_machine(client: Client, pushed: Pushed) -> None:
    client.log_in(pushed.registry).checked()
    client.pull(pushed.name).checked()
    assert client.pulled(pushed.name).config == pushed.image.config_of_this_machine


@pytest.mark.parametrize("program", docker_clients())
def test_docker_manifest_makes_a_list_of_images_that_are_there(
    program: str, clients: Clients, skopeo: Skopeo, pushed: Pushed, tmp_path: Path
) -> None:
    docker = clients.make(program, tmp_path)
    assert isinstance(docker, Docker)
    docker.log_in(pushed.registry).checked()
    parts = []
    for architecture in ARCHITECTURES:
        part = pushed.registry.image(pushed.repository, f":{architecture}")
        docker.push(sample_image(tmp_path / architecture), part).checked()
        parts.append(part)
    made = pushed.registry.image(pushed.repository, ":list")
    docker.run("manifest", "create", "--insecure", made, *parts).checked()
    docker.run("manifest", "annotate", made, parts[1], "--arch", "arm64", "--variant", "v8").checked()
    digest = docker.run("manifest", "push", "--insecure", made).checked().out.strip()
    kept = skopeo.inspect(made)
    assert digest_of(kept) == digest
    assert [entry["platform"]["architecture"] for entry in json.loads(kept)["manifests"]] == [
        "amd64",
        "arm64",
    ]
    shown = json.loads(docker.run("manifest", "inspect", "--insecure", made).checked().out)
    assert shown == json.loads(kept)


def test_podman_pushes_a_list_that_it_made(
    clients: Clients, skopeo: Skopeo, pushed: Pushed, tmp_path: Path
) -> None:
    podman = clients.make("podman", tmp_path)
    assert isinstance(podman, Podman)
    podman.log_in(pushed.registry).checked()
    made = pushed.registry.image(pushed.repository, ":list")
    podman.run("manifest", "create", made).checked()
    try:
        podman.run(
            "manifest", "add", "--all", *podman.tls_arguments, made, f"docker://{pushed.name}"
        ).checked()
        podman.run("manifest", "push", "--all", *podman.tls_arguments, made, f"docker://{made}").checked()
    finally:
        podman.run("manifest", "rm", made)
    entries = json.loads(skopeo.inspect(made))["manifests"]
    assert [entry["platform"]["architecture"] for entry in entries] == list(ARCHITECTURES)
    theirs = json.loads(skopeo.inspect(pushed.name))["manifests"]
    assert [entry["digest"] for entry in entries] == [entry["digest"] for entry in theirs]
