"""When the demo is told to end, and at which points it heeds that.

Ctrl-C, SIGTERM and SIGHUP all end it in the same way: by a `KeyboardInterrupt`
where the demo itself waits, and after the command where one is running. A
command of the demo takes a moment, and one that is torn apart half-way, in the
middle of an event loop, would leave noise at best. Whoever tells it twice is
heeded at once.

Once it ends it goes on ending: all further signals change nothing, up to the
last moment of the process.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Hears the signals while it is entered. `number` is the signal that was heard, or None."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._later = 0
        self._deaf = False
        self._raised = False
        """Whether the one interruption that ends the demo is under way."""
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            before = signal.getsignal(number)
            if number == signal.SIGHUP and before is signal.SIG_IGN:
                continue  # nohup: to outlive the terminal was asked for
            self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        # Who was told to end has nothing left to do but that: a finger that is still
        # on the key must not kill it between here and its exit status.
        for number, before in self._before.items():
            signal.signal(number, before if self.number is None else signal.SIG_IGN)

    @contextmanager
    def after_this(self) -> Iterator[None]:
        """Heed a signal that comes meanwhile at the end of the block, and a second one at once.

        Raises:
            KeyboardInterrupt: One came.
        """
        self._later += 1
        try:
            yield
        finally:
            self._later -= 1
        if self.number is not None and not self._raised:
            self._raised = True
            raise KeyboardInterrupt

    @contextmanager
    def not_now(self) -> Iterator[None]:
        """Heed no signal: the machine is made clean, which takes a second, and half of it would be worse."""
        self._deaf = True
        try:
            yield
        finally:
            self._deaf = False

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self._deaf or self._raised:
            return
        first = self.number is None
        if first:
            self.number = number
        if not (first and self._later):
            self._raised = True
            raise KeyboardInterrupt
