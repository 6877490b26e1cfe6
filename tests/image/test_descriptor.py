import base64
from typing import Any

import pytest

from sealift.image.descriptor import Descriptor, MalformedDescriptor
from sealift.image.digest import Digest
from sealift.image.platform import Platform

DATA = b"{}"
DIGEST = Digest.of(DATA)
PLAIN: dict[str, Any] = {"mediaType": "a/b", "digest": str(DIGEST), "size": 2}


def test_the_least() -> None:
    assert Descriptor.from_document(PLAIN) == Descriptor("a/b", DIGEST, 2)
    assert Descriptor("a/b", DIGEST, 2).to_document() == PLAIN


def test_all_of_it() -> None:
    document = {
        **PLAIN,
        "urls": ["https://elsewhere.example/x"],
        "annotations": {"org.example": "ü"},
        "data": base64.b64encode(DATA).decode(),
        "platform": {"architecture": "arm64", "os": "linux", "variant": "v8"},
        "artifactType": "application/vnd.example",
    }
    descriptor = Descriptor.from_document(document)
    assert descriptor == Descriptor(
        media_type="a/b",
        digest=DIGEST,
        size=2,
        annotations={"org.example": "ü"},
        artifact_type="application/vnd.example",
        platform=Platform("linux", "arm64", "v8"),
        urls=("https://elsewhere.example/x",),
        data=DATA,
    )
    assert descriptor.to_document() == document
    assert hash(descriptor) == hash(Descriptor.from_document(document))


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(
            {"annotations": None, "urls": None, "platform": None, "data": None}, id="null is absent"
        ),
        pytest.param({"artifactType": ""}, id="an empty type is none"),
        pytest.param({"annotations": {}, "urls": []}, id="empty"),
        pytest.param({"somethingNew": [1]}, id="what we do not know"),
        pytest.param({"size": 2**63 - 1}, id="as large as others can read"),
        pytest.param({"size": 0}, id="empty content"),
    ],
)
def test_what_may_be_there(extra: dict[str, Any]) -> None:
    expected = Descriptor("a/b", DIGEST, extra.get("size", 2))
    assert Descriptor.from_document({**PLAIN, **extra}) == expected


@pytest.mark.parametrize(
    ("change", "place"),
    [
        pytest.param({"size": None}, "size", id="no size"),
        pytest.param({"size": True}, "size", id="a bool is no size"),
        pytest.param({"size": -1}, "size", id="a negative size"),
        pytest.param({"size": 2.0}, "size", id="a fraction"),
        pytest.param({"size": "2"}, "size", id="a text"),
        pytest.param({"size": 2**63}, "size", id="more than others can read"),
        pytest.param({"digest": None}, "digest", id="no digest"),
        pytest.param({"digest": 1}, "digest", id="a number"),
        pytest.param({"digest": "sha256:../../x"}, "digest", id="a digest that is none"),
        pytest.param({"digest": "md5:" + "a" * 32}, "digest", id="an algorithm that nobody computes"),
        pytest.param({"mediaType": None}, "mediaType", id="no media type"),
        pytest.param({"mediaType": ""}, "mediaType", id="an empty media type"),
        pytest.param({"mediaType": "a/b\r\nx: y"}, "mediaType", id="a media type that would split a header"),
        pytest.param({"mediaType": "a" * 256}, "mediaType", id="a long media type"),
        pytest.param({"mediaType": ["a/b"]}, "mediaType", id="a list"),
        pytest.param({"artifactType": "\n"}, "artifactType", id="an artifact type that is none"),
        pytest.param({"annotations": {"a": 1}}, "annotations", id="an annotation that is no text"),
        pytest.param({"annotations": []}, "annotations", id="a list of annotations"),
        pytest.param({"urls": "x"}, "urls", id="a text for urls"),
        pytest.param({"urls": [1]}, "urls", id="a number for a url"),
        pytest.param({"platform": "linux/amd64"}, "platform", id="a text for a platform"),
        pytest.param({"platform": {"os": 1}}, "platform", id="a number for a system"),
        pytest.param({"data": 1}, "data", id="a number for data"),
        pytest.param({"data": "!"}, "data", id="no base64"),
        pytest.param({"data": "é"}, "data", id="not ASCII"),
        pytest.param({"data": base64.b64encode(b"{}}").decode()}, "data", id="data of another size"),
        pytest.param({"data": base64.b64encode(b"[]").decode()}, "data", id="data of another digest"),
        pytest.param({"Digest": str(DIGEST)}, "digest", id="R-PY-3 the same key in another case"),
        pytest.param({"\u017fize": 3}, "size", id="R-PY-3 Unicode folds, too"),
    ],
)
def test_what_is_no_descriptor(change: dict[str, Any], place: str) -> None:
    with pytest.raises(MalformedDescriptor) as caught:
        Descriptor.from_document({**PLAIN, **change})
    assert caught.value.place == place
    assert str(caught.value) == f"{place}: {caught.value.rule}"


@pytest.mark.parametrize("document", [None, [], "x", 1])
def test_what_is_no_object(document: object) -> None:
    with pytest.raises(MalformedDescriptor) as caught:
        Descriptor.from_document(document)
    assert (str(caught.value), caught.value.place) == ("a descriptor is an object", "")
