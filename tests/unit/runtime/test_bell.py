"""Who is woken, and who waits on."""

from __future__ import annotations

import asyncio
import time

from actors.runtime.bell import Bell


async def test_a_ring_wakes_all_who_wait_and_nobody_later() -> None:
    """All are woken by one ring; who comes after it waits for the next."""
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait(3600)) for _ in range(3)]
    await asyncio.sleep(0)
    bell.ring()
    async with asyncio.timeout(60):
        await asyncio.gather(*waiting)
    late = asyncio.create_task(bell.wait(3600))
    await asyncio.sleep(0.01)
    assert not late.done()
    bell.ring()
    async with asyncio.timeout(60):
        await late


async def test_nobody_waits_longer_than_he_wants() -> None:
    """Without a ring the time ends the wait."""
    before = time.monotonic()
    await Bell().wait(0.05)
    assert time.monotonic() - before >= 0.05
