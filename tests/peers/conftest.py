"""Real programs, started when a test first asks for them and shared by the tests of one process."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from tests.peers.clients import Client, Clients, Sealift, Skopeo, docker_clients
from tests.peers.daemons import start_containerd
from tests.peers.ground import Enclosure, Ground, enclosure, this_machine
from tests.peers.images import sample_image
from tests.peers.registries import (
    Registry,
    docker_registry_with_passwords,
    docker_registry_with_tokens,
    sealift_registry,
)

CLIENTS_OF_THE_WORLD = (*docker_clients(), "podman", "skopeo")


@pytest.fixture(scope="session")
def machine() -> Iterator[Ground]:
    """Where registries run, and clients that need no rights."""
    with this_machine() as ground:
        yield ground


@pytest.fixture(scope="session")
def enclosed() -> Iterator[Enclosure]:
    """Where daemons run: the machine's network, and nothing else of it."""
    with enclosure() as ground:
        yield ground


@pytest.fixture(scope="session")
def registry_with_passwords(machine: Ground) -> Iterator[Registry]:
    """docker-registry with Basic authentication."""
    with docker_registry_with_passwords(machine) as registry:
        yield registry


@pytest.fixture(scope="session")
def registry_with_tokens(machine: Ground) -> Iterator[Registry]:
    """docker-registry with a token server."""
    with docker_registry_with_tokens(machine) as registry:
        yield registry


@pytest.fixture(scope="session")
def sealift(machine: Ground) -> Iterator[Registry]:
    """``sealift serve``."""
    with sealift_registry(machine) as registry:
        yield registry


@pytest.fixture(scope="session")
def other_sealift(machine: Ground) -> Iterator[Registry]:
    """Another ``sealift serve``, which knows nothing of the first."""
    with sealift_registry(machine) as registry:
        yield registry


@pytest.fixture(
    scope="session",
    params=[
        pytest.param("registry_with_tokens", id="docker-registry"),
        pytest.param("sealift", id="sealift"),
    ],
)
def registry(request: pytest.FixtureRequest) -> Registry:
    """Ours, and the yardstick: what a test asks of ours is first shown to be so of the other."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Registry)
    return found


@pytest.fixture(scope="session")
def clients(request: pytest.FixtureRequest, machine: Ground) -> Clients:
    """Clients that reach loopback registries in plain HTTP."""

    def enclosed() -> Enclosure:
        found = request.getfixturevalue("enclosed")
        assert isinstance(found, Enclosure)
        return found

    return Clients(machine, enclosed)


@pytest.fixture(params=CLIENTS_OF_THE_WORLD)
def client(request: pytest.FixtureRequest, clients: Clients, tmp_path: Path) -> Client:
    """Each client of the world in turn."""
    return clients.make(request.param, tmp_path)


@pytest.fixture
def ours(clients: Clients, tmp_path: Path) -> Sealift:
    """Our own client."""
    made = clients.make("sealift", tmp_path)
    assert isinstance(made, Sealift)
    return made


@dataclass(frozen=True, slots=True)
class PrivateImage:
    """An image in our registry that takes a right to see."""

    name: str
    repository: str
    digest: str
    owner: Client
    """Who pushed it, still logged in."""


@pytest.fixture
def private_image(clients: Clients, sealift: Registry, repository: str, tmp_path: Path) -> PrivateImage:
    """An image that ashok pushed."""
    image = sample_image(tmp_path / "private")
    owner = clients.make("sealift", tmp_path)
    owner.log_in(sealift).checked()
    owner.push(image, sealift.image(repository)).checked()
    return PrivateImage(sealift.image(repository), repository, image.digest, owner)


@pytest.fixture
def skopeo(clients: Clients, tmp_path: Path) -> Skopeo:
    """The client that shows most of what a registry has."""
    made = clients.make("skopeo", tmp_path)
    assert isinstance(made, Skopeo)
    return made


@pytest.fixture(scope="session")
def containerd_socket(enclosed: Enclosure) -> Path:
    """The socket of a containerd."""
    return start_containerd(enclosed)


_NUMBERS = count(1)


@pytest.fixture
def repository() -> str:
    """The path of a repository that no other test uses, under ``apps/``."""
    return f"apps/peer-{next(_NUMBERS)}"
