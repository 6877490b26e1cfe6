"""Each verb against a registry that answers as the table says, over a real socket."""

import json

import pytest
from tests.client.world import client_of, image, repository, single
from tests.fakes.scripted_registry import (
    Answer,
    Reply,
    ScriptedRegistry,
    Seen,
    Step,
    anonymous_ping,
    challenge,
    json_error,
)

from sealift.client.errors import (
    ContentMismatch,
    Denied,
    NotFound,
    RegistryFailed,
    Unauthenticated,
    Unsupported,
    UnusableAnswer,
    UnusableManifest,
)
from sealift.client.registry_client import ACCEPT, UNKNOWN_SIZE
from sealift.credentials.credential import Credential, SecretText, Source
from sealift.errors import SealiftError
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Manifest

CONFIG = Descriptor(OCI_CONFIG, Digest.of(b"{}"), 2)
BODY = json.dumps(
    {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": CONFIG.to_document(), "layers": []}
).encode()
MANIFEST = Manifest.parse(BODY, OCI_MANIFEST)
DIGEST = str(MANIFEST.digest)
OTHER = str(Digest.of(b"something else"))
TYPE = ("Content-Type", OCI_MANIFEST)
SAID = ("Docker-Content-Digest", DIGEST)
GOOD = Reply(200, [TYPE, SAID], BODY)
PATH = "/v2/apps/x/manifests/1"
BY_DIGEST = f"/v2/apps/x/manifests/{DIGEST}"


# ------------------------------------------------------------------- resolve


async def test_a_digest_is_found_with_one_head_or_is_none() -> None:
    steps = [
        anonymous_ping(),
        Step("HEAD", PATH, GOOD),
        Step("HEAD", "/v2/apps/x/manifests/2", Reply(404)),
        Step("HEAD", "/v2/apps/x/manifests/3", Reply(200, [TYPE])),
        Step("HEAD", BY_DIGEST, Reply(200, [TYPE])),
        Step("HEAD", "/v2/apps/x/manifests/4", Reply(403)),
    ]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        assert await client.find_digest(image(registry.host)) == MANIFEST.digest
        assert await client.find_digest(image(registry.host, ":2")) is None
        with pytest.raises(UnusableAnswer):
            await client.find_digest(image(registry.host, ":3"))
        assert await client.find_digest(image(registry.host, f"@{DIGEST}")) == MANIFEST.digest
        with pytest.raises(Denied):
            await client.find_digest(image(registry.host, ":4"))


async def test_resolve_is_one_head() -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("HEAD", PATH, GOOD)]) as registry,
        client_of() as client,
    ):
        found = await client.resolve(image(registry.host))
        assert found == Descriptor(OCI_MANIFEST, MANIFEST.digest, len(BODY))
        assert registry.seen[1].headers["accept"] == ACCEPT


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(Reply(405), id="no HEAD here"),
        pytest.param(Reply(200, [TYPE], BODY), id="no digest"),
        pytest.param(
            Reply(200, [TYPE, ("Docker-Content-Digest", "sha256:short")], BODY), id="a digest that is none"
        ),
        pytest.param(
            Reply(200, [SAID, ("Content-Type", "text/plain")], BODY), id="a type that is none of ours"
        ),
        pytest.param(Reply(200, [SAID], BODY), id="no type"),
        pytest.param(Reply(200, [TYPE, SAID]), id="no length"),
        pytest.param(Reply(403), id="refused, without words"),
    ],
)
async def test_resolve_falls_back_to_get(head: Reply) -> None:
    steps = [anonymous_ping(), Step("HEAD", PATH, head), Step("GET", PATH, GOOD)]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        assert (await client.resolve(image(registry.host))).digest == MANIFEST.digest


async def test_resolve_believes_the_digest_that_was_asked_for_and_not_the_header() -> None:
    head = Reply(200, [TYPE, ("Docker-Content-Digest", OTHER)], BODY)
    async with (
        ScriptedRegistry([anonymous_ping(), Step("HEAD", BY_DIGEST, head)]) as registry,
        client_of() as client,
    ):
        assert (await client.resolve(image(registry.host, f"@{DIGEST}"))).digest == MANIFEST.digest


async def test_a_head_that_finds_nothing_asks_again_for_the_reason() -> None:
    missing = json_error(404, "MANIFEST_UNKNOWN", "no such tag")
    steps = [anonymous_ping(), Step("HEAD", PATH, missing), Step("GET", PATH, missing)]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        with pytest.raises(NotFound) as raised:
            await client.resolve(image(registry.host))
        assert raised.value.why == f"{registry.host} answered 404 Not Found (MANIFEST_UNKNOWN: no such tag)"


