"""The answer of a token service.

Spec: distribution, spec/auth/token.md and spec/auth/oauth.md (R-AUT-12).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Self

from sealift.errors import SealiftError
from sealift.protocol.scope import Scope

DEFAULT_EXPIRES_IN: Final = 60
"""Seconds that a token lives where the answer does not say."""

MAX_EXPIRES_IN: Final = 10 * 365 * 24 * 3600
"""Seconds. A longer life is cut to this: no clock of ours overflows."""


class MalformedTokenAnswer(SealiftError):
    """The token service answered, and not with a token."""

    exit_status: ClassVar[int] = 4


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TokenAnswer:
    """A token, and for how long it is good. Its ``repr`` does not show it."""

    token: str
    expires_in: int = DEFAULT_EXPIRES_IN
    """Seconds from `issued_at`, or from now."""

    issued_at: datetime | None = None
    """In UTC. None where the answer does not say, or not so that it can be read."""

    refresh_token: str | None = None

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Read the JSON of an answer with status 200. ``access_token`` goes before ``token``.

        Raises:
            MalformedTokenAnswer: It holds no token. The error holds nothing of
                the body.
        """
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise MalformedTokenAnswer("the token service did not answer with a JSON object")
        token = _text(document, "access_token") or _text(document, "token")
        if token is None or not token.isascii() or not token.isprintable():
            raise MalformedTokenAnswer(
                "the token service sent no token",
                why="authorization server did not include a token in the response",
            )
        return cls(
            token=token,
            expires_in=_seconds(document.get("expires_in")),
            issued_at=_time(_text(document, "issued_at")),
            refresh_token=_text(document, "refresh_token"),
        )

    def write(self) -> bytes:
        """The JSON of an answer: the token under both names, so that every client finds it."""
        document: dict[str, Any] = {
            "token": self.token,
            "access_token": self.token,
            "expires_in": self.expires_in,
        }
        if self.issued_at is not None:
            document["issued_at"] = self.issued_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if self.refresh_token is not None:
            document["refresh_token"] = self.refresh_token
        return json.dumps(document, separators=(",", ":")).encode()

    def __repr__(self) -> str:
        return f"TokenAnswer(token=***, expires_in={self.expires_in}, issued_at={self.issued_at!r})"


def read_access(claim: object) -> tuple[Scope, ...]:
    """The scopes in the ``access`` claim of a token. What is none is left out: it allows nothing."""
    if not isinstance(claim, list):
        return ()
    read = (Scope.from_access(entry) for entry in claim if isinstance(entry, dict))
    return tuple(scope for scope in read if scope is not None)


def write_access(scopes: Iterable[Scope]) -> list[dict[str, Any]]:
    """The ``access`` claim for some scopes."""
    return [scope.to_access() for scope in scopes]


def _text(document: dict[str, Any], key: str) -> str | None:
    value = document.get(key)
    return value if isinstance(value, str) and value else None


def _seconds(value: object) -> int:
    """A life time. Zero and less, and what is no number, are the default."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 1:
        return DEFAULT_EXPIRES_IN
    return int(min(value, MAX_EXPIRES_IN))


def _time(text: str | None) -> datetime | None:
    """RFC 3339, with any number of digits after the seconds."""
    try:
        moment = datetime.fromisoformat(text or "")
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
