"""A relay in front of a registry that notes what clients ask: method, path and headers, as they sent them."""

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.peers.registries import Registry

_OF_ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that passed, and the status it got."""

    method: str
    target: str
    """Path and query, verbatim."""

    headers: Mapping[str, str]
    """By names in lower case; the lines of a header that stood several times, joined by a comma."""

    status: int


@dataclass(slots=True)
class Relay:
    """A registry as seen through the relay, and what was asked of it."""

    registry: Registry
    asked: list[Asked] = field(default_factory=list)

    def to(self, part: str, *methods: str) -> list[Asked]:
        """The requests whose target has `part` in it, in their order."""
        return [
            each for each in self.asked if part in each.target and (not methods or each.method in methods)
        ]


@contextmanager
def relay_to(registry: Registry) -> Iterator[Relay]:
    """Relay a loopback registry that speaks plain HTTP. Bodies are held in memory: for small images."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.upstream = registry.address
    server.relay = Relay(replace(registry, address=f"127.0.0.1:{server.server_address[1]}"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.relay
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # clients keep idle connections
    upstream: str
    relay: Relay


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def _pass_on(self) -> None:
        body = self._body()
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=60)
        try:
            # With the Host that the client meant: what the registry says of its own address leads back here.
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {*_OF_ONE_HOP, "content-length"}:
                    upstream.putheader(name, value)
            if body or self.command in {"POST", "PUT", "PATCH"}:
                upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            content = answer.read()
            headers = answer.getheaders()
        finally:
            upstream.close()
        asked = {name.lower(): ", ".join(self.headers.get_all(name, ())) for name in self.headers}
        self.server.relay.asked.append(Asked(self.command, self.path, asked, answer.status))
        self.send_response_only(answer.status, answer.reason)
        for name, value in headers:
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers) and answer.status not in {
            204,
            304,
        }:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815  the library's names
