"""The id of a request: in its answer and its error, in each line of the log and each row of the audit trail.

A user sends what the error said, and the operator searches for the id in it. An
id comes from nobody: a client that could choose it could make two requests look
like one. A proxy that is named in the configuration is believed, so that its
log and ours meet too.

Spec: none; ``X-Request-Id`` is custom, and nginx's ``$request_id`` fits.
"""

import os
import re
from contextvars import ContextVar
from typing import Final, Protocol

HEADER: Final = "x-request-id"

ID_BYTES: Final = 8
"""Random bytes of an id. It is no secret; it only must not be met twice in a log."""

POOL_BYTES: Final = 4096
"""Random bytes taken from the system at a time: a system call costs more than an id."""

_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Traced(Protocol):
    """What the lines and rows of one request have in common. The door's own object for a request is one."""

    @property
    def request_id(self) -> str:
        """Its id."""

    @property
    def client(self) -> str:
        """The address that it came from, behind the proxies that are named; empty where unknown."""


TRACE: Final[ContextVar[Traced | None]] = ContextVar("sealift_request", default=None)
"""The request that is being answered. None outside of any, such as in a sweep."""


class RequestIds:
    """Makes ids for one process. Made after the fork: two processes with one pool would repeat each other."""

    def __init__(self) -> None:
        self._pool = ""
        self._place = 0

    def make(self) -> str:
        """A new id: 16 hexadecimal digits."""
        place = self._place
        if place == len(self._pool):
            self._pool, place = os.urandom(POOL_BYTES).hex(), 0
        self._place = place + 2 * ID_BYTES
        return self._pool[place : self._place]


def is_well_formed(text: str) -> bool:
    """Whether an id of a proxy may be taken over: at most 64 letters, digits, ``.``, ``_`` and ``-``."""
    return _WELL_FORMED.fullmatch(text) is not None
