import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from tests.registry.scene import (
    ASHOK,
    MALLORY,
    NOON,
    OTHER,
    REPOSITORY,
    Scene,
    body_of,
    call,
    descriptor,
    index_of,
    refused,
)

from sealift.image.digest import Digest
from sealift.image.manifest import (
    DOCKER_CONFIG,
    DOCKER_LAYER_GZIP,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)
from sealift.registry.catalog.repositories import repository_id
from sealift.registry.catalog.tag_history import tag_moves
from sealift.registry.exchange import Answer
from sealift.registry.manifests import LARGE_BYTES_AT_ONCE
from sealift.registry.refusal import RegistryRefusal


async def put(
    scene: Scene,
    body: bytes,
    reference: str,
    *,
    kind: str = OCI_MANIFEST,
    query: str = "",
    name: str = REPOSITORY,
) -> Answer:
    headers = {"content-type": kind} if kind else {}
    return await scene.manifests.put(
        call("PUT", name=name, reference=reference, headers=headers, body=body, query=query)
    )


async def get(scene: Scene, reference: str, name: str = REPOSITORY, **headers: str) -> Answer:
    return await scene.manifests.get(call("GET", name=name, reference=reference, headers=headers))


async def delete(scene: Scene, reference: str, name: str = REPOSITORY) -> Answer:
    return await scene.manifests.delete(call("DELETE", name=name, reference=reference))


# ---------------------------------------------------------------- push and pull


async def test_a_tag_and_a_digest_give_the_bytes_that_were_pushed(scene: Scene) -> None:
    document = await scene.image(annotations={"b": "2", "a": "ä"}, custom={"kept": True})
    body = json.dumps(document, indent=3, ensure_ascii=False).encode() + b"\n"
    digest = str(Digest.of(body))
    answer = await put(scene, body, "v1")
    assert answer == Answer(
        status=201,
        headers={
            "location": f"/v2/{REPOSITORY}/manifests/{digest}",
            "docker-content-digest": digest,
            "content-length": "0",
        },
    )
    expected = Answer(
        status=200,
        headers={
            "content-type": OCI_MANIFEST,
            "content-length": str(len(body)),
            "docker-content-digest": digest,
            "etag": f'"{digest}"',
        },
        body=body,
    )
    assert await get(scene, "v1") == expected
    assert await get(scene, digest) == expected
    assert await get(scene, "v1", accept="text/plain") == expected
    not_changed = await get(scene, "v1", **{"if-none-match": digest})
    assert not_changed == Answer(status=304, headers={"etag": f'"{digest}"', "docker-content-digest": digest})


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_by_digest_of_either_algorithm(scene: Scene, algorithm: str) -> None:
    body = json.dumps(await scene.image()).encode()
    digest = str(Digest.of(body, algorithm))
    answer = await put(scene, body, digest)
    assert answer.headers["docker-content-digest"] == digest
    assert await scene.get_manifest(digest) == body


async def test_parts_named_by_sha512(scene: Scene) -> None:
    body = json.dumps(await scene.image()).encode()
    child = Digest.of(body, "sha512")
    await put(scene, body, str(child))
    await scene.push_manifest(index_of(child, size=len(body)), "v1")


async def test_several_tags_in_one_push(scene: Scene) -> None:
    body = json.dumps(await scene.image()).encode()
    digest = str(Digest.of(body))
    answer = await put(scene, body, digest, query="tag=a&tag=b&tag=a")
    assert answer.headers["oci-tag"] == "a, b"
    assert await scene.get_manifest("a") == await scene.get_manifest("b") == body


@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param("tag=.no", 400, id="no tag"),
        pytest.param("tag=", 400, id="empty"),
        pytest.param("&".join(f"tag=t{n}" for n in range(65)), 414, id="too many"),
    ],
)
async def test_tags_that_cannot_be(scene: Scene, query: str, status: int) -> None:
    body = json.dumps(await scene.image()).encode()
    assert await refused(put(scene, body, str(Digest.of(body)), query=query)) == ("TAG_INVALID", status)
    assert await refused(scene.get_manifest(str(Digest.of(body)))) == ("MANIFEST_UNKNOWN", 404)


