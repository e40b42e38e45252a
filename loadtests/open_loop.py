"""Offering work at fixed times, whatever the server does: the open loop.

A closed loop waits for an answer before it asks again, so a server that stands still for a second
spoils one sample and the rest of that second is never asked for ("coordinated omission", Gil Tene).
Here every request has a time at which it is due, and its latency counts from that time, also when
the generator itself was late. Samples are kept raw; percentiles are computed from all of them.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from numpy.typing import NDArray

LATE_S: Final = 0.01  # offered later than this after the time it was due, a request counts as late


@dataclass(frozen=True, slots=True)
class Schedule:
    """Requests at equal intervals.

    Attributes:
        start: when the first is due, s on the monotonic clock.
        rate: requests per second.
        count: number of requests.
    """

    start: float
    rate: float
    count: int

    def __post_init__(self) -> None:
        if not self.rate > 0.0 or self.count < 0:
            raise InvalidInput(
                "no schedule",
                f"{self.count} requests at {self.rate} a second make none",
                "Give a rate above 0.",
                entry="rate",
            )

    @classmethod
    def lasting(cls, start: float, rate: float, seconds: float) -> Schedule:
        """The schedule that begins at `start` and lasts for `seconds` at this rate."""
        return cls(start, rate, round(rate * seconds))

    def due(self, now: float) -> int:
        """How many requests are due by `now`."""
        if now < self.start:
            return 0
        return min(self.count, int((now - self.start) * self.rate) + 1)

    def times(self, first: int, stop: int) -> NDArray[np.float64]:
        """When requests `first` to `stop` (exclusive) are due."""
        return self.start + np.arange(first, stop) / self.rate


@dataclass(slots=True)
class Samples:
    """Latencies of requests.

    Attributes:
        latency: latency of every request, s from the time when it was due.
        late: number of requests that were offered late.
        errors: number of requests that failed.
    """

    latency: list[float] = field(default_factory=list)
    late: int = 0
    errors: int = 0

    def all(self) -> NDArray[np.float64]:
        """Every latency, s."""
        return np.array(self.latency, np.float64)


def percentiles_ms(
    latency: NDArray[np.floating], which: Sequence[float] = (50, 95, 99)
) -> list[float]:
    """Percentiles of raw latencies in s; NaN where there is none.

    The smallest sample that at least so many percent do not exceed: no interpolation, so each is
    a latency that something really had.
    """
    if not len(latency):
        return [float("nan")] * len(which)
    found = np.percentile(latency, which, method="inverted_cdf")
    return [float(value) * 1000 for value in np.atleast_1d(found)]


async def offer_batches(
    schedule: Schedule,
    send: Callable[[int, int], Awaitable[None]],
    *,
    tick_s: float,
    lanes: int,
    largest: int,
    until: float = math.inf,
) -> int:
    """Call `send(first, stop)` for the requests that fell due, every tick, never waiting for one.

    Args:
        schedule: when each request is due.
        send: offers requests `first` to `stop` (exclusive).
        tick_s: time between two looks at the schedule.
        lanes: most calls of `send` under way. When there are so many, what falls due waits and is
            late.
        largest: most requests in one call.
        until: s on the monotonic clock; what has not been offered by then never is.

    Returns:
        Requests that were offered late: more than a tick and `LATE_S` after they were due.

    Raises:
        ExceptionGroup: what `send` raised.
    """
    free, offered, late = asyncio.Semaphore(lanes), 0, 0

    async def one(first: int, stop: int) -> None:
        try:
            await send(first, stop)
        finally:
            free.release()

    async with asyncio.TaskGroup() as group:
        turn = schedule.start
        while offered < schedule.count:
            turn = max(turn + tick_s, time.monotonic() - tick_s)
            await asyncio.sleep(max(0.0, turn - time.monotonic()))
            while offered < schedule.due(time.monotonic()):
                await free.acquire()
                now = time.monotonic()
                if now >= until:
                    return late
                stop = min(schedule.due(now), offered + largest)
                late += int((schedule.times(offered, stop) < now - tick_s - LATE_S).sum())
                group.create_task(one(offered, stop))
                offered = stop
    return late


async def offer_singly(
    schedule: Schedule, request: Callable[[int], Awaitable[None]], samples: Samples
) -> None:
    """Make every request at its time, each in a task of its own, and keep its latency.

    A request that raises counts in `samples.errors`, and its latency is kept too: leaving failures
    out would make a server that fails slowly look fast.
    """

    async def one(number: int, due: float) -> None:
        if time.monotonic() > due + LATE_S:
            samples.late += 1
        try:
            await request(number)
        except (OSError, TimeoutError, EOFError):
            samples.errors += 1
        samples.latency.append(time.monotonic() - due)

    async with asyncio.TaskGroup() as group:
        offered = 0
        while offered < schedule.count:
            due = schedule.due(time.monotonic())
            for number, at in enumerate(schedule.times(offered, due).tolist(), offered):
                group.create_task(one(number, at))
            offered = due
            if offered < schedule.count:
                at = float(schedule.times(offered, offered + 1)[0])
                await asyncio.sleep(max(0.0, at - time.monotonic()))
