"""What refers to a manifest, page by page; the other lists are tested with `RegistryClient`."""

import json

import pytest
from tests.client.images import sample_image
from tests.client.world import client_of, repository
from tests.fakes.scripted_registry import Reply, ScriptedRegistry, Step, anonymous_ping

from sealift.client.errors import NotFound, UnusableAnswer
from sealift.image.descriptor import Descriptor

SUBJECT = sample_image().root
FOUND = [sample_image(content=content).root for content in (b"a", b"b")]
FIRST = f"/v2/apps/x/referrers/{SUBJECT.digest}"


def page(*found: Descriptor, link: str | None = None) -> Reply:
    headers = [("Link", link)] if link is not None else []
    manifests = [each.to_document() for each in found]
    return Reply(200, headers, json.dumps({"schemaVersion": 2, "manifests": manifests}).encode())


def described(number: int) -> Descriptor:
    return Descriptor(FOUND[number].media_type, FOUND[number].digest, len(FOUND[number].body))


async def test_referrers_come_page_by_page() -> None:
    steps = [
        anonymous_ping(),
        Step("GET", FIRST, page(described(0), link=f'<{FIRST}?last=a>; rel="next"')),
        Step("GET", f"{FIRST}?last=a", page(described(1))),
    ]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        found = [each async for each in client.referrers(repository(registry.host), SUBJECT.digest)]
    assert [each.digest for each in found] == [each.digest for each in FOUND]


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"manifests": 3}', b'{"manifests": [{"digest": "../.."}]}']
)
async def test_what_is_no_index_is_no_list_of_referrers(body: bytes) -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("GET", FIRST, Reply(200, body=body))]) as registry,
        client_of() as client,
    ):
        with pytest.raises(UnusableAnswer):
            _ = [each async for each in client.referrers(repository(registry.host), SUBJECT.digest)]


async def test_a_registry_without_the_endpoint_says_so() -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("GET", FIRST, Reply(404))]) as registry,
        client_of() as client,
    ):
        with pytest.raises(NotFound):
            _ = [each async for each in client.referrers(repository(registry.host), SUBJECT.digest)]


async def test_pages_that_lead_elsewhere_are_not_followed() -> None:
    reply = page(described(0), link='<https://elsewhere.example/v2/>; rel="next"')
    async with (
        ScriptedRegistry([anonymous_ping(), Step("GET", FIRST, reply)]) as registry,
        client_of() as client,
    ):
        with pytest.raises(UnusableAnswer):
            _ = [each async for each in client.referrers(repository(registry.host), SUBJECT.digest)]
