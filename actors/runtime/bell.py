"""Waking everybody who waits for something to change.

Whoever is woken looks again: a bell says that something happened, and not what.
"""

from __future__ import annotations

import asyncio
import contextlib


class Bell:
    """Rings for those who wait now, and not for those who come later."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake all who wait."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, timeout_s: float) -> None:
        """Return at the next ring, or when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
