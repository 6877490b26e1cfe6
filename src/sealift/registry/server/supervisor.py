"""The process that watches: starts the workers, replaces those that die, and ends them in order.

It serves nothing itself. Its one state is which children it has. Signals are
taken one at a time from a blocked set (``sigtimedwait``), so nothing here runs
in a signal handler:

* SIGTERM, SIGINT: close the socket, let the workers finish what is in flight,
  at most `Grace.stop_seconds`; a second one ends them at once.
* SIGHUP, or a certificate that has changed on the disk: start new workers
  beside the old ones, which are told (SIGUSR1) to finish what they have and go.

Workers are forked, so what is imported is shared; no thread may run here. A
worker dies with this process, however this one ends (``PR_SET_PDEATHSIG``).
The lock of the data directory is inherited: it stays taken until the last
process of the tree is gone, and not a moment longer.
"""

import ctypes
import logging
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sealift.errors import SealiftError
from sealift.registry.board import Board

log = logging.getLogger(__name__)

_WATCHED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)

_PR_SET_PDEATHSIG: Final = 1
"""Spec: Linux prctl(2)."""

TICK_SECONDS: Final = 1.0
"""How often the certificate is looked at, and a stop's deadline."""

READY_SECONDS: Final = 30.0
"""How long a worker may take until it answers. It takes a tenth of a second."""

CRASH_SECONDS: Final = 5.0
"""A worker that dies younger than this is not replaced at once, and not for ever."""

MOST_CRASHES: Final = 5
"""So many young deaths in a row, and there is no use in going on."""


class WorkersFail(SealiftError):
    """The workers end as soon as they start. What they said stands above this."""

    exit_status = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Grace:
    """How long workers may take to finish, in seconds."""

    stop_seconds: float = 30.0
    """From SIGTERM to the end of the last process."""

    replace_seconds: float = 3600.0
    """An old worker, after a new certificate: one long upload is no reason to cut it."""


@dataclass(slots=True)
class _Child:
    """One worker."""

    number: int
    """Its place among the workers, from 0: which of the sockets is its own."""

    slot: int | None
    """Where it counts."""

    started: float
    kill_at: float | None = None
    """When it was told to go, the moment at which it is made to. None: it is to stay."""


