"""Whether a request is sent again, and after how long: a decision, not an action.

Nothing here waits or looks at a clock. What is decided on is passed in, and
the one who asked does the waiting.
"""

import email.utils
from dataclasses import dataclass
from datetime import UTC, datetime

from sealift.transport.http import ConnectionBroken, Unreachable

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE"})
"""Methods that do the same when they are sent twice. Spec: RFC 9110, section 9.2.2."""

PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that may be different the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patient we are."""

    attempts: int = 4
    """All of them, the first one included."""

    first_wait_seconds: float = 0.5
    """Before the second attempt; it doubles with each further one."""

    longest_wait_seconds: float = 30.0
    """A registry that asks for more gets no further attempt: a person would rather be told."""


NO_RETRY = RetryPolicy(attempts=1)
"""For whoever wants to see the first answer, such as an explanation of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended: with an answer, or without one."""

    method: str
    status: int | None = None
    retry_after: str | None = None
    """The header's text, where there was one."""

    failure: Unreachable | None = None

    repeatable: bool = False
    """Whether the request does no harm when it arrives twice, though its method might."""


def wait_before_retry(outcome: Outcome, attempt: int, policy: RetryPolicy, *, now: datetime) -> float | None:
    """Seconds to wait before the next attempt, or None: what came is the answer.

    A registry's own ``Retry-After`` decides where there is one (R-OCI-32).
    Without an answer only a connection that broke is tried again, and only
    where the request does no harm when it arrives twice; a wrong name, a closed
    port, a certificate and silence will be the same in a second.

    Args:
        outcome: How attempt number `attempt` ended.
        attempt: 1 for the first.
        policy: How patient we are.
        now: For a ``Retry-After`` that is a date.
    """
    if attempt >= policy.attempts:
        return None
    growing = min(policy.first_wait_seconds * float(1 << (attempt - 1)), policy.longest_wait_seconds)
    if outcome.failure is not None:
        harmless = outcome.repeatable or outcome.method in IDEMPOTENT_METHODS
        return growing if harmless and isinstance(outcome.failure, ConnectionBroken) else None
    if outcome.status not in PASSING_STATUSES:
        return None
    asked = retry_after_seconds(outcome.retry_after, now=now)
    if asked is None:
        return growing
    return asked if asked <= policy.longest_wait_seconds else None


def retry_after_seconds(text: str | None, *, now: datetime) -> float | None:
    """Read a ``Retry-After`` header: seconds or an HTTP date. None where it is neither.

    Spec: RFC 9110, section 10.2.3. A date in the past is 0.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
