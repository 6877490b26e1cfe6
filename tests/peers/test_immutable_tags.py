"""What people see whose push would move a tag that is immutable, or would delete it."""

import time
from pathlib import Path

import pytest
from tests.peers.clients import Client, Sealift, Skopeo
from tests.peers.images import sample_image
from tests.peers.registries import Registry

pytestmark = pytest.mark.peers

REFUSAL = "the tag v1 is immutable and cannot be"

AT_ONCE_SECONDS = 30.0
"""docker repeats a push for a minute where it believes that it may go better."""


def make_immutable(ours: Sealift, registry: Registry, repository: str, *patterns: str) -> None:
    """Give the repository these rules, as an admin."""
    assert registry.data is not None
    login = ("--username", "admin", "--password-file", str(registry.data / "admin-password"))
    rules = [word for pattern in patterns for word in ("--immutable", pattern)]
    ours.run("repo", "set", repository, *rules, "--server", registry.address, *login).checked()


def test_who_pushes_over_an_immutable_tag_is_told_so_at_once(
    client: Client, ours: Sealift, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    name = sealift.image(repository)
    client.log_in(sealift).checked()
    client.push(sample_image(tmp_path / "image"), name).checked()
    make_immutable(ours, sealift, repository, "v*")
    began = time.monotonic()
    refused = client.push(sample_image(tmp_path / "another"), name)
    took = time.monotonic() - began
    assert refused.status != 0
    assert f"denied: {REFUSAL} moved: the repository's rule v* protects it" in refused.err, refused
    assert took < AT_ONCE_SECONDS, refused


def test_the_same_image_may_be_pushed_again(
    client: Client, ours: Sealift, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    image, name = sample_image(tmp_path / "image"), sealift.image(repository)
    client.log_in(sealift).checked()
    client.push(image, name).checked()
    make_immutable(ours, sealift, repository, "v*")
    client.push(image, name).checked()


def test_skopeo_does_not_delete_it(
    skopeo: Skopeo, ours: Sealift, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    name = sealift.image(repository)
    skopeo.log_in(sealift).checked()
    skopeo.push(sample_image(tmp_path / "image"), name).checked()
    make_immutable(ours, sealift, repository, "v*")
    refused = skopeo.run("delete", "--tls-verify=false", f"docker://{name}")
    assert (refused.status, REFUSAL in refused.err) == (1, True), refused
    skopeo.pull(name).checked()


def test_our_own_client_says_it_and_ends_with_forbidden(
    ours: Sealift, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    name = sealift.image(repository)
    ours.log_in(sealift).checked()
    ours.push(sample_image(tmp_path / "image"), name).checked()
    make_immutable(ours, sealift, repository, "v*")
    for refused in (ours.push(sample_image(tmp_path / "another"), name), ours.run("delete", name)):
        assert (refused.status, REFUSAL in refused.err) == (5, True), refused
