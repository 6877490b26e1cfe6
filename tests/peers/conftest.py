"""Real programs, started when a test first asks for them and shared by the tests of one process."""

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.peers.clients import Client, Docker, Podman, Sealift, Skopeo
from tests.peers.containers_tools import containers_environment
from tests.peers.daemons import start_containerd, start_dockerd
from tests.peers.ground import Enclosure, Ground, enclosure, this_machine
from tests.peers.programs import find_program, require_program
from tests.peers.registries import (
    Registry,
    docker_registry_with_passwords,
    docker_registry_with_tokens,
)

DEBIANS_DOCKER = "/usr/bin/docker"


def docker_clients() -> list[str]:
    """The docker that is first on PATH, and Debian's where that is another one."""
    first = find_program("docker")
    if first is None or not Path(DEBIANS_DOCKER).exists() or Path(first).samefile(DEBIANS_DOCKER):
        return ["docker"]
    return ["docker", "docker-of-debian"]


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
def docker_socket(enclosed: Enclosure) -> Path:
    """The socket of a docker engine."""
    return start_dockerd(enclosed)


@pytest.fixture(scope="session")
def containerd_socket(enclosed: Enclosure) -> Path:
    """The socket of a containerd."""
    return start_containerd(enclosed)


@pytest.fixture(scope="session")
def containers_settings(enclosed: Enclosure) -> dict[str, str]:
    """The environment of podman and buildah."""
    directory = enclosed.scratch / "containers"
    directory.mkdir()
    return containers_environment(directory)


@pytest.fixture(scope="session")
def skopeo_settings(machine: Ground) -> dict[str, str]:
    """The environment of skopeo, which needs no rights."""
    directory = machine.scratch / "skopeo"
    directory.mkdir()
    return containers_environment(directory)


_NUMBERS = count(1)


@pytest.fixture
def repository() -> str:
    """The path of a repository that no other test uses, under ``apps/``."""
    return f"apps/peer-{next(_NUMBERS)}"


@pytest.fixture
def new_client(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Client]:
    """Make a client by its name, logged in nowhere. Its daemon is started if it has one."""

    def make(name: str) -> Client:
        directory = tmp_path / f"client-{next(_NUMBERS)}"
        directory.mkdir()
        if name in docker_clients():
            program = require_program("docker") if name == "docker" else DEBIANS_DOCKER
            socket = request.getfixturevalue("docker_socket")
            return Docker(request.getfixturevalue("enclosed"), program, socket, directory, name)
        if name == "podman":
            program, ground = require_program("podman"), request.getfixturevalue("enclosed")
            return Podman(ground, program, directory, request.getfixturevalue("containers_settings"))
        if name == "skopeo":
            program, ground = require_program("skopeo"), request.getfixturevalue("machine")
            return Skopeo(ground, program, directory, request.getfixturevalue("skopeo_settings"))
        if name == "sealift":
            return Sealift(request.getfixturevalue("machine"), (sys.executable, "-m", "sealift"), directory)
        raise LookupError(name)

    return make


@pytest.fixture(params=[*docker_clients(), "podman", "skopeo"])
def client(request: pytest.FixtureRequest, new_client: Callable[[str], Client]) -> Client:
    """Each client of the world in turn."""
    return new_client(request.param)
