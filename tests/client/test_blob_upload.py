"""A blob as it goes, and what a registry may do meanwhile."""

from collections.abc import AsyncIterator

import pytest
from tests.client.world import blob_of, client_of, parts, repository, single
from tests.fakes.scripted_registry import (
    Reply,
    ScriptedRegistry,
    Seen,
    Step,
    anonymous_ping,
    challenge,
    json_error,
)
from tests.fakes.scripted_transport import ScriptedTransport, Told

from sealift.client.errors import (
    ContentMismatch,
    ContentRefused,
    Denied,
    RegistryFailed,
    RegistryFull,
    UnusableAnswer,
)
from sealift.client.keyring import NoCredentials
from sealift.client.registry_client import Delivery, RegistryClient
from sealift.errors import SealiftError
from sealift.image.digest import Digest
from sealift.transport.http import ConnectionBroken

CONTENT = b"layer" * 1000
BLOB = blob_of(CONTENT)
HEAD = f"/v2/apps/x/blobs/{BLOB.digest}"
UPLOADS = "/v2/apps/x/blobs/uploads/"
DIGEST = f"digest={BLOB.digest}"


def content() -> AsyncIterator[bytes]:
    return parts(CONTENT[:100], CONTENT[100:])


def accepted(location: str) -> Reply:
    return Reply(202, [("Location", location)])


@pytest.mark.parametrize(
    ("location", "target"),
    [
        pytest.param("/up/1", f"/up/1?{DIGEST}", id="relative to the host"),
        pytest.param(
            "1?_state=a%2Bb==", f"{UPLOADS}1?_state=a%2Bb==&{DIGEST}", id="relative to the request, verbatim"
        ),
        pytest.param("{url}/up/1?x=y", f"/up/1?x=y&{DIGEST}", id="absolute"),
        pytest.param("/up/1?", f"/up/1?{DIGEST}", id="an empty query"),
    ],
)
async def test_a_blob_goes_to_the_location_that_was_given(location: str, target: str) -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("HEAD", HEAD, Reply(404))]) as registry,
        client_of() as client,
    ):
        registry.steps += [
            Step("POST", UPLOADS, accepted(location.format(url=registry.url))),
            Step("PUT", target, Reply(201, [("Docker-Content-Digest", str(BLOB.digest))])),
        ]
        assert await client.push_blob(repository(registry.host), BLOB, content) is Delivery.SENT
        put = registry.seen[-1]
        assert (put.body, put.headers["content-length"], put.headers["content-type"]) == (
            CONTENT,
            str(len(CONTENT)),
            "application/octet-stream",
        )


async def test_a_blob_that_is_there_is_not_sent() -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("HEAD", HEAD, Reply(200, body=CONTENT))]) as registry,
        client_of() as client,
    ):
        assert await client.push_blob(repository(registry.host), BLOB, content) is Delivery.EXISTED


async def test_a_blob_that_is_there_with_another_length_is_sent_again() -> None:
    steps = [
        anonymous_ping(),
        Step("HEAD", HEAD, Reply(200, body=b"short")),
        Step("POST", UPLOADS, accepted("/up/1")),
        Step("PUT", f"/up/1?{DIGEST}", Reply(201)),
    ]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        assert await client.push_blob(repository(registry.host), BLOB, content) is Delivery.SENT


MOUNT = f"{UPLOADS}?mount={BLOB.digest}&from=apps%2Fy"


@pytest.mark.parametrize(
    ("answers", "delivery"),
    [
        pytest.param([Step("POST", MOUNT, Reply(201, [("Location", HEAD)]))], Delivery.MOUNTED, id="mounted"),
        pytest.param(
            [Step("POST", MOUNT, accepted("/up/1")), Step("PUT", f"/up/1?{DIGEST}", Reply(201))],
            Delivery.SENT,
            id="an upload instead (R-OCI-13)",
        ),
        pytest.param(
            [
                Step("POST", MOUNT, json_error(403, "DENIED")),
                Step("POST", UPLOADS, accepted("/up/1")),
                Step("PUT", f"/up/1?{DIGEST}", Reply(201)),
            ],
            Delivery.SENT,
            id="no right to the source: as if there were none",
        ),
    ],
)
async def test_a_blob_is_mounted_from_a_repository_of_the_same_registry(
    answers: list[Step], delivery: Delivery
) -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("HEAD", HEAD, Reply(404)), *answers]) as registry,
        client_of() as client,
    ):
        source = repository(registry.host, "apps/y")
        assert await client.push_blob(repository(registry.host), BLOB, content, mount_from=source) is delivery


async def test_nothing_is_mounted_from_another_registry_or_the_same_repository() -> None:
    for path, host in (("apps/x", None), ("apps/y", "other.test")):
        steps = [
            anonymous_ping(),
            Step("HEAD", HEAD, Reply(404)),
            Step("POST", UPLOADS, accepted("/up/1")),
            Step("PUT", f"/up/1?{DIGEST}", Reply(201)),
        ]
        async with ScriptedRegistry(steps) as registry, client_of() as client:
            source = repository(host or registry.host, path)
            assert (
                await client.push_blob(repository(registry.host), BLOB, content, mount_from=source)
                is Delivery.SENT
            )


