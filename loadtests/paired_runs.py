"""Two servers measured in turns, so that whatever else the machine does meets both alike.

The ratio is that of the medians. Its spread is over the rounds: in each, one turn of each server,
one right after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests.spread import Spread

if TYPE_CHECKING:
    from loadtests.closed_loop import ClosedLoopResult


@dataclass(frozen=True, slots=True)
class PairedRuns:
    """What both servers gave, by round.

    Attributes:
        gateway: turns of the gateway.
        bare: turns of a handler that does nothing.
    """

    gateway: list[ClosedLoopResult] = field(default_factory=list)
    bare: list[ClosedLoopResult] = field(default_factory=list)

    @property
    def per_s(self) -> Spread:
        """Requests per second that the gateway answered."""
        return Spread.of(asked.per_s for asked in self.gateway)

    @property
    def bare_per_s(self) -> Spread:
        """Requests per second that the bare handler answered."""
        return Spread.of(asked.per_s for asked in self.bare)

    @property
    def ratio(self) -> float:
        """The gateway's median as a part of the bare handler's."""
        return self.per_s.median / self.bare_per_s.median

    @property
    def ratios(self) -> Spread:
        """The gateway's rate as a part of the bare handler's, in each round."""
        rounds = zip(self.gateway, self.bare, strict=True)
        return Spread.of(gateway.per_s / bare.per_s for gateway, bare in rounds)

    @property
    def failed(self) -> int:
        """Requests that had no success."""
        return sum(asked.failed for asked in (*self.gateway, *self.bare))

    def p95_ms(self) -> tuple[Spread, Spread]:
        """95th percentiles of the gateway's and of the bare handler's latencies."""
        return (
            Spread.of(asked.p95_ms for asked in self.gateway),
            Spread.of(asked.p95_ms for asked in self.bare),
        )
