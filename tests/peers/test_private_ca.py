"""TLS with a certificate by an authority that only its owner knows.

All of it runs in a network and mount namespace of its own, because docker and
containerd trust any certificate on a loopback address: the registry has a name
and an address that are not loopback, and what is written to
``/etc/docker/certs.d`` is written for these tests alone. Each client is shown
to refuse the registry before it is given the authority, and again after it was
taken away.
"""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.peers.clients import Client, Clients, Sealift, Skopeo, logins
from tests.peers.conftest import CLIENTS_OF_THE_WORLD
from tests.peers.daemons import start_containerd
from tests.peers.ground import Enclosure, enclosure
from tests.peers.images import sample_image
from tests.peers.registries import (
    PASSWORD,
    USERNAME,
    Certificate,
    Registry,
    certificate_for,
    docker_registry_with_tls,
    sealift_with_tls,
)
from tests.peers.test_containerd import credential
from tests.peers.test_refusals import said

from sealift.node.cri import CriRuntime
from sealift.node.errors import RuntimeRefused

pytestmark = [pytest.mark.peers, pytest.mark.xdist_group("private-ca")]

NAME = "registry.sealift.test"

UNKNOWN = "x509: certificate signed by unknown authority"
"""How Go says it, and with it docker, podman, skopeo and containerd."""

DOCKER_CERTIFICATES = "/etc/docker/certs.d"
LOGIN = ("-u", USERNAME, "--password-stdin")

CONTAINERS_CERTIFICATES = "/etc/containers/certs.d"


@pytest.fixture(scope="module")
def walled() -> Iterator[Enclosure]:
    """A network with one name and one address in it."""
    with enclosure(own_network=True) as ground:
        ground.write("/etc/hosts", f"127.0.0.1 localhost\n{ground.address} {NAME}\n")
        yield ground


@pytest.fixture(scope="module")
def certificate(walled: Enclosure) -> Certificate:
    return certificate_for(walled.scratch / "certificate", NAME)


@pytest.fixture(scope="module")
def yardstick(walled: Enclosure, certificate: Certificate) -> Registry:
    return docker_registry_with_tls(walled, NAME, certificate)


@pytest.fixture(scope="module")
def sealift_server(walled: Enclosure, certificate: Certificate) -> Registry:
    return sealift_with_tls(walled, NAME, certificate)


@pytest.fixture(scope="module", params=["yardstick", "sealift_server"])
def tls_registry(request: pytest.FixtureRequest) -> Registry:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Registry)
    return found


@pytest.fixture(scope="module")
def tls_clients(walled: Enclosure) -> Clients:
    return Clients(walled, lambda: walled, secure=True)


@pytest.fixture(params=CLIENTS_OF_THE_WORLD)
def tls_client(request: pytest.FixtureRequest, tls_clients: Clients, tmp_path: Path) -> Client:
    return tls_clients.make(request.param, tmp_path)


def trust(walled: Enclosure, root: str, registry: Registry, certificate: Certificate) -> None:
    """Give a client the authority, where it looks for one of that registry."""
    walled.write(f"{root}/{registry.address}/ca.crt", certificate.authority.read_text())


def distrust(walled: Enclosure, root: str, registry: Registry) -> None:
    walled.sh(f"rm -r {root}/{registry.address}")


def test_a_client_refuses_the_registry_until_it_is_given_the_authority(
    walled: Enclosure, tls_registry: Registry, certificate: Certificate, tls_client: Client, tmp_path: Path
) -> None:
    root = DOCKER_CERTIFICATES if tls_client.name.startswith("docker") else CONTAINERS_CERTIFICATES
    image, repository = sample_image(tmp_path), "apps/tls"
    name = tls_registry.image(repository)

    for outcome in (tls_client.log_in(tls_registry), tls_client.pull(name), tls_client.push(image, name)):
        assert outcome.status != 0
        assert UNKNOWN in said(outcome, tls_registry, repository)

    trust(walled, root, tls_registry, certificate)
    tls_client.log_in(tls_registry).checked()
    tls_client.push(image, name).checked()
    tls_client.pull(name).checked()
    assert tls_client.pulled(name).config == image.config_digests[0]
    tls_client.log_out(tls_registry).checked()
    assert tls_client.pull(name).status != 0

    distrust(walled, root, tls_registry)
    assert UNKNOWN in said(tls_client.pull(name), tls_registry, repository)


@pytest.fixture(scope="module")
def certificates_of_containerd(walled: Enclosure) -> Path:
    """The ``config_path`` of a containerd. It is read anew for each pull."""
    directory = walled.scratch / "certs.d"
    directory.mkdir()
    return directory


