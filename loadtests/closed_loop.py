"""Asking as fast as answers come: what a server can take at most, from a fixed number of callers.

Each caller asks again as soon as it has its answer, so the rate is the server's and latencies are
those of a server that is always busy. What latencies are at a given rate is for the open loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from loadtests.open_loop import percentiles_ms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from loadtests.http_connection import Connection, HttpAnswer

    Request = Callable[[Connection], Awaitable[HttpAnswer]]


@dataclass(slots=True)
class ClosedLoopResult:
    """What callers got.

    Attributes:
        seconds: time for which they asked.
        latency: latencies of successes that came in that time, s.
        statuses: statuses of all answers, also of those that came later.
        broken: number of connections that ended, each with its caller.
    """

    seconds: float
    latency: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0

    @property
    def per_s(self) -> float:
        """Successes per second."""
        return len(self.latency) / self.seconds

    @property
    def p95_ms(self) -> float:
        """95 of 100 successes took no longer; NaN if there was none."""
        return percentiles_ms(np.array(self.latency), (95,))[0]

    @property
    def failed(self) -> int:
        """Requests that had no success."""
        refused = sum(count for status, count in self.statuses.items() if not _success(status))
        return refused + self.broken


async def ask(
    connections: Sequence[Connection], request: Request, seconds: float
) -> ClosedLoopResult:
    """Have every connection ask again and again for so long, and wait for the last answers.

    Args:
        connections: connections, each with one caller.
        request: function that makes one request on a connection.
        seconds: time after which no request begins.
    """
    end = time.monotonic() + seconds
    asked = ClosedLoopResult(seconds)

    async def call(connection: Connection) -> None:
        while time.monotonic() < end:
            try:
                answer = await request(connection)
            except OSError:
                asked.broken += 1
                return
            asked.statuses[answer.status] += 1
            if time.monotonic() < end and _success(answer.status):
                asked.latency.append(answer.seconds)

    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(call(connection))
    return asked


def _success(status: int) -> bool:
    return 200 <= status < 300
