"""How long a client may keep us waiting: one look a second at every exchange that waits for its client.

A client that stalls holds a connection, an open file and some buffers. Each
exchange notes the moment at which it began to wait for its client (for bytes of
a request, or for room for a response), and one task per process ends those that
have waited too long. That costs a streaming exchange two assignments a chunk; a
timer for each chunk would cost more than the chunk.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LOOK_EVERY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for a client, in seconds."""

    stalled_seconds: float = 60.0
    """Without one byte from it, or taken by it."""

    stalled_while_stopping_seconds: float = 5.0
    """The same once the server has been told to stop: a stalled upload does not hold it."""

    slow_after_seconds: float = 60.0
    """From here on a request body has to come at `least_bytes_per_second` on average."""

    least_bytes_per_second: float = 512.0
    """A drip of one byte a minute is a way to hold connections, not to push an image."""


class Waiting:
    """One exchange that may have to wait for its client."""

    __slots__ = ("began", "given_up", "received", "since", "task")

    def __init__(self, task: "asyncio.Task[object]", began: float) -> None:
        self.task = task
        self.began = began
        self.received = 0
        """Bytes of the request's body so far."""
        self.since: float | None = None
        """When it began to wait for its client; None while it does not."""
        self.given_up = False


class Pace:
    """Every exchange of this process that streams, and the task that looks after them."""

    def __init__(self, patience: Patience, *, now: Callable[[], float]) -> None:
        self._patience = patience
        self.now = now
        self._all: set[Waiting] = set()
        self._task: asyncio.Task[None] | None = None
        self.stopping = False
        """Set once the server has been told to stop."""
        self.given_up = 0
        """Exchanges that were ended because their client kept them waiting."""

    @property
    def is_idle(self) -> bool:
        """Whether no exchange is streaming."""
        return not self._all

    def enter(self) -> Waiting:
        """Note the exchange that the current task carries out."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - called from a coroutine that a task runs
        waiting = Waiting(task, self.now())
        self._all.add(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look_after())
        return waiting

    def leave(self, waiting: Waiting) -> None:
        """The exchange is over."""
        self._all.discard(waiting)

    def give_up_late(self) -> None:
        """Cancel every exchange whose client has kept it waiting too long."""
        now = self.now()
        patience = self._patience
        limit = patience.stalled_while_stopping_seconds if self.stopping else patience.stalled_seconds
        for waiting in list(self._all):
            if waiting.since is None:
                continue
            age = now - waiting.began
            drips = (
                waiting.received
                and age > patience.slow_after_seconds
                and waiting.received < patience.least_bytes_per_second * age
            )
            if now - waiting.since > limit or drips:
                waiting.given_up = True
                self.given_up += 1
                waiting.task.cancel()

    def give_up_all(self) -> int:
        """Cancel every exchange, waiting or not, and return how many there were."""
        for waiting in self._all:
            waiting.given_up = True
            waiting.task.cancel()
        return len(self._all)

    async def _look_after(self) -> None:
        while self._all:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            self.give_up_late()
