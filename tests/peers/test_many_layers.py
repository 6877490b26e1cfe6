"""An image of a hundred layers and more: what one client pushes, others pull, in order and byte for byte."""

import json
from pathlib import Path

import pytest
from tests.peers.clients import Clients, Docker, Sealift, Skopeo, docker_clients
from tests.peers.images import sample_image
from tests.peers.registries import PASSWORD, USERNAME, Registry
from tests.peers.test_containerd import credential

from sealift.node.cri import CriRuntime

pytestmark = pytest.mark.peers

LAYERS = 100
MOST = 127
"""What old file systems under docker could mount. Its own limit is 125 by now."""


def test_skopeo_and_our_client_pass_each_other_as_many_as_there_may_be(
    ours: Sealift, skopeo: Skopeo, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path, size=64, layers=MOST)
    first, second = sealift.image(repository), sealift.image(f"{repository}-copy")
    for client in (ours, skopeo):
        client.log_in(sealift).checked()
    skopeo.push(image, first).checked()
    ours.pull(first).checked()
    blobs = ours.store(first) / "blobs" / "sha256"
    sent = {path.name: path.read_bytes() for path in (image.layout / "blobs" / "sha256").iterdir()}
    assert {path.name: path.read_bytes() for path in blobs.iterdir()} == sent
    ours.run("push", f"oci:{ours.store(first)}:v1", second).checked()
    skopeo.pull(second).checked()
    manifest = json.loads((skopeo.store(second) / "manifest.json").read_bytes())
    assert [layer["digest"] for layer in manifest["layers"]] == list(image.layers)


@pytest.fixture
def docker(clients: Clients, tmp_path: Path) -> Docker:
    made = clients.make(docker_clients()[0], tmp_path)
    assert isinstance(made, Docker)
    return made


async def test_docker_and_containerd_take_a_hundred(
    ours: Sealift, docker: Docker, containerd_socket: Path, sealift: Registry, repository: str
) -> None:
    image = sample_image(ours.directory / "image", size=64, layers=LAYERS)
    first, second = sealift.image(repository), sealift.image(f"{repository}-again")
    for client in (ours, docker):
        client.log_in(sealift).checked()
    ours.push(image, first).checked()
    # The configuration lists the layers' contents in their order, and each client holds them against it.
    docker.pull(first).checked()
    assert docker.pulled(first).config == image.config_digests[0]
    docker.run("tag", first, second).checked()
    assert docker.run("push", second).checked().out.count(f"Mounted from {repository}") == LAYERS
    async with CriRuntime(f"unix://{containerd_socket}") as containerd:
        assert await containerd.pull(second, credential((USERNAME, PASSWORD))) == image.config_digests[0]
