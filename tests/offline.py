"""The network is off while tests run: who leaves this machine's loopback fails the test.

Python tells an audit hook of each name that is looked up and each address that
is connected to, before it happens. Names that can never exist (RFC 6761:
``.invalid``, ``.test``; RFC 2606: ``.example``) are answered with "no such
name" without asking anyone, so that a test of that failure works offline.

Programs that a test starts are not seen here. ``scripts/run-tests`` puts the
whole run, programs and all, into a network namespace that has loopback only.
"""

import errno
import ipaddress
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NAMES_OF_THIS_MACHINE = frozenset({"localhost", "ip6-localhost", "localhost.localdomain"})
NAMES_OF_NOBODY = (".invalid", ".test", ".example")


class NetworkIsOff(OSError):
    """A test wanted to leave this machine. An `OSError`: the code under test fails as it would offline."""


class _Guard:
    """What was tried while the guard was up. There is one, because an audit hook cannot be taken back."""

    def __init__(self) -> None:
        self.installed = False
        self.active = False
        self.attempts: list[str] = []

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.active or not event.startswith("socket."):
            return
        if event in {"socket.connect", "socket.sendto"}:
            connection, address = arguments[0], arguments[1]
            if isinstance(connection, socket.socket) and isinstance(address, tuple):
                self.check_host(connection.family, str(address[0]))
        elif event == "socket.getaddrinfo" and arguments[0] is not None:
            host = arguments[0]
            self.check_name(host.decode("ascii", "replace") if isinstance(host, bytes) else str(host))
        elif event == "socket.gethostbyname":
            self.check_name(str(arguments[0]))

    def check_host(self, family: int, host: str) -> None:
        if family in {socket.AF_INET, socket.AF_INET6}:
            self.check_name(host)

    def check_name(self, host: str) -> None:
        if stays_here(host):
            return
        if host.rstrip(".").lower().endswith(NAMES_OF_NOBODY):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.attempts.append(host)
        raise NetworkIsOff(errno.ENETUNREACH, f"the network is off in tests, and this one wanted {host}")


_GUARD = _Guard()


def stays_here(host: str) -> bool:
    """Whether `host`, an address or a name, is this machine itself."""
    if not host or host.rstrip(".").lower() in NAMES_OF_THIS_MACHINE:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # Linux takes a connection to the unspecified address for one to itself.
    return address.is_loopback or address.is_unspecified


@contextmanager
def network_off() -> Iterator[list[str]]:
    """Keep this process on this machine; gives the list of hosts that were wanted all the same."""
    if not _GUARD.installed:
        sys.addaudithook(_GUARD.hook)
        _GUARD.installed = True
    outer = _GUARD.active, _GUARD.attempts
    _GUARD.active, _GUARD.attempts = True, []
    try:
        yield _GUARD.attempts
    finally:
        _GUARD.active, _GUARD.attempts = outer
