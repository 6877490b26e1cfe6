"""A client of a scripted registry: what most tests of the client begin with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sealift.client.keyring import Keyring, NoCredentials, SingleCredential
from sealift.client.registry_client import RegistryClient
from sealift.client.retry import RetryPolicy
from sealift.client.session import Session, SessionOptions
from sealift.credentials.credential import Credential, SecretText, Source
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.reference import ImageReference, Repository
from sealift.transport.aiohttp_transport import AiohttpTransport, Timeouts

LAYER = "application/vnd.oci.image.layer.v1.tar"


def single(registry: str, username: str = "ashok", password: str = "canary") -> SingleCredential:
    """A keyring of one credential."""
    source = Source(kind="Flag", name="-u")
    return SingleCredential(
        registry, Credential(username=username, password=SecretText(password), source=source, key=registry)
    )


@asynccontextmanager
async def client_of(
    keyring: Keyring | None = None, waits: list[float] | None = None
) -> AsyncIterator[RegistryClient]:
    """A client that waits for nothing: what it would have waited is added to `waits`."""

    async def no_sleep(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    timeouts = Timeouts(connect_seconds=2, idle_seconds=2, answer_seconds=2)
    async with AiohttpTransport(timeouts=timeouts) as transport:
        options = SessionOptions(retry=RetryPolicy(attempts=3, first_wait_seconds=1))
        keys = keyring if keyring is not None else NoCredentials()
        session = Session(transport, keys, options, sleep=no_sleep)
        yield RegistryClient(transport, keys, session=session)


def repository(host: str, path: str = "apps/x") -> Repository:
    """A repository of a scripted registry."""
    return Repository(host, path)


def image(host: str, selector: str = ":1", path: str = "apps/x") -> ImageReference:
    """An image of a scripted registry; `selector` begins with a colon or an at sign."""
    return ImageReference.parse(f"{host}/{path}{selector}")


def blob_of(content: bytes, media_type: str = LAYER) -> Descriptor:
    """The descriptor of some bytes."""
    return Descriptor(media_type, Digest.of(content), len(content))


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    """Bytes as a stream."""
    for each in data:
        yield each


async def gathered(stream: AsyncIterator[bytes]) -> bytes:
    """A stream as bytes."""
    return b"".join([part async for part in stream])


def names_in(directory: Path) -> list[str]:
    """What a directory holds, hidden files too."""
    return sorted(path.name for path in directory.iterdir())
