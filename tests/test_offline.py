import socket

import pytest
from tests.offline import NetworkIsOff, network_off, stays_here


@pytest.mark.parametrize(
    ("host", "here"),
    [
        pytest.param("127.0.0.1", True, id="loopback"),
        pytest.param("127.9.8.7", True, id="all of 127/8 is loopback"),
        pytest.param("::1", True, id="loopback of IPv6"),
        pytest.param("::ffff:127.0.0.1", True, id="loopback in IPv6 dress"),
        pytest.param("0.0.0.0", True, id="Linux connects this to itself"),  # noqa: S104  nothing listens here
        pytest.param("fe80::1%lo", False, id="link-local, with its interface"),
        pytest.param("localhost", True, id="a name for loopback"),
        pytest.param("LocalHost.", True, id="the same, rooted"),
        pytest.param("", True, id="no host is any address of this machine"),
        pytest.param("10.0.0.1", False, id="a private network is a network"),
        pytest.param("192.0.2.1", False, id="so is one for documentation"),
        pytest.param("registry.example", False, id="any other name"),
    ],
)
def test_what_counts_as_this_machine(host: str, here: bool) -> None:
    assert stays_here(host) is here


def test_a_connection_to_another_machine_is_refused_and_noted() -> None:
    with (
        network_off() as attempts,
        socket.socket() as away,
        pytest.raises(NetworkIsOff, match=r"this one wanted 192\.0\.2\.1"),
    ):
        away.connect(("192.0.2.1", 80))
    assert attempts == ["192.0.2.1"]


def test_a_name_is_not_even_looked_up() -> None:
    with network_off() as attempts, pytest.raises(NetworkIsOff):
        socket.getaddrinfo("registry.sealift.dev", 443)
    assert attempts == ["registry.sealift.dev"]


def test_a_name_that_nobody_can_own_fails_as_dns_would_and_is_no_offence() -> None:
    with network_off() as attempts, pytest.raises(socket.gaierror):
        socket.getaddrinfo("nobody.invalid", 443)
    assert attempts == []


def test_loopback_works() -> None:
    with network_off() as attempts, socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    assert attempts == []
