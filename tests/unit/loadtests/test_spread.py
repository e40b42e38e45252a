from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.spread import Spread, shown

measurements = st.lists(st.floats(0, 1e9), min_size=1, max_size=30)


@given(measurements)
def test_the_median_has_as_many_values_below_as_above(values: list[float]) -> None:
    """At most half of the values lie on either side of the median, and all within the extremes."""
    spread = Spread.of(values)
    assert sum(value < spread.median for value in values) <= len(values) / 2
    assert sum(value > spread.median for value in values) <= len(values) / 2
    assert spread.low == min(values)
    assert spread.high == max(values)


def test_no_measurement_has_no_spread() -> None:
    """Without a single measurement there is an error, not a zero."""
    with pytest.raises(ValueError, match="no measurement"):
        Spread.of([])


def test_what_never_happened_counts_and_is_null_in_json() -> None:
    """A run that never ended is the greatest of its runs, and JSON gets null for it."""
    spread = Spread.of([5.0, math.inf, 6.0])
    assert str(spread) == "6.00 (5.00 to never)"
    assert spread.as_dict() == {"median": 6.0, "min": 5.0, "max": None, "values": [5.0, None, 6.0]}


def test_a_spread_shows_median_and_extremes() -> None:
    """What a person reads is the median, then the extremes; a single run claims no spread."""
    assert str(Spread.of([5.444, 1.0, 4.6])) == "4.60 (1.00 to 5.44)"
    assert str(Spread.of([0.118])) == "0.118"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.04951, "0.0495"),
        (0.118, "0.118"),
        (3.488, "3.49"),
        (45.44, "45.4"),
        (12345.6, "12,346"),
    ],
)
def test_figures_have_three_digits(value: float, text: str) -> None:
    """A figure shows three significant digits, and never fewer than those before the point."""
    assert shown(value) == text
