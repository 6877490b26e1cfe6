"""What holds for every image reference, and for every text that is none."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealift.image import reference_grammar
from sealift.image.digest import ENCODED_LENGTHS, Digest
from sealift.image.reference import (
    ImageReference,
    MalformedReference,
    Repository,
    apply_default_tag,
    default_pull_policy,
    go_quoted,
    keyring_name,
)

pytestmark = pytest.mark.laws

COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
DOMAIN = rf"(?:{LABEL}(?:\.{LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
REFERENCE = re.compile(
    rf"(?:({DOMAIN})/)?({COMPONENT}(?:/{COMPONENT})*)(?::({TAG}))?(?:@({DIGEST}))?", re.ASCII
)
"""The grammar as the specification writes it, nested (R-REF-1 to R-REF-7)."""

HEX = "0123456789abcdef"
digests = st.builds(
    lambda algorithm, seed: Digest(algorithm, (seed * 32)[: ENCODED_LENGTHS[algorithm]]),
    st.sampled_from(sorted(ENCODED_LENGTHS)),
    st.text(HEX, min_size=4, max_size=8),
)
words = st.text("az09", min_size=1, max_size=4)
components = st.builds(
    lambda first, rest: first + "".join(separator + word for separator, word in rest),
    words,
    st.lists(st.tuples(st.sampled_from([".", "_", "__", "-", "--"]), words), max_size=2),
)
labels = st.builds(
    lambda first, hyphens, last: first + hyphens + last,
    st.sampled_from(["a", "Z", "0", "library", "docker"]),
    st.sampled_from(["", "-", "--"]),
    st.sampled_from(["b", "X9"]),
)
hosts = st.lists(labels, min_size=1, max_size=3).map(".".join) | st.text(
    HEX + ":", min_size=1, max_size=6
).map("[{}]".format)
domains = st.builds(
    lambda host, port: host + port, hosts, st.sampled_from(["", ":0", ":5000"])
) | st.sampled_from(
    [
        "docker.io",
        "index.docker.io",
        "localhost",
        "localhost:5000",
        "a_b.c",
        "Example",
        "registry-1.docker.io",
    ]
)
paths = st.lists(components, min_size=1, max_size=4).map("/".join)
tags = st.builds(
    lambda first, rest: first + rest, st.sampled_from("aZ9_"), st.text("aZ9_.-", max_size=8)
) | st.sampled_from(["latest", "t" * 128])
near_references = st.builds(
    lambda domain, path, tag, digest: f"{domain}{path}{tag}{digest}",
    st.just("") | domains.map(lambda domain: f"{domain}/"),
    paths,
    st.just("") | tags.map(lambda tag: f":{tag}"),
    st.just("") | digests.map(lambda digest: f"@{digest}"),
)
pieces = st.lists(
    st.sampled_from(
        [
            *"aZ09._-/:@[] ",
            "__",
            "--",
            "//",
            "localhost",
            "docker.io",
            "index.docker.io",
            "library",
            "a" * 32,
            "sha256:",
        ]
    ),
    max_size=14,
).map("".join)
texts = st.text(max_size=60) | pieces | near_references


@given(texts)
def test_the_flat_grammar_is_the_nested_one(text: str) -> None:
    match = REFERENCE.fullmatch(text)
    expected = None if match is None else (match[1] or "", match[2], match[3], match[4])
    assert reference_grammar.split(text) == expected


def refusal_of(text: str) -> MalformedReference | None:
    """How `text` is refused, or None where it is a reference. Anything else that is raised passes through."""
    try:
        ImageReference.parse(text)
    except MalformedReference as refusal:
        return refusal
    return None


@given(texts)
def test_nothing_but_a_reference_or_a_refusal_comes_out(text: str) -> None:
    refusal = refusal_of(text)
    if refusal is not None:
        assert refusal.text == text
        assert 0 <= refusal.position <= len(text)
        assert refusal.rule
        assert refusal.cause
        assert f"{refusal} {refusal.why}".isprintable()


@given(st.text(st.characters(), max_size=200))
def test_no_character_at_all_raises_anything_else(text: str) -> None:
    for candidate in (text, f"a.b/{text}", f"x:{text}", f"x@sha256:{text}", f"[{text}]/x"):
        refusal = refusal_of(candidate)
        f"{refusal} {refusal and refusal.why}{go_quoted(candidate)}".encode()


@given(near_references | pieces)
def test_what_is_printed_reads_back_as_itself(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except MalformedReference:
        return
    assert ImageReference.parse(str(reference)) == reference
    assert ImageReference.parse(reference.familiar()) == reference


@given(near_references)
def test_what_containerd_gets_is_settled(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except MalformedReference:
        return
    settled = reference.for_containerd()
    assert settled.for_containerd() == settled
    assert (settled.tag is None) != (settled.digest is None)
    assert settled.repository == reference.repository
    assert settled.selector == reference.selector


@given(near_references)
def test_the_default_tag_is_added_once(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except MalformedReference:
        return
    settled = apply_default_tag(text)
    assert apply_default_tag(settled) == settled
    assert settled.startswith(text)
    assert ImageReference.parse(settled).repository == reference.repository
    assert default_pull_policy(settled) == default_pull_policy(text)


@given(near_references, digests)
def test_pinning_changes_the_digest_only(text: str, digest: Digest) -> None:
    try:
        reference = ImageReference.parse(text)
    except MalformedReference:
        return
    pinned = reference.pinned_to(digest)
    assert (pinned.repository, pinned.tag, pinned.digest) == (reference.repository, reference.tag, digest)
    assert ImageReference.parse(str(pinned)) == pinned
    assert keyring_name(pinned) == keyring_name(reference)


@given(st.text(max_size=20) | domains, st.text(max_size=20) | paths)
def test_a_repository_that_exists_reads_back_as_itself(registry: str, path: str) -> None:
    try:
        repository = Repository(registry, path)
    except MalformedReference:
        return
    assert ImageReference.parse(str(repository)) == ImageReference(repository=repository)


@given(near_references, st.integers(0, 10_000))
def test_a_fault_is_found_where_it_was_put(text: str, where: int) -> None:
    """A character that is legal nowhere is found no later than where it stands."""
    position = where % (len(text) + 1)
    refusal = refusal_of(f"{text[:position]}!{text[position:]}")
    assert refusal is not None
    assert refusal.position <= position or refusal.rule == "a repository is lower case"
