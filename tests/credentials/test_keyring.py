"""The kubelet's keyring: R-KEY-1 to R-KEY-17, and all its vectors."""

import pytest

from sealift.credentials.credential import Credential, SecretText, Source
from sealift.credentials.keyring import (
    KeyringIndex,
    Match,
    build_index,
    entries,
    is_docker_hub_name,
    location_of,
    lookup,
    match,
    shown_key,
    urls_match,
)

_SOURCE = Source(kind="Secret", namespace="ns", name="s")


def credential(key: str, user: str, source: Source = _SOURCE) -> Credential:
    return Credential(username=user, password=SecretText("p"), source=source, key=key)


def ring(keys: dict[str, str], source: Source = _SOURCE) -> KeyringIndex:
    return build_index(credential(key, user, source) for key, user in sorted(keys.items()))


def users(keys: dict[str, str], image: str) -> list[str]:
    return [found.username for found in lookup(ring(keys), image)]


@pytest.mark.parametrize(
    ("key", "location"),
    [
        pytest.param("foo.io", "foo.io", id="host"),
        pytest.param("https://foo.io", "foo.io", id="https goes"),
        pytest.param("http://foo.io", "foo.io", id="http goes"),
        pytest.param("HTTPS://foo.io", "HTTPS://foo.io", id="upper case scheme is a host with an empty port"),
        pytest.param("ftp://foo.io", "ftp://foo.io", id="another scheme too"),
        pytest.param("https://index.docker.io/v1/", "index.docker.io", id="the key of Docker Hub"),
        pytest.param("https://index.docker.io/v1", "index.docker.io/v1", id="without its last slash"),
        pytest.param("https://foo.io/v1/users", "foo.io/users", id="v1 goes from a longer path"),
        pytest.param("https://foo.io/v2/", "foo.io", id="v2 goes"),
        pytest.param("foo.io/v3/", "foo.io/v3/", id="v3 stays"),
        pytest.param("foo.io/v1/v2/x", "foo.io/v2/x", id="only one goes"),
        pytest.param("u:p@foo.io", "foo.io", id="user info goes"),
        pytest.param("foo.io?a=b", "foo.io", id="query goes"),
        pytest.param("foo.io/", "foo.io", id="a slash alone goes"),
        pytest.param("?oo.io", "", id="all of it is a query"),
        pytest.param("", "", id="empty"),
        pytest.param("foo.io:abc", None, id="no number for a port"),
        pytest.param("[fg]oo.io", None, id="character class"),
        pytest.param(" foo.io", None, id="white space"),
    ],
)
def test_where_a_key_is_filed(key: str, location: str | None) -> None:
    assert location_of(key) == location


_GCR = {"gcr.io": "root", "gcr.io/a": "a", "gcr.io/a/b": "ab"}
_HUB = {"https://index.docker.io/v1/": "hub"}


