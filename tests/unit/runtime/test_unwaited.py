"""Blocking work beside an event loop: its outcome comes back, and nobody waits for its end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from actors.runtime.unwaited import in_thread


async def test_what_it_returns_or_raises_comes_back() -> None:
    """From another thread, to the caller."""
    assert await in_thread(threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


def test_an_event_loop_ends_while_it_blocks() -> None:
    """The thread outlives the loop, and its result is dropped without a complaint."""
    over, ended = threading.Event(), threading.Event()

    def work() -> None:
        over.wait(120)
        ended.set()

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_thread(work), 0.05)

    asyncio.run(impatient())
    assert not ended.is_set()
    over.set()
    assert ended.wait(120)
