"""Which tags a pattern names, and what is no pattern."""

import re
from functools import partial
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.scene import REPOSITORY, Scene

from sealift.registry.catalog.repositories import repository_id
from sealift.registry.catalog.tag_rules import (
    MAX_PATTERN_CHARACTERS,
    MAX_PATTERNS,
    MalformedTagPattern,
    TagRules,
    matches,
    set_tag_rules,
    tag_patterns,
    tag_rules,
)


@pytest.mark.parametrize(
    ("pattern", "names", "others"),
    [
        pytest.param("v1", ["v1"], ["v", "v11", "xv1", "V1"], id="a tag is itself"),
        pytest.param("*", ["v1", "latest", "_", "sha256-abc.sig"], [], id="everything"),
        pytest.param("v*", ["v", "v1", "v1.2-rc.3"], ["1v", "latest"], id="a beginning"),
        pytest.param("*-rc", ["-rc", "v1-rc"], ["v1-rc1", "rc"], id="an end"),
        pytest.param("v*-rc*", ["v1-rc", "v-rc", "v1-rc2"], ["v1", "v1rc"], id="something in between"),
        pytest.param("a*a", ["aa", "aba"], ["a"], id="the ends do not share a character"),
        pytest.param("a*b*b", ["abb", "axbxb"], ["ab", "axb"], id="nor does what is between"),
        pytest.param("v1.2", ["v1.2"], ["v1x2"], id="a dot is a dot"),
        pytest.param("**", ["x", ""], [], id="two are as one"),
    ],
)
def test_what_a_pattern_names(pattern: str, names: list[str], others: list[str]) -> None:
    assert [name for name in names + others if matches(pattern, name)] == names


@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", max_size=8))
def test_it_is_what_the_regular_expression_says(pattern: str, name: str) -> None:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches(pattern, name) == (re.fullmatch(expression, name) is not None)


def test_no_pattern_takes_long() -> None:
    """As a regular expression this one would take years."""
    pattern, name = "*a" * 63 + "*b", "a" * 128
    began = process_time()
    assert not any(matches(pattern, name) for _ in range(100))
    assert process_time() - began < 2


@pytest.mark.parametrize(
    "text",
    ["", "a b", "v/*", "-v*", ".v", "v?", "[v]", "v\n", "ü*", "v:1", "*" * (MAX_PATTERN_CHARACTERS + 1)],
)
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(MalformedTagPattern):
        tag_patterns([text])


def test_patterns_are_sorted_and_no_more_than_so_many() -> None:
    assert tag_patterns(["v*", "latest", "v*"]) == ("latest", "v*")
    assert len(tag_patterns(f"v{number}" for number in range(MAX_PATTERNS))) == MAX_PATTERNS
    with pytest.raises(MalformedTagPattern):
        tag_patterns(f"v{number}" for number in range(MAX_PATTERNS + 1))


def test_an_exception_goes_before_a_rule() -> None:
    rules = TagRules(immutable=("release", "v*"), exceptions=("*-rc*",))
    assert [rules.protecting(name) for name in ("v1", "release", "v1-rc1", "latest")] == [
        "v*",
        "release",
        None,
        None,
    ]


async def test_rules_are_kept_and_replaced(scene: Scene) -> None:
    scene.make_repository(REPOSITORY)
    repository = repository_id(scene.catalog, REPOSITORY)
    assert repository is not None
    assert tag_rules(scene.catalog, repository) == TagRules()
    for rules in (
        TagRules(immutable=("latest", "v*"), exceptions=("*-rc*",)),
        TagRules(immutable=("stable",)),
        TagRules(),
    ):
        await scene.catalog.write(partial(set_tag_rules, repository_id=repository, rules=rules))
        assert tag_rules(scene.catalog, repository) == rules
