"""What a registry's answers become: a scripted registry on a socket."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trustme
from tests.fakes.scripted_registry import Reply, ScriptedRegistry, Step, anonymous_ping, challenge, json_error

from sealift.client.retry import RetryPolicy
from sealift.client.session import SessionOptions
from sealift.credentials.credential import Credential, SecretText, Source
from sealift.image.digest import Digest
from sealift.image.platform import Platform
from sealift.image.reference import ImageReference
from sealift.kubernetes.explain.evidence import Outcome
from sealift.kubernetes.explain.prober import RegistryProber
from sealift.transport.aiohttp_transport import AiohttpTransport

_MANIFEST = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}'
_INDEX = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":['
    b'{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"sha256:'
    + b"a" * 64
    + b'","platform":{"os":"linux","architecture":"arm64"}}]}'
)
_TARGET = "/v2/apps/web/manifests/1"


def ashok(username: str = "ashok") -> Credential:
    source = Source(kind="Secret", namespace="default", name="regcred")
    return Credential(username=username, password=SecretText("hunter2"), source=source, key="x")


def served(body: bytes) -> Reply:
    kind = body.split(b'"mediaType":"')[1].partition(b'"')[0].decode()
    headers = [("Content-Type", kind), ("Docker-Content-Digest", str(Digest.of(body)))]
    return Reply(200, headers, body)


@asynccontextmanager
async def prober() -> AsyncIterator[RegistryProber]:
    async with AiohttpTransport() as transport:
        options = SessionOptions(retry=RetryPolicy(attempts=1))
        yield RegistryProber(transport, options, Platform.parse("linux/amd64"))


async def ask(steps: Sequence[Step], credential: Credential | None) -> tuple[Outcome, ScriptedRegistry]:
    async with ScriptedRegistry(steps) as registry, prober() as asking:
        reference = ImageReference.parse(f"{registry.host}/apps/web:1")
        return await asking.ask(reference, credential), registry


async def test_an_image_that_is_there() -> None:
    outcome, _ = await ask([anonymous_ping(), Step("HEAD", _TARGET, served(_MANIFEST))], None)
    assert outcome == Outcome(
        status="ok", http_status=200, message=f"{Digest.of(_MANIFEST)}, {len(_MANIFEST)} bytes"
    )


async def test_an_index_without_the_platform() -> None:
    steps = [
        anonymous_ping(),
        Step("HEAD", _TARGET, served(_INDEX)),
        Step("GET", f"/v2/apps/web/manifests/{Digest.of(_INDEX)}", served(_INDEX)),
    ]
    outcome, _ = await ask(steps, None)
    assert outcome == Outcome(
        status="platformMissing",
        http_status=200,
        message="the index has no image for linux/amd64, but for: linux/arm64",
    )


async def test_a_credential_is_shown_and_refused() -> None:
    basic = 'Basic realm="r"'
    steps = [
        Step("GET", "/v2/", challenge(basic), times=0),
        Step("HEAD", _TARGET, challenge(basic), times=0),
        Step("GET", _TARGET, challenge(basic), times=0, required=False),
    ]
    outcome, registry = await ask(steps, ashok())
    assert (outcome.status, outcome.http_status) == ("unauthenticated", 401)
    assert "hunter2" not in outcome.message
    assert any(one.authorization for one in registry.seen)


async def test_a_credential_without_a_user_name_is_none() -> None:
    steps = [anonymous_ping(), Step("HEAD", _TARGET, served(_MANIFEST))]
    outcome, registry = await ask(steps, ashok(username=""))
    assert outcome.status == "ok"
    assert not any(one.authorization for one in registry.seen)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        pytest.param(json_error(403, "DENIED"), "forbidden", id="403"),
        pytest.param(json_error(404, "MANIFEST_UNKNOWN"), "notFound", id="404"),
        pytest.param(json_error(429, "TOOMANYREQUESTS"), "rateLimited", id="429"),
        pytest.param(json_error(500, "UNKNOWN"), "unreachable", id="500"),
    ],
)
async def test_refusals(reply: Reply, status: str) -> None:
    steps = [
        anonymous_ping(),
        Step("HEAD", _TARGET, reply, times=0),
        Step("GET", _TARGET, reply, times=0, required=False),
    ]
    outcome, _ = await ask(steps, None)
    assert (outcome.status, outcome.http_status) == (status, reply.status)


async def test_nobody_listens() -> None:
    async with prober() as asking:
        outcome = await asking.ask(ImageReference.parse("127.0.0.1:1/apps/web:1"), None)
    assert (outcome.status, outcome.http_status) == ("unreachable", None)


async def test_a_certificate_that_nobody_knows() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with ScriptedRegistry([], tls=context, strict=False) as registry, prober() as asking:
        outcome = await asking.ask(ImageReference.parse(f"{registry.host}/apps/web:1"), ashok())
    assert (outcome.status, outcome.http_status) == ("tlsFailed", None)
