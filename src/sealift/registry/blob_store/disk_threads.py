"""Threads for what waits on the disk."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DiskThreads:
    """Runs blocking work in threads, and never abandons it halfway."""

    def __init__(self, most: int) -> None:
        self._threads = ThreadPoolExecutor(max_workers=most, thread_name_prefix="disk")

    def start(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> "asyncio.Future[T]":
        """Begin `work` and return at once. Whoever does this waits with `settle`."""
        return asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*arguments, **named))

    async def run(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run `work` and return what it returns."""
        return await settle(self.start(work, *arguments, **named))

    def close(self) -> None:
        """Wait for all work and end the threads."""
        self._threads.shutdown(wait=True)


async def settle(job: "asyncio.Future[T]") -> T:
    """Wait for `job` to its end, even if the waiting task is cancelled; then the cancellation goes on.

    A thread cannot be stopped, and the files it works on are closed by
    whoever waits here.
    """
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        while not job.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([job])
        if not job.cancelled():
            job.exception()  # seen; what counts is the cancellation
        raise
