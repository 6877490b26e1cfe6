"""Our own client: against docker-registry as against ours, and hand in hand with the clients of the world."""

import hashlib
import json
from pathlib import Path

import pytest
from tests.peers.clients import Clients, Sealift, Skopeo
from tests.peers.conftest import CLIENTS_OF_THE_WORLD
from tests.peers.ground import Outcome
from tests.peers.images import ARCHITECTURES, sample_image, sample_index
from tests.peers.registries import Registry
from tests.peers.test_refusals import (
    ANYWHERE,
    WITH_RIGHTS,
    Situation,
    log_in_with_a_wrong_password,
    pull_a_missing_tag,
    pull_not_logged_in,
    pull_with_a_wrong_password,
    pull_without_the_right,
    push_not_logged_in,
    push_with_a_wrong_password,
    push_without_the_right,
)

pytestmark = pytest.mark.peers

EXIT_STATUS: dict[Situation, int] = {
    pull_not_logged_in: 4,
    pull_with_a_wrong_password: 4,
    pull_a_missing_tag: 3,
    log_in_with_a_wrong_password: 4,
    push_not_logged_in: 4,
    push_with_a_wrong_password: 4,
    pull_without_the_right: 5,
    push_without_the_right: 5,
}


@pytest.fixture(params=["registry_with_passwords", "sealift"])
def any_registry(request: pytest.FixtureRequest) -> Registry:
    """A foreign registry, and ours. The foreign one asks for Basic: its realm would be plain HTTP."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Registry)
    return found


def test_what_is_pushed_comes_back_by_tag_and_by_digest(
    ours: Sealift, any_registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path)
    name = any_registry.image(repository)
    ours.log_in(any_registry).checked()
    ours.push(image, name).checked()
    ours.pull(name).checked()
    assert ours.pulled(name).manifest == image.digest
    pinned = any_registry.image(repository, f"@{image.digest}")
    ours.pull(pinned).checked()
    assert ours.pulled(pinned) == ours.pulled(name)
    assert ours.run("digest", name).checked().out.strip().endswith(image.digest)
    assert "v1" in ours.run("tags", any_registry.image(repository, "")).checked().out.split()


def test_what_ours_pushes_every_client_pulls(
    ours: Sealift, clients: Clients, any_registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path / "image")
    name = any_registry.image(repository)
    ours.log_in(any_registry).checked()
    ours.push(image, name).checked()
    for puller in CLIENTS_OF_THE_WORLD:
        other = clients.make(puller, tmp_path)
        other.log_in(any_registry).checked()
        other.pull(name).checked()
        found = other.pulled(name)
        assert (puller, found.manifest, found.config) == (puller, image.digest, image.config_digests[0])


@pytest.mark.parametrize("pusher", CLIENTS_OF_THE_WORLD)
def test_what_another_pushes_ours_pulls(
    pusher: str, clients: Clients, any_registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path / "image")
    name = any_registry.image(repository)
    other, ours = clients.make(pusher, tmp_path), clients.make("sealift", tmp_path)
    other.log_in(any_registry).checked()
    other.push(image, name).checked()
    other.pull(name).checked()
    ours.log_in(any_registry).checked()
    ours.pull(name).checked()
    assert ours.pulled(name) == other.pulled(name)


@pytest.mark.slow
def test_a_layer_of_64_mib_goes_in_and_out_whole(
    ours: Sealift, any_registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path, size=64 * 1024 * 1024)
    name = any_registry.image(repository)
    ours.log_in(any_registry).checked()
    ours.push(image, name).checked()
    ours.pull(name).checked()
    assert ours.pulled(name).manifest == image.digest
    for blob in (ours.store(name) / "blobs" / "sha256").iterdir():
        with blob.open("rb") as content:
            assert hashlib.file_digest(content, "sha256").hexdigest() == blob.name


def test_an_index_goes_through_with_all_its_platforms(
    ours: Sealift, skopeo: Skopeo, any_registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_index(tmp_path)
    name = any_registry.image(repository)
    ours.log_in(any_registry).checked()
    ours.push(image, name).checked()
    skopeo.log_in(any_registry).checked()
    assert f"sha256:{hashlib.sha256(skopeo.inspect(name)).hexdigest()}" == image.digest
    ours.pull(name).checked()
    sent, kept = (
        {path.name: path.read_bytes() for path in (layout / "blobs" / "sha256").iterdir()}
        for layout in (image.layout, ours.store(name))
    )
    assert kept == sent


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_one_platform_of_an_index_can_be_asked_for(
    architecture: str, ours: Sealift, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_index(tmp_path / "image")
    name = sealift.image(repository)
    ours.log_in(sealift).checked()
    ours.push(image, name).checked()
    ours.run("pull", "--platform", f"linux/{architecture}", name, f"oci:{tmp_path}/one:v1").checked()
    top = json.loads((tmp_path / "one" / "index.json").read_text())["manifests"][0]["digest"]
    manifest = json.loads((tmp_path / "one" / "blobs" / "sha256" / top.removeprefix("sha256:")).read_text())
    assert manifest["config"]["digest"] == image.config_digests[ARCHITECTURES.index(architecture)]


def test_an_image_is_copied_from_a_foreign_registry_to_ours(
    ours: Sealift, registry_with_passwords: Registry, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_index(tmp_path)
    source, target = registry_with_passwords.image(repository), sealift.image(repository)
    ours.log_in(registry_with_passwords).checked()
    ours.log_in(sealift).checked()
    ours.push(image, source).checked()
    ours.run("copy", f"docker://{source}", f"docker://{target}").checked()
    ours.pull(target).checked()
    assert ours.run("digest", target).checked().out.strip().endswith(image.digest)


def test_between_repositories_of_one_registry_layers_are_mounted(
    ours: Sealift, any_registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path)
    first, second = any_registry.image(repository), any_registry.image(f"{repository}-copy")
    ours.log_in(any_registry).checked()
    ours.push(image, first).checked()
    copied = ours.run("copy", f"docker://{first}", f"docker://{second}", "--progress", "plain").checked()
    assert copied.err.count("mounted") == 2
    ours.pull(second).checked()


def refused(
    ours: Sealift, registry: Registry, repository: str, directory: Path, situation: Situation
) -> Outcome:
    """Put an image into a registry, log out, and be refused."""
    ours.log_in(registry).checked()
    ours.push(sample_image(directory / "image"), registry.image(repository)).checked()
    ours.log_out(registry).checked()
    return situation(ours, registry, repository, sample_image(directory / "another"))


@pytest.mark.parametrize("situation", ANYWHERE, ids=lambda situation: situation.__name__)
def test_a_foreign_refusal_ends_with_the_status_of_the_contract(
    situation: Situation,
    ours: Sealift,
    registry_with_passwords: Registry,
    repository: str,
    tmp_path: Path,
) -> None:
    outcome = refused(ours, registry_with_passwords, repository, tmp_path, situation)
    assert outcome.status == EXIT_STATUS[situation], outcome


@pytest.mark.parametrize("situation", WITH_RIGHTS, ids=lambda situation: situation.__name__)
def test_a_refusal_by_ours_ends_with_the_status_of_the_contract(
    situation: Situation, ours: Sealift, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    outcome = refused(ours, sealift, repository, tmp_path, situation)
    assert outcome.status == EXIT_STATUS[situation], outcome
    what, why, hint = outcome.err.splitlines()[-3:]
    assert (what.split(":")[0], why.split(":")[0], hint.split(":")[0]) == ("error", "  why", "  next")
    assert "Traceback" not in outcome.err


def test_a_password_is_in_nothing_that_is_printed(
    ours: Sealift, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    secret = "a-password-that-is-nobody's"
    for outcome in (
        ours.log_in(sealift, password=secret),
        ours.run("login", "--debug", "-u", "ashok", "-p", secret, sealift.address),
    ):
        assert outcome.status == 4
        assert secret not in outcome.out + outcome.err
