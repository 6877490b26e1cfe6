"""Bars on a terminal: one for each blob that is on its way, and one for all of them.

They are drawn by a thread of ours and lines are printed between them, one at a time: where
rich's own thread draws, it may do so between the two halves of a print, and then takes away a
line too many (rich 15 holds its lock while it works out what to draw, not until that is drawn).

Imported only where a bar is drawn: rich takes longer to load than the rest of a command.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from sealift.cli.output import blob_line, short_digest
from sealift.client.registry_client import Delivery
from sealift.image.descriptor import Descriptor
from sealift.image.digest import Digest

SECONDS_BETWEEN = 0.1
"""One drawing and the next."""


class BarProgress:
    """Draws what it is told. Implements the `Progress` of a copy."""

    def __init__(self, bars: Progress, drawing: threading.Lock) -> None:
        self._bars = bars
        self._drawing = drawing
        self._tasks: dict[Digest, TaskID] = {}
        self._passed: dict[Digest, int] = {}
        self._total = 0
        self._all = bars.add_task("all", total=0)

    def begin(self, descriptors: Sequence[Descriptor]) -> None:
        """Show how much there is by now."""
        self._total += sum(each.size for each in descriptors)
        self._bars.update(self._all, total=self._total)

    def restart(self, descriptor: Descriptor) -> None:
        """A bar from its beginning; what passed in vain is taken off the whole."""
        self._bars.advance(self._all, -self._passed.get(descriptor.digest, 0))
        self._passed[descriptor.digest] = 0
        if descriptor.digest not in self._tasks:
            with self._drawing:
                self._tasks[descriptor.digest] = self._bars.add_task(
                    short_digest(descriptor), total=descriptor.size
                )
        self._bars.update(self._tasks[descriptor.digest], completed=0)

    def advance(self, descriptor: Descriptor, size: int) -> None:
        """Move the blob's bar and that of the whole."""
        self._passed[descriptor.digest] += size
        self._bars.advance(self._tasks[descriptor.digest], size)
        self._bars.advance(self._all, size)

    def end(self, descriptor: Descriptor, delivery: Delivery) -> None:
        """The bar goes, and a line says how the blob came to be there."""
        task = self._tasks.pop(descriptor.digest, None)
        if task is not None:
            self._bars.remove_task(task)
        self._bars.advance(self._all, descriptor.size - self._passed.pop(descriptor.digest, 0))
        with self._drawing:
            self._bars.console.print(blob_line(descriptor, delivery.value), highlight=False, markup=False)


@contextmanager
def progress_bars(
    console: Console | None = None, *, seconds_between: float = SECONDS_BETWEEN
) -> Iterator[BarProgress]:
    """Bars on a console, standard error by default, gone when all is done.

    ``NO_COLOR`` is honoured by rich itself.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    drawing = threading.Lock()
    done = threading.Event()

    def draw() -> None:
        while not done.wait(seconds_between):
            with drawing:
                bars.refresh()

    with Progress(
        *columns, console=console or Console(stderr=True), transient=True, auto_refresh=False
    ) as bars:
        drawer = threading.Thread(target=draw, daemon=True)
        drawer.start()
        try:
            yield BarProgress(bars, drawing)
        finally:
            done.set()
            drawer.join()
