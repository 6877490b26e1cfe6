"""Our client against our registry, in one process: every endpoint, both ends, and what goes over the wire."""

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from tests.client.images import MemorySource, Sample, sample_image, sample_index
from tests.fakes.asgi_transport import AsgiTransport
from tests.registry.open_registry import PASSWORD, Client, open_client

from sealift.client.copy import copy_image
from sealift.client.errors import Denied, NotFound, RegistryRefused, Unauthenticated
from sealift.client.keyring import NoCredentials, SingleCredential
from sealift.client.registry_client import Delivery, RegistryClient
from sealift.client.registry_image import RegistryDestination, RegistrySource
from sealift.credentials.credential import Credential, SecretText, Source
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.reference import ImageReference, Repository

REGISTRY = "127.0.0.1:5000"
PRIVATE = Repository(REGISTRY, "ashok/private")
PUBLIC = Repository(REGISTRY, "ashok/public")


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Client]:
    async with open_client(tmp_path) as opened:
        yield opened


def _as(served: Client, name: str | None, password: str = PASSWORD) -> tuple[RegistryClient, AsgiTransport]:
    """A client that is logged in as somebody, or as nobody."""
    transport = AsgiTransport(served.app)
    if name is None:
        return RegistryClient(transport, NoCredentials()), transport
    credential = Credential(
        username=name,
        password=SecretText(password),
        source=Source(kind="LoginFile", name="test"),
        key=REGISTRY,
    )
    return RegistryClient(transport, SingleCredential(REGISTRY, credential)), transport


def _named(repository: Repository, tag: str = "v1") -> ImageReference:
    return ImageReference(repository=repository, tag=tag)


async def _push(client: RegistryClient, sample: Sample, reference: ImageReference) -> None:
    await copy_image(MemorySource(sample), RegistryDestination(client, reference))


def _without_ping(transport: AsgiTransport) -> Sequence[tuple[str, str, int]]:
    return [
        (each.method, each.target.partition("?")[0], each.status)
        for each in transport.exchanges
        if each.target != "/v2/"
    ]


async def test_an_index_with_all_its_platforms_goes_in_and_comes_out(served: Client) -> None:
    sample = sample_index()
    writer, _ = _as(served, "writer")
    await _push(writer, sample, _named(PRIVATE))
    reader, transport = _as(served, "reader")
    assert await reader.resolve(_named(PRIVATE)) == Descriptor(
        sample.root.media_type, sample.root.digest, len(sample.root.body)
    )
    source = RegistrySource(reader, _named(PRIVATE))
    root = await source.root()
    assert root.body == sample.root.body
    children = [await source.manifest(each) for each in root.manifests]
    assert [each.body for each in children] == [each.body for each in sample.manifests]
    blobs = {
        part.digest: b"".join([piece async for piece in source.blob(part)])
        for child in children
        for part in child.references
    }
    assert blobs == sample.blobs
    tokens = [each for each in transport.exchanges if each.target.startswith("/token")]
    assert len(tokens) == 1, "one token serves one pull"
    assert {each.authorization for each in transport.exchanges} == {"", "Basic", "Bearer"}


async def test_what_is_there_is_not_sent_again(served: Client) -> None:
    sample = sample_image(content=os.urandom(100_000))
    writer, _ = _as(served, "writer")
    await _push(writer, sample, _named(PRIVATE))
    again, transport = _as(served, "writer")
    await _push(again, sample, _named(PRIVATE, "v2"))
    assert [
        each for each in transport.exchanges if each.method in {"POST", "PATCH"} and "uploads" in each.target
    ] == []
    names = [name async for name in again.tags(PRIVATE)]
    assert names == ["v1", "v2"]