async def test_a_digest_that_is_not_the_bodys(scene: Scene) -> None:
    body = json.dumps(await scene.image()).encode()
    with pytest.raises(RegistryRefusal) as refusal:
        await put(scene, body + b" ", str(Digest.of(body)))
    assert (refusal.value.code, refusal.value.status) == ("DIGEST_INVALID", 400)
    assert refusal.value.detail == {"expected": str(Digest.of(body)), "actual": str(Digest.of(body + b" "))}


async def test_an_algorithm_that_we_do_not_keep(scene: Scene) -> None:
    body = json.dumps(await scene.image()).encode()
    assert await refused(put(scene, body, str(Digest.of(body, "sha384")))) == ("DIGEST_INVALID", 400)


async def test_what_is_not_there(scene: Scene) -> None:
    await scene.push_image("v1")
    unknown = str(Digest.of(b"unknown"))
    for reference in ("v2", unknown):
        assert await refused(get(scene, reference)) == ("MANIFEST_UNKNOWN", 404)
        assert await refused(delete(scene, reference)) == ("MANIFEST_UNKNOWN", 404)
        assert await refused(get(scene, reference, "no/such")) == ("NAME_UNKNOWN", 404)
        assert await refused(delete(scene, reference, "no/such")) == ("NAME_UNKNOWN", 404)


async def test_a_manifest_of_another_repository_is_not_there(scene: Scene) -> None:
    digest = await scene.push_image("v1")
    await scene.push_image("v2", OTHER, salt="x")
    for reference in ("v1", str(digest)):
        assert await refused(get(scene, reference, OTHER)) == ("MANIFEST_UNKNOWN", 404)


# ---------------------------------------------------------------- kinds


async def test_an_index_of_an_index(scene: Scene) -> None:
    children = [await scene.push_image(salt=salt) for salt in "ab"]
    size = len(await scene.get_manifest(str(children[0])))
    inner = json.dumps(index_of(*children, size=size)).encode()
    await scene.push_manifest(inner)
    outer = index_of(Digest.of(inner), size=len(inner))
    outer["manifests"][0]["mediaType"] = OCI_INDEX
    answer = await scene.push_manifest(outer, "v1")
    assert answer.status == 201
    assert (await get(scene, "v1")).headers["content-type"] == OCI_INDEX


async def test_docker_schema_2(scene: Scene) -> None:
    config, layer = b"{}", b"layer"
    for blob in (config, layer):
        await scene.push_blob(blob)
    image = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": descriptor(config, DOCKER_CONFIG),
        "layers": [descriptor(layer, DOCKER_LAYER_GZIP)],
    }
    body = json.dumps(image).encode()
    await scene.push_manifest(body, "amd64")
    entry = descriptor(body, DOCKER_MANIFEST, platform={"os": "linux", "architecture": "amd64"})
    listed = {"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [entry]}
    await scene.push_manifest(listed, "v1")
    assert (await get(scene, "v1")).headers["content-type"] == DOCKER_LIST
    assert (await get(scene, "amd64")).headers["content-type"] == DOCKER_MANIFEST


async def test_an_artifact_without_layers_and_an_empty_index(scene: Scene) -> None:
    await scene.push_blob(b"{}")
    artifact = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example",
        "config": {**descriptor(b"{}", OCI_EMPTY), "data": "e30="},
        "layers": [],
    }
    assert (await scene.push_manifest(artifact, "artifact")).status == 201
    assert (await scene.push_manifest(index_of(), "index")).status == 201


async def test_a_build_cache_lists_blobs_in_an_index(scene: Scene) -> None:
    await scene.push_blob(b"layer")
    cache = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [descriptor(b"layer", OCI_LAYER)],
    }
    assert (await scene.push_manifest(cache, "cache")).status == 201


