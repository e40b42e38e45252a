"""Clocks that are passed as arguments, so that the same code runs live and simulated.

`now()` is seconds on a monotonic scale: good for differences and deadlines, never a date. Time in
one clock never falls.
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """A source of the time."""

    def now(self) -> float:
        """Seconds since an epoch of the clock's own; never less than an earlier answer."""
        ...


class SystemClock:
    """CLOCK_MONOTONIC, whose epoch is the boot of the machine.

    All processes of one host (and one time namespace) share it, so a time taken in one shard may
    be compared in another; times of two hosts may not. It does not count suspended time.
    """

    __slots__ = ()

    def now(self) -> float:
        """Seconds since boot."""
        return time.clock_gettime(time.CLOCK_MONOTONIC)


class VirtualClock:
    """A clock that moves only when it is advanced: for simulation and tests."""

    __slots__ = ("_now",)

    def __init__(self, start_s: float = 0.0) -> None:
        self._now = start_s

    def now(self) -> float:
        """Seconds, as last advanced to."""
        return self._now

    def advance(self, by_s: float) -> float:
        """Move forward by `by_s` >= 0 seconds and return the new time.

        Raises:
            ValueError: `by_s` is negative or not finite.
        """
        return self.advance_to(self._now + by_s)

    def advance_to(self, time_s: float) -> float:
        """Move forward to `time_s` and return it.

        Raises:
            ValueError: `time_s` lies in the past or is not finite.
        """
        if not math.isfinite(time_s) or time_s < self._now:
            raise ValueError(f"time cannot go from {self._now} to {time_s}: it only moves forward")
        self._now = time_s
        return time_s


def iso(at: float) -> str:
    """A Unix time, s, as ISO 8601 in UTC with milliseconds, as JSON tells it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
