"""The clock of the sandbox's chains: it goes with the wall clock, and can be put forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.database import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable


class ChainClock:
    """Never goes back.

    Args:
        wall: ms since the Unix epoch.
    """

    def __init__(self, wall: Callable[[], int] = now_ms) -> None:
        self._wall = wall
        self._last_ms = 0
        self.ahead_ms = 0  # of the wall clock

    def now_ms(self) -> int:
        """Time on the chains, ms since the Unix epoch."""
        self._last_ms = max(self._last_ms, self._wall() + self.ahead_ms)
        return self._last_ms

    def forward_to(self, time_ms: int) -> None:
        """Put the clock forward to `time_ms`, if that is in its future."""
        self.ahead_ms += max(0, time_ms - self.now_ms())
