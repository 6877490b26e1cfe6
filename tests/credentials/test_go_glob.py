"""Go's path.Match: R-KEY-10, R-PY-8."""

import time

import pytest

from sealift.credentials.go_glob import BadPattern, matches


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        pytest.param("abc", "abc", True, id="plain"),
        pytest.param("*", "", True, id="a star takes nothing too"),
        pytest.param("*c", "abc", True, id="star in front"),
        pytest.param("a*", "abc", True, id="star behind"),
        pytest.param("a*b*c*d", "aXbYcZd", True, id="several stars"),
        pytest.param("**", "ab", True, id="two stars are two stars"),
        pytest.param("a*/b", "a/c/b", False, id="a star stops at a slash"),
        pytest.param("a?b", "a/b", False, id="so does a question mark"),
        pytest.param("a?b", "aéb", True, id="a question mark takes one character"),
        pytest.param("a?", "a", False, id="and needs one"),
        pytest.param("[a-c]", "b", True, id="class"),
        pytest.param("[^a-c]", "b", False, id="negated class"),
        pytest.param("[!a]", "!", True, id="an exclamation mark negates nothing"),
        pytest.param("[::1]", "1", True, id="an IPv6 literal is a class"),
        pytest.param("[::1]", "[::1]", False, id="and so does not match itself"),
        pytest.param("[\\]]", "]", True, id="escape in a class"),
        pytest.param("\\*", "*", True, id="escaped star"),
        pytest.param("ab", "abc", False, id="name is longer"),
        pytest.param("abc", "ab", False, id="pattern is longer"),
        pytest.param("", "", True, id="nothing matches nothing"),
    ],
)
def test_matches(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


@pytest.mark.parametrize("pattern", ["[", "[a", "[]a]", "[-]", "[x-]", "a\\", "[a-b-c]", "[^]a]"])
def test_a_malformed_pattern_is_an_error(pattern: str) -> None:
    with pytest.raises(BadPattern):
        matches(pattern, "a")


def test_a_hostile_pattern_takes_no_time() -> None:
    start = time.process_time()
    assert not matches("*a" * 40 + "b", "a" * 4000)
    assert time.process_time() - start < 1
