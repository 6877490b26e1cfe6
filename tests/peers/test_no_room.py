"""What each client shows where a registry has no room: a full disk, and a full quota."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.peers.clients import Client, Clients
from tests.peers.ground import await_that
from tests.peers.images import sample_image
from tests.peers.registries import Registry
from tests.registry_requests import Pusher, digest_of
from tests.served import Served
from tests.small_disk import serving_on_small_disk

pytestmark = pytest.mark.peers


def _registry(served: Served) -> Registry:
    return Registry(name="sealift", address=served.address)


@pytest.mark.parametrize("name", ["podman", "skopeo", "sealift"])
def test_a_full_disk_has_a_name_that_is_shown_and_pulls_go_on(
    name: str, clients: Clients, tmp_path: Path
) -> None:
    with serving_on_small_disk(tmp_path, "16m") as (served, disk):
        client, registry = clients.make(name, tmp_path), _registry(served)
        small = sample_image(tmp_path / "small")
        client.log_in(registry, "admin", served.admin_password).checked()
        client.push(small, registry.image("admin/small")).checked()
        large = sample_image(tmp_path / "large", size=100_000)
        disk.fill()
        refused = client.push(large, registry.image("admin/large"))
        assert refused.status != 0
        assert "507 Insufficient Storage" in refused.err or "storage is full" in refused.err, refused
        client.log_in(registry, "admin", served.admin_password).checked()
        client.pull(registry.image("admin/small")).checked()
        disk.free()
        client.push(large, registry.image("admin/large")).checked()
        disk.check_whole()


def test_docker_tries_again_and_is_done_once_there_is_room(clients: Clients, tmp_path: Path) -> None:
    """It would go on for 50 s, and then say ``received unexpected HTTP status: 507 Insufficient Storage``."""
    with serving_on_small_disk(tmp_path, "16m") as (served, disk):
        client, registry = clients.make("docker", tmp_path), _registry(served)
        client.log_in(registry, "admin", served.admin_password).checked()
        image = sample_image(tmp_path / "image", size=100_000)
        disk.fill()
        with ThreadPoolExecutor(1) as threads:
            pushing = threads.submit(client.push, image, registry.image("admin/app"))
            assert await_that(lambda: "pushes are refused" in served.log.read_text())
            disk.free()
            pushing.result().checked()
        client.pull(registry.image("admin/app")).checked()
        disk.check_whole()


def test_a_full_quota_is_told_with_its_message_and_at_once(client: Client, tmp_path: Path) -> None:
    with serving_on_small_disk(tmp_path, "64m") as (served, _):
        registry, admin = _registry(served), Pusher(served)
        made = {"name": "ashok", "password": "tall giraffe"}
        assert admin.ask("POST", "/api/v1/accounts", json.dumps(made).encode()).status == 201
        quota = json.dumps({"quotaBytes": 1_500_000}).encode()
        assert admin.ask("PATCH", "/api/v1/accounts/ashok", quota).status == 200
        client.log_in(registry, "ashok", "tall giraffe").checked()
        small = sample_image(tmp_path / "small", size=1_000)
        client.push(small, registry.image("ashok/small")).checked()
        ashok = Pusher(served, "ashok/filler", "ashok", "tall giraffe")
        filler = os.urandom(1_450_000)
        assert ashok.push_blob(filler).status == 201
        began = time.monotonic()
        large = sample_image(tmp_path / "large", size=100_000)
        refused = client.push(large, registry.image("ashok/large"))
        assert refused.status != 0
        assert "the storage quota of ashok is used up" in refused.err, refused
        assert time.monotonic() - began < 30, "it was not tried again and again"
        client.push(small, registry.image("ashok/small")).checked()
        client.push(small, registry.image("ashok/again")).checked()
        assert ashok.ask("DELETE", f"blobs/{digest_of(filler)}").status == 202
        client.push(large, registry.image("ashok/large")).checked()
