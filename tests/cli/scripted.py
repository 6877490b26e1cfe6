"""A scripted registry beside a command that runs its own loop: in a thread, with a loop of its own."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.fakes.scripted_registry import ScriptedRegistry, Step


@contextmanager
def beside(
    script: Callable[[ScriptedRegistry], Sequence[Step]],
    *,
    strict: bool = False,
    tls: ssl.SSLContext | None = None,
) -> Iterator[ScriptedRegistry]:
    """Play a script until the block ends. It is told the registry, since answers hold its address."""
    ready, stop = threading.Event(), asyncio.Event()
    registry = ScriptedRegistry([], strict=strict, tls=tls)
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with registry:
            registry.steps += script(registry)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    try:
        yield registry
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
