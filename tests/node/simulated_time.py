"""A clock that moves when somebody sleeps, and only then."""

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class SimulatedTime:
    """Give `clock` and `sleep` to what wants time. `slept` notes each sleep in seconds."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)  # let the others run
