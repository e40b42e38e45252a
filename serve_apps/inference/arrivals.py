"""Whether what a neighbour sends all the time still arrives: a witness for one direction of a link.

Only what is received is known, not what was sent. So this is no loss rate, but the share that is
missing of what usually comes: of the packets from link-local addresses, which routing daemons send
at a steady rate (a babeld one a Hello). What is always lost is usual; a neighbour that sends less
than before looks the same as a link that loses more.

The usual rate is the median of the last intervals that were calm. How much has to be missing
depends on how much the rate varies, so that irregular traffic says nothing. What lasts for `MEMORY`
intervals becomes usual: the neighbour may have been set to another rate.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import TYPE_CHECKING, Final, NamedTuple

from serve_apps.inference.disturbances import DEVIATIONS, LEAST, LOST, MEMORY, SLACK, WELL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serve_apps.inference.incidents import HalfLink
    from serve_apps.inference.neighbour_traffic import HalfTraffic

FEWEST: Final = 8  # calm intervals without which nothing is usual
FEWEST_PACKETS: Final = 4.0  # that an interval usually brings; fewer tell nothing
MOST_ABSENT: Final = 1_000  # half-links that are remembered though nothing is told of them
ALMOST: Final = 0.99  # strength where much is missing and something arrives
WORSE: Final = 0.25  # least share that has to be missing


class Arrival(NamedTuple):
    """What arrived at one end of a link.

    Attributes:
        missing: share of what usually arrives, 0 to 1; NaN: nothing is known to be usual.
        strength: how disturbed that is, 0 to 1, see `Disturbances`.
    """

    missing: float
    strength: float


_UNKNOWN: Final = Arrival(math.nan, 0.0)


@dataclass(slots=True)
class _Usual:
    """What is known of one half-link."""

    rates: deque[float] = field(default_factory=lambda: deque(maxlen=MEMORY))
    lost: float = 0.0  # what several intervals add up to, as of `disturbances`
    bad: int = 0  # intervals for which it has been disturbed

    def judge(self, rate: float, elapsed_s: float) -> Arrival:
        """Compare the rate of an interval with what is usual."""
        usual = median(self.rates) if len(self.rates) >= FEWEST else 0.0
        if usual * elapsed_s < FEWEST_PACKETS:
            return _UNKNOWN
        missing = max(0.0, 1.0 - rate / usual)
        spread = fmean(abs(one - usual) for one in self.rates)
        # A packet that comes in the next interval is not missing, however steady they were.
        deviation = max(spread, 1.0 / elapsed_s) / usual
        share = missing / max(WORSE, DEVIATIONS * deviation)
        self.lost = min(max(self.lost + share - SLACK, 0.0), 1.0)
        worse = self.lost >= 1.0 - SLACK and share >= SLACK
        if not (worse or (self.bad and share >= WELL)):
            self.bad = 0
            return Arrival(missing, 0.0)
        self.bad += 1
        if self.bad > MEMORY:
            self.rates.clear()
            self.bad, self.lost = 0, 0.0
            return _UNKNOWN
        most = 1.0 if missing >= 1.0 else ALMOST  # 1: nothing comes in any more
        return Arrival(missing, min(max(missing / LOST, LEAST), most))


class Arrivals:
    """Knows what usually arrives at each end of each link. Not thread-safe."""

    def __init__(self) -> None:
        self._usual: dict[HalfLink, _Usual] = {}

    def judge(self, traffic: Mapping[HalfLink, HalfTraffic]) -> dict[HalfLink, Arrival]:
        """Compare an interval with the usual, where its control traffic is known."""
        if len(self._usual) > 2 * len(traffic) + MOST_ABSENT:
            self._usual = {half: one for half, one in self._usual.items() if half in traffic}
        return {
            half: self._usual.setdefault(half, _Usual()).judge(one.control_rate, one.elapsed_s)
            for half, one in traffic.items()
            if not math.isnan(one.control_rate)
        }

    def learn(
        self, traffic: Mapping[HalfLink, HalfTraffic], calm: Callable[[HalfLink], bool]
    ) -> None:
        """Let what arrived become usual, at links of which nothing is disturbed."""
        for half, one in traffic.items():
            if not math.isnan(one.control_rate) and calm(half):
                self._usual[half].rates.append(one.control_rate)
