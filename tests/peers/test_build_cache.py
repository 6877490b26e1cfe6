"""The cache of a build in the registry, with the BuildKit that is inside Debian's docker engine.

It writes its cache into the image (``BUILDKIT_INLINE_CACHE``). The exporter
that makes an image of the cache alone is in ``docker buildx``, which Debian 12
does not have: what it asks of a registry is in tests/conformance.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.peers.clients import DEBIANS_DOCKER, Clients, Docker, docker_clients
from tests.peers.registries import Registry

pytestmark = pytest.mark.peers

DOCKERFILE = "FROM scratch\nCOPY data /first\nCOPY data /second\n"


@pytest.fixture
def builder(clients: Clients, tmp_path: Path) -> Docker:
    """Debian's docker with BuildKit; the other one wants buildx for it."""
    made = clients.make(docker_clients()[-1], tmp_path)
    assert isinstance(made, Docker)
    return replace(made, program=DEBIANS_DOCKER, environment={"DOCKER_BUILDKIT": "1"})


def test_a_builder_without_a_cache_takes_the_one_in_the_image(
    builder: Docker, registry: Registry, repository: str, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "data").write_text(repository)
    name, again = registry.image(repository), registry.image(repository, ":again")
    builder.log_in(registry).checked()

    def build(tag: str, *arguments: str) -> str:
        return (
            builder.run("build", "--progress", "plain", *arguments, "--tag", tag, str(context)).checked().err
        )

    assert "CACHED" not in build(name, "--build-arg", "BUILDKIT_INLINE_CACHE=1")
    builder.run("push", name).checked()
    builder.run("rmi", "--force", name).checked()
    builder.run("builder", "prune", "--all", "--force").checked()
    said = build(again, "--cache-from", name)
    assert f"importing cache manifest from {name}" in said
    assert said.count("CACHED") == 2
