"""The delay of an event loop, and the part of it that the machine caused.

A timer that comes late tells that something held the loop up: a callback, another thread with the
interpreter lock, or the kernel, which gave the thread no processor. The first two are the
program's; the last is the machine's, and Linux counts it for each thread (proc(5), schedstat: time
spent waiting on a runqueue). The delay that is reported is always all of it.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.clock import Clock

PROBE_S: Final = 0.02
TELL_S: Final = 1.0
PERIOD_S: Final = 600.0  # how long a delay counts as the largest
_SLICE_S: Final = 60.0  # delays of so long a time are forgotten together
_SCHEDSTAT: Final = "/proc/thread-self/schedstat"


@dataclass(frozen=True, slots=True)
class Lag:
    """One delay of an event loop.

    Attributes:
        late_s: delay of a timer, s.
        starved_s: part of the delay, s, in which the loop's thread waited for a processor; 0 where
            the kernel does not count it.
    """

    late_s: float = 0.0
    starved_s: float = 0.0


class RunQueue:
    """The time that the calling thread has waited for a processor."""

    def __init__(self) -> None:
        try:
            self._file = os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # another kernel, or one without these statistics
            self._file = -1

    def waited_s(self) -> float:
        """The wait since the thread began, s; 0 where the kernel does not count it."""
        if self._file < 0:
            return 0.0
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class LoopLag:
    """The delays of the event loop that runs `probe`.

    Args:
        clock: clock that measures the delays.
        tell: called about once a second with the largest delay since the last call, s.
        probe_s: time between two looks, s; a delay is told too short by less than that.
    """

    def __init__(
        self,
        clock: Clock,
        tell: Callable[[float], None] | None = None,
        *,
        probe_s: float = PROBE_S,
    ) -> None:
        self._slices: deque[tuple[float, Lag]] = deque()  # end of each, and its largest delay
        self._clock = clock
        self._tell = tell
        self._probe_s = probe_s
        self._untold_s = 0.0
        self._tell_at = -math.inf

    def note(self, late_s: float, waited_s: float) -> None:
        """Record a delay; until its end the thread had waited `waited_s` for a processor."""
        now = self._clock.now()
        if not self._slices or now >= self._slices[-1][0]:
            self._slices.append((_SLICE_S * (math.floor(now / _SLICE_S) + 1), Lag()))
        end, largest = self._slices[-1]
        if late_s > largest.late_s:
            self._slices[-1] = end, Lag(late_s, min(waited_s, late_s))
        if self._tell is not None:
            self._untold_s = max(self._untold_s, late_s)
            if now >= self._tell_at:  # not each time: a gauge of Ray costs more than the probe
                self._tell(self._untold_s)
                self._untold_s, self._tell_at = 0.0, now + TELL_S

    @property
    def largest(self) -> Lag:
        """The largest delay of the last ten minutes (rounded up to whole ones)."""
        since = self._clock.now() - PERIOD_S
        while self._slices and self._slices[0][0] <= since:
            self._slices.popleft()
        return max((lag for _, lag in self._slices), key=lambda lag: lag.late_s, default=Lag())

    async def probe(self) -> None:
        """Measure delays until cancelled."""
        queue = RunQueue()
        try:
            before, began = queue.waited_s(), self._clock.now()
            while True:
                await asyncio.sleep(self._probe_s)
                waited, now = queue.waited_s(), self._clock.now()
                self.note(max(0.0, now - began - self._probe_s), waited - before)
                before, began = waited, now  # each is read once: the probe never rests
        finally:
            queue.close()
