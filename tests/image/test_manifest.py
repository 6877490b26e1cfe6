import json
from typing import Any

import pytest

from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest
from sealift.image.manifest import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    MANIFEST_TYPES,
    MAX_DEPTH,
    MAX_MANIFEST_SIZE,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    MalformedManifest,
    Manifest,
    ManifestTooLarge,
    Schema1Manifest,
)

CONFIG = Descriptor(OCI_CONFIG, Digest.of(b"config"), 6)
LAYERS = (
    Descriptor(OCI_LAYER_GZIP, Digest.of(b"1"), 1),
    Descriptor(OCI_LAYER_GZIP, Digest.of(b"2", "sha512"), 1),
)
CHILD = Descriptor(OCI_MANIFEST, Digest.of(b"child"), 5)
IMAGE: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": OCI_MANIFEST,
    "config": CONFIG.to_document(),
    "layers": [layer.to_document() for layer in LAYERS],
}
INDEX: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [CHILD.to_document()]}


def body(document: object) -> bytes:
    return json.dumps(document).encode()


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def test_an_image() -> None:
    data = body({**IMAGE, "annotations": {"a": "b"}, "artifactType": "x/y", "subject": CHILD.to_document()})
    manifest = Manifest.parse(data, OCI_MANIFEST)
    assert manifest == Manifest(
        body=data,
        media_type=OCI_MANIFEST,
        digest=Digest.of(data),
        references=(CONFIG, *LAYERS),
        config=CONFIG,
        layers=LAYERS,
        subject=CHILD,
        artifact_type="x/y",
        annotations={"a": "b"},
    )
    assert not manifest.is_index


def test_an_index() -> None:
    data = body(INDEX)
    manifest = Manifest.parse(data, OCI_INDEX)
    assert manifest == Manifest(
        body=data, media_type=OCI_INDEX, digest=Digest.of(data), references=(CHILD,), manifests=(CHILD,)
    )
    assert manifest.is_index


def test_bytes_are_kept_as_they_are() -> None:
    data = b" \n" + body(IMAGE).replace(b": ", b" :\t") + b"\n"
    manifest = Manifest.parse(data)
    assert (manifest.body, manifest.digest) == (data, Digest.of(data))


@pytest.mark.parametrize(
    ("document", "sent_as", "expected"),
    [
        pytest.param(IMAGE, OCI_MANIFEST, OCI_MANIFEST, id="both agree"),
        pytest.param(IMAGE, f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST, id="R-OCI-17 parameters"),
        pytest.param(IMAGE, f" {OCI_MANIFEST.upper()} ", OCI_MANIFEST, id="case and spaces of a header"),
        pytest.param(IMAGE, None, OCI_MANIFEST, id="the document's word"),
        pytest.param(IMAGE, "", OCI_MANIFEST, id="an empty header"),
        pytest.param(without(IMAGE, "mediaType"), OCI_MANIFEST, OCI_MANIFEST, id="the header's word"),
        pytest.param(
            without(IMAGE, "mediaType"), DOCKER_MANIFEST, DOCKER_MANIFEST, id="the header's word, Docker"
        ),
        pytest.param(
            {**IMAGE, "mediaType": ""}, DOCKER_MANIFEST, DOCKER_MANIFEST, id="an empty mediaType says nothing"
        ),
        pytest.param({**IMAGE, "mediaType": DOCKER_MANIFEST}, None, DOCKER_MANIFEST, id="Docker"),
        pytest.param({**INDEX, "mediaType": DOCKER_LIST}, DOCKER_LIST, DOCKER_LIST, id="Docker's list"),
        pytest.param(without(IMAGE, "mediaType"), None, OCI_MANIFEST, id="by its shape, an image"),
        pytest.param(without(INDEX, "mediaType"), None, OCI_INDEX, id="by its shape, an index"),
        pytest.param({**IMAGE, "manifests": None}, OCI_MANIFEST, OCI_MANIFEST, id="null is absent"),
        pytest.param(
            {**INDEX, "layers": None, "config": None}, OCI_INDEX, OCI_INDEX, id="null is absent, too"
        ),
        pytest.param({**IMAGE, "layers": []}, OCI_MANIFEST, OCI_MANIFEST, id="no layers"),
        pytest.param({**INDEX, "manifests": []}, OCI_INDEX, OCI_INDEX, id="no manifests"),
        pytest.param({**IMAGE, "new": {"layers": 1}}, OCI_MANIFEST, OCI_MANIFEST, id="what we do not know"),
    ],
)
def test_what_a_document_is(document: dict[str, Any], sent_as: str | None, expected: str) -> None:
    assert Manifest.parse(body(document), sent_as).media_type == expected


