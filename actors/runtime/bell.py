"""Waking all tasks that wait for a change.

A woken task has to check for itself what changed: a bell carries no data.
"""

from __future__ import annotations

import asyncio
import contextlib


class Bell:
    """Wakes the tasks that wait now, and not those that come later."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake all waiting tasks."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next ring, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