async def test_a_blob_is_mounted_from_where_one_may_read(served: Client) -> None:
    content = b"a layer that both have"
    blob = Descriptor("application/octet-stream", Digest.of(content), len(content))

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    owner, transport = _as(served, "ashok")
    assert await owner.push_blob(PRIVATE, blob, pieces) is Delivery.SENT
    assert await owner.push_blob(PUBLIC, blob, pieces, mount_from=PRIVATE) is Delivery.MOUNTED
    assert await owner.push_blob(PUBLIC, blob, pieces) is Delivery.EXISTED
    assert transport.exchanges[-2].status == 201
    own = Repository(REGISTRY, "stranger/web")
    stranger, _ = _as(served, "stranger")
    assert await stranger.push_blob(own, blob, pieces, mount_from=PRIVATE) is Delivery.SENT


@pytest.mark.parametrize(
    ("who", "password", "repository", "error"),
    [
        pytest.param(None, "", PRIVATE, Unauthenticated, id="nobody"),
        pytest.param("reader", "wrong horse", PRIVATE, Unauthenticated, id="a wrong password"),
        pytest.param("disabled", PASSWORD, PRIVATE, Unauthenticated, id="a disabled account"),
        pytest.param("stranger", PASSWORD, PRIVATE, Denied, id="a stranger"),
        pytest.param(
            "stranger", PASSWORD, Repository(REGISTRY, "ashok/missing"), Denied, id="a stranger, absent"
        ),
        pytest.param(
            "reader", PASSWORD, Repository(REGISTRY, "ashok/missing"), NotFound, id="a reader, absent"
        ),
        pytest.param("reader", PASSWORD, PRIVATE, NotFound, id="a reader, no such tag"),
    ],
)
async def test_who_may_not_pull_is_told_what_it_may_know(
    served: Client, who: str | None, password: str, repository: Repository, error: type[RegistryRefused]
) -> None:
    client, _ = _as(served, who, password)
    with pytest.raises(error) as refused:
        await client.fetch_manifest(_named(repository))
    assert refused.value.hint
    assert type(refused.value) is error


async def test_who_may_pull_may_not_push(served: Client) -> None:
    reader, transport = _as(served, "reader")
    with pytest.raises(Denied):
        await _push(reader, sample_image(), _named(PRIVATE))
    assert ("POST", "/v2/ashok/private/blobs/uploads/", 202) not in _without_ping(transport)


async def test_nobody_pulls_what_is_public_with_a_token_for_nobody(served: Client) -> None:
    sample = sample_image()
    owner, _ = _as(served, "ashok")
    await _push(owner, sample, _named(PUBLIC))
    nobody, transport = _as(served, None)
    assert (await nobody.fetch_manifest(_named(PUBLIC))).body == sample.root.body
    assert {each.authorization for each in transport.exchanges} == {"", "Bearer"}


async def test_pushing_makes_a_repository_that_is_private(served: Client) -> None:
    owner, _ = _as(served, "stranger")
    place = Repository(REGISTRY, "stranger/new")
    await _push(owner, sample_image(), _named(place))
    assert [name async for name in owner.repositories(REGISTRY)] == ["ashok/public", "stranger/new"]
    reader, _ = _as(served, "reader")
    with pytest.raises(Denied):
        await reader.resolve(_named(place))


async def test_deleting_takes_the_right_to_delete(served: Client) -> None:
    sample = sample_image()
    owner, _ = _as(served, "ashok")
    await _push(owner, sample, _named(PRIVATE))
    writer, _ = _as(served, "writer")
    with pytest.raises(Denied):
        await writer.delete_manifest(_named(PRIVATE))
    await owner.delete_manifest(_named(PRIVATE))
    with pytest.raises(NotFound):
        await owner.resolve(_named(PRIVATE))


async def test_a_client_can_tell_that_it_is_sealift(served: Client) -> None:
    client, _ = _as(served, None)
    assert await client.is_sealift(REGISTRY)


async def test_a_credential_is_proven_before_it_is_kept(served: Client) -> None:
    client, _ = _as(served, None)
    source = Source(kind="Flag", name="-u")
    right = Credential(username="reader", password=SecretText(PASSWORD), source=source, key=REGISTRY)
    wrong = Credential(username="reader", password=SecretText("wrong"), source=source, key=REGISTRY)
    assert (await client.prove(REGISTRY, right)).asked
    with pytest.raises(Unauthenticated):
        await client.prove(REGISTRY, wrong)
