"""What each client says when it is refused: by docker-registry, and word for word the same by ours.

`WORDS` is what Debian 12's clients print against docker-registry 2.8.2. With
other versions of them the table is not looked at, and the comparison between
the two registries still is.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.peers.clients import Client, write_login
from tests.peers.ground import Ground, Outcome
from tests.peers.images import SampleImage, sample_image
from tests.peers.programs import find_program
from tests.peers.registries import STRANGER, STRANGERS_PASSWORD, USERNAME, Registry

pytestmark = pytest.mark.peers


def pull_not_logged_in(client: Client, registry: Registry, repository: str, image: SampleImage) -> Outcome:
    return client.pull(registry.image(repository))


def pull_with_a_wrong_password(
    client: Client, registry: Registry, repository: str, image: SampleImage
) -> Outcome:
    write_login(client, registry, USERNAME, "wrong")
    return client.pull(registry.image(repository))


def pull_without_the_right(
    client: Client, registry: Registry, repository: str, image: SampleImage
) -> Outcome:
    write_login(client, registry, STRANGER, STRANGERS_PASSWORD)
    return client.pull(registry.image(repository))


def pull_a_missing_tag(client: Client, registry: Registry, repository: str, image: SampleImage) -> Outcome:
    client.log_in(registry).checked()
    return client.pull(registry.image(repository, ":nope"))


def log_in_with_a_wrong_password(
    client: Client, registry: Registry, repository: str, image: SampleImage
) -> Outcome:
    return client.log_in(registry, password="wrong")


def push_not_logged_in(client: Client, registry: Registry, repository: str, image: SampleImage) -> Outcome:
    return client.push(image, registry.image(repository))


def push_with_a_wrong_password(
    client: Client, registry: Registry, repository: str, image: SampleImage
) -> Outcome:
    write_login(client, registry, USERNAME, "wrong")
    return client.push(image, registry.image(repository))


def push_without_the_right(
    client: Client, registry: Registry, repository: str, image: SampleImage
) -> Outcome:
    write_login(client, registry, STRANGER, STRANGERS_PASSWORD)
    return client.push(image, registry.image(repository))


Situation = Callable[[Client, Registry, str, SampleImage], Outcome]

ANYWHERE: tuple[Situation, ...] = (
    pull_not_logged_in,
    pull_with_a_wrong_password,
    pull_a_missing_tag,
    log_in_with_a_wrong_password,
    push_not_logged_in,
    push_with_a_wrong_password,
)
WITH_RIGHTS: tuple[Situation, ...] = (*ANYWHERE, pull_without_the_right, push_without_the_right)
"""A registry with a password file gives every user every right."""

_SOURCE = "initializing source docker://R/P:{tag}"
_DENIED = "denied: requested access to the resource is denied"
_BLOB = "trying to reuse blob DIGEST at destination"
_BLOB_EXISTS = f"{_BLOB}: checking whether a blob DIGEST exists in R/P"
_NO_BODY = 'error parsing HTTP 401 response body: unexpected end of JSON input: ""'

WORDS: dict[tuple[str, str], dict[Situation, str]] = {
    ("docker", "passwords"): {
        pull_not_logged_in: (
            'Error response from daemon: Head "http://R/v2/P/manifests/v1": no basic auth credentials'
        ),
        pull_with_a_wrong_password: "Error response from daemon: unauthorized: authentication required",
        pull_a_missing_tag: (
            "Error response from daemon: manifest for R/P:nope not found: manifest unknown: manifest unknown"
        ),
        log_in_with_a_wrong_password: (
            "Error response from daemon: login attempt to http://R/v2/ failed with status: 401 Unauthorized"
        ),
        push_not_logged_in: "no basic auth credentials",
        push_with_a_wrong_password: "unauthorized: authentication required",
    },
    ("docker", "tokens"): {
        pull_not_logged_in: (
            "Error response from daemon: pull access denied for R/P, repository does not exist"
            f" or may require 'docker login': {_DENIED}"
        ),
        pull_with_a_wrong_password: (
            'Error response from daemon: Head "http://R/v2/P/manifests/v1":'
            " unauthorized: authentication required"
        ),
        pull_a_missing_tag: (
            "Error response from daemon: manifest for R/P:nope not found: manifest unknown: manifest unknown"
        ),
        log_in_with_a_wrong_password: (
            'Error response from daemon: Get "http://R/v2/": unauthorized: authentication required'
        ),
        push_not_logged_in: _DENIED,
        push_with_a_wrong_password: "unauthorized: authentication required",
        pull_without_the_right: (
            "Error response from daemon: pull access denied for R/P, repository does not exist"
            f" or may require 'docker login': {_DENIED}"
        ),
        push_without_the_right: _DENIED,
    },
    ("containers", "passwords"): {
        pull_not_logged_in: (
            f"{_SOURCE.format(tag='v1')}: reading manifest v1 in R/P: unauthorized: authentication required"
        ),
        pull_with_a_wrong_password: (
            f"{_SOURCE.format(tag='v1')}: reading manifest v1 in R/P: unauthorized: authentication required"
        ),
        pull_a_missing_tag: (
            f"{_SOURCE.format(tag='nope')}: reading manifest nope in R/P: manifest unknown: manifest unknown"
        ),
        log_in_with_a_wrong_password: 'logging into "R": invalid username/password',
        push_not_logged_in: f"{_BLOB_EXISTS}: unauthorized: authentication required",
        push_with_a_wrong_password: f"{_BLOB_EXISTS}: unauthorized: authentication required",
    },
    ("containers", "tokens"): {
        pull_not_logged_in: (
            f"{_SOURCE.format(tag='v1')}: reading manifest v1 in R/P: errors:\n{_DENIED}\n"
            "unauthorized: authentication required"
        ),
        pull_with_a_wrong_password: (
            f"{_SOURCE.format(tag='v1')}: unable to retrieve auth token: invalid username/password:"
            " unauthorized: authentication required"
        ),
        pull_a_missing_tag: (
            f"{_SOURCE.format(tag='nope')}: reading manifest nope in R/P: manifest unknown: manifest unknown"
        ),
        log_in_with_a_wrong_password: 'logging into "R": invalid username/password',
        push_not_logged_in: f"{_BLOB_EXISTS}: errors:\n{_DENIED}\n{_NO_BODY}",
        push_with_a_wrong_password: (
            f"{_BLOB}: unable to retrieve auth token: invalid username/password:"
            " unauthorized: authentication required"
        ),
        pull_without_the_right: (
            f"{_SOURCE.format(tag='v1')}: reading manifest v1 in R/P: errors:\n{_DENIED}\n"
            "unauthorized: authentication required"
        ),
        push_without_the_right: f"{_BLOB_EXISTS}: errors:\n{_DENIED}\n{_NO_BODY}",
    },
}
"""Family of clients and kind of registry → what is said. R is the registry's address, P the repository."""