async def test_a_type_that_only_the_header_says(scene: Scene) -> None:
    document = await scene.image()
    del document["mediaType"]
    body = json.dumps(document).encode()
    await put(scene, body, "v1", kind=f"{OCI_MANIFEST}; charset=utf-8")
    assert (await get(scene, "v1")).headers["content-type"] == OCI_MANIFEST
    await put(scene, body, "v2", kind="")
    assert (await get(scene, "v2")).headers["content-type"] == OCI_MANIFEST


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param({"mediaType": DOCKER_MANIFEST}, OCI_MANIFEST, id="another type than it was sent as"),
        pytest.param({"manifests": []}, OCI_MANIFEST, id="layers and manifests (row 12)"),
        pytest.param({"layers": None}, OCI_MANIFEST, id="no layers"),
        pytest.param({"schemaVersion": 1}, OCI_MANIFEST, id="schema 1"),
        pytest.param({"mediaType": None}, "application/json", id="no manifest's type"),
    ],
)
async def test_documents_that_are_refused(scene: Scene, change: dict[str, Any], kind: str) -> None:
    body = json.dumps({**await scene.image(), **change}).encode()
    with pytest.raises(RegistryRefusal) as refusal:
        await put(scene, body, "v1", kind=kind)
    assert (refusal.value.code, refusal.value.status) == ("MANIFEST_INVALID", 400)
    assert refusal.value.detail["rule"] in str(refusal.value)


async def test_schema_1_says_how_to_rebuild(scene: Scene) -> None:
    with pytest.raises(RegistryRefusal, match="docker build"):
        await put(scene, b'{"schemaVersion":1}', "v1", kind="")


@pytest.mark.parametrize("sized", [True, False], ids=["declared", "streamed"])
@pytest.mark.parametrize("times", [1, 5], ids=["a little", "much"])
async def test_too_large(scene: Scene, sized: bool, times: int) -> None:
    body = b'{"schemaVersion":2,"x":"' + b"A" * times * 4 * 1024 * 1024 + b'"}'
    read = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        async for piece in body_of(body):
            read += len(piece)
            yield piece

    headers = {"content-length": str(len(body))} if sized else {}
    request = call("PUT", name=REPOSITORY, reference="v1", body=counted(), headers=headers)
    assert await refused(scene.manifests.put(request)) == ("MANIFEST_INVALID", 413)
    # a little too long is read to its end, so that the refusal can be heard; much is not
    assert read == len(body) if times == 1 else read < 17 * 1024 * 1024


async def test_nearly_too_large(scene: Scene) -> None:
    document = await scene.image(annotations={f"a{n}": "A" * 10_000 for n in range(390)})
    assert (await scene.push_manifest(document, "large")).status == 201


async def test_many_large_ones_at_once_are_asked_to_come_back(scene: Scene) -> None:
    """Sent slowly they would fill the memory. What others hold keeps nobody from pushing a usual one."""
    body = json.dumps(await scene.image(annotations={"a": "A" * 4_000_000})).encode()
    all_came = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield body
        await all_came.wait()

    def pushed(content: AsyncIterator[bytes] | bytes, tag: str) -> Awaitable[Answer]:
        headers = {"content-type": OCI_MANIFEST}
        return scene.manifests.put(
            call("PUT", name=REPOSITORY, reference=tag, headers=headers, body=content, sized=False)
        )

    fit = LARGE_BYTES_AT_ONCE // len(body)
    slow = [asyncio.ensure_future(pushed(slowly(), f"v{n}")) for n in range(fit)]
    await asyncio.sleep(0)
    with pytest.raises(RegistryRefusal) as refusal:
        await pushed(body, "late")
    assert (refusal.value.code, refusal.value.status) == ("TOOMANYREQUESTS", 429)
    assert refusal.value.headers == {"retry-after": "5"}
    await scene.push_image("usual")
    all_came.set()
    assert {answer.status for answer in await asyncio.gather(*slow)} == {201}
    assert (await pushed(body, "late")).status == 201


async def test_too_many_references(scene: Scene) -> None:
    children = [Digest.of(str(n).encode()) for n in range(11)]
    few = scene.limited(manifest_references=10)
    assert await refused(few.push_manifest(index_of(*children), "v1")) == ("MANIFEST_INVALID", 400)


