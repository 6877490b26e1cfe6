"""One worker: an event loop, the ASGI application, and granian between it and the socket.

Granian's own server classes start, watch and signal processes in their own way;
we need another (`sealift.registry.server.supervisor`), so this uses the worker
beneath them. It is the one module that imports granian, and the version is
pinned.

Measured with granian 2.8: a response body goes out no faster than the client
reads (a stalled one holds some 6 MiB, a blob of 1 GiB or not), a request body
comes in no faster than it is read, and a client that goes away ends `receive`
with ``http.disconnect`` but is silent towards `send`.
"""

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import granian._futures as _untyped_futures
import granian._granian as _untyped_granian
from granian.http import HTTP1Settings

from sealift.registry.app import App
from sealift.registry.server.listener import BACKLOG
from sealift.registry.server.metrics_listener import MetricsListener, Scraped
from sealift.registry.settings import Connections

log = logging.getLogger(__name__)

_futures: Any = _untyped_futures
_granian: Any = _untyped_granian  # its stub describes an older version

FILES_ASIDE: Final = 64
"""Open files that no connection is for: the catalog's, the sockets', those of threads."""

FILES_EACH: Final = 2
"""Open files of one connection at most: itself, and the blob that goes out or comes in by it."""

BUFFER_BYTES: Final = 192 * 1024
"""What is read of a connection ahead, and so what one may make us hold before its headers end.

Measured: two thousand clients that never end their headers cost 190 MiB with 64 KiB,
380 MiB with this, 800 MiB with granian's own 408 KiB; a push takes 1.4, 1.2 and 1
times the CPU.
"""

LAST_SECONDS: Final = 2.0
"""Kept back of the time to stop: for writing out what waits, before the supervisor loses patience."""


LOOK_SECONDS: Final = 0.5
"""How often a worker that is told to stop looks whether anybody is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The certificate and its key, PEM. They are read when a worker starts."""

    certificate: Path
    key: Path


def work(
    open_app: Callable[[], AbstractAsyncContextManager[App]],
    listening: socket.socket,
    *,
    tls: Tls | None,
    stop_seconds: float,
    ready: Callable[[], None],
    scraped: Scraped | None = None,
    connections: Connections | None = None,
) -> None:
    """Answer requests until told to go. Runs in a process of its own.

    SIGTERM: stop accepting, finish what is in flight, at most `stop_seconds`.
    SIGUSR1: the same, without a limit but the clients' own pace.

    Args:
        open_app: Opens the application in this process, and closes it.
        listening: The shared socket.
        tls: Serve TLS with this; None is plain HTTP.
        stop_seconds: From SIGTERM to the end.
        ready: Called once requests are answered.
        scraped: What scrapes are answered from; None: nobody asked for metrics.
        connections: What clients may hold.
    """
    held = _within(_raise_open_files(), connections or Connections())
    logging.getLogger("_granian").setLevel(logging.WARNING)  # it tells of each send to a client that has gone
    with asyncio.Runner() as runner:
        runner.run(_work(open_app, listening, tls, stop_seconds, ready, scraped, held))


async def _work(  # noqa: PLR0917 - as `work` got them
    open_app: Callable[[], AbstractAsyncContextManager[App]],
    listening: socket.socket,
    tls: Tls | None,
    stop_seconds: float,
    ready: Callable[[], None],
    scraped: Scraped | None,
    held: Connections,
) -> None:
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()
    told = _granian.WorkerSignal()
    told.add_cb(lambda: loop.call_soon_threadsafe(finished.set))
    async with open_app() as app:
        deadlines: list[asyncio.TimerHandle] = []
        metrics = None if scraped is None else MetricsListener(scraped, app.readiness)
        if metrics is not None:
            await metrics.start()

        def finish() -> None:
            if metrics is not None:
                metrics.stop()
            told.set()

        def stop() -> None:
            app.pace.stopping = True
            deadlines.append(loop.call_later(max(stop_seconds - LAST_SECONDS, 0), _cut, app, finished))
            finish()

        loop.add_signal_handler(signal.SIGTERM, stop)
        loop.add_signal_handler(signal.SIGUSR1, finish)
        gc.collect()
        gc.freeze()  # what is there now stays: no collection looks at it again
        _start_granian(app, listening, tls, told, loop, held)
        ready()
        while not await _wait(finished, LOOK_SECONDS):
            if app.pace.stopping and app.pace.given_up and app.pace.is_idle:
                # Granian still waits for clients that take nothing. Nobody else is left,
                # but for those that have all of their answer except what is on its way.
                await _wait(finished, LAST_SECONDS)
                break
        for deadline in deadlines:
            deadline.cancel()


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether `event` was set within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _cut(app: App, finished: asyncio.Event) -> None:
    """End whatever is still in flight: its time is up."""
    cut = app.pace.give_up_all()
    if cut:
        log.warning("%d requests were cut short: the server was told to stop", cut)
    asyncio.get_running_loop().call_later(LAST_SECONDS / 2, finished.set)


def _start_granian(  # noqa: PLR0917  one call, above
    app: App,
    listening: socket.socket,
    tls: Tls | None,
    told: Any,
    loop: asyncio.AbstractEventLoop,
    held: Connections,
) -> None:
    """Start granian's threads, which hand every request to `app` on `loop`."""
    certificate: tuple[object, ...] = (
        (False, None, None, None, "tls1.2", None, [], False)
        if tls is None
        else (True, str(tls.certificate), str(tls.key), None, "tls1.2", None, [], False)
    )
    # Positional, as granian itself calls it; the names are those of its own server.
    worker = _granian.ASGIWorker(
        1,  # worker_id
        (None, _granian.SocketHolder(listening.fileno(), False, BACKLOG)),
        None,  # ipc
        1,  # runtime_threads
        8,  # runtime_blocking_threads
        1,  # blocking_threads
        30,  # blocking_threads_idle_timeout
        held.most,  # backpressure
        "1",  # http_mode: HTTP/2's flow control halves the speed of a large blob, and no client needs it
        HTTP1Settings(
            header_read_timeout=int(held.header_seconds * 1000),
            max_buffer_size=max(BUFFER_BYTES, 2 * held.header_bytes),
        ),
        None,  # http2_settings
        False,  # websockets
        None,  # static_path
        *certificate,
        (None, None),  # metrics
    )

    def run(scope: dict[str, Any], protocol: Any) -> Awaitable[None]:
        return app(scope, protocol.receive, protocol.send)

    # The two private names are what every worker class of granian starts with; there are no public ones.
    watched = _futures._future_watcher_wrapper(run)  # noqa: SLF001
    scheduler = _futures._new_cbscheduler(loop, watched, impl_asyncio=True)  # noqa: SLF001
    worker.serve_async(scheduler, loop, told)


def _raise_open_files() -> int:
    """Allow as many open files as the system lets us, and say how many: connections and blobs are such."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else sys.maxsize


def _within(files: int, wanted: Connections) -> Connections:
    """No more connections than so many open files are enough for.

    The server under us, where it cannot accept for want of files, tries again at
    once and without end. So it has to stop accepting before that: whoever comes
    then waits in the socket's queue until somebody has gone.
    """
    most = max(1, min(wanted.most, (files - FILES_ASIDE) // FILES_EACH))
    if most < wanted.most:
        log.warning(
            "%d files may be open at a time (ulimit -n): a worker has room for %d connections, not %d",
            files,
            most,
            wanted.most,
        )
    return replace(wanted, most=most)
