"""What half-links received: exact where two readings can be compared, else nothing at all."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.xdp.contract import PeerCount, ReceivedTraffic
from actors.xdp.layout import BUCKETS, GAP_BOUNDS_S
from serve_apps.inference import neighbour_traffic
from serve_apps.inference.incidents import HalfLink
from serve_apps.inference.neighbour_traffic import HalfTraffic, NeighbourTraffic, quantile, together

if TYPE_CHECKING:
    from collections.abc import Mapping

HALF = HalfLink("a,b,wifi", 0)
HALVES = {"fe80::1": HALF, "10.0.0.1": HALF, "fe80::2": HalfLink("a,c,wifi", 0)}
NONE = (0,) * BUCKETS
FIRST = ReceivedTraffic("eth0", 7, 100.0, 3, 0, ())


def reading(
    at: float, counts: Mapping[str, tuple[int, int]], gaps: tuple[int, ...] = NONE
) -> ReceivedTraffic:
    peers = tuple(PeerCount(address, *count, gaps) for address, count in counts.items())
    return replace(FIRST, read_at=at, peers=peers)


def compared(*readings: ReceivedTraffic) -> dict[HalfLink, HalfTraffic]:
    """What the last of them tells."""
    traffic = NeighbourTraffic()
    found: dict[HalfLink, HalfTraffic] = {}
    for each in readings:
        found = traffic.step("box", each, HALVES)
    return found


def test_rates_are_of_all_addresses_of_a_neighbour_and_control_of_link_local_ones() -> None:
    first = reading(100.0, {"fe80::1": (10, 1_000), "10.0.0.1": (5, 500)})
    found = compared(first, reading(102.0, {"fe80::1": (14, 1_400), "10.0.0.1": (25, 2_500)}))
    assert set(found) == {HALF}  # the other neighbour has never been heard here
    assert found[HALF].packet_rate == 12.0
    assert found[HALF].throughput == 1_200.0
    assert found[HALF].control_rate == 2.0
    assert math.isnan(found[HALF].gap_median)


def test_who_was_heard_and_is_not_has_sent_nothing_and_who_is_new_all_that_is_counted() -> None:
    heard = reading(100.0, {"fe80::1": (10, 1_000)})
    assert compared(heard, replace(heard, read_at=101.0))[HALF].packet_rate == 0.0
    assert compared(FIRST, replace(heard, read_at=102.0))[HALF].packet_rate == 5.0


@pytest.mark.parametrize(
    "change",
    [
        {"program_id": 8},  # another program may have begun anew
        {"unaccounted": 4},  # something was in no table, or had to make room
        {"read_at": 100.0},
        {"read_at": 3.0},  # the host has started anew
    ],
)
def test_what_cannot_be_compared_is_absent_and_the_next_is_known(change: dict[str, int]) -> None:
    first = reading(100.0, {"fe80::1": (10, 1_000)})
    other = replace(reading(102.0, {"fe80::1": (20, 2_000)}), **change)
    assert compared(first, other) == {}
    later = replace(other, read_at=other.read_at + 1, peers=other.peers)
    assert compared(first, other, later)[HALF].packet_rate == 0.0


def test_an_address_that_was_not_asked_about_before_is_absent_once() -> None:
    traffic = NeighbourTraffic()
    traffic.step("box", FIRST, {})
    second = reading(101.0, {"fe80::1": (10, 1_000)})
    assert traffic.step("box", second, HALVES) == {}
    assert traffic.step("box", replace(second, read_at=102.0), HALVES)[HALF].packet_rate == 0.0


_COUNTS = st.dictionaries(
    st.sampled_from(sorted(HALVES)), st.tuples(*2 * [st.integers(0, 2**40)]), max_size=3
)
_READINGS = st.lists(
    st.builds(
        lambda at, counts, program, unaccounted, gap: replace(
            reading(at, counts, (gap, *NONE[1:])), program_id=program, unaccounted=unaccounted
        ),
        st.floats(0, 1e9),
        _COUNTS,
        st.sampled_from([1, 2]),
        st.sampled_from([0, 0, 0, 1]),
        st.integers(0, 2**33),
    ),
    max_size=8,
)


@given(_READINGS)
def test_nothing_is_negative_whatever_is_read(readings: list[ReceivedTraffic]) -> None:
    """Counters that fall, programs and hosts that begin anew, entries that come and go."""
    traffic = NeighbourTraffic()
    for each in readings:
        for one in traffic.step("box", each, HALVES).values():
            assert one.packet_rate >= 0
            assert one.throughput >= 0
            assert one.elapsed_s > 0
            assert math.isnan(one.control_rate) or 0 <= one.control_rate <= one.packet_rate


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 1000)), min_size=2, max_size=9))
def test_no_packet_is_told_twice_or_lost(steps: list[tuple[int, int]]) -> None:
    """Over all intervals, rates times their durations are what was counted in all."""
    traffic, total, at, told = NeighbourTraffic(), 0, 0, 0.0
    for packets, elapsed in steps:
        total, at = total + packets, at + elapsed
        found = traffic.step("box", reading(at, {"fe80::1": (total, 64 * total)}), HALVES)
        told += sum(one.packet_rate * one.elapsed_s for one in found.values())
    assert told == pytest.approx(sum(packets for packets, _ in steps[1:]), abs=1e-3)


@given(
    st.lists(st.floats(2e-6, 200.0), min_size=1, max_size=60), st.sampled_from([0.25, 0.5, 0.95])
)
def test_a_quantile_is_in_the_bucket_of_the_gap_that_it_is_of(
    gaps: list[float], share: float
) -> None:
    found = quantile(np.bincount(np.searchsorted(GAP_BOUNDS_S, gaps), minlength=BUCKETS), share)
    true = sorted(gaps)[math.ceil(share * len(gaps)) - 1]
    upper = GAP_BOUNDS_S[int(np.searchsorted(GAP_BOUNDS_S, true))]
    assert upper / 4 * 0.999 <= found <= upper * 1.001


def test_a_quantile_beyond_all_bounds_or_of_nothing_is_not_known() -> None:
    assert math.isnan(quantile(np.array([*NONE[1:], 9]), 0.5))
    assert math.isnan(quantile(np.array(NONE), 0.5))


def test_gaps_are_told_once_there_are_enough_in_the_last_readings() -> None:
    """The median sooner than the 95th percentile; old ones are forgotten."""
    traffic, told = NeighbourTraffic(), []
    for turn in range(8):
        gaps = (*NONE[:5], 3 * turn, *NONE[6:])
        (one,) = [
            *traffic.step("box", reading(turn, {"fe80::1": (turn, turn)}, gaps), HALVES).values()
        ] or [None]
        told.append(one)
    medians = [one is not None and not math.isnan(one.gap_median) for one in told]
    assert medians == 3 * [False] + 5 * [True]
    tails = [one is not None and not math.isnan(one.gap_p95) for one in told]
    assert tails == 7 * [False] + [True]
    assert told[-1] is not None
    assert GAP_BOUNDS_S[4] < told[-1].gap_median < told[-1].gap_p95 < GAP_BOUNDS_S[5]


def test_interfaces_that_hear_one_neighbour_are_added() -> None:
    one = HalfTraffic(10.0, 1.0, math.nan, 0.5, 0.9, 2.0)
    other = HalfTraffic(30.0, 3.0, 2.0, 0.1, 0.2, 1.0)
    assert together([{HALF: one}, {HALF: other}]) == {
        HALF: HalfTraffic(40.0, 4.0, 2.0, 0.1, 0.2, 1.0)
    }


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of half-links that come and go, no more than so many have gaps that are kept."""
    monkeypatch.setattr(neighbour_traffic, "MOST_KEPT", 5)
    traffic = NeighbourTraffic()
    for turn in range(50):
        halves = {"fe80::1": HalfLink(f"link{turn}", 0)}
        traffic.step("box", reading(turn, {"fe80::1": (turn, turn)}), halves)
    assert len(traffic._gaps) <= 6
