"""Images that go in through one client and come out through another, the same to the last byte."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.peers.clients import Client, Clients, Docker, Podman, Skopeo, docker_clients
from tests.peers.conftest import CLIENTS_OF_THE_WORLD
from tests.peers.images import sample_image
from tests.peers.programs import require_program
from tests.peers.registries import Registry

pytestmark = pytest.mark.peers

MIB = 1024 * 1024


def test_what_is_pushed_comes_back_by_tag_and_by_digest(
    client: Client, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path)
    name = registry.image(repository)
    client.log_in(registry).checked()
    client.push(image, name).checked()
    client.pull(name).checked()
    by_tag = client.pulled(name)
    assert by_tag.config == image.config_digests[0]
    pinned = registry.image(repository, f"@{by_tag.manifest}")
    client.pull(pinned).checked()
    assert client.pulled(pinned) == by_tag


@pytest.mark.parametrize("pusher", CLIENTS_OF_THE_WORLD)
def test_every_client_gets_the_manifest_that_another_pushed(
    pusher: str, clients: Clients, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path / "image")
    name = registry.image(repository)
    source = clients.make(pusher, tmp_path)
    source.log_in(registry).checked()
    source.push(image, name).checked()
    skopeo = clients.make("skopeo", tmp_path)
    assert isinstance(skopeo, Skopeo)
    skopeo.log_in(registry).checked()
    kept = f"sha256:{hashlib.sha256(skopeo.inspect(name)).hexdigest()}"
    found = {}
    for puller in CLIENTS_OF_THE_WORLD:
        other = clients.make(puller, tmp_path)
        other.log_in(registry).checked()
        other.pull(name).checked()
        found[puller] = (other.pulled(name).manifest, other.pulled(name).config)
    assert found == dict.fromkeys(CLIENTS_OF_THE_WORLD, (kept, image.config_digests[0]))


@pytest.mark.slow
def test_a_layer_of_64_mib_goes_in_and_out_whole(
    client: Client, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path, size=64 * MIB)
    name = registry.image(repository)
    client.log_in(registry).checked()
    client.push(image, name).checked()
    client.pull(name).checked()
    # The configuration names the layer's content, and no client keeps a layer that differs from it.
    assert client.pulled(name).config == image.config_digests[0]


def test_ten_layers_that_travel_side_by_side_arrive_in_their_order(
    client: Client, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path, size=100_000, layers=10)
    name = registry.image(repository)
    client.log_in(registry).checked()
    client.push(image, name).checked()
    client.pull(name).checked()
    # The configuration lists the layers' contents in their order, and a client holds each against it.
    assert client.pulled(name).config == image.config_digests[0]


def test_the_registry_is_the_same_under_the_name_localhost(
    client: Client, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    named = replace(sealift, address=f"localhost:{sealift.address.rpartition(':')[2]}")
    image, name = sample_image(tmp_path), named.image(repository)
    client.log_in(named).checked()
    client.push(image, name).checked()
    client.pull(name).checked()
    assert client.pulled(name).config == image.config_digests[0]
    assert client.pull(sealift.image(repository)).status != 0  # the login was for the other name


def test_an_image_pushed_again_is_the_same_image(
    client: Client, skopeo: Skopeo, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path)
    name = registry.image(repository)
    client.log_in(registry).checked()
    skopeo.log_in(registry).checked()
    client.push(image, name).checked()
    first = skopeo.inspect(name)
    client.push(image, name).checked()
    assert skopeo.inspect(name) == first


def test_a_tag_that_moved_brings_the_new_image(
    client: Client, registry: Registry, repository: str, tmp_path: Path
) -> None:
    name = registry.image(repository)
    client.log_in(registry).checked()
    for version in ("one", "two"):
        image = sample_image(tmp_path / version)
        client.push(image, name).checked()
        client.pull(name).checked()
        assert client.pulled(name).config == image.config_digests[0]


def test_skopeo_mounts_a_layer_from_another_repository(
    skopeo: Skopeo, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path)
    first, second = registry.image(repository), registry.image(f"{repository}-copy")
    skopeo.log_in(registry).checked()
    skopeo.push(image, first).checked()
    copied = skopeo.run(
        *("--debug", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"),
        *(f"docker://{first}", f"docker://{second}"),
    ).checked()
    layer = json.loads(skopeo.inspect(first))["layers"][0]["digest"].removeprefix("sha256:")
    assert re.search(rf"blobs/uploads/\?\S*mount=sha256%3A{layer}", copied.err)
    assert "... mount OK" in copied.err
    assert not re.search(rf"PUT \S*digest=sha256%3A{layer}", copied.err)
    assert skopeo.inspect(second) == skopeo.inspect(first)
    skopeo.pull(second).checked()


@pytest.mark.parametrize("program", docker_clients())
def test_docker_mounts_a_layer_from_another_repository(
    program: str, clients: Clients, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path)
    first, second = registry.image(repository), registry.image(f"{repository}-copy")
    docker = clients.make(program, tmp_path)
    assert isinstance(docker, Docker)
    docker.log_in(registry).checked()
    docker.push(image, first).checked()
    docker.pull(first).checked()
    docker.run("tag", first, second).checked()
    assert f"Mounted from {repository}" in docker.run("push", second).checked().out


@pytest.mark.parametrize("program", docker_clients())
def test_docker_says_what_is_there_already(
    program: str, clients: Clients, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path)
    first, second = registry.image(repository), registry.image(repository, ":v2")
    docker = clients.make(program, tmp_path)
    assert isinstance(docker, Docker)
    docker.log_in(registry).checked()
    docker.push(image, first).checked()
    docker.pull(first).checked()
    docker.run("tag", first, second).checked()
    assert "Layer already exists" in docker.run("push", second).checked().out


def test_skopeo_lists_tags_and_deletes_an_image(
    skopeo: Skopeo, registry: Registry, repository: str, tmp_path: Path
) -> None:
    skopeo.log_in(registry).checked()
    for tag in ("v1", "v2", "latest"):
        skopeo.push(sample_image(tmp_path / tag), registry.image(repository, f":{tag}")).checked()
    place = f"docker://{registry.image(repository, '')}"
    listed = skopeo.run("list-tags", "--tls-verify=false", place).checked()
    assert sorted(json.loads(listed.out)["Tags"]) == ["latest", "v1", "v2"]
    skopeo.run("delete", "--tls-verify=false", f"{place}:v1").checked()
    assert skopeo.pull(registry.image(repository, ":v1")).status != 0
    skopeo.pull(registry.image(repository, ":v2")).checked()


def test_buildah_builds_and_pushes_and_podman_pulls(
    clients: Clients, registry: Registry, repository: str, tmp_path: Path
) -> None:
    buildah = require_program("buildah")
    podman = clients.make("podman", tmp_path)
    assert isinstance(podman, Podman)
    podman.log_in(registry).checked()
    (tmp_path / "motd").write_text("hello")
    name = registry.image(repository)

    def build(*arguments: str) -> str:
        environment = {**podman.environment, "REGISTRY_AUTH_FILE": str(podman.credentials)}
        return podman.ground.run(buildah, *arguments, env=environment).checked().out.strip()

    container = build("from", "scratch")
    build("copy", container, str(tmp_path / "motd"), "/motd")
    built = build("commit", "--quiet", container, name)
    build("push", "--tls-verify=false", name)
    podman.run("rmi", "--force", name).checked()
    podman.pull(name).checked()
    assert podman.pulled(name).config.removeprefix("sha256:") == built
