"""``/metrics`` on a listener of its own: who may scrape is not who may pull.

Every worker waits at the one socket, and whoever is woken answers for all of
them. It speaks as much HTTP as a scrape needs, one request a connection: the
registry's own server, with its pace and its gate, stays out of it. What a
client may keep us waiting for is bounded, and so is how many are answered at a
time.

Spec: RFC 9112, sections 2 and 9.6; Prometheus, "Exposition formats".
"""

import asyncio
import logging
import os
import platform
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509

from sealift import __version__
from sealift.registry import metrics
from sealift.registry.board import Board, Series, Slot
from sealift.registry.data_directory import DataDirectory
from sealift.registry.exposition import CONTENT_TYPE, write
from sealift.registry.figures import Figures, LatestFigures
from sealift.registry.readiness import Readiness
from sealift.registry.server.listener import Listening, join, listen

log = logging.getLogger(__name__)

HEAD_SECONDS: Final = 5.0
"""How long a client may take to ask, and to read what it asked for."""

MAX_HEAD_BYTES: Final = 8 * 1024

MOST_AT_A_TIME: Final = 16
"""Scrapes that one worker answers at a time. Whoever comes past it is turned away."""

COUNTING_SECONDS: Final = 3.0
"""How long a scrape waits for new figures of what is stored; past it the figures from before are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """What a scrape is answered from, in every worker."""

    listening: Listening
    board: Board
    data: Path
    catalog: Path
    certificate: Path | None
    """PEM; what a worker that starts now serves TLS with."""

    started: float
    """When the server was started, in seconds since 1970."""

    def slot(self, number: int | None) -> Slot:
        """Where a worker counts; without a number where nobody reads it."""
        return self.board.private() if number is None else self.board.slot(number)

    @property
    def url(self) -> str:
        """Where the metrics are."""
        return f"http://{join(*self.listening.address)}/metrics"


def metrics_at(
    address: tuple[str, int], *, workers: int, data: DataDirectory, certificate: Path | None
) -> Scraped:
    """Listen for scrapes, and make what the workers count on. Done once, before they are forked.

    Raises:
        CannotListen: The address cannot be listened on.
    """
    gauges = frozenset(metric.name for metric in metrics.METRICS if metric.kind == "gauge")
    return Scraped(
        listening=listen(*address, option="--metrics-listen"),
        board=Board(workers, gauges=gauges),
        data=data.path,
        catalog=data.catalog,
        certificate=certificate,
        started=time.time(),
    )


class MetricsListener:
    """Answers scrapes in one worker. Belongs to one event loop."""

    def __init__(self, scraped: Scraped, readiness: Readiness) -> None:
        self._scraped = scraped
        self._readiness = readiness
        self._figures = LatestFigures(scraped.catalog)
        self._expiry = None if scraped.certificate is None else certificate_expiry(scraped.certificate)
        self._server: asyncio.Server | None = None
        self._busy = 0

    async def start(self) -> None:
        """Accept scrapes from now on."""
        self._server = await asyncio.start_server(
            self._serve, sock=self._scraped.listening.sockets[0], limit=MAX_HEAD_BYTES
        )

    def stop(self) -> None:
        """Accept no more. Other workers go on, at their copies of the socket."""
        if self._server is not None:
            self._server.close()

    async def page(self) -> bytes:
        """All metrics, as they are now."""
        numbers = self._scraped.board.total()
        figures = await self._figures.get(patience_seconds=COUNTING_SECONDS)
        if figures is not None:
            numbers |= {Series(metric.name): value for metric, value in _of(figures).items()}
        with suppress(OSError):
            found = os.statvfs(self._scraped.data)
            numbers[Series(metrics.FREE_BYTES.name)] = float(found.f_bavail * found.f_frsize)
            numbers[Series(metrics.SIZE_BYTES.name)] = float(found.f_blocks * found.f_frsize)
        for check in self._readiness.checks():
            numbers[Series(metrics.READY.name, (check.name,))] = float(check.ok)
        if self._expiry is not None:
            numbers[Series(metrics.CERTIFICATE.name)] = self._expiry
        numbers[Series(metrics.BUILD.name, (__version__, platform.python_version()))] = 1.0
        numbers[Series(metrics.STARTED.name)] = self._scraped.started
        return write(numbers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close."""
        self._busy += 1
        try:
            async with asyncio.timeout(HEAD_SECONDS + COUNTING_SECONDS + HEAD_SECONDS):
                if self._busy <= MOST_AT_A_TIME:
                    writer.write(await self._answer(await reader.readuntil(b"\r\n\r\n")))
                else:
                    writer.write(_response("503 Service Unavailable", b"too many scrapes at a time\n"))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            log.debug("a scrape came to nothing")
        finally:
            self._busy -= 1
            writer.transport.abort()

    async def _answer(self, head: bytes) -> bytes:
        words = head.partition(b"\r\n")[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):  # noqa: PLR2004 - method, target, version
            return _response("400 Bad Request", b"this is not HTTP/1.1\n")
        method, target = words[0], words[1].partition(b"?")[0]
        if target != b"/metrics":
            return _response("404 Not Found", b"metrics are at /metrics\n")
        if method not in {b"GET", b"HEAD"}:
            return _response("405 Method Not Allowed", b"metrics are read by GET\n", allow="GET, HEAD")
        page = _response("200 OK", await self.page(), kind=CONTENT_TYPE)
        return page if method == b"GET" else page[: page.index(b"\r\n\r\n") + 4]


def certificate_expiry(certificate: Path) -> float | None:
    """When the first certificate of a chain ends, in seconds since 1970; None where it cannot be read."""
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError):
        return None


def _of(figures: Figures) -> dict[metrics.Metric, float]:
    return {
        metrics.REPOSITORIES: figures.repositories,
        metrics.MANIFESTS: figures.manifests,
        metrics.BLOBS: figures.blobs,
        metrics.BLOB_BYTES: figures.blob_bytes,
        metrics.UPLOADS_OPEN: figures.uploads_open,
        metrics.CATALOG_BYTES: figures.catalog_bytes,
        metrics.FIGURES_TIME: figures.at,
    }


def _response(status: str, body: bytes, *, kind: str = "text/plain; charset=utf-8", allow: str = "") -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *([f"Allow: {allow}"] if allow else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body