async def test_one_token_is_asked_for_both_repositories_of_a_mount() -> None:
    """R-AUT-11."""
    async with ScriptedRegistry([]) as registry, client_of(single(registry.host)) as client:
        asked = f'Bearer realm="{registry.url}/token",service="s"'

        def needs_token(reply: Reply) -> object:
            return lambda seen: reply if seen.authorization == "Bearer t" else challenge(asked)

        registry.steps += [
            Step("GET", "/v2/", challenge(asked)),
            Step("GET", "/token*", Reply(200, body=b'{"token":"t"}'), times=0),
            Step("HEAD", HEAD, needs_token(Reply(404))),  # type: ignore[arg-type]  # a callable is an answer
            Step("POST", MOUNT, needs_token(Reply(201))),  # type: ignore[arg-type]  # a callable is an answer
        ]
        source = repository(registry.host, "apps/y")
        await client.push_blob(repository(registry.host), BLOB, content, mount_from=source)
        tokens = [each.target for each in registry.seen if each.target.startswith("/token")]
        assert [target.count("scope=") for target in tokens] == [1, 2]
        assert "scope=repository%3Aapps%2Fx%3Apull%2Cpush&scope=repository%3Aapps%2Fy%3Apull" in tokens[1]


async def test_an_upload_that_breaks_starts_over() -> None:
    waits: list[float] = []
    steps = [
        anonymous_ping(),
        Step("HEAD", HEAD, Reply(404)),
        Step("POST", UPLOADS, accepted("/up/1")),
        Step("PUT", f"/up/1?{DIGEST}", Reply(raw=b"")),
        Step("POST", UPLOADS, accepted("/up/2")),
        Step("PUT", f"/up/2?{DIGEST}", Reply(201)),
    ]
    async with ScriptedRegistry(steps) as registry, client_of(waits=waits) as client:
        assert await client.push_blob(repository(registry.host), BLOB, content) is Delivery.SENT
        assert registry.seen[-1].body == CONTENT
    assert waits == [1]


@pytest.mark.parametrize(
    ("reply", "kind", "tries"),
    [
        pytest.param(Reply(raw=b""), ConnectionBroken, 3, id="it breaks each time"),
        pytest.param(Reply(500), RegistryFailed, 3, id="it fails each time"),
        pytest.param(json_error(400, "DIGEST_INVALID"), ContentRefused, 1, id="it got other bytes"),
        pytest.param(json_error(413, "SIZE_INVALID"), RegistryFull, 1, id="it is too large"),
        pytest.param(Reply(507), RegistryFull, 1, id="its disk is full"),
        pytest.param(json_error(403, "DENIED"), Denied, 1, id="it may not"),
        pytest.param(
            Reply(201, [("Docker-Content-Digest", str(Digest.of(b"x")))]),
            ContentMismatch,
            1,
            id="it stored something else",
        ),
    ],
)
async def test_an_upload_that_fails_says_so(reply: Reply, kind: type[SealiftError], tries: int) -> None:
    steps = [
        anonymous_ping(),
        Step("HEAD", HEAD, Reply(404)),
        Step("POST", UPLOADS, accepted("/up/1"), times=0),
        Step("PUT", f"/up/1?{DIGEST}", reply, times=0),
        Step("DELETE", "/up/1", Reply(204), times=0, required=False),
    ]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        with pytest.raises(kind) as raised:
            await client.push_blob(repository(registry.host), BLOB, content)
        assert type(raised.value) is kind
        assert [each.method for each in registry.seen].count("PUT") == tries


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(202), id="no location"),
        pytest.param(Reply(200, [("Location", "/up/1")], b"<html>"), id="a page"),
        pytest.param(accepted("ftp://x/up/1"), id="a location that is none"),
    ],
)
async def test_an_upload_without_a_place_is_an_error(reply: Reply) -> None:
    steps = [anonymous_ping(), Step("HEAD", HEAD, Reply(404)), Step("POST", UPLOADS, reply)]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        with pytest.raises(UnusableAnswer):
            await client.push_blob(repository(registry.host), BLOB, content)


async def test_a_location_on_another_host_gets_the_bytes_and_no_credential() -> None:
    async with ScriptedRegistry([Step("PUT", f"/up/1?sig=1&{DIGEST}", Reply(201))]) as store:
        location = f"{store.url.replace('127.0.0.1', 'localhost')}/up/1?sig=1"
        steps = [
            Step("GET", "/v2/", challenge('Basic realm="x"')),
            Step("HEAD", HEAD, Reply(404)),
            Step("POST", UPLOADS, accepted(location)),
        ]
        async with ScriptedRegistry(steps) as registry, client_of(single(registry.host)) as client:
            assert await client.push_blob(repository(registry.host), BLOB, content) is Delivery.SENT
            assert [each.authorization is not None for each in registry.seen] == [False, True, True]
        assert store.seen[0].authorization is None
        assert store.seen[0].body == CONTENT


async def test_an_upload_is_not_moved_from_https_to_plain_http() -> None:
    transport = ScriptedTransport(
        {
            "GET https://r.test/v2/": Told(),
            f"HEAD https://r.test{HEAD}": Told(404),
            f"POST https://r.test{UPLOADS}": Told(202, {"location": "http://r.test/up/1"}),
        }
    )
    client = RegistryClient(transport, NoCredentials())
    with pytest.raises(UnusableAnswer) as raised:
        await client.push_blob(repository("r.test"), BLOB, content)
    assert raised.value.why == "it was asked over https and wants the upload over plain http"


async def test_content_that_turns_out_damaged_ends_the_upload() -> None:
    async def damaged() -> AsyncIterator[bytes]:
        yield CONTENT[:100]
        raise ContentMismatch("the file is damaged")

    cancelled: list[Seen] = []

    def cancel(seen: Seen) -> Reply:
        cancelled.append(seen)
        return Reply(204)

    steps = [
        anonymous_ping(),
        Step("HEAD", HEAD, Reply(404)),
        Step("POST", UPLOADS, accepted("/up/1")),
        Step("DELETE", "/up/1", cancel),
    ]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        with pytest.raises(ContentMismatch, match="the file is damaged"):
            await client.push_blob(repository(registry.host), BLOB, damaged)
    assert len(cancelled) == 1