@dataclass(slots=True)
class Supervisor:
    """Keeps `count` workers running until it is told to stop.

    Args:
        count: Workers.
        work: What a worker does, in its own process. It is given its number,
            from 0, the slot of the board that it counts in, if there is one, and
            a function to call once it answers requests; it returns when it was
            told to go.
        stop_listening: Closes this process's copy of the listening socket.
        changed: Whether something on the disk calls for new workers, such as a
            renewed certificate. It sees to it that what it says yes to is usable.
        ready: Called once, when all of the first workers answer.
        grace: How long workers may take.
        board: What the workers count on; None: nobody asked for metrics.
    """

    count: int
    work: Callable[[int, int | None, Callable[[], None]], None]
    stop_listening: Callable[[], None]
    changed: Callable[[], bool]
    ready: Callable[[], None]
    grace: Grace = field(default_factory=Grace)
    board: Board | None = None
    _children: dict[int, _Child] = field(default_factory=dict)
    _crashes: int = 0

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises:
            WorkersFail: The workers do not stay up.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)  # first: a SIGTERM in between would be lost
        for number in _WATCHED:
            signal.signal(number, _pending)  # not ignored, so that it stays pending while it is blocked
        try:
            if self._start(range(self.count)):
                self.ready()
                self._watch()
        finally:
            self._stop()

    def _watch(self) -> None:
        """Wait for what happens until a signal says stop."""
        while True:
            happened = signal.sigtimedwait(_WATCHED, TICK_SECONDS)
            number = None if happened is None else happened.si_signo
            if number in {signal.SIGTERM, signal.SIGINT}:
                return
            if number == signal.SIGCHLD:
                self._reap()
            if number == signal.SIGHUP or (number is None and self.changed()):
                log.info("new workers take over; the old ones finish what they have")
                self._replace()
            self._kill_late()
            staying = {child.number for child in self._children.values() if child.kill_at is None}
            missing = [number for number in range(self.count) if number not in staying]
            if missing and not self._start_again(missing):
                return

    def _start_again(self, numbers: Sequence[int]) -> bool:
        """`_start` in the place of workers that died, while the others serve.

        Raises:
            WorkersFail: They have died too often.
        """
        try:
            return self._start(numbers)
        except WorkersFail as failure:
            self._crashes += 1
            if self._crashes >= MOST_CRASHES:
                raise
            log.error("%s; it is tried again", failure)  # noqa: TRY400 - the worker said why
            return True

    def _start(self, numbers: Sequence[int]) -> bool:
        """Fork workers and wait until they answer. False: a signal says stop.

        Raises:
            WorkersFail: They do not come up, or have died too often.
        """
        if self._crashes >= MOST_CRASHES:
            raise WorkersFail("the workers end as soon as they start", why="what they said stands above")
        if self._crashes:
            time.sleep(0.1 * 2**self._crashes)
        reading, writing = os.pipe()
        for number in numbers:
            self._fork(number, reading, writing)
        os.close(writing)
        try:
            return self._await_ready(reading, len(numbers))
        finally:
            os.close(reading)

    def _await_ready(self, reading: int, count: int) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while count and time.monotonic() < deadline:
            if select.select([reading], [], [], 0.1)[0]:
                answered = len(os.read(reading, count))
                if not answered:
                    raise WorkersFail("a worker ended before it answered", why="what it said stands above")
                count -= answered
            pending = signal.sigpending()
            if signal.SIGTERM in pending or signal.SIGINT in pending:
                return False
            if signal.SIGCHLD in pending:
                self._reap()
        if count:
            raise WorkersFail(f"a worker does not answer after {READY_SECONDS:.0f} s")
        return True

    def _fork(self, place: int, reading: int, writing: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        slot = None if self.board is None else self.board.take()
        if self.board is not None and slot is None:
            log.warning("old workers are still finishing; what the next one does is in no metric")
        child = os.fork()
        if child:
            self._children[child] = _Child(place, slot, started=time.monotonic())
            return
        status = 1
        try:
            _die_with(parent)
            os.close(reading)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # a terminal sends these to the whole group
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            self.work(place, slot, lambda: _say_ready(writing))
            status = 0
        except SealiftError as refused:
            log.error("a worker cannot serve: %s (%s)", refused, refused.why)  # noqa: TRY400 - it says enough
        except BaseException:  # noqa: BLE001 - a worker has nobody above it: it says why and ends
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # Not sys.exit: that would run the parent's exit handlers, and the server's own threads
            # must not meet an interpreter that is half taken down.
            os._exit(status)

    def _replace(self) -> None:
        """Start new workers, and then let the old ones go."""
        old = [pid for pid, child in self._children.items() if child.kill_at is None]
        try:
            started = self._start(range(self.count))
        except WorkersFail as failure:
            log.error("%s; the old ones stay", failure)  # noqa: TRY400 - the worker printed its own traceback
            for pid in list(self._children):
                if pid not in old:
                    _send(pid, signal.SIGKILL)
            return
        if started:
            self._tell(old, signal.SIGUSR1, self.grace.replace_seconds)

    def _tell(self, pids: list[int], number: signal.Signals, seconds: float) -> None:
        for pid in pids:
            child = self._children.get(pid)
            if child is not None:
                child.kill_at = time.monotonic() + seconds
                _send(pid, number)

    def _stop(self) -> None:
        """End every worker: SIGTERM now, SIGKILL for whoever is left at the deadline."""
        self.stop_listening()
        self._tell(list(self._children), signal.SIGTERM, self.grace.stop_seconds)
        while self._children:
            happened = signal.sigtimedwait(_WATCHED, 0.1)
            if happened is not None and happened.si_signo in {signal.SIGTERM, signal.SIGINT}:
                self._tell(list(self._children), signal.SIGTERM, 0.0)
            self._reap()
            self._kill_late()

    def _kill_late(self) -> None:
        for pid, child in self._children.items():
            if child.kill_at is not None and time.monotonic() >= child.kill_at:
                _send(pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Take note of every worker that has ended."""
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._children.clear()
                return
            if not pid:
                return
            child = self._children.pop(pid, None)
            if child is not None and child.slot is not None and self.board is not None:
                self.board.free(child.slot)
            if child is None or child.kill_at is not None:
                continue
            age = time.monotonic() - child.started
            self._crashes = self._crashes + 1 if age < CRASH_SECONDS else 0
            log.error("worker %d ended unasked (status %d) after %.0f s", pid, status, age)


def _pending(_number: int, _frame: object) -> None:
    """A handler that is never called: the signal is blocked, and waits for ``sigtimedwait``."""


def _die_with(parent: int) -> None:
    """Have the kernel end this process when `parent` ends, even by SIGKILL."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it ended between the fork and the line above


def _say_ready(writing: int) -> None:
    os.write(writing, b"1")
    os.close(writing)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
