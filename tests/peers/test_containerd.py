"""containerd, asked over CRI as a kubelet asks it, with and without the credential of a Secret.

What it says when it is refused is compared word for word with what it says of
docker-registry. `WORDS` holds the words of containerd 1.6, Debian 12's.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest
from tests.peers.clients import Skopeo
from tests.peers.images import sample_image, sample_index
from tests.peers.registries import PASSWORD, STRANGER, STRANGERS_PASSWORD, USERNAME, Registry

from sealift.credentials.credential import Credential, SecretText, Source
from sealift.node.cri import CriRuntime
from sealift.node.errors import RuntimeRefused

pytestmark = pytest.mark.peers

_RESOLVE = 'failed to pull and unpack image "R/P:{tag}": failed to resolve reference "R/P:{tag}"'
_V1 = _RESOLVE.format(tag="v1")
_STATUS = f"Unknown: {_V1}: pulling from host R failed with status code [manifests v1]: 401 Unauthorized"
_DENIED = (
    f"Unknown: {_V1}: pull access denied, repository does not exist or may require authorization:"
    " server message: insufficient_scope: authorization failed"
)
_MISSING = f"NotFound: {_RESOLVE.format(tag='nope')}: R/P:nope: not found"

WORDS = {
    "passwords": {"nobody": _STATUS, "wrong password": _STATUS, "missing tag": _MISSING},
    "tokens": {
        "nobody": _DENIED,
        "wrong password": (
            f"Unknown: {_V1}: failed to authorize: failed to fetch oauth token:"
            " unexpected status: 401 Unauthorized"
        ),
        "no right": _DENIED,
        "missing tag": _MISSING,
    },
}

CREDENTIALS = {
    "nobody": None,
    "wrong password": (USERNAME, "wrong"),
    "no right": (STRANGER, STRANGERS_PASSWORD),
    "missing tag": (USERNAME, PASSWORD),
}

Refused = Callable[[Registry, str], Coroutine[None, None, str]]


def credential(pair: tuple[str, str] | None) -> Credential | None:
    """What a kubelet finds in a Secret, or None."""
    if pair is None:
        return None
    username, password = pair
    return Credential(
        username=username,
        password=SecretText(password),
        source=Source(kind="Secret", namespace="default", name="regcred"),
        key="registry",
    )


@pytest.fixture
async def containerd(containerd_socket: Path) -> AsyncIterator[CriRuntime]:
    async with CriRuntime(f"unix://{containerd_socket}") as runtime:
        yield runtime


@pytest.fixture
def refused(containerd: CriRuntime, skopeo: Skopeo, repository: str) -> Refused:
    """Push an image, be refused it, and return what containerd says to a kubelet."""

    async def provoke(registry: Registry, who: str) -> str:
        skopeo.log_in(registry).checked()
        image = sample_image(skopeo.directory / registry.name)
        skopeo.push(image, registry.image(repository)).checked()
        tag = ":nope" if who == "missing tag" else ":v1"
        with pytest.raises(RuntimeRefused) as refusal:
            await containerd.pull(registry.image(repository, tag), credential(CREDENTIALS[who]))
        words = f"{refusal.value.code}: {refusal.value.description}"
        return words.replace(registry.address, "R").replace(repository, "P").removeprefix("rpc error: ")

    return provoke


@pytest.mark.parametrize("who", WORDS["passwords"])
async def test_what_is_said_of_a_registry_with_a_password_file(
    who: str, containerd: CriRuntime, registry_with_passwords: Registry, refused: Refused
) -> None:
    words = await refused(registry_with_passwords, who)
    version = (await containerd.version()).version
    assert not version.startswith("1.6.") or words == WORDS["passwords"][who]


@pytest.mark.parametrize("who", WORDS["tokens"])
async def test_what_is_said_of_a_registry_with_tokens(
    who: str, containerd: CriRuntime, registry_with_tokens: Registry, refused: Refused
) -> None:
    words = await refused(registry_with_tokens, who)
    version = (await containerd.version()).version
    assert not version.startswith("1.6.") or words == WORDS["tokens"][who]


@pytest.mark.parametrize("who", WORDS["tokens"])
async def test_the_same_is_said_of_ours(
    who: str, registry_with_tokens: Registry, sealift: Registry, refused: Refused
) -> None:
    assert await refused(sealift, who) == await refused(registry_with_tokens, who)


async def test_with_the_credential_the_image_arrives(
    containerd: CriRuntime, skopeo: Skopeo, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path)
    name = registry.image(repository)
    skopeo.log_in(registry).checked()
    skopeo.push(image, name).checked()
    assert await containerd.status(name) is None
    assert await containerd.pull(name, credential((USERNAME, PASSWORD))) == image.config_digests[0]
    here = await containerd.status(name)
    assert here is not None
    assert (here.id, here.names) == (image.config_digests[0], (name,))
    assert here.digests == (registry.image(repository, f"@{image.digest}"),)
    # The same by digest, and once more where the image is here already: each asks the registry.
    pinned = registry.image(repository, f"@{image.digest}")
    assert await containerd.pull(pinned, credential((USERNAME, PASSWORD))) == image.config_digests[0]
    with pytest.raises(RuntimeRefused):
        await containerd.pull(name, credential((USERNAME, "wrong")))


async def test_of_an_index_it_takes_the_platform_of_its_machine(
    containerd: CriRuntime, skopeo: Skopeo, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_index(tmp_path)
    skopeo.log_in(registry).checked()
    skopeo.push(image, registry.image(repository)).checked()
    taken = await containerd.pull(registry.image(repository), credential((USERNAME, PASSWORD)))
    assert taken == image.config_of_this_machine


@pytest.mark.slow
async def test_a_layer_of_64_mib_arrives(
    containerd: CriRuntime, skopeo: Skopeo, registry: Registry, repository: str, tmp_path: Path
) -> None:
    image = sample_image(tmp_path, size=64 * 1024 * 1024)
    skopeo.log_in(registry).checked()
    skopeo.push(image, registry.image(repository)).checked()
    taken = await containerd.pull(registry.image(repository), credential((USERNAME, PASSWORD)))
    assert taken == image.config_digests[0]
