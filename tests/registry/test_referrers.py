import json
from typing import Any

import pytest
from sqlalchemy import bindparam, update
from tests.registry.scene import REPOSITORY, Scene, body_bytes, call, descriptor, index_of, refused

from sealift.image.digest import Digest
from sealift.image.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from sealift.registry.catalog.database import Query
from sealift.registry.catalog.schema import manifest

SUBJECT = {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(b"the subject")), "size": 11}
SIGNATURE = "application/vnd.example.signature"


async def referrers(
    scene: Scene, query: str = "", digest: str = str(SUBJECT["digest"]), name: str = REPOSITORY
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    answer = await scene.referrers.get(call("GET", name=name, digest=digest, query=query))
    assert (answer.status, answer.headers.pop("content-type")) == (200, OCI_INDEX)
    del answer.headers["content-length"]
    document = json.loads(await body_bytes(answer))
    assert (document["schemaVersion"], document["mediaType"]) == (2, OCI_INDEX)
    return document["manifests"], answer.headers


async def push(scene: Scene, document: dict[str, Any]) -> dict[str, Any]:
    body = json.dumps(document).encode()
    await scene.push_manifest(body)
    return descriptor(body, document["mediaType"])


async def test_nothing_refers_to_it(scene: Scene) -> None:
    assert await referrers(scene) == ([], {})
    await scene.push_image("v1")
    assert await referrers(scene) == ([], {})


async def test_what_refers_to_it(scene: Scene) -> None:
    plain = await push(scene, await scene.image(subject=SUBJECT))
    signature = await push(
        scene, await scene.image(subject=SUBJECT, artifactType=SIGNATURE, annotations={"who": "ashok"})
    )
    index = await push(scene, index_of(subject=SUBJECT))
    await scene.push_image("unrelated", salt="x")
    expected = [
        {**plain, "artifactType": OCI_CONFIG},
        {**signature, "artifactType": SIGNATURE, "annotations": {"who": "ashok"}},
        index,
    ]
    assert await referrers(scene) == (sorted(expected, key=lambda each: each["digest"]), {})
    assert await referrers(scene, f"artifactType={SIGNATURE}") == (
        [expected[1]],
        {"oci-filters-applied": "artifactType"},
    )
    assert await referrers(scene, "artifactType=") == (sorted(expected, key=lambda e: e["digest"]), {})


async def test_only_in_this_repository_and_until_it_is_deleted(scene: Scene) -> None:
    found = await push(scene, await scene.image(subject=SUBJECT))
    scene.make_repository("other/place")
    assert await referrers(scene, name="other/place") == ([], {})
    await scene.manifests.delete(call("DELETE", name=REPOSITORY, reference=found["digest"]))
    assert await referrers(scene) == ([], {})


@pytest.mark.parametrize("wanted", ["", f"artifactType={SIGNATURE}"], ids=["all", "filtered"])
async def test_pages(scene: Scene, wanted: str) -> None:
    few = scene.limited(page_entries=2)
    expected = []
    for n in range(5):
        document = await scene.image(subject=SUBJECT, artifactType=SIGNATURE, annotations={"n": str(n)})
        expected.append((await push(scene, document))["digest"])
    found: list[str] = []
    query = wanted
    for _ in range(3):
        page, headers = await referrers(few, query)
        found += [each["digest"] for each in page]
        path, _, query = headers.get("link", "<?>").partition(">")[0].partition("?")
        assert path in {"<", f"</v2/{REPOSITORY}/referrers/{SUBJECT['digest']}"}
    assert found == sorted(expected)
    assert query == ""


async def test_a_page_ends_before_it_is_too_large(scene: Scene) -> None:
    for n in range(3):
        annotations = {"n": str(n), "much": "A" * 2_000_000}
        await push(scene, await scene.image(subject=SUBJECT, annotations=annotations))
    page, headers = await referrers(scene)
    assert len(page) == 2
    assert "link" in headers


async def test_what_is_said_of_a_referrer_whose_bytes_have_rotted_is_not_believed(scene: Scene) -> None:
    document = await scene.image(subject=SUBJECT, annotations={"who": "ashok"})
    await push(scene, document)
    rotten = json.dumps(document).encode().replace(b"ashok", b"asho!")
    scene.catalog.write_now(
        lambda transaction: transaction.run(
            Query(update(manifest).values(body=bindparam("rotten"))), rotten=rotten
        )
    )
    asked = call("GET", name=REPOSITORY, digest=str(SUBJECT["digest"]))
    assert await refused(scene.referrers.get(asked)) == ("UNKNOWN", 500)
    await push(scene, document)
    assert (await referrers(scene))[0][0]["annotations"] == {"who": "ashok"}
