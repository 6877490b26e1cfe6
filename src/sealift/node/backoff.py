"""When a failed pull may be tried again, as a kubelet counts.

Spec: R-IMG-19 to R-IMG-23 (kubelet 1.36, client-go util/flowcontrol.Backoff).
"""

from dataclasses import dataclass
from typing import Final

INITIAL_SECONDS: Final = 10.0
LONGEST_SECONDS: Final = 300.0
FORGET_AFTER_SECONDS: Final = 2 * LONGEST_SECONDS
"""An entry that nobody has updated for longer than this counts as new (R-IMG-20)."""


@dataclass(frozen=True, slots=True)
class BackoffEntry:
    """How long one thing has to wait, counted from when it last failed."""

    window_seconds: float
    updated_at: float
    """Seconds on the clock of whoever asks. Any clock does, if it never steps back."""


def after_failure(entry: BackoffEntry | None, now: float) -> BackoffEntry:
    """The entry after one more failure at `now`: 10, 20, 40, 80, 160, 300, 300 … seconds, no jitter."""
    if entry is None or is_forgotten(entry, now):
        return BackoffEntry(INITIAL_SECONDS, now)
    return BackoffEntry(min(entry.window_seconds * 2, LONGEST_SECONDS), now)


def is_forgotten(entry: BackoffEntry, now: float) -> bool:
    """Whether the entry is so old that the next failure starts again with the shortest wait."""
    return now - entry.updated_at > FORGET_AFTER_SECONDS


def seconds_left(entry: BackoffEntry | None, now: float) -> float:
    """How long to wait still; 0 where the next attempt may be made now."""
    if entry is None or is_forgotten(entry, now):
        return 0.0
    return max(entry.updated_at + entry.window_seconds - now, 0.0)


class Backoff:
    """Entries by key. For pulls the key is Pod UID and image text (R-IMG-9, R-IMG-22).

    A success does not reset an entry: a Pod that fails, succeeds and fails
    again within ten minutes waits longer than the first time (R-IMG-21).
    """

    def __init__(self) -> None:
        self._entries: dict[str, BackoffEntry] = {}

    def failed(self, key: str, now: float) -> None:
        """Note one more failure."""
        self._entries[key] = after_failure(self._entries.get(key), now)

    def succeeded(self, now: float) -> None:
        """Drop what is too old to count. All that a success does, whatever succeeded."""
        self._entries = {key: one for key, one in self._entries.items() if not is_forgotten(one, now)}

    def seconds_left(self, key: str, now: float) -> float:
        """How long `key` has to wait still, 0 where it need not."""
        return seconds_left(self._entries.get(key), now)

    def window_seconds(self, key: str, now: float) -> float:
        """How long `key` waits after it failed at `now`, 0 for the first time.

        Containers that end are counted so: from their end, not from their last start.
        """
        entry = self._entries.get(key)
        return 0.0 if entry is None or is_forgotten(entry, now) else entry.window_seconds


def image_key(pod_uid: str, image: str) -> str:
    """The key of an image of a Pod: the text of the Pod, so that two spellings wait apart (R-IMG-22)."""
    return f"{pod_uid}_{image}"
