"""Repeated measurements as their median, with the least and the greatest beside it.

What had not happened when patience ended is infinite: greater than all that was measured, so that
it counts in the median and shows as "never".
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Spread:
    """What repeated measurements gave.

    Attributes:
        values: measurements in the order in which they were made, at least one.
    """

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("no measurement, no spread")

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Collect measurements.

        Raises:
            ValueError: there are none.
        """
        return cls(tuple(values))

    def times(self, factor: float) -> Self:
        """Every measurement multiplied by `factor`."""
        return type(self)(tuple(factor * value for value in self.values))

    @property
    def median(self) -> float:
        """Half of the values are at most this."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The least."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The greatest."""
        return max(self.values)

    def as_dict(self) -> dict[str, object]:
        """For JSON, where never is null."""
        return {
            "median": finite(self.median),
            "min": finite(self.low),
            "max": finite(self.high),
            "values": [finite(value) for value in self.values],
        }

    def __str__(self) -> str:
        if len(self.values) == 1:
            return shown(self.median)
        return f"{shown(self.median)} ({shown(self.low)} to {shown(self.high)})"


def finite(value: float) -> float | None:
    """The value for JSON, which knows no infinity."""
    return value if math.isfinite(value) else None


def shown(value: float) -> str:
    """A figure with three significant digits (or all those before the point), 0 or never."""
    if math.isinf(value):
        return "never"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    places = 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:.{places}f}"
