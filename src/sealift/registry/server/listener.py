"""The listening socket: bound once, by the process that watches, and shared by its workers.

One socket, not one for each worker (``SO_REUSEPORT``): a worker that is
replaced then loses no connection that waits in its queue, port 0 means one port,
and a port that somebody else has is refused rather than shared.
"""

import errno
import socket
from typing import ClassVar, Final

from sealift.errors import SealiftError

BACKLOG: Final = 1024
"""Connections that may wait to be accepted. The kernel caps it at net.core.somaxconn."""


class CannotListen(SealiftError):
    """The address cannot be listened on: it is in use, not ours, or not allowed."""

    exit_status: ClassVar[int] = 8


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at `host` and `port`; port 0 is any free one.

    Raises:
        CannotListen: It is in use, is no address of this machine, or needs more rights.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as unknown:
        raise CannotListen(
            f"cannot listen on {join(host, port)}",
            why=f"{host} is no address: {unknown.strerror}",
            hint="give an IP address of this machine with --listen HOST:PORT",
        ) from None
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as refused:
        listening.close()
        raise CannotListen(
            f"cannot listen on {join(host, port)}",
            why=refused.strerror,
            hint=_HINTS.get(refused.errno or 0, "give another address with --listen HOST:PORT"),
        ) from None
    return listening


_HINTS: Final = {
    errno.EADDRINUSE: "another program has that port (ss -ltnp shows which); give another with --listen",
    errno.EACCES: "ports below 1024 need more rights; give another port with --listen",
    errno.EADDRNOTAVAIL: "that address is not one of this machine's; give another with --listen",
}


def address_of(listening: socket.socket) -> tuple[str, int]:
    """Host and port that a socket listens on, as bound."""
    host, port = listening.getsockname()[:2]
    return str(host), int(port)


def join(host: str, port: int) -> str:
    """Host and port as a URL's authority."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
