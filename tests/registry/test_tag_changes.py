"""Pushes and deletes that depend on what a tag stands for: conditions, several tags, immutable tags."""

import asyncio
import json
from typing import Any

import pytest
from tests.registry.scene import ASHOK, NOON, REPOSITORY, Scene, call, index_of, refused

from sealift.image.digest import Digest
from sealift.image.manifest import OCI_INDEX, OCI_MANIFEST
from sealift.registry.catalog.repositories import repository_id
from sealift.registry.catalog.repository_rows import delete_repository
from sealift.registry.catalog.tag_history import tag_moves
from sealift.registry.catalog.tag_rules import TagImmutable, TagRules, set_tag_rules
from sealift.registry.catalog.tags import tag_digest, tags_after
from sealift.registry.exchange import Answer
from sealift.registry.refusal import RegistryRefusal

DENIED = ("DENIED", 403)
NOT_AS_EXPECTED = ("DENIED", 412)
CREATE_ONLY = {"if-none-match": "*"}


def only_if(digest: object) -> dict[str, str]:
    return {"if-match": f'"{digest}"'}


def id_of(scene: Scene) -> int:
    found = repository_id(scene.catalog, REPOSITORY)
    assert found is not None
    return found


def standing(scene: Scene, *names: str) -> list[str | None]:
    return [tag_digest(scene.catalog, id_of(scene), name) for name in names]


async def protect(scene: Scene, *patterns: str, exceptions: tuple[str, ...] = ()) -> None:
    repository, rules = id_of(scene), TagRules(immutable=patterns, exceptions=exceptions)
    await scene.catalog.write(lambda transaction: set_tag_rules(transaction, repository, rules))


async def put(scene: Scene, body: bytes, reference: str, query: str = "", **headers: str) -> Answer:
    sent = {"content-type": OCI_MANIFEST} | {name.replace("_", "-"): text for name, text in headers.items()}
    return await scene.manifests.put(
        call("PUT", name=REPOSITORY, reference=reference, headers=sent, body=body, query=query)
    )


async def delete(scene: Scene, reference: str, headers: dict[str, str] | None = None) -> Answer:
    return await scene.manifests.delete(call("DELETE", name=REPOSITORY, reference=reference, headers=headers))


async def image(scene: Scene, salt: str) -> tuple[bytes, Digest]:
    body = json.dumps(await scene.image(salt=salt)).encode()
    return body, Digest.of(body)


async def push(scene: Scene, body: bytes, reference: str, headers: dict[str, str], query: str = "") -> Answer:
    return await put(scene, body, reference, query, **{n.replace("-", "_"): t for n, t in headers.items()})


# ------------------------------------------------------------------ compare and swap


async def test_a_tag_moves_only_from_what_the_pusher_saw(scene: Scene) -> None:
    (one, first), (two, second), (three, _) = [await image(scene, salt) for salt in "abc"]
    await put(scene, one, "v1")
    assert (await push(scene, two, "v1", only_if(first))).status == 201
    with pytest.raises(RegistryRefusal) as refusal:
        await push(scene, three, "v1", only_if(first))
    assert (str(refusal.value.code), refusal.value.status) == NOT_AS_EXPECTED
    assert refusal.value.detail == {"reference": "v1", "condition": "If-Match, If-None-Match"}
    assert str(second) not in str(refusal.value), "who may push need not be one who may pull"
    assert standing(scene, "v1") == [str(second)]
    assert await refused(scene.get_manifest(str(Digest.of(three)))) == ("MANIFEST_UNKNOWN", 404)


async def test_a_tag_that_is_not_there_matches_nothing(scene: Scene) -> None:
    body, digest = await image(scene, "a")
    assert await refused(push(scene, body, "v1", only_if(digest))) == NOT_AS_EXPECTED
    assert await refused(push(scene, body, "v1", {"if-match": "*"})) == NOT_AS_EXPECTED
    assert (await push(scene, body, "v1", CREATE_ONLY)).status == 201
    assert await refused(push(scene, body, "v1", CREATE_ONLY)) == NOT_AS_EXPECTED
    assert (await push(scene, body, "v1", {"if-match": "*"})).status == 201


