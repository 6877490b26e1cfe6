"""Numbers that several processes count and any of them can add up: one piece of memory, made before the fork.

Each process has a slot of its own in an anonymous shared mapping and is the
only one that writes there, so nothing is locked and nothing is lost; who
answers a scrape adds the slots up. A process that ends leaves its counts where
they are, and the next one that is given the slot counts on: a sum never goes
back. What is true only while a process lives (a gauge) is set to nothing when
its slot is freed.

A slot is a row of 64 bit floats, and the names of those that are in use. A name
is written before the number of names, so that who adds up while another begins
a new one sees it whole or not at all. A float counts to 2^53 without a gap.
"""

import mmap
from dataclasses import dataclass
from typing import Final

CAPACITY: Final = 2048
"""Series of one slot. The table of metrics and the routes make some hundreds; past it none is begun."""

NAME_BYTES: Final = 120

SLOTS_PER_WORKER: Final = 8
"""Old workers go on until their last upload has ended, so that there may be more than one of each number."""

_HEAD: Final = 8
_VALUES: Final = CAPACITY * 8
_SLOT: Final = _HEAD + _VALUES + CAPACITY * NAME_BYTES


@dataclass(frozen=True, slots=True)
class Series:
    """One number with a name: a metric, what of it (``bucket``), and the values of its labels."""

    metric: str
    labels: tuple[str, ...] = ()
    part: str = ""

    def write(self) -> bytes:
        """As it stands in the memory. Raises: ValueError: it is too long."""
        name = "\x1f".join((self.metric, self.part, *self.labels)).encode()
        if len(name) > NAME_BYTES:
            raise ValueError(f"a series is named in at most {NAME_BYTES} bytes")
        return name

    @classmethod
    def read(cls, name: bytes) -> "Series":
        """The series of a name in the memory."""
        metric, part, *labels = name.rstrip(b"\0").decode().split("\x1f")
        return cls(metric, tuple(labels), part)


class Slot:
    """One process's numbers. Only that process may write to it."""

    def __init__(self, memory: memoryview, base: int) -> None:
        self._memory = memory
        self._base = base
        self._used = memory[base : base + _HEAD].cast("Q")
        self.values = memory[base + _HEAD : base + _HEAD + _VALUES].cast("d")
        """What is counted, by the place that `place` gave: ``values[place] += 1`` is all there is to it."""
        self._places: dict[Series, int] = {}
        for place in range(self._used[0]):
            self._places[self._name(place)] = place

    def place(self, series: Series) -> int:
        """Where a series is counted. Past the capacity: the last place, which nobody reads."""
        found = self._places.get(series)
        if found is not None:
            return found
        place = self._used[0]
        if place >= CAPACITY - 1:
            return CAPACITY - 1
        name = series.write()
        start = self._base + _HEAD + _VALUES + place * NAME_BYTES
        self._memory[start : start + NAME_BYTES] = name.ljust(NAME_BYTES, b"\0")
        self._places[series] = place
        self._used[0] = place + 1
        return place

    def row(self, many: list[Series]) -> int:
        """Where the first of several series is counted that stand one after the other."""
        found = self._places.get(many[0])
        if found is not None:
            return found
        if self._used[0] + len(many) >= CAPACITY:
            return CAPACITY - len(many)
        return min([self.place(series) for series in many])

    def read(self) -> dict[Series, float]:
        """Every series with its value; also from another process than the one that writes."""
        return {self._name(place): self.values[place] for place in range(self._used[0])}

    def forget(self, metrics: frozenset[str]) -> None:
        """Set the series of some metrics to nothing: their process has ended."""
        for place in range(self._used[0]):
            if self._name(place).metric in metrics:
                self.values[place] = 0.0

    def _name(self, place: int) -> Series:
        start = self._base + _HEAD + _VALUES + place * NAME_BYTES
        return Series.read(bytes(self._memory[start : start + NAME_BYTES]))


class Board:
    """The slots of all processes. Made by the one that forks the others, before it does."""

    def __init__(self, workers: int = 1, *, gauges: frozenset[str] = frozenset()) -> None:
        """Make the memory.

        Args:
            workers: Processes that count at a time.
            gauges: Metrics that end with the process that counted them.
        """
        self._count = workers * SLOTS_PER_WORKER
        self._gauges = gauges
        # Pages that nobody writes to take no memory.
        self._memory = memoryview(mmap.mmap(-1, self._count * _SLOT))
        self._taken: set[int] = set()

    def take(self) -> int | None:
        """A free slot's number, for a process about to be forked; None where all are taken."""
        free = next((number for number in range(self._count) if number not in self._taken), None)
        if free is not None:
            self._taken.add(free)
        return free

    def free(self, number: int) -> None:
        """The process of a slot has ended."""
        self._taken.discard(number)
        self.slot(number).forget(self._gauges)

    def slot(self, number: int) -> Slot:
        """A slot, to count in or to read."""
        return Slot(self._memory, number * _SLOT)

    @staticmethod
    def private() -> Slot:
        """A slot that nobody else sees."""
        return Slot(memoryview(bytearray(_SLOT)), 0)

    def total(self) -> dict[Series, float]:
        """Every series, added up over all processes, those that have ended too."""
        added: dict[Series, float] = {}
        for number in range(self._count):
            for series, value in self.slot(number).read().items():
                added[series] = added.get(series, 0.0) + value
        return added