@pytest.mark.parametrize(
    ("keys", "image", "expected"),
    [
        pytest.param(_GCR, "gcr.io/a/b/c", ["ab", "a", "root"], id="longer paths first"),
        pytest.param(_GCR, "gcr.io/ax", ["a", "root"], id="a prefix has no boundary"),
        pytest.param(_HUB, "docker.io/library/nginx", ["hub"], id="Hub"),
        pytest.param(_HUB, "nginx", ["hub"], id="Hub, one word"),
        pytest.param(_HUB, "user/x", ["hub"], id="Hub, a user's"),
        pytest.param(_HUB, "index.docker.io/library/nginx", ["hub"], id="Hub, old name"),
        pytest.param(_HUB, "localhost/x", ["hub"], id="localhost is given the Hub's credential"),
        pytest.param(_HUB, "Example/x", ["hub"], id="and so is a host without a dot"),
        pytest.param(
            _HUB, "registry-1.docker.io/library/nginx", [], id="the host that is dialled is not Hub"
        ),
        pytest.param(_HUB, "foo.io/x", [], id="another registry"),
        pytest.param(_HUB, "localhost:5000/x", [], id="a port makes it no Hub name"),
        pytest.param(_HUB, "a_b.c/d", [], id="the odd case with an empty domain"),
        pytest.param(
            {"https://index.docker.io/v1": "hub"}, "docker.io/library/nginx", [], id="no last slash"
        ),
        pytest.param(
            {"docker.io": "d", "index.docker.io": "i"},
            "docker.io/library/nginx",
            ["d"],
            id="a match hides the Hub key",
        ),
        pytest.param(
            {"*.io": "w", "index.docker.io": "i"}, "docker.io/library/nginx", ["w"], id="so does a wildcard"
        ),
        pytest.param(
            {"docker.io/library/other": "o", "index.docker.io": "i"},
            "docker.io/library/nginx",
            ["i"],
            id="no match does not",
        ),
        pytest.param({"docker.io/lib": "l"}, "docker.io/library/nginx", ["l"], id="half a segment"),
        pytest.param(
            {"registry-1.docker.io/v2/": "r"}, "docker.io/library/nginx", [], id="dialled host as key"
        ),
        pytest.param(
            {"*.foo.io": "w", "a.foo.io": "e", "*.foo.io/p": "wp"},
            "a.foo.io/p/x",
            ["e", "wp", "w"],
            id="stars last",
        ),
        pytest.param({"foo.io:5000": "p", "foo.io": "n"}, "foo.io:5000/x", ["p"], id="port"),
        pytest.param({"foo.io:5000": "p", "foo.io": "n"}, "foo.io/x", ["n"], id="no port"),
        pytest.param({"foo.io:443": "p"}, "foo.io/x", [], id="the default port counts"),
        pytest.param({"foo.io:": "p"}, "foo.io/x", ["p"], id="a bare colon is no port"),
        pytest.param({"https://foo.io/v2": "v"}, "foo.io/x", [], id="v2 without slash"),
        pytest.param({"https://foo.io/v2": "v"}, "foo.io/v2x", ["v"], id="is a prefix"),
        pytest.param({"foo.io/ns/": "n"}, "foo.io/ns/x", ["n"], id="a slash at the end"),
        pytest.param({"foo.io/ns/": "n"}, "foo.io/ns", [], id="does not serve the thing itself"),
        pytest.param(
            {"foo.io/a": "a", "foo.io/a-b": "a-b", "foo.io/a/b": "a/b"},
            "foo.io/a/b/x",
            ["a/b", "a"],
            id="siblings",
        ),
        pytest.param(
            {"foo.io/a": "a", "foo.io/a-b": "a-b", "foo.io/a/b": "a/b"},
            "foo.io/a-b/x",
            ["a-b", "a"],
            id="siblings, other",
        ),
        pytest.param({"Foo.IO": "f"}, "foo.io/x", [], id="case counts"),
        pytest.param({"foo.io/%61": "f"}, "foo.io/a", ["f"], id="escapes are decoded"),
        pytest.param({"foo.io/a:v1": "f"}, "foo.io/a", [], id="a key with a tag"),
        pytest.param({"foo.io/*": "f"}, "foo.io/a", [], id="no wildcard in a path"),
        pytest.param({"[::1]:5000": "s"}, "[::1]:5000/x", ["s"], id="IPv6 with port"),
        pytest.param({"[::1]": "s"}, "[::1]/x", [], id="IPv6 without"),
        pytest.param({"*": "s"}, "[::1]/x", ["s"], id="a star matches it"),
        pytest.param({"a_b.c": "u"}, "a_b.c/d", ["u"], id="the odd case with its key"),
        pytest.param({"": "e"}, "foo.io/x", [], id="empty key"),
        pytest.param({"HTTPS://foo.io": "x", "ftp://foo.io": "y"}, "foo.io/x", [], id="other schemes"),
        pytest.param({"https://foo.io/v1/users": "x"}, "foo.io/users/x", ["x"], id="path behind v1"),
    ],
)
def test_lookup(keys: dict[str, str], image: str, expected: list[str]) -> None:
    assert users(keys, image) == expected