async def test_a_manifest_by_digest_has_conditions_of_its_own(scene: Scene) -> None:
    body, digest = await image(scene, "a")
    assert await refused(push(scene, body, str(digest), {"if-match": "*"})) == NOT_AS_EXPECTED
    assert (await push(scene, body, str(digest), CREATE_ONLY)).status == 201
    assert await refused(push(scene, body, str(digest), CREATE_ONLY)) == NOT_AS_EXPECTED
    assert (await push(scene, body, str(digest), only_if(digest))).status == 201


async def test_a_repository_is_not_made_by_a_push_that_was_refused(scene: Scene) -> None:
    body = json.dumps(index_of()).encode()
    answer = scene.manifests.put(
        call(
            "PUT",
            name="new/one",
            reference="v1",
            headers={"content-type": OCI_INDEX, "if-match": "*"},
            body=body,
        )
    )
    assert await refused(answer) == NOT_AS_EXPECTED
    assert repository_id(scene.catalog, "new/one") is None


async def test_of_many_that_swap_at_once_one_does(scene: Scene) -> None:
    body, first = await image(scene, "first")
    await put(scene, body, "v1")
    others = [await image(scene, str(number)) for number in range(8)]
    outcomes = await asyncio.gather(
        *(push(scene, other, "v1", only_if(first)) for other, _ in others), return_exceptions=True
    )
    assert sum(isinstance(each, Answer) for each in outcomes) == 1
    assert {each.status for each in outcomes if isinstance(each, RegistryRefusal)} == {412}
    assert len(tag_moves(scene.catalog, id_of(scene), "v1", most=99)) == 2


async def test_a_delete_may_have_a_condition_too(scene: Scene) -> None:
    (one, first), (two, second) = [await image(scene, salt) for salt in "ab"]
    await put(scene, one, "v1")
    await put(scene, two, "v2")
    assert await refused(delete(scene, "v1", only_if(second))) == NOT_AS_EXPECTED
    assert await refused(delete(scene, str(first), only_if(second))) == NOT_AS_EXPECTED
    assert await refused(delete(scene, "v3", only_if(second))) == ("MANIFEST_UNKNOWN", 404)
    assert (await delete(scene, "v1", only_if(first))).status == 202
    assert (await delete(scene, str(second), only_if(second))).status == 202
    assert standing(scene, "v1", "v2") == [None, None]


# ------------------------------------------------------------------ several tags


async def test_several_tags_move_together_or_not_at_all(scene: Scene) -> None:
    (one, first), (two, second) = [await image(scene, salt) for salt in "ab"]
    await put(scene, one, str(first), "tag=a&tag=b")
    await protect(scene, "b")
    assert await refused(put(scene, two, str(second), "tag=a&tag=b&tag=c")) == DENIED
    assert standing(scene, "a", "b", "c") == [str(first), str(first), None]
    assert await refused(scene.get_manifest(str(second))) == ("MANIFEST_UNKNOWN", 404)
    assert (await put(scene, two, str(second), "tag=a&tag=c")).headers["oci-tag"] == "a, c"
    assert await refused(push(scene, one, str(first), only_if(second), "tag=a&tag=b")) == NOT_AS_EXPECTED
    assert standing(scene, "a", "b", "c") == [str(second), str(first), str(second)]


async def test_each_tag_of_a_push_is_a_move_from_where_it_came(scene: Scene) -> None:
    body, digest = await image(scene, "a")
    request = call("PUT", name=REPOSITORY, reference=str(digest), query="tag=a&tag=b", body=body)
    request.headers = {**request.headers, "content-type": OCI_MANIFEST}
    request.address = "2001:db8::1"
    await scene.manifests.put(request)
    moves = tag_moves(scene.catalog, id_of(scene), most=9)
    assert [(move.tag, move.principal, move.address) for move in moves] == [
        ("b", ASHOK.name, "2001:db8::1"),
        ("a", ASHOK.name, "2001:db8::1"),
    ]


