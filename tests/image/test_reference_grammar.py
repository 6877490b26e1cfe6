"""The grammar of references: what is which part, and where a text breaks it."""

import pytest

from sealift.image import reference_grammar as grammar

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("x", ("", "x", None, None), id="path"),
        pytest.param("a/b", ("a", "b", None, None), id="a first element that could be a host is one"),
        pytest.param("a_b/c", ("", "a_b/c", None, None), id="one that could not is path"),
        pytest.param("a/b:t", ("a", "b", "t", None), id="tag"),
        pytest.param(
            f"a/b:t@x+y.z:{HEX}", ("a", "b", "t", f"x+y.z:{HEX}"), id="tag and digest of any algorithm"
        ),
        pytest.param(f"b@a:{HEX[:32]}", ("", "b", None, f"a:{HEX[:32]}"), id="the shortest digest"),
        pytest.param(f"b@a:{HEX[:31]}", None, id="too short a digest"),
        pytest.param(f"b@a-:{HEX}", None, id="an algorithm that ends with a separator"),
        pytest.param(f"b@a.-b:{HEX}", None, id="two separators in an algorithm"),
        pytest.param(f"b@a-1:{HEX}", None, id="a part of an algorithm that begins with a digit"),
        pytest.param("a..b/c", None, id="an empty label"),
        pytest.param("a.-b/c", None, id="a label that begins with a hyphen"),
        pytest.param("a-.b/c", None, id="a label that ends with a hyphen"),
        pytest.param("a/b..c", None, id="two dots in a path"),
        pytest.param("a/b\n", None, id="a newline at the end"),
    ],
)
def test_split(text: str, parts: tuple[str, str, str | None, str | None] | None) -> None:
    assert grammar.split(text) == parts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", True),
        ("a0", True),
        ("a/b/c", True),
        ("a.b_c__d-e---f", True),
        ("", False),
        ("A", False),
        ("a//b", False),
        ("a/", False),
        ("/a", False),
        ("a..b", False),
        ("a/../b", False),
        ("a/.b", False),
        ("a._b", False),
        ("a-_b", False),
        ("a___b", False),
        ("a__-b", False),
        ("a_.b", False),
        ("a-.b", False),
        ("a\n", False),
        ("a%2fb", False),
        ("a:b", False),
        ("\uff41", False),
    ],
)
def test_is_path(text: str, expected: bool) -> None:
    assert grammar.is_path(text) is expected


@pytest.mark.parametrize(("text", "expected"), [("a-b", True), ("a/b", False), ("", False), ("Ab", False)])
def test_is_component(text: str, expected: bool) -> None:
    assert grammar.is_component(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", True),
        ("Example.COM:5000", True),
        ("[::1]:1", True),
        ("[::1]", True),
        ("a..b", False),
        ("-a", False),
        ("a-", False),
        ("a-.b", False),
        ("a_b", False),
        ("a:", False),
        ("a:b", False),
        ("[]", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_is_domain(text: str, expected: bool) -> None:
    assert grammar.is_domain(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v1", True),
        ("_", True),
        ("t" * 128, True),
        ("t" * 129, False),
        ("", False),
        (".a", False),
        ("a\n", False),
    ],
)
def test_is_tag(text: str, expected: bool) -> None:
    assert grammar.is_tag(text) is expected


@pytest.mark.parametrize(
    ("text", "path_start", "position", "rule"),
    [
        pytest.param("", 0, 0, grammar.EMPTY_RULE, id="nothing"),
        pytest.param("https://a.b/x", 7, 5, grammar.SCHEME_RULE, id="a scheme"),
        pytest.param("a b", 0, 1, grammar.SPACE_RULE, id="a space"),
        pytest.param("a.b /x", 5, 3, grammar.SPACE_RULE, id="a space in the registry"),
        pytest.param("a..b/x", 5, 2, grammar.HOST_RULE, id="an empty label"),
        pytest.param(".a/x", 3, 0, grammar.HOST_RULE, id="begins with a dot"),
        pytest.param("a./x", 3, 2, grammar.HOST_RULE, id="ends with a dot"),
        pytest.param("a-.b/x", 5, 2, grammar.HOST_RULE, id="ends with a hyphen"),
        pytest.param("a.b!/x", 5, 3, grammar.HOST_RULE, id="a foreign character"),
        pytest.param("a.b:/x", 5, 4, grammar.PORT_RULE, id="no port"),
        pytest.param("a.b:8o/x", 7, 5, grammar.PORT_RULE, id="a letter in a port"),
        pytest.param("a.b:80:80/x", 10, 6, grammar.PORT_RULE, id="two ports"),
        pytest.param("[:a.b/x", 6, 3, grammar.ADDRESS_RULE, id="a foreign character in an address"),
        pytest.param("[]:80/x", 6, 1, grammar.ADDRESS_RULE, id="an empty address"),
        pytest.param("[::1:80/x", 8, 7, grammar.ADDRESS_RULE, id="no closing bracket"),
        pytest.param("[::1].b/x", 8, 5, grammar.ADDRESS_RULE, id="more host after the address"),
        pytest.param("[::1]:x/x", 8, 6, grammar.PORT_RULE, id="a port of an address"),
        pytest.param("a.b/", 4, 4, grammar.PATH_RULE, id="no path"),
        pytest.param("a.b//x", 4, 4, grammar.PATH_RULE, id="an empty element first"),
        pytest.param("a.b/x//y", 4, 6, grammar.PATH_RULE, id="an empty element later"),
        pytest.param("a.b/x-", 4, 6, grammar.PATH_RULE, id="ends with a separator"),
        pytest.param("a.b/x___y", 4, 7, grammar.PATH_RULE, id="the third underscore"),
        pytest.param("a.b/x-:t", 4, 6, grammar.PATH_RULE, id="a separator before the tag"),
        pytest.param("a.b/x!", 4, 5, grammar.PATH_RULE, id="a foreign character in a path"),
        pytest.param("a_b.c/x..y", 6, 8, grammar.PATH_RULE, id="a registry that is read as path"),
        pytest.param("x:", 0, 2, grammar.TAG_RULE, id="no tag"),
        pytest.param("x:-", 0, 2, grammar.TAG_RULE, id="a hyphen first"),
        pytest.param("x:a/b", 0, 3, grammar.TAG_RULE, id="a slash in a tag"),
        pytest.param("x:" + "t" * 129, 0, 130, grammar.TAG_LENGTH_RULE, id="the 129th character of a tag"),
        pytest.param("x@", 0, 2, grammar.DIGEST_RULE, id="no digest"),
        pytest.param("x@1a:", 0, 2, grammar.DIGEST_RULE, id="a digit first"),
        pytest.param("x@a", 0, 3, grammar.DIGEST_RULE, id="no colon"),
        pytest.param("x@a-1:", 0, 4, grammar.DIGEST_RULE, id="a part that begins with a digit"),
        pytest.param("x@a-:", 0, 4, grammar.DIGEST_RULE, id="an empty part"),
        pytest.param("x@a:12g", 0, 6, grammar.DIGEST_RULE, id="a letter beyond f"),
        pytest.param("x@a:12", 0, 6, grammar.DIGEST_RULE, id="too few digits"),
        pytest.param(f"x:t@a:{HEX}:t", 0, 70, grammar.DIGEST_RULE, id="more after a digest"),
    ],
)
def test_where_a_text_breaks_the_grammar(text: str, path_start: int, position: int, rule: str) -> None:
    assert grammar.find_fault(text, path_start) == (position, rule)