# ---------------------------------------------------------------- parts


async def test_every_missing_part_is_named(scene: Scene) -> None:
    document = await scene.image()
    missing = [descriptor(f"missing {n}".encode(), OCI_LAYER) for n in range(3)]
    document["layers"] += [*missing, missing[0]]
    with pytest.raises(RegistryRefusal) as refusal:
        await scene.push_manifest(document, "v1")
    assert (refusal.value.code, refusal.value.status) == ("MANIFEST_BLOB_UNKNOWN", 400)
    assert refusal.value.detail == [{"digest": each["digest"]} for each in missing]
    assert all(each["digest"] in str(refusal.value) for each in missing)
    assert await refused(get(scene, "v1")) == ("MANIFEST_UNKNOWN", 404)


@pytest.mark.parametrize("part", ["config", "layer", "manifest"])
async def test_a_size_that_is_not_the_parts_is_refused(scene: Scene, part: str) -> None:
    """Whoever pulled it would be refused by its own client, long after the push."""
    if part == "manifest":
        child = await scene.push_image()
        document = index_of(child, size=len(await scene.get_manifest(str(child))) + 1)
        wrong = document["manifests"][0]
    else:
        document = await scene.image()
        wrong = document["config"] if part == "config" else document["layers"][0]
        wrong["size"] += 1
    with pytest.raises(RegistryRefusal) as refusal:
        await scene.push_manifest(document, "v1")
    assert (refusal.value.code, refusal.value.status) == ("MANIFEST_INVALID", 400)
    assert refusal.value.detail == {
        "digest": wrong["digest"],
        "expected": wrong["size"],
        "actual": wrong["size"] - 1,
    }
    assert await refused(get(scene, "v1")) in {("MANIFEST_UNKNOWN", 404), ("NAME_UNKNOWN", 404)}


async def test_known_elsewhere_is_missing_here(scene: Scene) -> None:
    document = await scene.image(OTHER)
    code = await refused(scene.push_manifest(document, "v1"))
    assert code == ("MANIFEST_BLOB_UNKNOWN", 400)
    child = await scene.push_image(name=OTHER)
    assert await refused(scene.push_manifest(index_of(child), "v1")) == ("MANIFEST_BLOB_UNKNOWN", 400)


async def test_a_blob_is_no_child_manifest(scene: Scene) -> None:
    blob = await scene.push_blob(json.dumps(await scene.image()).encode())
    assert await refused(scene.push_manifest(index_of(blob), "v1")) == ("MANIFEST_BLOB_UNKNOWN", 400)


async def test_foreign_layers_need_not_be_here(scene: Scene) -> None:
    document = await scene.image()
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    document["layers"].append(descriptor(b"far away", foreign, urls=["https://store.example.com/x"]))
    assert (await scene.push_manifest(document, "v1")).status == 201