# ------------------------------------------------------------------ manifests


@pytest.mark.parametrize(
    ("selector", "reply"),
    [
        pytest.param(":1", GOOD, id="by tag"),
        pytest.param(":1", Reply(200, [TYPE], BODY), id="by tag, no Docker-Content-Digest"),
        pytest.param(
            ":1",
            Reply(200, [("Content-Type", f"{OCI_MANIFEST}; charset=utf-8"), SAID], BODY),
            id="parameters",
        ),
        pytest.param(f"@{DIGEST}", GOOD, id="by digest"),
        pytest.param(
            f"@{DIGEST}",
            Reply(200, [TYPE, ("Docker-Content-Digest", OTHER)], BODY),
            id="the body counts (R-OCI-3)",
        ),
        pytest.param(f":1@{DIGEST}", GOOD, id="by both: the digest decides"),
        pytest.param(f"@{Digest.of(BODY, 'sha512')}", GOOD, id="by sha512"),
    ],
)
async def test_a_manifest_comes_as_it_is(selector: str, reply: Reply) -> None:
    path = f"/v2/apps/x/manifests/{selector.rpartition('@')[2].removeprefix(':')}"
    async with (
        ScriptedRegistry([anonymous_ping(), Step("GET", path, reply)]) as registry,
        client_of() as client,
    ):
        assert await client.fetch_manifest(image(registry.host, selector)) == MANIFEST


@pytest.mark.parametrize(
    ("selector", "reply", "kind", "exit_status"),
    [
        pytest.param(
            f"@{DIGEST}",
            Reply(200, [TYPE], BODY + b" "),
            ContentMismatch,
            7,
            id="another body than asked for",
        ),
        pytest.param(
            ":1",
            Reply(200, [TYPE, ("Docker-Content-Digest", OTHER)], BODY),
            ContentMismatch,
            7,
            id="another than it says itself",
        ),
        pytest.param(":1", Reply(200, [TYPE], b" " * (5 << 20)), UnusableManifest, 2, id="5 MiB"),
        pytest.param(":1", Reply(200, [TYPE], length=1 << 40), SealiftError, 6, id="a terabyte is announced"),
        pytest.param(":1", Reply(200, [TYPE], b"[" * 100_000), UnusableManifest, 2, id="a JSON bomb"),
        pytest.param(
            ":1",
            Reply(200, [("Content-Type", "text/html")], b"<html>login</html>"),
            UnusableManifest,
            2,
            id="a login page",
        ),
        pytest.param(
            ":1",
            Reply(200, [("Content-Type", OCI_INDEX)], BODY),
            UnusableManifest,
            2,
            id="sent as something else",
        ),
        pytest.param(":1", Reply(200, [TYPE], b""), UnusableManifest, 2, id="nothing"),
        pytest.param(":1", Reply(200, [TYPE], '{"é'.encode("latin-1")), UnusableManifest, 2, id="no UTF-8"),
        pytest.param(":1", json_error(401, "UNAUTHORIZED"), Unauthenticated, 4, id="401 without a challenge"),
        pytest.param(":1", json_error(403, "DENIED"), Denied, 5, id="403"),
        pytest.param(
            ":1", Reply(404, [("Content-Type", "text/html")], b"<html>"), NotFound, 3, id="404 with a page"
        ),
    ],
)
async def test_a_manifest_that_cannot_be_trusted_is_refused(
    selector: str, reply: Reply, kind: type[SealiftError], exit_status: int
) -> None:
    path = f"/v2/apps/x/manifests/{selector.lstrip('@:')}"
    async with (
        ScriptedRegistry([anonymous_ping(), Step("GET", path, reply, times=0)]) as registry,
        client_of() as client,
    ):
        with pytest.raises(kind) as raised:
            await client.fetch_manifest(image(registry.host, selector))
    assert raised.value.exit_status == exit_status
    assert raised.value.why


async def test_a_manifest_is_pushed_byte_for_byte_under_its_tag() -> None:
    steps = [anonymous_ping(), Step("PUT", PATH, Reply(201, [SAID]))]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        pushed = await client.push_manifest(image(registry.host), MANIFEST)
        assert pushed.digest == MANIFEST.digest
        assert (registry.seen[1].body, registry.seen[1].headers["content-type"]) == (BODY, OCI_MANIFEST)


