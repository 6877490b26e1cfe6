"""One login file for everybody: what we write they use, what they write we use."""

import shutil
from pathlib import Path

import pytest
from tests.peers.clients import Client, Clients, Docker, Sealift, docker_clients, logins
from tests.peers.conftest import CLIENTS_OF_THE_WORLD, PrivateImage
from tests.peers.registries import PASSWORD, USERNAME, Registry

pytestmark = pytest.mark.peers


def test_a_client_uses_what_sealift_login_wrote(
    client: Client, ours: Sealift, sealift: Registry, private_image: PrivateImage
) -> None:
    assert client.pull(private_image.name).status != 0
    ours.log_in(sealift).checked()
    shutil.copy(ours.credentials, client.credentials)
    client.pull(private_image.name).checked()


def test_sealift_uses_what_a_client_wrote(
    client: Client, ours: Sealift, sealift: Registry, private_image: PrivateImage
) -> None:
    assert ours.pull(private_image.name).status == 4
    client.log_in(sealift).checked()
    shutil.copy(client.credentials, ours.credentials)
    ours.pull(private_image.name).checked()


@pytest.mark.parametrize("name", ["podman", "skopeo"])
def test_sealift_finds_the_file_of_podman_and_skopeo_where_they_keep_it(
    name: str, clients: Clients, ours: Sealift, sealift: Registry, private_image: PrivateImage
) -> None:
    other = clients.make(name, ours.directory)
    other.log_in(sealift).checked()
    store = f"oci:{ours.directory}/by-variable:v1"
    by_variable = {"REGISTRY_AUTH_FILE": str(other.credentials)}
    ours.run("pull", private_image.name, store, environment=by_variable).checked()
    runtime = ours.directory / "runtime"
    (runtime / "containers").mkdir(parents=True)
    shutil.copy(other.credentials, runtime / "containers" / "auth.json")
    store = f"oci:{ours.directory}/by-place:v1"
    ours.run("pull", private_image.name, store, environment={"XDG_RUNTIME_DIR": str(runtime)}).checked()


@pytest.mark.parametrize("name", docker_clients())
def test_docker_and_sealift_share_one_directory(
    name: str, clients: Clients, ours: Sealift, sealift: Registry, private_image: PrivateImage
) -> None:
    docker = clients.make(name, ours.directory)
    assert isinstance(docker, Docker)
    shared = Sealift(ours.ground, ours.program, docker.directory)
    docker.log_in(sealift).checked()
    by_docker = docker.credentials.read_bytes()
    shared.pull(private_image.name).checked()
    shared.log_out(sealift).checked()
    assert logins(docker) == {}
    assert docker.pull(private_image.name).status != 0
    shared.log_in(sealift).checked()
    assert docker.credentials.read_bytes() == by_docker
    docker.pull(private_image.name).checked()
    docker.log_out(sealift).checked()
    assert logins(shared) == {}
    assert shared.pull(private_image.name).status == 4


def test_every_client_writes_the_same_login(clients: Clients, sealift: Registry, tmp_path: Path) -> None:
    written = {}
    for name in (*CLIENTS_OF_THE_WORLD, "sealift"):
        one = clients.make(name, tmp_path)
        one.log_in(sealift).checked()
        written[name] = logins(one)
        one.log_out(sealift).checked()
        assert logins(one) == {}
    login = {sealift.address: f"{USERNAME}:{PASSWORD}"}
    assert written == dict.fromkeys((*CLIENTS_OF_THE_WORLD, "sealift"), login)


def test_a_login_that_fails_leaves_the_file_alone(ours: Sealift, sealift: Registry) -> None:
    ours.log_in(sealift).checked()
    before = ours.credentials.read_bytes()
    assert ours.log_in(sealift, password="wrong").status == 4
    assert ours.credentials.read_bytes() == before


HELPER = """#!/bin/sh
# A credential helper as docker-credential-helpers has them, that keeps one login in a file.
case "$1" in
  store) cat > "$0.kept" ;;
  get)
    read -r server
    grep -q "$server" "$0.kept" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; }
    cat "$0.kept" ;;
  erase) rm -f "$0.kept" ;;
  list) echo '{}' ;;
esac
"""


@pytest.mark.parametrize("name", docker_clients())
def test_docker_and_sealift_share_a_credential_helper(
    name: str,
    clients: Clients,
    ours: Sealift,
    sealift: Registry,
    private_image: PrivateImage,
) -> None:
    docker = clients.make(name, ours.directory)
    assert isinstance(docker, Docker)
    programs = ours.directory / "bin"
    programs.mkdir()
    helper = programs / "docker-credential-tests"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    docker.credentials.write_text('{"credsStore": "tests"}')
    path = {"PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin"}
    docker = Docker(docker.ground, docker.program, docker.socket, docker.directory, docker.name, path)
    shared = Sealift(ours.ground, ours.program, docker.directory, environment=path)
    shared.log_in(sealift).checked()
    assert logins(shared) == {}  # the file has no password in it
    docker.pull(private_image.name).checked()
    shared.pull(private_image.name).checked()
    docker.log_out(sealift).checked()
    assert shared.pull(private_image.name).status == 4
    docker.log_in(sealift).checked()
    shared.pull(private_image.name).checked()
    shared.log_out(sealift).checked()
    assert docker.pull(private_image.name).status != 0
