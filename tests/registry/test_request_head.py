"""The URL under which a client reached us, and from where. What else a head can be: see test_app.py."""

from ipaddress import ip_network

import pytest
from tests.registry.open_registry import HOST

from sealift.registry.refusal import RegistryRefusal
from sealift.registry.request_head import Door, read_headers, read_query


@pytest.mark.parametrize(
    ("door", "headers", "peer", "url"),
    [
        pytest.param(Door(), {}, "127.0.0.1", f"http://{HOST}", id="as the client said"),
        pytest.param(
            Door(),
            {"x-forwarded-proto": "https", "x-forwarded-host": "evil.test"},
            "127.0.0.1",
            f"http://{HOST}",
            id="nobody is trusted by default",
        ),
        pytest.param(
            Door(trusted_proxies=(ip_network("10.0.0.0/8"),)),
            {"x-forwarded-proto": "https", "x-forwarded-host": "registry.example"},
            "10.1.2.3",
            "https://registry.example",
            id="a proxy that is trusted",
        ),
        pytest.param(
            Door(trusted_proxies=(ip_network("10.0.0.0/8"),)),
            {"x-forwarded-proto": "https", "x-forwarded-host": "evil.test"},
            "192.168.1.1",
            f"http://{HOST}",
            id="somebody else, with the same headers",
        ),
        pytest.param(
            Door(trusted_proxies=(ip_network("10.0.0.0/8"),)),
            {"x-forwarded-proto": "gopher"},
            "10.1.2.3",
            f"http://{HOST}",
            id="a scheme that is none",
        ),
        pytest.param(
            Door(external_url="https://registry.example"),
            {"host": "127.0.0.1:5000", "x-forwarded-host": "evil.test"},
            "127.0.0.1",
            "https://registry.example",
            id="the external URL goes before everything",
        ),
    ],
)
def test_the_url_that_a_client_used(door: Door, headers: dict[str, str], peer: str, url: str) -> None:
    scope = {"scheme": "http", "client": (peer, 4711)}
    assert door.base_url(scope, {"host": HOST} | headers) == url


@pytest.mark.parametrize("host", ["", "a b", 'a"b', "a/b", "a@b", "a:b", "a\r\nx: y", "a,b", "[::1"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(RegistryRefusal) as refused:
        Door().base_url({"scheme": "http", "client": ("127.0.0.1", 1)}, {"host": host})
    assert refused.value.status == 400


def test_a_peer_without_an_address_is_no_proxy() -> None:
    door = Door(trusted_proxies=(ip_network("0.0.0.0/0"),))
    headers = {"host": HOST, "x-forwarded-host": "evil.test"}
    assert door.base_url({"scheme": "http", "client": None}, headers) == f"http://{HOST}"


PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param("192.0.2.7", None, "192.0.2.7", id="nobody in between"),
        pytest.param("192.0.2.7", "203.0.113.9", "192.0.2.7", id="somebody else says what he likes"),
        pytest.param("10.1.2.3", "203.0.113.9", "203.0.113.9", id="a proxy that is named"),
        pytest.param("10.1.2.3", None, "10.1.2.3", id="a proxy that says nothing"),
        pytest.param("10.1.2.3", "1.1.1.1, 203.0.113.9", "203.0.113.9", id="what the client made up before"),
        pytest.param(
            "10.1.2.3", "1.1.1.1, 203.0.113.9, 10.9.9.9", "203.0.113.9", id="two proxies that are named"
        ),
        pytest.param("10.1.2.3", "10.7.7.7, 10.9.9.9", "10.7.7.7", id="proxies all the way"),
        pytest.param("10.1.2.3", "203.0.113.9, unknown", "10.1.2.3", id="a client that a proxy hides"),
        pytest.param("10.1.2.3", "203.0.113.9, _x, 10.9.9.9", "10.9.9.9", id="one that hides further off"),
        pytest.param("10.1.2.3", "203.0.113.9:4711", "203.0.113.9", id="with a port"),
        pytest.param("10.1.2.3", "[2001:db8::1]:4711", "2001:db8::1", id="IPv6 with a port"),
        pytest.param("10.1.2.3", "2001:DB8:0::1", "2001:db8::1", id="IPv6 is written in one way"),
        pytest.param("fd00::1", "203.0.113.9", "203.0.113.9", id="a proxy by IPv6"),
        pytest.param("fe80::1%eth0", "203.0.113.9", "fe80::1", id="a link-local peer"),
        pytest.param("::ffff:192.0.2.7", None, "192.0.2.7", id="IPv4 at a socket for both"),
        pytest.param("::ffff:10.1.2.3", "203.0.113.9", "203.0.113.9", id="a proxy there"),
        pytest.param(None, "203.0.113.9", None, id="a peer without an address"),
        pytest.param("", "203.0.113.9", None, id="a peer with an empty one"),
        pytest.param("/run/x.sock", "203.0.113.9", None, id="a Unix socket"),
        pytest.param("10.1.2.3", "203.0.113.9," + "10.9.9.9," * 60 + "10.9.9.8", "10.9.9.9", id="many"),
        pytest.param("10.1.2.3", "\x00<script>", "10.1.2.3", id="nonsense is not written down"),
    ],
)
def test_the_address_a_client_came_from(peer: str | None, forwarded: str | None, address: str | None) -> None:
    scope = {"client": None if peer is None else (peer, 4711)}
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    assert Door(trusted_proxies=PROXIES).client_address(scope, headers) == address


def test_no_proxy_is_believed_unless_it_is_named() -> None:
    scope = {"client": ("127.0.0.1", 4711)}
    assert Door().client_address(scope, {"x-forwarded-for": "203.0.113.9"}) == "127.0.0.1"


def test_a_named_proxy_at_a_socket_for_both_families_is_a_proxy() -> None:
    scope = {"scheme": "http", "client": ("::ffff:10.1.2.3", 4711)}
    headers = {"host": HOST, "x-forwarded-proto": "https"}
    assert Door(trusted_proxies=PROXIES).base_url(scope, headers) == f"https://{HOST}"


def test_headers_are_joined_and_lower_case() -> None:
    scope = {"headers": [(b"Accept", b"a"), (b"X-One", b"1"), (b"accept", b"b, c")]}
    assert read_headers(scope) == {"accept": "a, b, c", "x-one": "1"}


def test_fields_of_a_query_keep_their_order() -> None:
    assert read_query(b"scope=a&n=1&scope=b%2Fc&empty=&bare") == {
        "scope": ("a", "b/c"),
        "n": ("1",),
        "empty": ("",),
        "bare": ("",),
    }


BEHIND = Door(trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("::1")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param("192.168.1.1", "203.0.113.9", "192.168.1.1", id="nobody named"),
        pytest.param("10.0.0.1", "203.0.113.9", "203.0.113.9", id="a named proxy"),
        pytest.param("10.0.0.1", "8.8.8.8, 203.0.113.9", "203.0.113.9", id="what the client wrote before it"),
        pytest.param("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9", id="a chain of named ones"),
        pytest.param("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3", id="nothing but named ones"),
        pytest.param("::1", "2001:db8::9", "2001:db8::9", id="IPv6"),
        pytest.param("10.0.0.1", "", "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", "203.0.113.9, rubbish", "10.0.0.1", id="a proxy that says rubbish"),
    ],
)
def test_where_a_request_came_from(peer: str, forwarded: str, client: str) -> None:
    scope = {"client": (peer, 4711)}
    assert BEHIND.trace(scope, {"x-forwarded-for": forwarded})[1] == client
    assert Door().trace(scope, {"x-forwarded-for": forwarded})[1] == peer
