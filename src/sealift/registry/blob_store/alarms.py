"""What was found damaged: counted, and said in the log in words that an operator can look for.

Every line begins with ``ALARM``. docs/how-to/check-storage.md says what to do.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from sealift.registry.blob_store.blob_damaged import BlobDamaged

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 60.0
"""The same damage is said once in so long, however often it is asked for. It is counted each time."""

MOST_REMEMBERED: Final = 1024
"""Digests of which it is remembered when they were last said."""


class Alarms:
    """Of one process. The numbers only grow; a metric is their sum over the processes."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        """Begin at nothing. `now` is a clock in seconds."""
        self._now = now
        self.told: Callable[[], None] = _nobody
        """Called for each piece of damage, from whichever thread found it. A metric is counted by it."""
        self._said: OrderedDict[str, float] = OrderedDict()
        self.missing = 0
        """Times that a blob was asked for, and its file was not there."""
        self.wrong_size = 0
        """The same, and its file was shorter or longer than it should be."""
        self.changed = 0
        """The same, and its bytes had another digest."""
        self.manifests = 0
        """Times that a manifest was asked for, and its bytes had another digest."""
        self.unsteady = 0
        """Times that a file was read twice and was not the same: the memory or the disk is failing."""
        self.healed = 0
        """Damaged blobs that a push has replaced."""
        self.examined_blobs = 0
        """Blobs that the scrubber has read."""
        self.examined_bytes = 0
        """Bytes of these."""

    def sound(self, damaged: BlobDamaged, place: str) -> None:
        """Count a piece of damage and say it, with where it showed."""
        if damaged.kind == "manifest":
            self.manifests += 1
        elif damaged.found is None:
            self.missing += 1
        elif damaged.found != damaged.expected:
            self.wrong_size += 1
        else:
            self.changed += 1
        self.told()
        now, name = self._now(), str(damaged.digest)
        if now - self._said.get(name, -AGAIN_SECONDS) < AGAIN_SECONDS:
            return
        self._said[name] = now
        self._said.move_to_end(name)
        if len(self._said) > MOST_REMEMBERED:
            self._said.popitem(last=False)
        log.error("ALARM: %s (%s)", damaged, place)


def _nobody() -> None:
    """Nobody asked to be told."""
