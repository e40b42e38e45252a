"""Several starts of a mesh and its gateway, and the figures that sum them up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.lag import Lag
    from loadtests.gateway_start import Started


@dataclass(frozen=True, slots=True)
class Starts:
    """Starts before crowds of one size.

    Attributes:
        crowd: connections of each.
        each: at least one.
    """

    crowd: int
    each: tuple[Started, ...]

    @property
    def requests(self) -> int:
        """Of all crowds."""
        return self.crowd * sum(start.crowd.waves for start in self.each)

    @property
    def errors(self) -> Counter[str]:
        """What was wrong with answers."""
        return sum((start.crowd.errors for start in self.each), Counter[str]())

    @property
    def answers(self) -> Counter[str]:
        """What was answered, by path and status."""
        return sum((start.crowd.answers for start in self.each), Counter[str]())

    @property
    def lag_ms(self) -> dict[str, Spread]:
        """The largest lag in each process."""
        return self._spreads(lambda lag: 1000 * lag.late_s)

    @property
    def starved_ms(self) -> dict[str, Spread]:
        """What of the largest lag was the wait for a processor."""
        return self._spreads(lambda lag: 1000 * lag.starved_s)

    def _spreads(self, figure: Callable[[Lag], float]) -> dict[str, Spread]:
        names = sorted({name for start in self.each for name in start.lag})
        return {name: Spread.of(figure(start.lag[name]) for start in self.each) for name in names}

    @property
    def open_s(self) -> Spread:
        """Until the port was open, Ray's start included."""
        return Spread.of(start.open_s for start in self.each)

    @property
    def ready_s(self) -> Spread:
        """Until mesh and gateway were ready, Ray's start included."""
        return Spread.of(start.ready_s for start in self.each)

    def of_kind(self, *, gateway_first: bool) -> Starts:
        """Those in which the gateway was there before the mesh, or those in which it was not."""
        some = tuple(start for start in self.each if start.gateway_first is gateway_first)
        return Starts(self.crowd, some)

    def values(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {
            "starts": len(self.each),
            "requests": self.requests,
            "errors": dict(self.errors),
            "answers": dict(self.answers),
            "lag_ms": {name: spread.as_dict() for name, spread in self.lag_ms.items()},
            "starved_ms": {name: spread.as_dict() for name, spread in self.starved_ms.items()},
            "open_s": self.open_s.as_dict(),
            "ready_s": self.ready_s.as_dict(),
        }
