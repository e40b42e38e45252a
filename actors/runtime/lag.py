"""The delay of an event loop, and the part of it that the machine caused.

A timer that comes late tells that something held the loop up: a callback, another thread with the
interpreter lock, or the kernel, which gave the thread no processor. The first two are the
program's; the last is the machine's, and Linux counts it for each thread (proc(5), schedstat: time
spent waiting on a runqueue). The delay that is reported is always all of it.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.clock import Clock

PROBE_S: Final = 0.02
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
        tell: called with each delay, s.

    Attributes:
        largest: the largest delay so far.
    """

    def __init__(self, clock: Clock, tell: Callable[[float], None] | None = None) -> None:
        self.largest = Lag()
        self._clock = clock
        self._tell = tell

    def note(self, late_s: float, waited_s: float) -> None:
        """Record a delay; until its end the thread had waited `waited_s` for a processor."""
        if late_s > self.largest.late_s:
            self.largest = Lag(late_s, min(waited_s, late_s))
        if self._tell is not None:
            self._tell(late_s)

    async def probe(self) -> None:
        """Measure delays until cancelled."""
        queue = RunQueue()
        try:
            while True:
                waited, due = queue.waited_s(), self._clock.now() + PROBE_S
                await asyncio.sleep(PROBE_S)
                self.note(max(0.0, self._clock.now() - due), queue.waited_s() - waited)
        finally:
            queue.close()
