"""A moment by both clocks.

The wall clock is for telling: events and states carry its time, and it may jump either way. The
steady clock is for judging: every duration is a difference of its times.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """Now.

    Attributes:
        at: Unix time, s.
        steady: time of a clock that never jumps, s.
    """

    at: float
    steady: float