async def test_without_a_tag_a_manifest_is_pushed_under_its_digest() -> None:
    steps = [anonymous_ping(), Step("PUT", BY_DIGEST, Reply(201))]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        await client.push_manifest(image(registry.host, f"@{DIGEST}"), MANIFEST)


STRONG = str(Digest.of(BODY, "sha512"))
BESIDE = f"/v2/apps/x/manifests/{STRONG}?tag=1"


async def test_a_tag_beside_a_digest_of_sha512_stands_for_that_digest() -> None:
    steps = [anonymous_ping(), Step("PUT", BESIDE, Reply(201, [("OCI-Tag", "1")]))]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        await client.push_manifest(image(registry.host, f":1@{STRONG}"), MANIFEST)


async def test_where_a_registry_takes_no_tag_beside_a_digest_the_tag_is_pushed_alone() -> None:
    steps = [anonymous_ping(), Step("PUT", BESIDE, Reply(201)), Step("PUT", PATH, Reply(201, [SAID]))]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        await client.push_manifest(image(registry.host, f":1@{STRONG}"), MANIFEST)


async def test_a_registry_that_stored_another_manifest_is_found_out() -> None:
    steps = [anonymous_ping(), Step("PUT", PATH, Reply(201, [("Docker-Content-Digest", OTHER)]))]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        with pytest.raises(ContentMismatch):
            await client.push_manifest(image(registry.host), MANIFEST)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(json_error(405, "UNSUPPORTED"), Unsupported, id="switched off"),
        pytest.param(json_error(400, "DIGEST_INVALID"), Unsupported, id="a tag taken for a digest"),
        pytest.param(json_error(404, "MANIFEST_UNKNOWN"), NotFound, id="not there"),
    ],
)
async def test_a_tag_that_cannot_be_deleted_says_why(reply: Reply, kind: type[SealiftError]) -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("DELETE", PATH, reply)]) as registry,
        client_of() as client,
    ):
        with pytest.raises(kind):
            await client.delete_manifest(image(registry.host))


async def test_a_manifest_is_deleted() -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("DELETE", BY_DIGEST, Reply(202))]) as registry,
        client_of() as client,
    ):
        await client.delete_manifest(image(registry.host, f"@{DIGEST}"))


# ----------------------------------------------------------------------- lists


def tag_page(*names: str, link: str | None = None) -> Reply:
    headers = [("Link", link)] if link is not None else []
    return Reply(200, headers, json.dumps({"name": "apps/x", "tags": list(names)}).encode())


FIRST = "/v2/apps/x/tags/list?n=1000"


@pytest.mark.parametrize(
    "link",
    [
        pytest.param('</v2/apps/x/tags/list?n=2&last=b>; rel="next"', id="relative"),
        pytest.param("</v2/apps/x/tags/list?n=2&last=b>; rel=next", id="without quotes"),
    ],
)
async def test_tags_come_page_by_page(link: str) -> None:
    steps = [
        anonymous_ping(),
        Step("GET", FIRST, tag_page("a", "b", link=link)),
        Step("GET", "/v2/apps/x/tags/list?n=2&last=b", tag_page("c")),
    ]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        assert [name async for name in client.tags(repository(registry.host))] == ["a", "b", "c"]


@pytest.mark.parametrize("body", [b'{"tags":null}', b'{"name":"apps/x"}', b'{"tags":[]}'])
async def test_a_repository_without_tags_has_none(body: bytes) -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("GET", FIRST, Reply(200, body=body))]) as registry,
        client_of() as client,
    ):
        assert [name async for name in client.tags(repository(registry.host))] == []


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(200, body=b"<html>"), id="a page"),
        pytest.param(Reply(200, body=b'{"tags":{"a":1}}'), id="no list"),
        pytest.param(Reply(200, body=b'{"tags":[1]}'), id="no names"),
        pytest.param(Reply(200, body=b'{"tags":["' + b"x" * 5000 + b'"]}'), id="a name without end"),
        pytest.param(Reply(200, body=b" " * (9 << 20)), id="a page without end"),
        pytest.param(tag_page("a", link=f'<{FIRST}>; rel="next"'), id="in circles"),
        pytest.param(
            tag_page("a", link='<https://evil.test/v2/apps/x/tags/list>; rel="next"'), id="to another host"
        ),
        pytest.param(tag_page("a", link='<ftp://x/>; rel="next"'), id="to nowhere"),
    ],
)
async def test_a_list_that_makes_no_sense_is_an_error(reply: Reply) -> None:
    async with (
        ScriptedRegistry([anonymous_ping(), Step("GET", FIRST, reply, times=0)]) as registry,
        client_of() as client,
    ):
        with pytest.raises(UnusableAnswer):
            _ = [name async for name in client.tags(repository(registry.host))]
        assert len(registry.seen) <= 4


