import errno
import socket

import pytest

from sealift.registry.server.listener import CannotListen, join, listen


@pytest.mark.parametrize("count", [1, 3])
def test_port_0_is_one_free_port_for_all_workers(count: int) -> None:
    listening = listen("127.0.0.1", 0, count)
    host, port = listening.address
    assert (host, port > 0) == ("127.0.0.1", True)
    assert {each.getsockname() for each in listening.sockets} == {(host, port)}
    socket.create_connection((host, port), 5).close()
    listening.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), 5)


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("second", [1, 2])
def test_a_port_is_nobody_elses(first: int, second: int) -> None:
    listening = listen("127.0.0.1", 0, first)
    with pytest.raises(CannotListen) as refused:
        listen(*listening.address, second)
    assert (refused.value.exit_status, refused.value.why) == (8, "Address already in use")
    listening.close()
    listen(*refused_address(refused.value), second).close()


def refused_address(refused: CannotListen) -> tuple[str, int]:
    host, _, port = str(refused).removeprefix("cannot listen on ").rpartition(":")
    return host, int(port)


def test_what_is_no_address() -> None:
    with pytest.raises(CannotListen) as refused:
        listen("nobody.invalid", 0)
    assert "nobody.invalid is no address" in str(refused.value.why)
    assert refused.value.hint


def test_a_worker_keeps_its_own_socket_only() -> None:
    listening = listen("127.0.0.1", 0, 3)
    kept = listening.keep_only(1)
    assert [each.fileno() == -1 for each in listening.sockets] == [True, False, True]
    assert kept is listening.sockets[1]
    listening.close()


def test_accepted_sockets_give_up_on_who_takes_nothing() -> None:
    listening = listen("127.0.0.1", 0)
    client = socket.create_connection(listening.address, 5)
    accepted, _ = listening.sockets[0].accept()
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 90_000
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for each in (client, accepted):
        each.close()
    listening.close()


def test_ipv6_is_written_with_brackets() -> None:
    assert (join("::1", 5000), join("127.0.0.1", 5000)) == ("[::1]:5000", "127.0.0.1:5000")
    try:
        listening = listen("::1", 0)
    except CannotListen as refused:
        if refused.why in {errno.errorcode[errno.EADDRNOTAVAIL], "Cannot assign requested address"}:
            pytest.skip("this machine has no IPv6")
        raise
    assert listening.address[0] == "::1"
    listening.close()
