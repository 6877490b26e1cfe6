"""The listening sockets: bound once, by the process that watches, and kept by it while workers come and go.

Each worker accepts from a socket of its own (``SO_REUSEPORT``), since of
several that wait at one socket the kernel wakes the same one again and again.
The watching process keeps all of them open: a worker that is replaced loses no
connection that waits in its queue. ``SO_REUSEPORT`` would also let another
server share the port unseen; a socket with the port in its name, which only one
process can have, keeps that from happening.
"""

import errno
import socket
from dataclasses import dataclass
from typing import ClassVar, Final

from sealift.errors import SealiftError

BACKLOG: Final = 1024
"""Connections that may wait to be accepted. The kernel caps it at net.core.somaxconn."""


UNREAD_MILLISECONDS: Final = 90_000
"""How long the kernel keeps what a client does not take before it resets the connection.

Longer than `sealift.registry.pace` waits: this is for what the HTTP server has
taken over from us and cannot get rid of.
"""

_INHERITED: Final = {
    socket.TCP_NODELAY: 1,
    socket.TCP_USER_TIMEOUT: UNREAD_MILLISECONDS,
    socket.TCP_KEEPIDLE: 60,
    socket.TCP_KEEPINTVL: 15,
    socket.TCP_KEEPCNT: 4,
}
"""Options of TCP that accepted sockets take over. Spec: Linux tcp(7); times of keep-alive in seconds."""


class CannotListen(SealiftError):
    """The address cannot be listened on: it is in use, not ours, or not allowed."""

    exit_status: ClassVar[int] = 8


@dataclass(frozen=True, slots=True)
class Listening:
    """The sockets of one address, one a worker, and what says that it is taken."""

    sockets: tuple[socket.socket, ...]
    claim: socket.socket | None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as bound."""
        host, port = self.sockets[0].getsockname()[:2]
        return str(host), int(port)

    def keep_only(self, number: int) -> socket.socket:
        """Close all sockets but one. A worker does, or its copies would go on taking connections."""
        for place, each in enumerate(self.sockets):
            if place != number:
                each.close()
        return self.sockets[number]

    def close(self) -> None:
        """Stop listening, as far as this process goes."""
        for each in self.sockets:
            each.close()
        if self.claim is not None:
            self.claim.close()


def listen(host: str, port: int, count: int = 1, *, option: str = "--listen") -> Listening:
    """Listen at `host` and `port` with `count` sockets; port 0 is any free one. `option` is what named them.

    Raises:
        CannotListen: It is in use, is no address of this machine, or needs more rights.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as unknown:
        raise CannotListen(
            f"cannot listen on {join(host, port)}",
            why=f"{host} is no address: {unknown.strerror}",
            hint=f"give an IP address of this machine with {option} HOST:PORT",
        ) from None
    family, _, _, _, address = found[0]
    opened: list[socket.socket] = []
    claim = None
    try:
        # Without SO_REUSEPORT, so that it fails where anybody listens.
        alone = _bind(family, address, shared=False)
        opened.append(alone)
        if count > 1:
            address = alone.getsockname()
            claim = _claim(address)
            opened.remove(alone)
            alone.close()
            for _ in range(count):
                opened.append(_bind(family, address, shared=True))  # noqa: PERF401  those before are closed if one fails
        for each in opened:
            each.listen(BACKLOG)
    except OSError as refused:
        for each in (*opened, *([claim] if claim else [])):
            each.close()
        raise CannotListen(
            f"cannot listen on {join(host, port)}",
            why=refused.strerror,
            hint=_HINTS.get(refused.errno or 0, "give another address with {} HOST:PORT").format(option),
        ) from None
    return Listening(tuple(opened), claim)


def _bind(family: int, address: object, *, shared: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        for option, value in _INHERITED.items():
            bound.setsockopt(socket.IPPROTO_TCP, option, value)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        bound.bind(address)  # type: ignore[arg-type]  # as getaddrinfo or getsockname gave it
    except OSError:
        bound.close()
        raise
    return bound


def _claim(address: object) -> socket.socket:
    """Take the port's name in the abstract namespace, which ends with this process. Spec: Linux unix(7)."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0sealift/listen/{address}")
    except OSError:
        claim.close()
        raise
    return claim


_HINTS: Final = {
    errno.EADDRINUSE: "another program has that port (ss -ltnp shows which); give another with {}",
    errno.EACCES: "ports below 1024 need more rights; give another port with --listen",
    errno.EADDRNOTAVAIL: "that address is not one of this machine's; give another with {}",
}


def join(host: str, port: int) -> str:
    """Host and port as a URL's authority."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