async def test_names_cannot_repaint_the_terminal() -> None:
    reply = Reply(200, body=b'{"tags":["\\u001b[2J"]}')
    async with (
        ScriptedRegistry([anonymous_ping(), Step("GET", FIRST, reply)]) as registry,
        client_of() as client,
    ):
        assert [name async for name in client.tags(repository(registry.host))] == ["\\x1b[2J"]


async def test_repositories_are_listed() -> None:
    steps = [
        anonymous_ping(),
        Step("GET", "/v2/_catalog?n=1000", Reply(200, body=b'{"repositories":["a","b/c"]}')),
    ]
    async with ScriptedRegistry(steps) as registry, client_of() as client:
        assert [name async for name in client.repositories(registry.host)] == ["a", "b/c"]


# ---------------------------------------------------------- login and the rest


def knows_ashok(seen: Seen) -> Reply:
    good = "Basic YXNob2s6Y2FuYXJ5"
    return Reply(200) if seen.authorization == good else challenge('Basic realm="x"')


def who(password: str) -> Credential:
    return Credential(
        username="ashok", password=SecretText(password), source=Source(kind="Flag", name="-u"), key="r"
    )


@pytest.mark.parametrize(
    ("answer", "password", "kind"),
    [
        pytest.param(knows_ashok, "canary", None, id="right"),
        pytest.param(knows_ashok, "wrong", Unauthenticated, id="wrong"),
        pytest.param(Reply(404), "canary", UnusableAnswer, id="no registry"),
        pytest.param(Reply(502), "canary", UnusableAnswer, id="a proxy without a registry"),
        pytest.param(Reply(401), "canary", UnusableAnswer, id="401 without saying how"),
    ],
)
async def test_a_credential_is_proved(answer: Answer, password: str, kind: type[SealiftError] | None) -> None:
    async with ScriptedRegistry([Step("GET", "/v2/", answer, times=0)]) as registry, client_of() as client:
        if kind is None:
            assert (await client.prove(registry.host, who(password))).asked
        else:
            with pytest.raises(kind):
                await client.prove(registry.host, who(password))


@pytest.mark.parametrize(
    ("reply", "is_sealift"),
    [
        pytest.param(Reply(200, body=b'{"kind":"Registry","product":"sealift"}'), True, id="ours"),
        pytest.param(Reply(404), False, id="not ours"),
        pytest.param(Reply(200, body=b"<html>"), False, id="a page"),
        pytest.param(Reply(200, body=b'"sealift"'), False, id="some JSON"),
        pytest.param(Reply(403, body=b'{"product":"sealift"}'), False, id="a refusal"),
    ],
)
async def test_only_what_says_it_is_sealift_is(reply: Reply, is_sealift: bool) -> None:
    steps = [anonymous_ping(), Step("GET", "/api/v1", reply)]
    async with ScriptedRegistry(steps) as registry, client_of(single(registry.host)) as client:
        assert await client.is_sealift(registry.host) is is_sealift
        assert [each.authorization for each in registry.seen] == [None, None]


@pytest.mark.parametrize(
    ("reply", "size"),
    [
        pytest.param(Reply(200, body=b"abc"), 3, id="there"),
        pytest.param(Reply(200, [("Content-Length", "x")]), UNKNOWN_SIZE, id="there, without a length"),
        pytest.param(Reply(404), None, id="not there"),
    ],
)
async def test_a_blob_is_looked_for(reply: Reply, size: int | None) -> None:
    step = Step("HEAD", f"/v2/apps/x/blobs/{OTHER}", reply)
    async with (
        ScriptedRegistry([anonymous_ping(), step], strict=size is not UNKNOWN_SIZE) as registry,
        client_of() as client,
    ):
        if size is not UNKNOWN_SIZE:
            assert await client.blob_size(repository(registry.host), Digest.parse(OTHER)) == size


async def test_a_registry_that_fails_is_asked_again_and_then_told() -> None:
    waits: list[float] = []
    steps = [anonymous_ping(), Step("GET", PATH, Reply(503, [("Retry-After", "3")]), times=0)]
    async with ScriptedRegistry(steps) as registry, client_of(waits=waits) as client:
        with pytest.raises(RegistryFailed):
            await client.fetch_manifest(image(registry.host))
    assert waits == [3, 3]
