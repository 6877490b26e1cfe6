"""Signatures under cosign's tags, with programs that read and write them there: skopeo and podman.

Debian builds both without sigstore itself, so they neither sign nor verify;
what a registry sees of signatures, they do.
"""

import json
from pathlib import Path

import pytest
from tests.peers.attached import push_attached
from tests.peers.clients import Clients, Podman, Skopeo
from tests.peers.registries import PASSWORD, USERNAME, Registry
from tests.peers.relay import relay_to
from tests.raw_repository import RawRepository, signed_tag
from tests.served import basic

pytestmark = pytest.mark.peers


def raw(registry: Registry, name: str) -> RawRepository:
    return RawRepository(registry.address, name, basic(USERNAME, PASSWORD))


def layers(repository: RawRepository, tag: str) -> list[tuple[str, object]]:
    """The layers of an image with their annotations."""
    found = repository.get(tag)
    assert found.status == 200, found
    return [(each["digest"], each["annotations"]) for each in json.loads(found.body)["layers"]]


@pytest.fixture
def lookaside(tmp_path: Path) -> Path:
    """A registries.d that has signatures kept in the registry."""
    made = tmp_path / "registries.d"
    made.mkdir()
    (made / "default.yaml").write_text("default-docker: {use-sigstore-attachments: true}\n")
    return made


@pytest.mark.parametrize("which", ["registry_with_passwords", "sealift"])
def test_skopeo_copies_the_signature_with_the_image(
    which: str, request: pytest.FixtureRequest, skopeo: Skopeo, repository: str, lookaside: Path
) -> None:
    registry: Registry = request.getfixturevalue(which)
    first, second = raw(registry, repository), raw(registry, f"{repository}-copy")
    attached = push_attached(first)
    skopeo.log_in(registry).checked()
    source, target = registry.image(first.name), registry.image(second.name)
    skopeo.run(
        *("--registries.d", str(lookaside), "copy", "--all", "--preserve-digests"),
        *("--src-tls-verify=false", "--dest-tls-verify=false"),
        *(f"docker://{source}", f"docker://{target}"),
    ).checked()
    tag = signed_tag(attached.index["digest"])
    assert second.get("v1").headers["docker-content-digest"] == attached.index["digest"]
    assert layers(second, tag) == layers(first, tag)
    # skopeo knows the one tag. The rest takes a client that asks for it.
    assert set(second.tags()) == {tag, "v1"}


def test_podman_looks_for_the_signature_of_what_it_pulls(
    clients: Clients, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    podman = clients.make("podman", tmp_path)
    assert isinstance(podman, Podman)
    settings = Path(podman.environment["HOME"]) / ".config" / "containers" / "registries.d"
    with relay_to(sealift) as relay:
        attached = push_attached(raw(sealift, repository))
        settings.mkdir(exist_ok=True)
        file = settings / "signatures.yaml"
        file.write_text(f"docker: {{{relay.registry.address}: {{use-sigstore-attachments: true}}}}\n")
        try:
            podman.log_in(relay.registry).checked()
            name = relay.registry.image(repository, f"@{attached.platform['digest']}")
            podman.pull(name)  # what it pulls cannot be unpacked: that comes after
        finally:
            file.unlink()
        asked = relay.to(f"/manifests/{signed_tag(attached.platform['digest'])}", "GET")
        assert [each.status for each in asked] == [404], relay.asked  # this platform has none of its own
