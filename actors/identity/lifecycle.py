"""The life of one SVID: from when a new one is due, when it is late, and when it is over.

    FRESH -> DUE -> STALE -> EXPIRED        by time
    any   -> REVOKED                        the Workload API denies the identity
    any   -> FRESH                          a new SVID, which also ends REVOKED

What is left of a life is the lesser of two figures: what the wall clock says, and what it said
when the SVID came, less what has passed on the monotonic clock since. So neither a wall clock that
is set back nor a machine that slept makes an SVID live longer than it does for others.

Sources: SPIRE rotates at half of the life, 10 % more or less; the jitter is drawn once for each
SVID, so that looking often does not make it earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.identity.contract import SvidState

if TYPE_CHECKING:
    from random import Random

JITTER: Final = 0.1  # of the threshold, up or down
STALE_AT: Final = 0.75  # of the life, unless a new one is due later than usual
LATEST: Final = 0.99  # of the life, at which a new one is due whatever is set
LOOKS: Final = 20  # in a life, at least
LEAST_PAUSE_S: Final = 0.02  # between two looks
LEAST_REQUEST_S: Final = 0.25  # between two requests for a new SVID, at least
JUMP_S: Final = 2.0  # by which the wall clock must differ to count as set


@dataclass(frozen=True, slots=True)
class Moment:
    """A time on both clocks.

    Attributes:
        wall: Unix time, s; it may be set.
        monotonic: s since some beginning; it never falls.
    """

    wall: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Life:
    """The times of one SVID; `begin` makes it.

    Attributes:
        length: from NotBefore to NotAfter, s.
        not_after: Unix time, s.
        ends: the same on the monotonic clock, by the wall clock of the moment when it came.
        due_left, stale_left: what is left of the life when it becomes DUE, STALE, s.
    """

    length: float
    not_after: float
    ends: float
    due_left: float
    stale_left: float

    @property
    def due_at(self) -> float:
        """Unix time from which a new one is due, s."""
        return self.not_after - self.due_left

    def left(self, now: Moment) -> float:
        """Seconds that are left, not above 0 once it is over."""
        return min(self.not_after - now.wall, self.ends - now.monotonic)

    def state(self, now: Moment) -> SvidState:
        """The state by time alone."""
        left = self.left(now)
        if left <= 0:
            return SvidState.EXPIRED
        if left <= self.stale_left:
            return SvidState.STALE
        return SvidState.DUE if left <= self.due_left else SvidState.FRESH

    def wake_in(self, now: Moment) -> float:
        """Seconds until the next look: at the next change of state, and `LOOKS` times in a life."""
        left = self.left(now)
        changes = (left - one for one in (self.due_left, self.stale_left, 0.0) if left > one)
        return max(LEAST_PAUSE_S, min([self.length / LOOKS, *changes]))


def begin(
    not_before: float, not_after: float, now: Moment, *, threshold: float, random: Random
) -> Life:
    """The life of an SVID that comes now.

    Args:
        not_before: Unix time, s.
        not_after: Unix time, s.
        now: the time.
        threshold: part of the life after which a new one is due, in (0, 1).
        random: draws the jitter.
    """
    length = not_after - not_before
    due = min(threshold * (1 + random.uniform(-JITTER, JITTER)), LATEST)
    stale = max(STALE_AT, (1 + due) / 2)
    ends = now.monotonic + (not_after - now.wall)
    return Life(length, not_after, ends, (1 - due) * length, (1 - stale) * length)


class RenewalRequests:
    """When a new SVID is asked for: once one is due, then `LOOKS` times in a life."""

    def __init__(self) -> None:
        self._life: Life | None = None
        self._asked = 0.0  # on the monotonic clock

    def asks(self, life: Life, now: Moment) -> bool:
        """Whether to ask now; yes counts as having asked."""
        if life.left(now) > life.due_left:
            return False
        pause = max(life.length / LOOKS, LEAST_REQUEST_S)
        if life == self._life and now.monotonic - self._asked < pause:
            return False
        self._life, self._asked = life, now.monotonic
        return True


class ClockWatch:
    """Notices that the wall clock was set, by the monotonic one."""

    def __init__(self) -> None:
        self._looked: Moment | None = None

    def jump(self, now: Moment) -> float:
        """Seconds by which it was set since the last look; 0.0: it was not."""
        before, self._looked = self._looked, now
        if before is None:
            return 0.0
        set_by = (now.wall - before.wall) - (now.monotonic - before.monotonic)
        return set_by if abs(set_by) >= JUMP_S else 0.0
