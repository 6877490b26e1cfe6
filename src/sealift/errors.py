"""The one class under every error that Sealift raises on purpose."""

from typing import ClassVar


class SealiftError(Exception):
    """Something went wrong that the caller may want to handle or show.

    A user is told three things: what happened (``str(error)``), why (`why`)
    and what to type next (`hint`). ``str(error)`` is one line, safe to log: it
    never holds a password, a token or an Authorization header, and neither do
    the other two.

    Attributes:
        why: The cause in one line, or None where `str(error)` holds it already.
        hint: What the reader can do about it, as a command where there is one,
            or None where we honestly do not know.
        exit_status: What a command that fails with this ends with. The table is
            in docs/reference/exit-status.md; a class says its row, never a number
            of its own.
    """

    exit_status: ClassVar[int] = 2

    def __init__(self, message: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.why = why
        self.hint = hint