@pytest.mark.parametrize(
    ("document", "sent_as", "place"),
    [
        pytest.param(
            {**IMAGE, "manifests": []}, OCI_MANIFEST, "manifests", id="CVE-2021-41190 image with manifests"
        ),
        pytest.param({**INDEX, "layers": []}, OCI_INDEX, "layers", id="CVE-2021-41190 index with layers"),
        pytest.param({**INDEX, "config": {}}, OCI_INDEX, "config", id="CVE-2021-41190 index with a config"),
        pytest.param(
            without({**IMAGE, "manifests": []}, "mediaType"),
            None,
            "config",
            id="CVE-2021-41190 nothing says which",
        ),
        pytest.param(IMAGE, OCI_INDEX, "mediaType", id="sent as an index"),
        pytest.param(IMAGE, DOCKER_MANIFEST, "mediaType", id="sent as Docker's"),
        pytest.param(INDEX, OCI_MANIFEST, "mediaType", id="an index sent as an image"),
        pytest.param(
            without(INDEX, "mediaType"), OCI_MANIFEST, "manifests", id="an index of no type sent as an image"
        ),
        pytest.param(without(IMAGE, "mediaType"), "application/json", "mediaType", id="sent as JSON"),
        pytest.param({**IMAGE, "mediaType": "text/plain"}, None, "mediaType", id="an unknown type"),
        pytest.param({**IMAGE, "mediaType": 1}, None, "mediaType", id="a number for a type"),
        pytest.param({**IMAGE, "Layers": []}, OCI_MANIFEST, "layers", id="R-PY-3 layers in another case"),
        pytest.param(
            {**IMAGE, "MANIFESTS": []}, OCI_MANIFEST, "manifests", id="R-PY-3 manifests in another case"
        ),
        pytest.param(without(IMAGE, "schemaVersion"), OCI_MANIFEST, "schemaVersion", id="no schema version"),
        pytest.param({**IMAGE, "schemaVersion": 3}, OCI_MANIFEST, "schemaVersion", id="a later schema"),
        pytest.param(
            {**IMAGE, "schemaVersion": "2"}, OCI_MANIFEST, "schemaVersion", id="a text for a schema"
        ),
        pytest.param(
            {**IMAGE, "schemaVersion": 2.0}, OCI_MANIFEST, "schemaVersion", id="a fraction for a schema"
        ),
        pytest.param(without(IMAGE, "config"), OCI_MANIFEST, "config", id="no config"),
        pytest.param(without(IMAGE, "layers"), OCI_MANIFEST, "layers", id="no layers"),
        pytest.param({**IMAGE, "layers": {}}, OCI_MANIFEST, "layers", id="an object for layers"),
        pytest.param(without(INDEX, "manifests"), OCI_INDEX, "manifests", id="no manifests"),
        pytest.param({**IMAGE, "layers": [1]}, OCI_MANIFEST, "layers[0]", id="a number for a layer"),
        pytest.param(
            {**IMAGE, "layers": [IMAGE["layers"][0], {**IMAGE["layers"][0], "size": True}]},
            OCI_MANIFEST,
            "layers[1].size",
            id="a bool for a size",
        ),
        pytest.param({**IMAGE, "config": []}, OCI_MANIFEST, "config", id="a list for a config"),
        pytest.param(
            {**IMAGE, "subject": {"digest": "x"}}, OCI_MANIFEST, "subject.size", id="a subject that is none"
        ),
        pytest.param(
            {**IMAGE, "annotations": {"a": 1}}, OCI_MANIFEST, "annotations", id="a number annotated"
        ),
        pytest.param({**IMAGE, "artifactType": "\n"}, OCI_MANIFEST, "artifactType", id="an artifact type"),
        pytest.param([], OCI_MANIFEST, "", id="a list"),
        pytest.param("x", OCI_MANIFEST, "", id="a text"),
    ],
)
def test_what_is_no_manifest(document: object, sent_as: str | None, place: str) -> None:
    with pytest.raises(MalformedManifest) as caught:
        Manifest.parse(body(document), sent_as)
    assert (str(caught.value), caught.value.place) == ("this is not a valid manifest", place)
    assert caught.value.why == (f"{place}: {caught.value.rule}" if place else caught.value.rule)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        pytest.param(b"", "a manifest is a JSON object: ", id="empty"),
        pytest.param(b"{", "a manifest is a JSON object: ", id="cut off"),
        pytest.param(b"{} x", "a manifest is a JSON object: ", id="more after it"),
        pytest.param(b"\xff", "a manifest is UTF-8", id="not UTF-8"),
        pytest.param(body(IMAGE).decode().encode("utf-16"), "a manifest is UTF-8", id="UTF-16"),
        pytest.param(b"\xef\xbb\xbf" + body(IMAGE), "a manifest is a JSON object: ", id="a byte order mark"),
        pytest.param(
            body(IMAGE)[:-1] + b',"layers":[]}',
            "a manifest is a JSON object: the key 'layers' stands twice",
            id="R-PY-4 a key twice",
        ),
        pytest.param(
            body({**IMAGE, "annotations": {"a": "1", "b": "2"}}).replace(b'"b"', b'"a"'),
            "a manifest is a JSON object: the key 'a' stands twice",
            id="R-PY-4 a key twice inside",
        ),
        pytest.param(
            body({**IMAGE, "x": float("nan")}), "a manifest is a JSON object: NaN is no JSON", id="R-PY-5 NaN"
        ),
        pytest.param(
            body({**IMAGE, "x": float("inf")}),
            "a manifest is a JSON object: Infinity is no JSON",
            id="R-PY-5 Infinity",
        ),
        pytest.param(
            body({**IMAGE, "annotations": {"a": "\ud800"}}), "a manifest is UTF-8", id="half a pair"
        ),
        pytest.param(b"[" * 100_000, "a manifest is a JSON object: ", id="a deep one that would not end"),
        pytest.param(
            b'{"x":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH,
            "schemaVersion",
            id="as deep as may be",
        ),
        pytest.param(
            b'{"x":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
            f"lists and objects are nested more than {MAX_DEPTH} levels deep",
            id="deeper",
        ),
        pytest.param(
            body(IMAGE).replace(b'"size": 6', b'"size": ' + b"9" * 5000),
            "a manifest is a JSON object: ",
            id="a huge number",
        ),
    ],
)
def test_bytes_that_are_no_manifest(data: bytes, rule: str) -> None:
    with pytest.raises(MalformedManifest) as caught:
        Manifest.parse(data, OCI_MANIFEST)
    assert caught.value.why is not None
    assert caught.value.why.startswith(rule)
    assert caught.value.why.isprintable()