async def test_a_damaged_part_counts_as_missing(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    document = await scene.image()
    await scene.store.delete(Digest.of(b"layer "))
    with pytest.raises(RegistryRefusal) as refusal:
        await scene.push_manifest(document, "v1")
    assert refusal.value.detail == [{"digest": str(Digest.of(b"layer "))}]
    assert "ALARM" in caplog.text


# ---------------------------------------------------------------- tags and their history


async def test_a_tag_moves_and_its_history_is_kept(scene: Scene) -> None:
    digests = [str(await scene.push_image("v1", salt=salt)) for salt in "aab"]
    assert digests[0] == digests[1]
    assert Digest.of(await scene.get_manifest("v1")) == Digest.parse(digests[2])
    scene.clock.pass_seconds(60)
    await scene.manifests.delete(call("DELETE", name=REPOSITORY, reference="v1", by=MALLORY))
    repository = repository_id(scene.catalog, REPOSITORY)
    assert repository is not None
    moves = tag_moves(scene.catalog, repository, "v1", most=9)
    assert [
        (move.at, move.principal_id, move.principal, move.old_digest, move.new_digest) for move in moves
    ] == [
        (NOON + 60_000_000, MALLORY.id, "mallory", digests[2], None),
        (NOON, ASHOK.id, "ashok", digests[0], digests[2]),
        (NOON, ASHOK.id, "ashok", None, digests[0]),
    ]


async def test_deleting_a_tag_deletes_the_tag_only(scene: Scene) -> None:
    digest = str(await scene.push_image("v1"))
    await scene.push_image("v2")
    assert await delete(scene, "v1") == Answer(status=202, headers={"content-length": "0"})
    assert await refused(get(scene, "v1")) == ("MANIFEST_UNKNOWN", 404)
    assert await scene.get_manifest("v2") == await scene.get_manifest(digest)


async def test_deleting_a_digest_deletes_its_tags(scene: Scene) -> None:
    digest = str(await scene.push_image("v1"))
    await scene.push_image("v2")
    other = await scene.push_image("other", salt="x")
    assert (await delete(scene, digest)).status == 202
    for gone in ("v1", "v2", digest):
        assert await refused(get(scene, gone)) == ("MANIFEST_UNKNOWN", 404)
    assert Digest.of(await scene.get_manifest("other")) == other
    repository = repository_id(scene.catalog, REPOSITORY)
    assert repository is not None
    (removed,) = tag_moves(scene.catalog, repository, "v2", most=1)
    assert (removed.at, removed.principal_id, removed.old_digest, removed.new_digest) == (
        NOON,
        ASHOK.id,
        digest,
        None,
    )
    await scene.push_image("v1")
    assert Digest.of(await scene.get_manifest("v1")) == Digest.parse(digest)


async def test_what_an_index_lists_stays(scene: Scene) -> None:
    child = await scene.push_image()
    size = len(await scene.get_manifest(str(child)))
    answer = await scene.push_manifest(index_of(child, size=size), "v1")
    with pytest.raises(RegistryRefusal) as refusal:
        await delete(scene, str(child))
    assert (refusal.value.code, refusal.value.status) == ("UNSUPPORTED", 405)
    index = answer.headers["docker-content-digest"]
    assert refusal.value.detail == {"digest": str(child), "index": index}
    await delete(scene, index)
    assert (await delete(scene, str(child))).status == 202


async def test_a_subject_need_not_be_there_and_is_said_back(scene: Scene) -> None:
    subject = descriptor(b"not pushed yet", OCI_MANIFEST)
    answer = await scene.push_manifest(await scene.image(subject=subject), "signature")
    assert answer.headers["oci-subject"] == subject["digest"]


async def test_locations_are_absolute_where_the_registry_knows_its_url(scene: Scene) -> None:
    body = json.dumps(await scene.image()).encode()
    request = call("PUT", name=REPOSITORY, reference="v1", body=body, base_url="https://registry.example")
    answer = await scene.manifests.put(request)
    digest = hashlib.sha256(body).hexdigest()
    assert answer.headers["location"] == f"https://registry.example/v2/{REPOSITORY}/manifests/sha256:{digest}"


async def test_pushes_of_one_tag_at_once_leave_one_of_them(scene: Scene) -> None:
    """The last one in the history is the one that stands."""
    digests = [await scene.push_image(salt=str(n)) for n in range(8)]
    bodies = [await scene.get_manifest(str(each)) for each in digests]
    await asyncio.gather(*(put(scene, body, "latest") for body in bodies))
    repository = repository_id(scene.catalog, REPOSITORY)
    assert repository is not None
    moves = tag_moves(scene.catalog, repository, "latest", most=9)[::-1]
    assert [move.old_digest for move in moves[1:]] == [move.new_digest for move in moves[:-1]]
    assert str(Digest.of(await scene.get_manifest("latest"))) == moves[-1].new_digest


async def test_config_and_layer_may_be_the_same_blob(scene: Scene) -> None:
    await scene.push_blob(b"{}")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(b"{}", OCI_CONFIG),
        "layers": [descriptor(b"{}", OCI_LAYER)] * 2,
    }
    assert (await scene.push_manifest(document, "v1")).status == 201
