"""A blob as it comes, and all the ways in which it does not."""

from collections.abc import AsyncIterator

import pytest
from tests.client.world import blob_of, client_of, gathered, repository, single
from tests.fakes.scripted_registry import (
    Answer,
    Reply,
    ScriptedRegistry,
    Seen,
    Step,
    anonymous_ping,
    challenge,
)

from sealift.client.errors import ContentMismatch, NotFound, UnusableAnswer
from sealift.errors import SealiftError
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.transport.http import ConnectionBroken

CONTENT = bytes(range(256)) * 40
BLOB = blob_of(CONTENT)
PATH = f"/v2/apps/x/blobs/{BLOB.digest}"
WHOLE = Reply(200, body=CONTENT)


async def fetched(
    *answers: Answer, blob: Descriptor = BLOB, waits: list[float] | None = None
) -> tuple[bytes, list[Seen]]:
    """What arrives of a blob where the registry answers like this; the last answer is for ever."""
    *first, last = answers
    steps = [Step("GET", PATH, each) for each in first] + [Step("GET", PATH, last, times=0)]
    async with ScriptedRegistry([anonymous_ping(), *steps]) as registry, client_of(waits=waits) as client:
        return await gathered(client.fetch_blob(repository(registry.host), blob)), registry.seen[1:]


def ranges(seen: list[Seen]) -> list[str | None]:
    return [each.headers.get("range") for each in seen]


def from_there(start: int, *, cut_after: int | None = None) -> Reply:
    head = ("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
    return Reply(206, [head], CONTENT[start:], cut_after=cut_after)


async def test_a_blob_arrives() -> None:
    assert (await fetched(WHOLE))[0] == CONTENT


async def test_an_empty_blob_arrives() -> None:
    blob = blob_of(b"")
    step = Step("GET", f"/v2/apps/x/blobs/{blob.digest}", Reply(200))
    async with ScriptedRegistry([anonymous_ping(), step]) as registry, client_of() as client:
        assert await gathered(client.fetch_blob(repository(registry.host), blob)) == b""


async def test_a_broken_connection_goes_on_where_it_broke() -> None:
    content, seen = await fetched(
        Reply(200, body=CONTENT, cut_after=1000), from_there(1000, cut_after=500), from_there(1500)
    )
    assert content == CONTENT
    assert ranges(seen) == [None, "bytes=1000-", "bytes=1500-"]


async def test_a_registry_without_ranges_sends_it_all_again() -> None:
    content, seen = await fetched(Reply(200, body=CONTENT, cut_after=1000), WHOLE)
    assert content == CONTENT
    assert ranges(seen) == [None, "bytes=1000-"]


async def test_a_body_that_is_announced_too_short_is_gone_on_with() -> None:
    content, _ = await fetched(Reply(200, body=CONTENT[:1000]), from_there(1000))
    assert content == CONTENT


async def test_connections_that_bring_nothing_are_given_up() -> None:
    waits: list[float] = []
    with pytest.raises(ConnectionBroken):
        await fetched(Reply(200, body=CONTENT, cut_after=0), waits=waits)
    assert waits == [1, 2, 4]


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        pytest.param([Reply(200, body=CONTENT[::-1])], ContentMismatch, id="other bytes"),
        pytest.param([Reply(200, body=CONTENT + b"x")], ContentMismatch, id="one byte more"),
        pytest.param(
            [Reply(200, body=CONTENT[:-1]), Reply(416)],
            ContentMismatch,
            id="one byte less, and no more of it",
        ),
        pytest.param([Reply(200, body=CONTENT[:-1])], ContentMismatch, id="one byte less, again and again"),
        pytest.param(
            [Reply(200, body=b"<html>not found</html>")], ContentMismatch, id="an error page with status 200"
        ),
        pytest.param(
            [
                Reply(200, body=CONTENT, cut_after=1000),
                Reply(206, [("Content-Range", "bytes 0-9/10")], CONTENT),
            ],
            UnusableAnswer,
            id="another range than was asked for",
        ),
        pytest.param(
            [Reply(206, [("Content-Range", "bytes 5-9/10")], CONTENT)],
            UnusableAnswer,
            id="a range nobody asked for",
        ),
        pytest.param([Reply(404)], NotFound, id="not there"),
    ],
)
async def test_what_is_not_the_blob_is_refused(answers: list[Answer], kind: type[SealiftError]) -> None:
    with pytest.raises(kind) as raised:
        await fetched(*answers)
    assert type(raised.value) is kind


async def test_what_is_too_long_is_cut_off_and_not_read_to_its_end() -> None:
    """A registry can send for ever: nothing beyond the announced size is passed on."""
    passed = 0

    async def drain(stream: AsyncIterator[bytes]) -> None:
        nonlocal passed
        async for part in stream:
            passed += len(part)

    step = Step("GET", PATH, Reply(200, body=CONTENT * 1000))
    async with ScriptedRegistry([anonymous_ping(), step], strict=False) as registry, client_of() as client:
        with pytest.raises(ContentMismatch):
            await drain(client.fetch_blob(repository(registry.host), BLOB))
    assert passed <= len(CONTENT)


async def test_a_redirect_to_a_store_carries_no_credential() -> None:
    """Security table row 23."""
    store_step = Step("GET", "/bucket/blob?X-Amz-Signature=1", WHOLE)
    async with ScriptedRegistry([store_step]) as store:
        location = f"{store.url.replace('127.0.0.1', 'localhost')}/bucket/blob?X-Amz-Signature=1"
        steps = [
            Step("GET", "/v2/", challenge('Basic realm="x"')),
            Step("GET", PATH, Reply(307, [("Location", location)])),
        ]
        async with ScriptedRegistry(steps) as registry, client_of(single(registry.host)) as client:
            assert await gathered(client.fetch_blob(repository(registry.host), BLOB)) == CONTENT
            assert registry.seen[1].authorization is not None
        assert store.seen[0].authorization is None


FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def foreign(*urls: str) -> Descriptor:
    return Descriptor(FOREIGN, Digest.of(CONTENT), len(CONTENT), urls=urls)


async def test_a_foreign_layers_plain_http_address_is_never_asked() -> None:
    """Security table row 20: and no credential goes to such an address in any case."""
    async with ScriptedRegistry([]) as elsewhere:
        steps = [Step("GET", "/v2/", challenge('Basic realm="x"')), Step("GET", PATH, Reply(404))]
        async with ScriptedRegistry(steps) as registry, client_of(single(registry.host)) as client:
            with pytest.raises(UnusableAnswer):
                await gathered(
                    client.fetch_blob(repository(registry.host), foreign(f"{elsewhere.url}/layer"))
                )
        assert elsewhere.seen == []


async def test_only_foreign_layers_have_addresses_of_their_own() -> None:
    blob = Descriptor(BLOB.media_type, BLOB.digest, BLOB.size, urls=("https://evil.test/layer",))
    with pytest.raises(NotFound):
        await fetched(Reply(404), blob=blob)


async def test_a_blob_of_another_algorithm_is_checked_by_it() -> None:
    blob = Descriptor(BLOB.media_type, Digest.of(CONTENT, "sha512"), len(CONTENT))
    step = Step("GET", f"/v2/apps/x/blobs/{blob.digest}", WHOLE)
    async with ScriptedRegistry([anonymous_ping(), step]) as registry, client_of() as client:
        assert await gathered(client.fetch_blob(repository(registry.host), blob)) == CONTENT
