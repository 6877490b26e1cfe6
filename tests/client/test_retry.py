from datetime import UTC, datetime

import pytest

from sealift.client.retry import NO_RETRY, Outcome, RetryPolicy, retry_after_seconds, wait_before_retry
from sealift.transport.http import (
    CertificateRefused,
    ConnectionBroken,
    ConnectionRefused,
    NameNotResolved,
    TimedOut,
    Unreachable,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
POLICY = RetryPolicy(attempts=4, first_wait_seconds=1, longest_wait_seconds=10)


@pytest.mark.parametrize(
    ("outcome", "wait"),
    [
        pytest.param(Outcome(method="GET", status=200), None, id="done"),
        pytest.param(Outcome(method="GET", status=404), None, id="an answer"),
        pytest.param(Outcome(method="GET", status=401), None, id="the authorizer's business"),
        pytest.param(Outcome(method="GET", status=501), None, id="it will never be implemented by waiting"),
        *[
            pytest.param(Outcome(method="GET", status=each), 1, id=str(each))
            for each in (408, 429, 500, 502, 503, 504)
        ],
        pytest.param(Outcome(method="POST", status=503), 1, id="a POST that was refused did nothing"),
        pytest.param(Outcome(method="GET", status=429, retry_after="7"), 7, id="the registry decides"),
        pytest.param(Outcome(method="GET", status=429, retry_after="0"), 0, id="at once"),
        pytest.param(
            Outcome(method="GET", status=429, retry_after="11"),
            None,
            id="longer than we wait: say so instead",
        ),
        pytest.param(
            Outcome(method="GET", status=503, retry_after="soon"), 1, id="nonsense counts as nothing"
        ),
        pytest.param(Outcome(method="GET", status=200, retry_after="7"), None, id="only where it failed"),
        pytest.param(Outcome(method="GET", failure=ConnectionBroken("")), 1, id="broken"),
        pytest.param(Outcome(method="PUT", failure=ConnectionBroken("")), 1, id="broken, and harmless twice"),
        pytest.param(
            Outcome(method="POST", failure=ConnectionBroken("")), None, id="broken, perhaps done already"
        ),
        pytest.param(
            Outcome(method="POST", failure=ConnectionBroken(""), repeatable=True),
            1,
            id="broken, and harmless all the same",
        ),
        pytest.param(Outcome(method="PATCH", failure=ConnectionBroken("")), None, id="broken in the middle"),
        *[
            pytest.param(Outcome(method="GET", failure=each("")), None, id=each.__name__)
            for each in (ConnectionRefused, NameNotResolved, TimedOut, CertificateRefused, Unreachable)
        ],
    ],
)
def test_what_may_pass_is_tried_again(outcome: Outcome, wait: float | None) -> None:
    assert wait_before_retry(outcome, 1, POLICY, now=NOW) == wait


@pytest.mark.parametrize(("attempt", "wait"), [(1, 1), (2, 2), (3, 4), (4, None), (5, None)])
def test_waits_grow_and_end(attempt: int, wait: float | None) -> None:
    assert wait_before_retry(Outcome(method="GET", status=503), attempt, POLICY, now=NOW) == wait


def test_waits_have_a_longest() -> None:
    policy = RetryPolicy(attempts=99, first_wait_seconds=1, longest_wait_seconds=10)
    assert wait_before_retry(Outcome(method="GET", status=503), 50, policy, now=NOW) == 10


def test_whoever_wants_the_first_answer_gets_it() -> None:
    assert wait_before_retry(Outcome(method="GET", status=429, retry_after="0"), 1, NO_RETRY, now=NOW) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        (" 5 ", 5.0),
        ("99999999999999999999", 999999999.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 12:00:30", 30.0),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
        (None, None),
        ("\x00", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(text, now=NOW) == seconds