@pytest.fixture(scope="module")
def tls_containerd_socket(walled: Enclosure, certificates_of_containerd: Path) -> Path:
    return start_containerd(walled, certificates=certificates_of_containerd)


@pytest.fixture
async def tls_containerd(tls_containerd_socket: Path) -> AsyncIterator[CriRuntime]:
    async with CriRuntime(f"unix://{tls_containerd_socket}") as runtime:
        yield runtime


@pytest.fixture
def pushed(
    walled: Enclosure, tls_registry: Registry, certificate: Certificate, tls_clients: Clients, tmp_path: Path
) -> tuple[str, str]:
    """An image that the registry has: its name, and its configuration's digest."""
    skopeo = tls_clients.make("skopeo", tmp_path)
    assert isinstance(skopeo, Skopeo)
    image, name = sample_image(tmp_path), tls_registry.image("apps/tls-containerd")
    trust(walled, CONTAINERS_CERTIFICATES, tls_registry, certificate)
    skopeo.log_in(tls_registry).checked()
    skopeo.push(image, name).checked()
    distrust(walled, CONTAINERS_CERTIFICATES, tls_registry)
    return name, image.config_digests[0]


async def test_containerd_refuses_the_registry_until_it_is_given_the_authority(
    tls_containerd: CriRuntime,
    certificates_of_containerd: Path,
    tls_registry: Registry,
    certificate: Certificate,
    pushed: tuple[str, str],
) -> None:
    name, config = pushed
    login = credential((USERNAME, PASSWORD))
    with pytest.raises(RuntimeRefused) as before:
        await tls_containerd.pull(name, login)
    assert UNKNOWN in before.value.description

    hosts = certificates_of_containerd / tls_registry.address / "hosts.toml"
    hosts.parent.mkdir()
    server = f"https://{tls_registry.address}"
    # containerd 1.6 asks the hosts of the table, and then the server itself.
    authority = f'ca = "{certificate.authority}"\n'
    hosts.write_text(f'server = "{server}"\n{authority}[host."{server}"]\n{authority}')
    assert await tls_containerd.pull(name, login) == config

    shutil.rmtree(hosts.parent)
    with pytest.raises(RuntimeRefused) as after:
        await tls_containerd.pull(name, login)
    assert UNKNOWN in after.value.description


async def test_containerd_pulls_through_us_as_a_mirror_with_the_credential_of_the_pull(
    tls_containerd: CriRuntime,
    certificates_of_containerd: Path,
    certificate: Certificate,
    tls_registry: Registry,
    pushed: tuple[str, str],
) -> None:
    name, config = pushed
    mirrored = "mirrored.example:5000"
    hosts = certificates_of_containerd / mirrored / "hosts.toml"
    hosts.parent.mkdir(exist_ok=True)
    hosts.write_text(
        f'server = "https://{mirrored}"\n[host."https://{tls_registry.address}"]\n'
        f'  capabilities = ["pull", "resolve"]\n  ca = "{certificate.authority}"\n'
    )
    image = name.replace(tls_registry.address, mirrored)
    with pytest.raises(RuntimeRefused):
        await tls_containerd.pull(image, None)
    assert await tls_containerd.pull(image, credential((USERNAME, PASSWORD))) == config


def test_sealift_refuses_the_registry_until_it_is_given_the_authority(
    tls_clients: Clients, tls_registry: Registry, certificate: Certificate, tmp_path: Path
) -> None:
    without = tls_clients.make("sealift", tmp_path)
    assert isinstance(without, Sealift)
    given = Sealift(
        without.ground, without.program, without.directory, ("--ca-file", str(certificate.authority))
    )
    image, name = sample_image(tmp_path), tls_registry.image("apps/tls-sealift")
    for outcome in (without.log_in(tls_registry), without.pull(name), without.push(image, name)):
        assert outcome.status == 6
        assert "certificate" in outcome.err
        assert "Traceback" not in outcome.err
    # A certificate that is refused is never a reason to try plain HTTP.
    assert without.run("login", "--plain-http", *LOGIN, tls_registry.address, stdin=PASSWORD).status == 6
    assert logins(without) == {}

    given.log_in(tls_registry).checked()
    given.push(image, name).checked()
    given.pull(name).checked()
    assert given.pulled(name).manifest == image.digest
    assert without.pull(name).status == 6

    warned = without.run("digest", "--insecure-skip-tls-verify", name).checked()
    assert "warning" in warned.err
