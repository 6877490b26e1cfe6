"""What the parts of a registry count with: a counter by its name in the table, an alarm by its kind.

Made by `sealift.registry.assembly` and handed to whoever has something to
count. Where nobody asked for metrics the counting goes to memory that nobody
reads, so that no caller has to know.
"""

import logging
from bisect import bisect_left
from collections import defaultdict
from typing import Final, Literal

from sealift.registry.board import Board, Series, Slot
from sealift.registry.metrics import (
    ALARMS,
    BUCKETS,
    DURATION,
    GIVEN_UP,
    IN_FLIGHT,
    RECEIVED,
    REQUESTS,
    SENT,
    TOKENS,
    Metric,
)

log = logging.getLogger("sealift.alarm")

AlarmKind = Literal["blob", "audit"]
"""blob: stored bytes are not what they were, or gone. audit: rows of the audit trail could not be written."""

ALARM_KINDS: Final[tuple[AlarmKind, ...]] = ("blob", "audit")

TOKEN_OUTCOMES: Final = ("issued", "denied", "busy", "refused")

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Methods that are counted by their name. Whatever else a client sends is ``other``."""


class Counters:
    """Counts for one process. Belongs to one event loop."""

    def __init__(self, slot: Slot | None = None) -> None:
        self._slot = Board.private() if slot is None else slot

    def add(self, metric: Metric, *labels: str, amount: float = 1.0) -> None:
        """Add to a series of the table, or take away from a gauge.

        Args:
            metric: A row of `sealift.registry.metrics`.
            labels: One value a label, out of a bounded set.
            amount: How much.
        """
        assert len(labels) == len(metric.labels), metric.name  # noqa: S101 - a fault of the caller's source
        slot = self._slot
        slot.values[slot.place(Series(metric.name, labels))] += amount

    def start(self, metric: Metric, *labels: str) -> None:
        """Have a series shown from the first scrape on: its rate is right from the first event."""
        self.add(metric, *labels, amount=0.0)


class Alarms:
    """Raises what an operator has to look at now: a line in the log, and a count to be woken by."""

    def __init__(self, counters: Counters | None = None) -> None:
        self._counters = Counters() if counters is None else counters
        for kind in ALARM_KINDS:
            self._counters.start(ALARMS, kind)

    def sound(self, kind: AlarmKind, message: str, *arguments: object) -> None:
        """Log ``ALARM: …`` and count it. The message is as for `logging` and holds no secret."""
        log.critical("ALARM: " + message, *arguments)  # noqa: G003 - the word is what people search for
        self._counters.add(ALARMS, kind)


class RequestCounters:
    """Counts requests. Every request pays for this: a handful of additions, each to a place that is known."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._values = slot.values
        self._in_flight = slot.place(Series(IN_FLIGHT.name))
        self._received = slot.place(Series(RECEIVED.name))
        self._sent = slot.place(Series(SENT.name))
        self._given_up = slot.place(Series(GIVEN_UP.name))
        outcomes = {word: slot.place(Series(TOKENS.name, (word,))) for word in TOKEN_OUTCOMES}
        self._tokens: defaultdict[int, int] = defaultdict(lambda: outcomes["refused"])
        self._tokens |= {200: outcomes["issued"], 401: outcomes["denied"], 429: outcomes["busy"]}
        self._requests: dict[tuple[str, str, int], tuple[int, int]] = {}

    def begin(self) -> None:
        """A request has come."""
        self._values[self._in_flight] += 1.0

    def end(  # noqa: PLR0917 - by name they would cost as much as the counting
        self,
        route: str,
        method: str,
        status: int,
        seconds: float,
        received: int,
        sent: int,
        given_up: bool,  # noqa: FBT001
    ) -> None:
        """A request is over.

        Args:
            route: The name of its endpoint, out of a bounded set.
            method: Of the request, as the client wrote it.
            status: Of the answer; 0 where there was none.
            seconds: From its head to the end of the answer.
            received: Bytes of its body.
            sent: Bytes of the answer's.
            given_up: Whether it was ended because its client kept it waiting.
        """
        values = self._values
        places = self._requests.get((route, method, status))
        if places is None:
            places = self._begin_series(route, method, status)
        values[places[0]] += 1.0
        values[places[1] + bisect_left(BUCKETS, seconds)] += 1.0
        values[places[1] + _SUM] += seconds
        values[self._in_flight] -= 1.0
        if received:
            values[self._received] += received
        if sent:
            values[self._sent] += sent
        if given_up:
            values[self._given_up] += 1.0
        if route == "token":
            values[self._tokens[status]] += 1.0

    def _begin_series(self, route: str, method: str, status: int) -> tuple[int, int]:
        known = method if method in METHODS else "other"
        request = self._slot.place(Series(REQUESTS.name, (route, known, str(status))))
        parts = [Series(DURATION.name, (route,), str(number)) for number in range(len(BUCKETS) + 1)]
        places = request, self._slot.row([*parts, Series(DURATION.name, (route,), "sum")])
        if known == method:
            self._requests[route, method, status] = (
                places  # of other methods there are as many as a client likes
            )
        return places


_SUM: Final = len(BUCKETS) + 1
"""Where the sum stands after the buckets, the last of which has no bound."""
