"""Series and differences: what was, in steps, and what is not as it was; unknown is never zero."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.history.archive import LEAST_QUALITY
from actors.history.differences import Differences, differences
from actors.history.metric_store import LINKS, NODES, MetricStore
from actors.history.series import MOST_STEPS, STEPS_S, Series, series, step_for
from actors.topology.provenance import Network
from tests.unit.history.happenings import HOUR, sample

if TYPE_CHECKING:
    from pathlib import Path

    from actors.topology.samples import NetworkSample

REAL = Network.OBSERVED
AB, BC, CD = ("a", "b"), ("b", "c"), ("c", "d")


def store_of(tmp_path: Path, *samples: NetworkSample) -> MetricStore:
    store = MetricStore(tmp_path)
    for minute, taken in enumerate(samples):
        store.write(REAL, taken, HOUR + 60 * minute)
    return store


def of_node(store: MetricStore, minutes: int, step_s: int) -> Series:
    rows = store.read(REAL, NODES, since=HOUR, until=HOUR + 60 * minutes, key={"id": "a"})
    (found,) = series(rows.table, NODES, HOUR, HOUR + 60 * minutes, step_s)
    return found


def test_a_series_has_means_over_what_is_known(tmp_path: Path) -> None:
    """Gaps in time and unknown figures are None; the state is the one of most samples."""
    loads = [1.0, 3.0, math.nan, math.nan, 8.0]
    store = store_of(tmp_path, *(sample({AB: 0.5}, load=[load, 0]) for load in loads))
    store.write(REAL, sample({AB: 0.5}, silent="a", load=[9, 9]), HOUR + 60 * 8)
    found = of_node(store, 10, 120)
    assert found.times == tuple(HOUR + 120 * place for place in range(5))
    assert found.samples == (2, 2, 1, 0, 1)
    assert found.figures == {"load": (2.0, None, 8.0, None, 9.0)}
    assert found.states == ("up", "up", "up", None, "silent")
    assert found.as_dict()["at"][1] == "2025-11-24T16:02:00.000Z"


def test_links_of_one_pair_are_series_of_their_own(tmp_path: Path) -> None:
    """Each kind of link apart."""
    taken = sample({AB: 0.5, BC: 0.25})
    store = store_of(tmp_path, taken, taken)
    rows = store.read(REAL, LINKS, since=HOUR, until=HOUR + 120)
    found = series(rows.table, LINKS, HOUR, HOUR + 120, 60)
    assert [one.of for one in found] == [
        {"a": "a", "b": "b", "kind": "wifi"},
        {"a": "b", "b": "c", "kind": "wifi"},
    ]
    assert found[1].figures["quality_ab"] == (0.25, 0.25)


@given(st.floats(1, 1e10))
def test_a_step_is_as_fine_as_can_be_looked_at(span_s: float) -> None:
    """A step that people think in, and no more steps than can be shown."""
    step = step_for(span_s)
    assert math.ceil(span_s / step) <= MOST_STEPS
    assert step in STEPS_S or step % STEPS_S[-1] == 0
    finer = [one for one in STEPS_S if one < step]
    assert all(span_s / one > MOST_STEPS for one in finer)


@given(
    st.lists(st.tuples(st.integers(0, 29), st.floats(0, 1) | st.just(math.nan)), min_size=1),
    st.sampled_from([60, 300, 900]),
)
def test_no_sample_is_lost_in_steps(
    tmp_path_factory: pytest.TempPathFactory, given: list[tuple[int, float]], step_s: int
) -> None:
    """Samples add up, and every mean lies between the least and the most of its step."""
    store = MetricStore(tmp_path_factory.mktemp("h"))
    first = dict(reversed(given))  # a minute keeps its first sample
    for minute, load in first.items():
        store.write(REAL, sample({AB: 0.5}, load=[load, 0]), HOUR + 60 * minute)
    found = of_node(store, 30, step_s)
    assert sum(found.samples) == len(first)
    for place, mean in enumerate(found.figures.get("load", ())):
        inside = [v for m, v in first.items() if 60 * m // step_s == place and not math.isnan(v)]
        assert (mean is None) == (not inside)
        if mean is not None:
            assert min(inside) - 1e-12 <= mean <= max(inside) + 1e-12


def compare(tmp_path: Path, before: NetworkSample, now: NetworkSample) -> Differences:
    store = store_of(tmp_path, before, now)
    tables = [
        (store.moment(REAL, NODES, at).table, store.moment(REAL, LINKS, at).table)
        for at in (HOUR, HOUR + 60)
    ]
    return differences(*tables, least_quality=LEAST_QUALITY)


def test_what_is_not_as_it_was_is_listed_once(tmp_path: Path) -> None:
    """Members, states, links and qualities; a change that any radio has is none."""
    before = sample({AB: 0.9, BC: 0.5})
    now = sample({AB: 0.4, CD: 0.5, ("a", "d"): 1.0}, silent="c")
    found = compare(tmp_path, before, now)
    nodes = [(one.what, one.of, one.before, one.now) for one in found.nodes]
    assert nodes == [
        ("state", ("c",), "up", "silent"),
        ("joined", ("d",), None, "up"),
    ]
    links = [(one.what, one.of[:2], one.before, one.now) for one in found.links]
    assert links == [
        ("quality", AB, [0.9, 0.9], [0.4, 0.4]),
        ("added", ("a", "d"), None, "up"),
        ("gone", BC, "up", None),
        ("added", CD, None, "up"),
    ]
    assert found.links[0].as_dict()["names"] == ["node-a", "node-b"]


@pytest.mark.parametrize("now", [0.85, math.nan])
def test_a_quality_that_moves_little_or_is_not_known_is_no_difference(
    tmp_path: Path, now: float
) -> None:
    """Nothing is made up of what nobody measured."""
    found = compare(tmp_path, sample({AB: 0.9}), sample({AB: now}))
    assert found == Differences((), ())


def test_samples_that_are_alike_differ_in_nothing(tmp_path: Path) -> None:
    """Also with another order of rows."""
    pairs = {AB: 0.5, BC: 0.6, CD: np.nan}
    assert compare(tmp_path, sample(pairs), sample(pairs)) == Differences((), ())
