"""What is attached to an image: where it is looked for, what ends the search, and when it comes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from tests.client.world import client_of, image, repository
from tests.fakes.scripted_registry import (
    Answer,
    Reply,
    ScriptedRegistry,
    Seen,
    Step,
    anonymous_ping,
    json_error,
)

from sealift.client.attachments import Attachments, referrers_of
from sealift.client.copy import MAX_DEPTH, MAX_MANIFESTS, copy_image
from sealift.client.errors import RegistryFailed, Unauthenticated, UnusableManifest
from sealift.client.registry_image import RegistryDestination, RegistrySource
from sealift.errors import SealiftError
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import OCI_EMPTY, OCI_INDEX, OCI_MANIFEST, Manifest

EMPTY = Descriptor(OCI_EMPTY, Digest.of(b"{}"), 2)


def artifact(note: str, subject: Manifest | None = None) -> Manifest:
    """A manifest that has nothing but a note, and perhaps a subject."""
    more = {"subject": entry(subject).to_document()} if subject is not None else {}
    body = {"schemaVersion": 2, "config": EMPTY.to_document(), "layers": [], "annotations": {"note": note}}
    return Manifest.parse(json.dumps({**body, **more}).encode(), OCI_MANIFEST)


def entry(manifest: Manifest) -> Descriptor:
    return Descriptor(manifest.media_type, manifest.digest, len(manifest.body))


def index(found: Sequence[Descriptor]) -> bytes:
    manifests = [each.to_document() for each in found]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}).encode()


@dataclass
class Holdings:
    """A registry that has some manifests, each of them whole, and takes whatever is pushed."""

    manifests: Sequence[Manifest]
    lists: bool = True
    """Whether it lists referrers."""

    tags: dict[str, Manifest] = field(default_factory=dict)
    pushed: list[str] = field(default_factory=list)
    """What was put, by tag or digest, in its order."""

    def steps(self) -> list[Step]:
        answers: list[tuple[str, str, Answer]] = [
            ("GET", "/v2/apps/x/referrers/*", self._referrers),
            ("GET", "/v2/apps/y/referrers/*", self._nothing),
            ("GET", "/v2/apps/x/tags/list*", self._tags),
            ("GET", "/v2/apps/x/manifests/*", self._manifest),
            ("GET", "/v2/apps/y/manifests/*", Reply(404)),
            ("HEAD", "/v2/apps/y/blobs/*", Reply(200, length=2)),
            ("PUT", "/v2/apps/y/manifests/*", self._put),
        ]
        return [
            anonymous_ping(),
            *(Step(method, target, answer, times=0, required=False) for method, target, answer in answers),
        ]

    def _referrers(self, seen: Seen) -> Reply:
        if not self.lists:
            return Reply(404)
        wanted = seen.target.rpartition("/")[2]
        found = [each for each in self.manifests if each.subject and str(each.subject.digest) == wanted]
        return Reply(200, [("Content-Type", OCI_INDEX)], index([entry(each) for each in found]))

    def _nothing(self, _: Seen) -> Reply:
        return Reply(200, [("Content-Type", OCI_INDEX)], index([]))

    def _tags(self, _: Seen) -> Reply:
        return Reply(200, body=json.dumps({"name": "apps/x", "tags": sorted(self.tags)}).encode())

    def _manifest(self, seen: Seen) -> Reply:
        wanted = seen.target.rpartition("/")[2]
        named = self.tags.get(wanted)
        for each in (*self.manifests, *([named] if named is not None else [])):
            if str(each.digest) == wanted or each is named:
                return Reply(200, [("Content-Type", each.media_type)], each.body)
        return Reply(404)

    def _put(self, seen: Seen) -> Reply:
        self.pushed.append(seen.target.rpartition("/")[2])
        return Reply(201)


async def copied(holdings: Holdings) -> Attachments:
    """Copy ``apps/x:1`` with all that is attached to ``apps/y:1``."""
    async with ScriptedRegistry(holdings.steps()) as registry, client_of() as client:
        attached = Attachments(client, repository(registry.host), repository(registry.host, "apps/y"))
        await copy_image(
            RegistrySource(client, image(registry.host)),
            RegistryDestination(client, image(registry.host, path="apps/y")),
            companions=attached,
        )
    return attached


def chain(length: int) -> list[Manifest]:
    """An image, its signature, the signature of that, and so on."""
    links = [artifact("the image")]
    while len(links) < length:
        links.append(artifact(f"number {len(links)}", links[-1]))
    return links


async def test_the_name_comes_last() -> None:
    root, signature, second = chain(3)
    tag = f"{str(root.digest).replace(':', '-')}.sig"
    tagged = artifact("under a tag")
    holdings = Holdings([root, signature, second], tags={"1": root, tag: tagged, "sha256-other.sig": tagged})
    attached = await copied(holdings)
    digests = [str(each.digest) for each in (root, signature, second, tagged)]
    assert holdings.pushed == [*digests, tag, "1"]
    assert set(attached.brought) == {signature.digest, second.digest, tagged.digest}


async def test_what_has_no_end_is_given_up_and_the_image_has_no_name() -> None:
    links = chain(MAX_DEPTH + 3)
    holdings = Holdings(links, tags={"1": links[0]})
    with pytest.raises(UnusableManifest) as raised:
        await copied(holdings)
    assert f"{MAX_DEPTH} deep" in str(raised.value.why)
    assert "1" not in holdings.pushed


async def test_just_as_deep_as_may_be() -> None:
    links = chain(MAX_DEPTH)
    attached = await copied(Holdings(links, tags={"1": links[0]}))
    assert len(attached.brought) == MAX_DEPTH - 1


async def test_more_than_anybody_attaches_is_refused() -> None:
    subject = artifact("the image")
    found = [Descriptor(OCI_MANIFEST, Digest.of(str(n).encode()), 1) for n in range(MAX_MANIFESTS + 1)]
    listed = Manifest.parse(index(found), OCI_INDEX)
    tag = str(subject.digest).replace(":", "-")
    for holdings in (
        Holdings([subject], lists=False, tags={tag: listed}),
        Holdings([subject, *(artifact(str(n), subject) for n in range(MAX_MANIFESTS + 1))]),
    ):
        async with ScriptedRegistry(holdings.steps()) as registry, client_of() as client:
            with pytest.raises(UnusableManifest):
                await referrers_of(client, repository(registry.host), subject.digest)


async def test_without_a_list_the_one_under_the_tag_counts() -> None:
    subject = artifact("the image")
    kept = Descriptor(OCI_MANIFEST, Digest.of(b"x"), 1, {"who": "somebody"}, "application/vnd.example")
    tag = str(subject.digest).replace(":", "-")
    for tags, wanted in (({tag: Manifest.parse(index([kept]), OCI_INDEX)}, [kept]), ({}, [])):
        holdings = Holdings([subject], lists=False, tags=tags)
        async with ScriptedRegistry(holdings.steps()) as registry, client_of() as client:
            assert await referrers_of(client, repository(registry.host), subject.digest) == wanted


async def test_an_image_where_the_list_should_be_is_an_error() -> None:
    subject = artifact("the image")
    tag = str(subject.digest).replace(":", "-")
    holdings = Holdings([subject], lists=False, tags={tag: subject})
    async with ScriptedRegistry(holdings.steps()) as registry, client_of() as client:
        with pytest.raises(UnusableManifest) as raised:
            await referrers_of(client, repository(registry.host), subject.digest)
    assert tag in str(raised.value.why)


@pytest.mark.parametrize(
    ("status", "raised"), [(401, Unauthenticated), (500, RegistryFailed)], ids=["401", "500"]
)
async def test_a_refusal_is_not_an_empty_list(status: int, raised: type[SealiftError]) -> None:
    subject = artifact("the image")
    path = f"/v2/apps/x/referrers/{subject.digest}"
    step = Step("GET", path, json_error(status, "UNKNOWN"), times=0)
    async with ScriptedRegistry([anonymous_ping(), step]) as registry, client_of() as client:
        with pytest.raises(raised):
            await referrers_of(client, repository(registry.host), subject.digest)