def test_escaped_characters_beyond_the_basic_plane_are_fine() -> None:
    data = body({**IMAGE, "annotations": {"a": "😀"}})
    assert b"\\ud83d" in data
    assert Manifest.parse(data).annotations == {"a": "😀"}


def test_the_largest_and_one_more() -> None:
    data = body(IMAGE)
    data += b" " * (MAX_MANIFEST_SIZE - len(data))
    assert Manifest.parse(data).media_type == OCI_MANIFEST
    with pytest.raises(ManifestTooLarge) as caught:
        Manifest.parse(data + b" ")
    assert caught.value.why == "a manifest has at most 4194304 bytes"


@pytest.mark.parametrize(
    ("document", "sent_as"),
    [
        pytest.param(IMAGE, "application/vnd.docker.distribution.manifest.v1+prettyjws", id="sent as such"),
        pytest.param({"schemaVersion": 1, "fsLayers": []}, None, id="a real one"),
        pytest.param({**IMAGE, "schemaVersion": 1}, OCI_MANIFEST, id="by its version"),
        pytest.param({**IMAGE, "fsLayers": []}, OCI_MANIFEST, id="CVE-2021-41190 by its layers"),
        pytest.param(
            {**IMAGE, "mediaType": "application/vnd.docker.distribution.manifest.v1+json"},
            None,
            id="by its word",
        ),
    ],
)
def test_schema_1_is_refused_with_what_to_do(document: dict[str, Any], sent_as: str | None) -> None:
    with pytest.raises(Schema1Manifest) as caught:
        Manifest.parse(body(document), sent_as)
    assert caught.value.hint == "rebuild it and push it again: docker build -t IMAGE . && docker push IMAGE"


@pytest.mark.parametrize(
    ("document", "listed"),
    [
        pytest.param({**IMAGE, "artifactType": "x/y"}, "x/y", id="its own"),
        pytest.param(IMAGE, OCI_CONFIG, id="that of its config"),
        pytest.param(
            {**IMAGE, "config": {**IMAGE["config"], "mediaType": DOCKER_CONFIG}}, DOCKER_CONFIG, id="Docker"
        ),
        pytest.param({**INDEX, "artifactType": "x/y"}, "x/y", id="an index's own"),
        pytest.param(INDEX, None, id="an index without"),
    ],
)
def test_what_a_list_of_referrers_shows(document: dict[str, Any], listed: str | None) -> None:
    assert Manifest.parse(body(document)).listed_artifact_type == listed


def test_accept_names_what_containerd_names() -> None:
    assert set(MANIFEST_TYPES) == {OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST}


@pytest.mark.timeout(5)
def test_four_megabytes_of_anything_are_refused_at_once() -> None:
    for data in (
        b"[" * 4_000_000,
        b"[]," * 1_000_000,
        b'"' * 4_000_000,
        b"\\" * 4_000_000,
        b'{"a":[' * 600_000,
    ):
        with pytest.raises(MalformedManifest):
            Manifest.parse(data)
    wide = b'{"schemaVersion":2,"layers":[' + b"[]," * 1_000_000 + b"[]]}"
    with pytest.raises(MalformedManifest):
        Manifest.parse(wide)
