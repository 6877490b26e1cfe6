"""See also test_app.py, where clients stall."""

import asyncio

from sealift.registry.pace import Pace, Patience


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def test_everything_is_cut_when_time_is_up() -> None:
    pace = Pace(Patience(), now=Clock())
    entered = asyncio.Event()

    async def exchange() -> None:
        waiting = pace.enter()
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            assert waiting.given_up
            pace.leave(waiting)

    task = asyncio.create_task(exchange())
    await entered.wait()
    assert (pace.is_idle, pace.give_up_all()) == (False, 1)
    await asyncio.wait([task])
    assert (task.cancelled(), pace.is_idle, pace.give_up_all()) == (True, True, 0)


async def test_who_does_not_wait_for_its_client_is_left_alone() -> None:
    """A commit that waits for the disk is nobody's stall."""
    clock = Clock()
    pace = Pace(Patience(), now=clock)
    waiting = pace.enter()
    waiting.received = 1_000_000_000
    clock.seconds = 3600
    pace.give_up_late()
    assert (waiting.given_up, pace.given_up) == (False, 0)
    pace.leave(waiting)
