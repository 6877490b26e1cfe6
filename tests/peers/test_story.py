"""The story with the clients of the world: a right given or taken holds for the next command that is typed.

Accounts, grants and visibility are managed with our command line as an admin
types it; the rest is docker, podman and skopeo.
"""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.peers.clients import Client, Clients, Sealift
from tests.peers.conftest import PrivateImage
from tests.peers.ground import Outcome
from tests.peers.images import sample_image
from tests.peers.registries import Registry

pytestmark = pytest.mark.peers


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in."""

    name: str
    password: str


class Admin:
    """The admin, logged in with the password of the first start."""

    def __init__(self, program: Sealift, registry: Registry) -> None:
        assert registry.data is not None
        self._program = program
        password = (registry.data / "admin-password").read_text().strip()
        program.log_in(registry, "admin", password).checked()

    def type(self, *arguments: str, stdin: str = "") -> Outcome:
        """One management command. It goes to the server that the login was for."""
        return self._program.run(*arguments, stdin=stdin).checked()

    def new_account(self) -> Account:
        """An account that no other test uses."""
        account = Account(f"user-{secrets.token_hex(4)}", secrets.token_urlsafe(12))
        self.type("account", "add", account.name, "--password-stdin", stdin=account.password)
        return account


@pytest.fixture
def admin(clients: Clients, sealift: Registry, tmp_path: Path) -> Admin:
    program = clients.make("sealift", tmp_path / "admin")
    assert isinstance(program, Sealift)
    return Admin(program, sealift)


def test_an_owner_pushes_under_its_own_name_and_nobody_else_sees_it(
    client: Client, clients: Clients, admin: Admin, sealift: Registry, tmp_path: Path
) -> None:
    owner, stranger = admin.new_account(), admin.new_account()
    image, name = sample_image(tmp_path / "image"), sealift.image(f"{owner.name}/web")
    client.log_in(sealift, owner.name, owner.password).checked()
    client.push(image, name).checked()
    client.pull(name).checked()
    another = clients.make(client.name, tmp_path)
    another.log_in(sealift, stranger.name, stranger.password).checked()
    hidden = another.pull(name)
    absent = another.pull(sealift.image(f"{owner.name}/nope"))
    assert hidden.status == absent.status != 0
    assert hidden.err.replace("/web", "/nope").split("level=")[-1] == absent.err.split("level=")[-1]


def test_a_grant_holds_from_the_next_command_and_so_does_its_end(
    client: Client, admin: Admin, sealift: Registry, repository: str, tmp_path: Path
) -> None:
    account = admin.new_account()
    image, name = sample_image(tmp_path), sealift.image(repository)
    client.log_in(sealift, account.name, account.password).checked()
    assert client.push(image, name).status != 0
    given = admin.type(
        "grant", "add", "--to", account.name, "--repo", repository, "--actions", "pull,push", "-o", "json"
    )
    client.push(image, name).checked()
    client.pull(name).checked()
    admin.type("grant", "remove", str(_grant_id(given)))
    assert client.pull(name).status != 0
    assert client.push(image, name).status != 0


def test_a_right_to_pull_is_no_right_to_push(
    client: Client, admin: Admin, sealift: Registry, private_image: PrivateImage, tmp_path: Path
) -> None:
    account = admin.new_account()
    admin.type("grant", "add", "--to", account.name, "--repo", private_image.repository, "--actions", "pull")
    client.log_in(sealift, account.name, account.password).checked()
    client.pull(private_image.name).checked()
    assert client.push(sample_image(tmp_path), private_image.name).status != 0
    private_image.owner.pull(private_image.name).checked()
    assert private_image.owner.pulled(private_image.name).manifest == private_image.digest


def test_a_public_repository_is_pulled_by_anyone_until_it_is_private_again(
    client: Client, admin: Admin, private_image: PrivateImage, tmp_path: Path
) -> None:
    assert client.pull(private_image.name).status != 0
    admin.type("repo", "set", private_image.repository, "--visibility", "public")
    client.pull(private_image.name).checked()
    assert client.push(sample_image(tmp_path), private_image.name).status != 0
    admin.type("repo", "set", private_image.repository, "--visibility", "private")
    assert client.pull(private_image.name).status != 0


def test_a_disabled_account_is_refused_at_once_and_an_enabled_one_is_back(
    client: Client, admin: Admin, sealift: Registry, tmp_path: Path
) -> None:
    account = admin.new_account()
    image, name = sample_image(tmp_path), sealift.image(f"{account.name}/web")
    client.log_in(sealift, account.name, account.password).checked()
    client.push(image, name).checked()
    admin.type("account", "disable", account.name)
    assert client.pull(name).status != 0
    assert client.log_in(sealift, account.name, account.password).status != 0
    admin.type("account", "enable", account.name)
    client.log_in(sealift, account.name, account.password).checked()
    client.pull(name).checked()


def test_a_changed_password_ends_the_old_login(
    client: Client, admin: Admin, sealift: Registry, tmp_path: Path
) -> None:
    account = admin.new_account()
    image, name = sample_image(tmp_path), sealift.image(f"{account.name}/web")
    client.log_in(sealift, account.name, account.password).checked()
    client.push(image, name).checked()
    admin.type("account", "password", account.name, "--password-stdin", stdin="an entirely new one")
    assert client.pull(name).status != 0
    client.log_in(sealift, account.name, "an entirely new one").checked()
    client.pull(name).checked()


def _grant_id(outcome: Outcome) -> int:
    found = json.loads(outcome.out)
    return int(found["id"])
