"""Go's url.Parse, as far as a registry key goes: R-KEY-2 to R-KEY-4, R-KEY-9, R-KEY-13."""

import pytest

from sealift.credentials.go_url import Location, UnparsableUrl, parse, split_port


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        pytest.param("foo.io", "foo.io", "", id="host"),
        pytest.param("foo.io/", "foo.io", "/", id="slash"),
        pytest.param("foo.io:5000/a/b", "foo.io:5000", "/a/b", id="port and path"),
        pytest.param("foo.io:", "foo.io:", "", id="bare colon"),
        pytest.param("u:p@foo.io/a", "foo.io", "/a", id="user info goes"),
        pytest.param("a@b@foo.io", "foo.io", "", id="up to the last at sign"),
        pytest.param("foo.io?a=b", "foo.io", "", id="query goes"),
        pytest.param("foo.io/a#b%41", "foo.io", "/a", id="fragment goes"),
        pytest.param("foo.io/%61%2F", "foo.io", "/a/", id="escapes in the path are decoded"),
        pytest.param("f%C3%BC.io", "fü.io", "", id="escapes beyond ASCII in the host"),
        pytest.param("", "", "", id="nothing"),
        pytest.param("?oo.io", "", "", id="a question mark begins a query"),
        pytest.param("//foo.io", "", "//foo.io", id="a key that begins with slashes has no host"),
        pytest.param("[::1]", "[::1]", "", id="IPv6"),
        pytest.param("[::1]:5000/x", "[::1]:5000", "/x", id="IPv6 with port"),
        pytest.param("[fe80::1%25en0]", "[fe80::1%en0]", "", id="zone"),
        pytest.param("*.foo.io", "*.foo.io", "", id="stars"),
        pytest.param("foo.io/a b", "foo.io", "/a b", id="a space in the path"),
    ],
)
def test_takes_apart(text: str, host: str, path: str) -> None:
    assert parse(text) == Location(host, path)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("foo .io", id="space in the host"),
        pytest.param(" foo.io", id="space in front"),
        pytest.param("foo.io\n", id="line break"),
        pytest.param("foo\\bar", id="backslash"),
        pytest.param("foo.io:abc", id="port that is no number"),
        pytest.param("*.*:*", id="star for a port"),
        pytest.param("foo.io:5*", id="star in a port"),
        pytest.param("foo.io:5:6", id="two ports"),
        pytest.param("[fg]oo.io", id="character class in front"),
        pytest.param("f[ao]o.io", id="character class inside"),
        pytest.param("[ab]", id="brackets around no address"),
        pytest.param("[1.2.3.4]", id="brackets around IPv4"),
        pytest.param("[::1", id="bracket not closed"),
        pytest.param("[::1]x", id="text behind the bracket"),
        pytest.param("foo%41.io", id="an escape for ASCII in the host"),
        pytest.param("foo%zz", id="a broken escape in the host"),
        pytest.param("foo.io/%zz", id="a broken escape in the path"),
        pytest.param("foo.io/%4", id="an escape cut off"),
        pytest.param("foo.io/a#%", id="a broken escape in the fragment"),
        pytest.param("u{@foo.io", id="bad user info"),
        pytest.param("u%@foo.io", id="a broken escape in the user info"),
        pytest.param("foo|bar", id="bar in the host"),
    ],
)
def test_refuses(text: str) -> None:
    with pytest.raises(UnparsableUrl):
        parse(text)


@pytest.mark.parametrize(
    ("host", "split"),
    [
        pytest.param("foo.io:5000", ("foo.io", "5000"), id="port"),
        pytest.param("foo.io", ("foo.io", ""), id="no port"),
        pytest.param("foo.io:", ("foo.io", ""), id="bare colon"),
        pytest.param("[::1]:5000", ("::1", "5000"), id="brackets go where a port follows"),
        pytest.param("[::1]", ("[::1]", ""), id="and stay where none does"),
        pytest.param("a:b:1", ("a:b:1", ""), id="too many colons"),
        pytest.param("a[b:1", ("a[b:1", ""), id="stray bracket"),
        pytest.param("[::1]x:1", ("[::1]x:1", ""), id="bracket before the port"),
        pytest.param("", ("", ""), id="nothing"),
    ],
)
def test_splits_the_port_as_go_does(host: str, split: tuple[str, str]) -> None:
    assert split_port(host) == split
