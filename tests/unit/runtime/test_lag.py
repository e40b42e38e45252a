"""The delay of an event loop, and what of it the kernel is to blame for."""

from __future__ import annotations

import asyncio
import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import lag
from actors.runtime.clock import SystemClock, VirtualClock
from actors.runtime.lag import Lag, LoopLag, RunQueue

seconds = st.floats(0, 10, allow_nan=False)


@given(st.lists(st.tuples(seconds, seconds), min_size=1))
def test_the_largest_delay_stays(delays: list[tuple[float, float]]) -> None:
    """Whatever comes, the largest delay is kept whole, with at most itself as the kernel's part."""
    measured = LoopLag(SystemClock())
    for late, waited in delays:
        measured.note(late, waited)
    assert measured.largest.late_s == max(late for late, _ in delays)
    assert 0 <= measured.largest.starved_s <= measured.largest.late_s
    if measured.largest.late_s:
        assert any(measured.largest == Lag(late, min(late, waited)) for late, waited in delays)


@given(st.lists(st.tuples(seconds, st.floats(0, 2)), min_size=1))
def test_a_gauge_is_told_each_second_and_misses_nothing(delays: list[tuple[float, float]]) -> None:
    """However delays and pauses follow each other, the largest is told, within a second."""
    clock, told = VirtualClock(), list[float]()
    measured = LoopLag(clock, told.append)
    for number, (late, pause) in enumerate(delays):
        measured.note(late, 0.0)
        clock.advance(pause)
        assert len(told) <= 1 + sum(each for _, each in delays[:number])
    clock.advance(lag.TELL_S)
    measured.note(0.0, 0.0)
    assert max(told) == max(late for late, _ in delays)


def test_a_delay_counts_for_ten_minutes() -> None:
    """The largest delay has a period: later, those that came since are told instead."""
    clock = VirtualClock()
    measured = LoopLag(clock)
    measured.note(5.0, 0.0)
    clock.advance(300)
    measured.note(2.0, 0.0)
    clock.advance(299)
    assert measured.largest.late_s == 5.0
    clock.advance(61)
    assert measured.largest.late_s == 2.0
    clock.advance(301)
    assert measured.largest == Lag()


async def test_a_callback_that_blocks_the_loop_is_seen() -> None:
    """While the loop sleeps in a callback, its timers are late by at least the rest of that."""
    measured = LoopLag(SystemClock())
    probing = asyncio.create_task(measured.probe())
    await asyncio.sleep(0)
    time.sleep(4 * lag.PROBE_S)  # noqa: ASYNC251 - this is what is to be noticed
    await asyncio.sleep(2 * lag.PROBE_S)
    probing.cancel()
    await asyncio.gather(probing, return_exceptions=True)
    assert measured.largest.late_s >= 3 * lag.PROBE_S


@pytest.mark.skipif(not os.path.exists(lag._SCHEDSTAT), reason="no scheduler statistics")  # noqa: PTH110
def test_waiting_for_a_processor_is_counted() -> None:
    """Of threads that all want the one processor that they may use, each has to wait for it."""
    waited: list[float] = []
    together = threading.Barrier(3)
    processor = {min(os.sched_getaffinity(0))}

    def work() -> None:
        os.sched_setaffinity(0, processor)  # of this thread alone
        queue = RunQueue()
        together.wait()
        before, end = queue.waited_s(), time.thread_time() + 0.05
        data = bytes(2**20)
        while time.thread_time() < end:
            hash(memoryview(data))  # keeps the interpreter lock for a while
        waited.append(queue.waited_s() - before)
        queue.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(waited) > 0


def test_a_kernel_that_does_not_tell_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the kernel's statistics, all of a delay is the program's."""
    monkeypatch.setattr(lag, "_SCHEDSTAT", "/proc/thread-self/no-such-file")
    queue = RunQueue()
    assert queue.waited_s() == 0.0
    queue.close()
