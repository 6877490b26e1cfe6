"""Patience on its own: what is sent, how often, and what comes of it. The decision is `test_retry`'s."""

from datetime import UTC, datetime

import pytest
from tests.fakes.scripted_transport import Outcome, ScriptedTransport, Told

from sealift.client.patience import Patience
from sealift.client.retry import RetryPolicy
from sealift.transport.http import ConnectionBroken, Request

URL = "https://r.test/"


class Waits(list[float]):
    """What was waited, without waiting."""

    async def sleep(self, seconds: float) -> None:
        self.append(seconds)


def patient(*outcomes: Outcome) -> tuple[Patience, ScriptedTransport, Waits]:
    transport, waits = ScriptedTransport({f"GET {URL}": list(outcomes)}), Waits()
    policy = RetryPolicy(attempts=3, first_wait_seconds=1, longest_wait_seconds=5)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Patience(transport, policy, now=lambda: now, sleep=waits.sleep), transport, waits


def request() -> Request:
    return Request(method="GET", url=URL)


@pytest.mark.parametrize(
    ("outcomes", "status", "waited"),
    [
        pytest.param([Told(200)], 200, [], id="at once"),
        pytest.param([Told(503), Told(200)], 200, [1], id="the second time"),
        pytest.param([ConnectionBroken(""), Told(503), Told(200)], 200, [1, 2], id="the third time"),
        pytest.param([Told(503)], 503, [1, 2], id="never: the last answer is the answer"),
        pytest.param([Told(429, {"retry-after": "0"}), Told(200)], 200, [0], id="without any wait"),
    ],
)
async def test_what_may_pass_is_waited_for(outcomes: list[Outcome], status: int, waited: list[float]) -> None:
    patience, transport, waits = patient(*outcomes)
    response = await patience.send(request)
    assert (response.status, waits) == (status, waited)
    assert len(transport.sent) == len(waited) + 1


async def test_the_last_failure_is_raised() -> None:
    patience, _, waits = patient(ConnectionBroken("it broke"))
    with pytest.raises(ConnectionBroken, match="it broke"):
        await patience.send(request)
    assert waits == [1, 2]


async def test_once_is_once() -> None:
    patience, transport, _ = patient(Told(503))
    assert (await patience.send(request, once=True)).status == 503
    assert len(transport.sent) == 1


@pytest.mark.parametrize(("attempt", "waited"), [(0, []), (1, [1]), (3, [4]), (9, [5])])
async def test_a_pause_grows_and_has_a_longest(attempt: int, waited: list[float]) -> None:
    patience, _, waits = patient(Told())
    await patience.pause(attempt)
    assert waits == waited
