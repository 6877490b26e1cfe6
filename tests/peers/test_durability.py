"""Damage on the registry's disk, and a registry that comes back from a backup, as the programs meet them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.outcomes import damage
from tests.peers.clients import Client
from tests.peers.ground import Ground, this_machine
from tests.peers.images import sample_image
from tests.peers.registries import answers, free_port, start_sealift

pytestmark = pytest.mark.peers


@pytest.fixture
def own_ground() -> Iterator[Ground]:
    """Where this test's own server runs."""
    with this_machine() as ground:
        yield ground


def sealift(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "sealift", *arguments], capture_output=True, check=False)


def test_a_changed_layer_reaches_nobody_and_a_push_of_the_same_image_heals_it(
    own_ground: Ground, client: Client, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    registry = start_sealift(
        own_ground, listen=address, name=address, ready=answers(address, "/readyz"), workers=2
    )
    assert registry.data is not None
    image = sample_image(tmp_path, size=400_000)
    name = registry.image("apps/web")
    client.log_in(registry).checked()
    client.push(image, name).checked()
    layer = max((registry.data / "blobs").rglob("*"), key=lambda path: path.stat().st_size)
    damage(layer)
    assert client.pull(name).status != 0
    checked = sealift("storage", "check", "--data", str(registry.data))
    assert checked.returncode == 1
    assert b"apps/web:v1" in checked.stdout
    client.push(image, name).checked()
    client.pull(name).checked()
    assert client.pulled(name).config == image.config_digests[0]
    assert sealift("storage", "check", "--deep", "--data", str(registry.data)).returncode == 0


@pytest.mark.parametrize("form", ["backup", "backup.tar"])
def test_a_registry_that_comes_back_from_a_backup_serves_what_it_served(
    own_ground: Ground, client: Client, tmp_path: Path, form: str
) -> None:
    address = f"127.0.0.1:{free_port()}"
    registry = start_sealift(own_ground, listen=address, name=address, ready=answers(address, "/readyz"))
    process = own_ground.daemons[-1]
    assert registry.data is not None
    image = sample_image(tmp_path, size=400_000)
    name = registry.image("apps/web")
    client.log_in(registry).checked()
    client.push(image, name).checked()
    backup = tmp_path / form
    assert sealift("backup", str(backup), "--data", str(registry.data)).returncode == 0
    process.terminate()
    process.wait(40)
    registry.data.rename(registry.data.with_name("lost"))
    assert sealift("restore", str(backup), "--data", str(registry.data)).returncode == 0
    own_ground.start(
        *(sys.executable, "-m", "sealift", "serve", "--listen", address, "--data", str(registry.data)),
        ready=answers(address, "/readyz"),
    )
    client.pull(name).checked()
    assert client.pulled(name).config == image.config_digests[0]