# ------------------------------------------------------------------ immutable tags


@pytest.fixture
async def protected(scene: Scene) -> tuple[Scene, bytes, Digest]:
    """A repository with the tags v1 and v1-rc on one manifest, where ``v*`` stays but ``*-rc*``."""
    body, digest = await image(scene, "first")
    await put(scene, body, str(digest), "tag=v1&tag=v1-rc")
    await protect(scene, "v*", exceptions=("*-rc*",))
    return scene, body, digest


async def test_an_immutable_tag_is_neither_moved_nor_deleted(protected: tuple[Scene, bytes, Digest]) -> None:
    scene, body, digest = protected
    other, moved = await image(scene, "other")
    ways: dict[str, Any] = {
        "a push by the tag": put(scene, other, "v1"),
        "a push by digest": put(scene, other, str(moved), "tag=v1"),
        "a push that knows what stands there": push(scene, other, "v1", only_if(digest)),
        "a delete of the tag": delete(scene, "v1"),
        "a delete that knows": delete(scene, "v1", only_if(digest)),
        "a delete of the manifest": delete(scene, str(digest)),
    }
    for way, work in ways.items():
        assert await refused(work) == DENIED, way
    assert standing(scene, "v1", "v1-rc") == [str(digest)] * 2
    assert await scene.get_manifest("v1") == body


async def test_the_refusal_names_the_tag_and_the_rule(protected: tuple[Scene, bytes, Digest]) -> None:
    scene, _, _ = protected
    other, _ = await image(scene, "other")
    with pytest.raises(RegistryRefusal) as refusal:
        await put(scene, other, "v1")
    assert str(refusal.value) == (
        "the tag v1 is immutable and cannot be moved: the repository's rule v* protects it"
    )
    assert refusal.value.detail == {"tag": "v1", "pattern": "v*"}


async def test_what_an_immutable_tag_already_is_may_be_pushed(protected: tuple[Scene, bytes, Digest]) -> None:
    scene, body, digest = protected
    assert (await put(scene, body, "v1")).status == 201
    assert (await put(scene, body, str(digest), "tag=v1")).status == 201
    assert len(tag_moves(scene.catalog, id_of(scene), "v1", most=9)) == 1


async def test_new_tags_and_exceptions_go_on_as_ever(protected: tuple[Scene, bytes, Digest]) -> None:
    scene, _, _ = protected
    other, moved = await image(scene, "other")
    for name in ("v2", "v1-rc", "latest"):
        assert (await put(scene, other, name)).status == 201
    assert (await delete(scene, "v1-rc")).status == 202
    assert standing(scene, "v2", "v1-rc", "latest") == [str(moved), None, str(moved)]


async def test_a_repository_with_an_immutable_tag_is_not_deleted(
    protected: tuple[Scene, bytes, Digest],
) -> None:
    scene, _, _ = protected
    repository = id_of(scene)
    with pytest.raises(TagImmutable):
        await scene.catalog.write(lambda transaction: delete_repository(transaction, repository, now=NOON))
    assert tags_after(scene.catalog, repository, last="", most=9) == ["v1", "v1-rc"]
    await protect(scene, "x*")
    await scene.catalog.write(lambda transaction: delete_repository(transaction, repository, now=NOON))
    assert repository_id(scene.catalog, REPOSITORY) is None


async def test_parts_of_an_immutable_tag_stay(scene: Scene) -> None:
    """Neither the layers nor the images of an index go away beneath it."""
    document = await scene.image(salt="part")
    body = json.dumps(document).encode()
    part = Digest.of(body)
    await put(scene, body, str(part))
    await scene.push_manifest(index_of(part, size=len(body)), "v1")
    await protect(scene, "v*")
    layer = document["layers"][0]["digest"]
    assert await refused(delete(scene, str(part))) == ("UNSUPPORTED", 405)
    assert await refused(scene.blobs.delete(call("DELETE", name=REPOSITORY, digest=layer))) == (
        "UNSUPPORTED",
        405,
    )
