"""What is missing of what usually arrives, and how much of that is evidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_apps.inference import arrivals
from serve_apps.inference.arrivals import ALMOST, FEWEST, Arrival, Arrivals
from serve_apps.inference.disturbances import MEMORY
from serve_apps.inference.incidents import HalfLink
from serve_apps.inference.neighbour_traffic import HalfTraffic

if TYPE_CHECKING:
    import pytest

HALF = HalfLink("a,b,wifi", 0)


def traffic(rate: float, elapsed_s: float = 10.0) -> dict[HalfLink, HalfTraffic]:
    return {HALF: HalfTraffic(rate * 100, rate, rate, math.nan, math.nan, elapsed_s)}


def told(rates: list[float], elapsed_s: float = 10.0) -> list[Arrival]:
    """What is told of each interval; those in which nothing is disturbed are learnt from."""
    known, found = Arrivals(), []
    for rate in rates:
        now = traffic(rate, elapsed_s)
        arrived = known.judge(now)
        found.append(arrived[HALF])
        known.learn(now, lambda _, strength=arrived[HALF].strength: not strength)
    return found


def test_nothing_is_missing_before_anything_is_usual() -> None:
    found = told(FEWEST * [1.0] + [0.0])
    assert all(math.isnan(one.missing) and not one.strength for one in found[:FEWEST])
    assert found[FEWEST] == Arrival(1.0, 1.0)


def test_half_of_a_steady_rate_is_evidence_and_all_of_it_again_is_none() -> None:
    found = told(20 * [1.0] + 3 * [0.5] + 3 * [1.0], elapsed_s=60.0)
    assert [one.missing for one in found[20:]] == [0.5, 0.5, 0.5, 0.0, 0.0, 0.0]
    assert [one.strength for one in found[20:]] == 3 * [ALMOST] + 3 * [0.0]


def test_of_few_packets_it_takes_longer() -> None:
    """Half of ten in one interval may still be their timing, in two it is not."""
    found = told(20 * [1.0] + 3 * [0.5])
    assert [one.strength for one in found[20:]] == [0.0, ALMOST, ALMOST]


def test_more_than_usual_is_not_missing() -> None:
    assert told(20 * [1.0] + [5.0])[-1] == Arrival(0.0, 0.0)


def test_a_burst_at_the_beginning_does_not_become_usual() -> None:
    found = told([9.0, 7.0, 4.0] + 20 * [1.0])
    assert not any(one.strength for one in found)
    assert found[-1].missing == 0.0


def test_rare_and_irregular_traffic_says_nothing() -> None:
    """Fewer than a few packets in an interval; and a rate that is as often none as twice."""
    assert math.isnan(told(20 * [1.0] + [0.0], elapsed_s=3.0)[-1].missing)
    assert not told(15 * [0.0, 2.0, 1.0] + 5 * [0.0])[-1].strength


def test_what_lasts_becomes_usual() -> None:
    """A neighbour that was set to half its rate is disturbed for some time, not for ever."""
    found = told(MEMORY * [1.0] + 2 * MEMORY * [0.5], elapsed_s=60.0)
    strengths = [one.strength for one in found]
    assert strengths[MEMORY : 2 * MEMORY] == MEMORY * [ALMOST]
    assert not any(strengths[2 * MEMORY :])
    assert found[-1].missing == 0.0


@settings(max_examples=300)
@given(st.integers(0, 2**32))
def test_steady_hellos_with_the_noise_of_their_timing_are_calm(seed: int) -> None:
    """Ten packets an interval, of which one may come in the next."""
    random = np.random.default_rng(seed)
    rates = (10 + random.integers(-1, 2, 200)) / 10.0
    assert not any(one.strength for one in told(rates.tolist()))


@given(st.lists(st.floats(0, 1e6), max_size=60), st.floats(1e-3, 1e6))
def test_shares_are_shares(rates: list[float], elapsed_s: float) -> None:
    for one in told(rates, elapsed_s):
        assert math.isnan(one.missing) or 0.0 <= one.missing <= 1.0
        assert 0.0 <= one.strength <= 1.0


def test_without_control_traffic_nothing_is_told() -> None:
    assert Arrivals().judge(traffic(math.nan)) == {}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MOST_ABSENT", 5)
    known = Arrivals()
    for turn in range(50):
        known.judge({HalfLink(f"link{turn}", 0): traffic(1.0)[HALF]})
    assert len(known._usual) <= 9