@pytest.mark.parametrize(
    ("pattern", "target", "expected"),
    [
        ("*.docker.io", "blah.docker.io/x", True),
        ("k8s.*", "k8s.io/x", True),
        ("*.*", "foo.io/x", True),
        ("*:5000", "localhost:5000/x", True),
        ("*.0.0.1", "127.0.0.1/x", True),
        ("fo*o.io:5000/p", "fooo.io:5000/p/q", True),
        ("*.dkr.ecr.*.amazonaws.com", "123.dkr.ecr.us-east-1.amazonaws.com/x", True),
        ("app*.k8s.io", "app.k8s.io/x", True),
        ("**.io", "foo.io/x", True),
        ("*", "localhost/x", True),
        ("*.io", "a.foo.io/x", False),
        ("*", "foo.io/x", False),
        ("foo.io", "foo.io:5000/x", False),
        ("foo.io/", "foo.io", False),
        ("foo.io.", "foo.io/x", False),
        ("index.docker.io", "docker.io/library/nginx", False),
        ("*.docker.io", "docker.io/library/nginx", False),
        ("https://foo.io", "foo.io/x", False),
        ("foo.io//a", "foo.io/a", False),
        ("*.dkr.ecr.*.amazonaws.com", "123.dkr.ecr.cn-north-1.amazonaws.com.cn/x", False),
        ("foo .io", "foo.io/x", False),
        ("[fe80::1%25a-]", "Example/x", False),
        ("foo.io", "foo .io/x", False),
    ],
)
def test_urls_match(pattern: str, target: str, expected: bool) -> None:
    assert urls_match(pattern, target) is expected


def test_spellings_of_one_place_are_all_kept_in_the_order_of_their_documents() -> None:
    first = Source(kind="Secret", namespace="ns", name="first")
    second = Source(kind="Secret", namespace="ns", name="second")
    index = build_index(
        [
            credential("foo.io", "1", first),
            credential("https://foo.io", "2", second),
            credential("foo.io/a", "3", second),
        ]
    )
    assert [found.username for found in lookup(index, "foo.io/a")] == ["3", "1", "2"]
    assert [(entry.location, entry.credential.key) for entry in entries(index)] == [
        ("foo.io/a", "foo.io/a"),
        ("foo.io", "foo.io"),
        ("foo.io", "https://foo.io"),
    ]
    assert not match(index, "foo.io/a").order_random


def test_two_spellings_in_one_document_have_no_order() -> None:
    index = ring({"foo.io": "1", "https://foo.io": "2"})
    found = match(index, "foo.io/a")
    assert [one.username for one in found.credentials] == ["1", "2"]
    assert found.order_random
    assert not match(index, "bar.io/a").order_random


def test_a_secret_that_is_listed_twice_is_tried_twice_in_order() -> None:
    index = build_index([credential("foo.io", "1"), credential("foo.io", "1")])
    assert match(index, "foo.io/a") == Match(credentials=(credential("foo.io", "1"),) * 2)


def test_a_key_that_is_no_url_is_kept_apart() -> None:
    bad = credential("foo.io:abc", "1")
    assert build_index([bad]) == KeyringIndex(ignored=(bad,))


def test_an_empty_credential_is_a_hit() -> None:
    assert users({"foo.io": ""}, "foo.io/a") == [""]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", False),
        ("x", True),
        ("docker.io/x", True),
        ("index.docker.io/x", True),
        ("localhost/x", True),
        ("localhost:5000/x", False),
        ("registry-1.docker.io/x", False),
        ("/x", False),
    ],
)
def test_docker_hub_names(name: str, expected: bool) -> None:
    assert is_docker_hub_name(name) is expected


def test_the_fallback_is_told() -> None:
    assert match(ring(_HUB), "docker.io/library/nginx").by_hub_fallback
    assert not match(ring({"docker.io": "d"}), "docker.io/library/nginx").by_hub_fallback


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("foo.io", "foo.io"),
        ("https://u:secret@foo.io/a", "https://u:***@foo.io/a"),
        ("u:se:cret@foo.io", "u:***@foo.io"),
        ("u:se@cret@foo.io", "u:***@foo.io"),
        ("u@foo.io:5000", "u@foo.io:5000"),
        ("foo.io:5000/a@b", "foo.io:5000/a@b"),
    ],
)
def test_a_password_in_a_key_is_not_shown(key: str, shown: str) -> None:
    assert shown_key(key) == shown
