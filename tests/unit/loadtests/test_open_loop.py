"""The open loop: when requests fall due, what percentiles say, and that a freeze shows."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors.runtime.errors import InvalidInput
from loadtests.open_loop import (
    Samples,
    Schedule,
    offer_batches,
    offer_singly,
    percentiles_ms,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

FREEZE_S = 1.0
# One line in, the same line out: nothing that could be late but the process itself.
SERVER = """
import asyncio
async def answer(reader, writer):
    while line := await reader.readline():
        writer.write(line)
    writer.close()
async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def test_requests_fall_due_one_by_one() -> None:
    """The first is due at the start, each next one period later, and no more than there are."""
    schedule = Schedule.lasting(100.0, 10.0, 0.5)
    assert [schedule.due(at) for at in (99.9, 100.0, 100.25, 100.4, 200.0)] == [0, 1, 3, 5, 5]
    assert schedule.times(1, 4) == pytest.approx([100.1, 100.2, 100.3])


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan])
def test_no_rate_no_schedule(rate: float) -> None:
    """A schedule needs a rate."""
    with pytest.raises(InvalidInput, match="rate above 0"):
        Schedule(0.0, rate, 1)


def test_percentiles_are_samples() -> None:
    """Of 100 latencies of 1..100 ms, 95 do not exceed the 95th percentile, which is one of them."""
    latency = np.arange(100, 0, -1) / 1000
    assert percentiles_ms(latency) == pytest.approx([50.0, 95.0, 99.0])
    assert all(map(math.isnan, percentiles_ms(np.empty(0))))


async def test_batches_cover_the_schedule() -> None:
    """Every request is offered once, in order, by batches of what fell due."""
    offered: list[tuple[int, int]] = []

    async def send(first: int, stop: int) -> None:
        offered.append((first, stop))
        await asyncio.sleep(0)

    schedule = Schedule.lasting(time.monotonic() + 0.02, 5000.0, 0.2)
    await offer_batches(schedule, send, tick_s=0.01, lanes=2, largest=40)
    assert [first for first, _ in offered] == [0, *(stop for _, stop in offered[:-1])]
    assert offered[-1][1] == schedule.count == 1000
    assert max(stop - first for first, stop in offered) <= 40


async def test_late_batches_are_counted() -> None:
    """What falls due while every lane is taken is offered late, and counted."""

    async def send(_first: int, _stop: int) -> None:
        await asyncio.sleep(0.2)

    schedule = Schedule.lasting(time.monotonic(), 1000.0, 0.3)
    late = await offer_batches(schedule, send, tick_s=0.01, lanes=1, largest=1000)
    assert 100 <= late <= schedule.count


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A real server in a process of its own, and its port."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        try:
            yield process, port
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


async def freeze(pid: int, after_s: float) -> None:
    await asyncio.sleep(after_s)
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(FREEZE_S)
    os.kill(pid, signal.SIGCONT)


async def ask(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"ping\n")
    assert await reader.readline() == b"ping\n"
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_a_freeze_of_the_server_shows(server: tuple[subprocess.Popen[str], int]) -> None:
    """A server that stands still for 1 s has a p99 of about 1 s at a fixed schedule."""
    process, port = server
    samples = Samples()
    schedule = Schedule.lasting(time.monotonic(), 100.0, 4.0)
    freezing = asyncio.create_task(freeze(process.pid, 1.0))
    await offer_singly(schedule, lambda _: ask(port), samples)
    await freezing
    latency = samples.all()
    assert len(latency) == schedule.count
    assert samples.errors == 0
    (p99,) = percentiles_ms(latency, [99])
    assert p99 > 800
    # Those that were due while it stood still, each with what was left of the freeze.
    assert int((latency > 0.3 * FREEZE_S).sum()) > 50


async def test_a_closed_loop_would_not_show_it(
    server: tuple[subprocess.Popen[str], int],
) -> None:
    """Asking again only after each answer hides the same freeze: one sample of hundreds is slow."""
    process, port = server
    latency = []
    freezing = asyncio.create_task(freeze(process.pid, 1.0))
    end = time.monotonic() + 4.0
    while time.monotonic() < end:
        start = time.monotonic()
        await ask(port)
        latency.append(time.monotonic() - start)
        await asyncio.sleep(0.005)
    await freezing
    slow = sum(one > 0.8 for one in latency)
    assert 1 <= slow < 10  # and not the more than 50 of a fixed schedule


async def test_failures_keep_their_latency() -> None:
    """A request that fails slowly counts as an error, and its time is not left out."""

    async def fail(_number: int) -> None:
        await asyncio.sleep(0.05)
        raise ConnectionResetError

    samples = Samples()
    await offer_singly(Schedule.lasting(time.monotonic(), 100.0, 0.1), fail, samples)
    assert samples.errors == len(samples.all()) == 10
    assert samples.all().min() >= 0.05
