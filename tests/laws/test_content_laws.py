"""What holds for digests, platforms, descriptors and manifests."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.test_reference_laws import digests

from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest, DigestCheck, DigestMismatch, MalformedDigest
from sealift.image.manifest import INDEX_TYPES, MANIFEST_TYPES, MalformedManifest, Manifest
from sealift.image.platform import MalformedPlatform, Platform, choose

pytestmark = pytest.mark.laws

media_types = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=20)
platforms = st.builds(
    Platform,
    st.sampled_from(["linux", "windows", "darwin"]),
    st.sampled_from(["amd64", "arm64", "arm", "386", "riscv64", "x86_64", "aarch64"]),
    st.sampled_from([None, "v1", "v2", "v5", "v6", "v7", "v8", "v8.1", "v9", "v9.3", "6"]),
)
descriptors = st.builds(
    Descriptor,
    media_types,
    digests,
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    st.none() | media_types,
    st.none() | platforms,
    st.lists(st.text(max_size=9), max_size=2).map(tuple),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5) | st.sampled_from(MANIFEST_TYPES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size", "subject"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200), st.sampled_from(["sha256", "sha384", "sha512"]), st.integers(0, 200))
def test_a_stream_has_the_digest_of_its_bytes_however_it_is_cut(
    data: bytes, algorithm: str, cut: int
) -> None:
    digest = Digest.of(data, algorithm)
    assert Digest.parse(str(digest)) == digest
    check = DigestCheck(digest)
    check.update(data[:cut])
    check.update(data[cut:])
    check.verify()
    assert check.size == len(data)
    check.update(b"more")
    with pytest.raises(DigestMismatch):
        check.verify()


@given(
    st.text(max_size=140)
    | digests.map(str).flatmap(lambda text: st.integers(0, len(text)).map(lambda n: text[:n]))
)
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except MalformedDigest as refusal:
        fault = refusal.position
    else:
        assert str(digest) == text
        return
    assert 0 <= fault <= len(text)


@given(platforms)
def test_a_platform_reads_back_and_fits_itself(platform: Platform) -> None:
    normal = platform.normalised()
    assert normal.normalised() == normal
    assert Platform.parse(str(platform)) == normal
    assert Platform.from_document(platform.to_document()) == platform
    entry = Descriptor("a/b", Digest.of(b""), 0, platform=platform)
    assert choose([entry], normal) is entry


@given(st.text("linux/arm64v8().", max_size=20) | st.text(max_size=20))
def test_any_text_is_a_platform_or_refused(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except MalformedPlatform:
        return
    assert Platform.parse(str(platform)) == platform


@given(st.lists(st.none() | platforms, max_size=5), platforms)
def test_what_is_chosen_is_there_and_the_order_of_others_does_not_matter(
    offered: list[Platform | None], wanted: Platform
) -> None:
    entries = [Descriptor("a/b", Digest.of(b""), size, platform=each) for size, each in enumerate(offered)]
    chosen, mirrored = choose(entries, wanted), choose(entries[::-1], wanted)
    assert (chosen is None) == (mirrored is None)
    if chosen is not None and mirrored is not None:
        assert chosen in entries
        assert (chosen.platform is None) == (mirrored.platform is None)
        if chosen.platform is not None and mirrored.platform is not None:
            assert chosen.platform.normalised() == mirrored.platform.normalised()


@given(descriptors)
def test_a_descriptor_that_is_written_is_read(descriptor: Descriptor) -> None:
    assert Descriptor.from_document(json.loads(json.dumps(descriptor.to_document()))) == descriptor


@given(
    st.sampled_from(MANIFEST_TYPES), st.lists(descriptors, min_size=1, max_size=4), st.none() | descriptors
)
def test_a_manifest_needs_what_it_lists_and_not_its_subject(
    media_type: str, listed: list[Descriptor], subject: Descriptor | None
) -> None:
    written = [each.to_document() for each in listed]
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type}
    if media_type in INDEX_TYPES:
        document["manifests"] = written
    else:
        document |= {"config": written[0], "layers": written[1:]}
    if subject is not None:
        document["subject"] = subject.to_document()
    body = json.dumps(document).encode()
    manifest = Manifest.parse(body, media_type)
    assert manifest.references == tuple(listed)
    assert manifest.subject == subject
    assert manifest.body is body
    assert Manifest.parse(body) == manifest


@given(json_values, st.none() | st.sampled_from(MANIFEST_TYPES))
def test_any_json_is_a_manifest_or_refused(value: object, media_type: str | None) -> None:
    body = json.dumps(value).encode()
    try:
        manifest = Manifest.parse(body, media_type)
    except MalformedManifest:
        return
    assert isinstance(value, dict)
    assert ("layers" in value) != ("manifests" in value) or None in {
        value.get("layers"),
        value.get("manifests"),
    }
    assert manifest.digest == Digest.of(body)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_manifest_or_refused(body: bytes) -> None:
    with pytest.raises(MalformedManifest):
        Manifest.parse(body)
