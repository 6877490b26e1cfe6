"""A line between a client and a server that can be stopped in the middle of what passes.

A TCP proxy. It knows nothing of HTTP: bytes go through until the number that is
allowed in their direction is used up; from then on nothing passes that way
until more is allowed. So a test finds a transfer in its middle without racing
it.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, Self

Direction = Literal["to the client", "to the server"]

UNLIMITED = 1 << 62
PIECE = 64 * 1024


class SlowLine:
    """The proxy. Use it as a context manager."""

    def __init__(self, target: str) -> None:
        """`target` is the server's HOST:PORT."""
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._changed = threading.Condition()
        self._allowed: dict[Direction, int] = {"to the client": UNLIMITED, "to the server": UNLIMITED}
        self._passed: dict[Direction, int] = {"to the client": 0, "to the server": 0}
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def address(self) -> str:
        """HOST:PORT of this end."""
        return f"127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for end in (self._listening, *self._sockets):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in self._threads:
            thread.join(10)

    @contextmanager
    def stopped_after(self, direction: Direction, size: int) -> Iterator[None]:
        """Let `size` more bytes pass that way, and all of them again in the end."""
        with self._changed:
            self._allowed[direction] = self._passed[direction] + size
        try:
            yield
        finally:
            with self._changed:
                self._allowed[direction] = UNLIMITED
                self._changed.notify_all()

    def wait_until_stopped(self, direction: Direction, seconds: float = 60) -> None:
        """Return when the allowance is used up.

        Raises:
            AssertionError: It is not, after all this time.
        """
        with self._changed:
            used_up = self._changed.wait_for(
                lambda: self._passed[direction] >= self._allowed[direction], timeout=seconds
            )
        assert used_up, f"only {self._passed[direction]} bytes went {direction}"

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [client, server]
            self._start(self._pump, server, client, "to the client")
            self._start(self._pump, client, server, "to the server")

    def _pump(self, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                while piece and (room := self._room(direction, len(piece))):
                    sink.sendall(piece[:room])
                    piece = piece[room:]
                if piece:
                    break
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _room(self, direction: Direction, wanted: int) -> int:
        """How many of `wanted` bytes may pass now; it waits for one at least. 0: the line is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._passed[direction] < self._allowed[direction])
            if self._closed:
                return 0
            room = min(wanted, self._allowed[direction] - self._passed[direction])
            self._passed[direction] += room
            self._changed.notify_all()
            return room