FAMILIES = {"docker": "docker", "docker-of-debian": "docker", "podman": "containers", "skopeo": "containers"}
DEBIANS_VERSIONS = {"dockerd": "20.10.24", "podman": "4.3.1", "skopeo": "1.9.3", "docker-registry": "2.8.2"}


def said(outcome: Outcome, registry: Registry, repository: str) -> str:
    """What the client complains of, without the address, the repository, the time and the digests."""
    text = outcome.err.strip()
    if (found := re.search(r'level=fatal msg="((?:[^"\\]|\\.)*)"', text)) is not None:  # skopeo: a log line
        text = found[1].replace("\\n", "\n").replace('\\"', '"')
    elif (start := text.find("Error: ")) >= 0:  # podman: after its progress
        text = text[start:].removeprefix("Error: ")
    text = text.replace(registry.address, "R").replace(repository, "P")
    return re.sub(r"sha256:[0-9a-f]{64}", "DIGEST", text).strip()


@pytest.fixture
def refused(client: Client, repository: str, tmp_path: Path) -> Callable[[Registry, Situation], str]:
    """Put an image into a registry, be refused, and return what the client said of it."""

    def provoke(registry: Registry, situation: Situation) -> str:
        image = sample_image(tmp_path / registry.name / "image")
        client.log_in(registry).checked()
        client.push(image, registry.image(repository)).checked()
        client.log_out(registry).checked()
        another = sample_image(tmp_path / registry.name / "another")
        outcome = situation(client, registry, repository, another)
        assert outcome.status != 0, outcome
        return said(outcome, registry, repository)

    return provoke


@pytest.fixture(scope="session")
def as_in_the_table(machine: Ground) -> bool:
    """Whether the programs here are those whose words are in the table."""
    return all(
        find_program(program) is not None and version in machine.run(program, "--version").out
        for program, version in DEBIANS_VERSIONS.items()
    )


@pytest.mark.parametrize("situation", ANYWHERE, ids=lambda situation: situation.__name__)
def test_what_is_said_of_a_registry_with_a_password_file(
    client: Client,
    registry_with_passwords: Registry,
    refused: Callable[[Registry, Situation], str],
    situation: Situation,
    as_in_the_table: bool,
) -> None:
    words = refused(registry_with_passwords, situation)
    assert not as_in_the_table or words == WORDS[FAMILIES[client.name], "passwords"][situation]


@pytest.mark.parametrize("situation", WITH_RIGHTS, ids=lambda situation: situation.__name__)
def test_what_is_said_of_a_registry_with_tokens(
    client: Client,
    registry_with_tokens: Registry,
    refused: Callable[[Registry, Situation], str],
    situation: Situation,
    as_in_the_table: bool,
) -> None:
    words = refused(registry_with_tokens, situation)
    assert not as_in_the_table or words == WORDS[FAMILIES[client.name], "tokens"][situation]


@pytest.mark.parametrize("situation", WITH_RIGHTS, ids=lambda situation: situation.__name__)
def test_the_same_is_said_of_ours(
    client: Client,
    sealift: Registry,
    refused: Callable[[Registry, Situation], str],
    situation: Situation,
    request: pytest.FixtureRequest,
) -> None:
    said_of_ours = refused(sealift, situation)
    if request.getfixturevalue("as_in_the_table"):
        assert said_of_ours == WORDS[FAMILIES[client.name], "tokens"][situation]
    else:
        assert said_of_ours == refused(request.getfixturevalue("registry_with_tokens"), situation)
