"""Samples in files: minutes, hours, what a killed writer leaves, and how much is kept."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.history.metric_store import LINKS, NODES, MetricStore
from actors.topology.provenance import Network
from tests.unit.history.happenings import HOUR, sample

if TYPE_CHECKING:
    from pathlib import Path

REAL, LAB = Network.OBSERVED, Network.EMULATED
AB, BC = ("a", "b"), ("b", "c")


@pytest.fixture
def store(tmp_path: Path) -> MetricStore:
    return MetricStore(tmp_path / "history")


def fill(store: MetricStore, minutes: range, network: Network = REAL) -> None:
    for minute in minutes:
        taken = sample({AB: 0.5 + minute / 1000, BC: 1.0}, clients=[minute, math.nan, 0])
        store.write(network, taken, HOUR + 60 * minute)


def qualities(store: MetricStore, since: int = 0, until: int = 600) -> list[float]:
    found = store.read(
        REAL, LINKS, since=HOUR + 60 * since, until=HOUR + 60 * until, key={"a": "a", "b": "b"}
    )
    assert found.unreadable == ()
    return [round(1000 * (row["quality_ab"] - 0.5)) for row in found.table.to_pylist()]


def test_what_was_written_is_read(store: MetricStore) -> None:
    """By node or link and by time, before and after the hour is one file; unknown is None."""
    fill(store, range(58, 63))
    for _ in range(2):
        assert qualities(store) == [58, 59, 60, 61, 62]
        assert qualities(store, 59, 61) == [59, 60]
        nodes = store.read(REAL, NODES, since=HOUR, until=HOUR + 7200, key={"id": "b"}).table
        assert nodes["name"].to_pylist() == ["node-b"] * 5
        assert nodes["clients"].to_pylist() == [None] * 5
        one = store.moment(REAL, NODES, HOUR + 60 * 60).table
        assert one["id"].to_pylist() == ["a", "b", "c"]
        assert one["clients"].to_pylist() == [60, None, 0]
        store.compact(HOUR + 2 * 3600)
    assert not list(store.directory.rglob("*.parts"))


def test_an_hour_is_one_file_that_other_tools_read(store: MetricStore) -> None:
    """Sorted by link and time, with times in UTC; the hour that goes on stays in minutes."""
    fill(store, range(62))
    assert store.compact(HOUR + 3700) == 2  # nodes and links of one hour
    (whole,) = store.directory.glob("observed/links/*.parquet")
    table = pq.read_table(whole)
    assert table.num_rows == 120
    assert str(table["at"].type) == "timestamp[ms, tz=UTC]"
    assert table["a"].to_pylist() == ["a"] * 60 + ["b"] * 60
    assert table["at"].to_pylist() == sorted(table["at"].to_pylist()[:60]) * 2
    assert len(list(store.directory.glob("observed/links/*.parts/*.parquet"))) == 2
    assert store.compact(HOUR + 3700) == 0


def test_a_minute_is_told_once(store: MetricStore) -> None:
    """A second sample in it, and minutes that a killed writer did not remove, change nothing."""
    fill(store, range(3))
    store.write(REAL, sample({AB: 0.9}), HOUR + 61)
    assert qualities(store) == [0, 1, 2]
    (parts,) = store.directory.glob("observed/links/*.parts")
    shutil.copytree(parts, parts.with_name("kept"))
    store.compact(HOUR + 3600)
    shutil.move(parts.with_name("kept"), parts)
    assert qualities(store) == [0, 1, 2]
    fill(store, range(3, 5))  # the clock was set back
    assert qualities(store) == [0, 1, 2, 3, 4]
    store.compact(HOUR + 3600)
    assert qualities(store) == [0, 1, 2, 3, 4]


def test_a_file_that_cannot_be_read_costs_its_own_rows(store: MetricStore) -> None:
    """It is named; the others are read."""
    fill(store, range(3))
    (parts,) = store.directory.glob("observed/links/*.parts")
    (parts / "01.parquet").write_bytes(b"PAR1 and then nothing")
    found = store.read(REAL, LINKS, since=HOUR, until=HOUR + 600, key={"a": "a"})
    assert [path.rpartition("/")[2] for path in found.unreadable] == ["01.parquet"]
    assert found.table.num_rows == 2


def test_figures_come_and_go(store: MetricStore) -> None:
    """A figure that was not told in some minutes is unknown there."""
    store.write(REAL, sample({AB: 1}, load=[1, 2]), HOUR)
    store.write(REAL, sample({AB: 1}, clients=[3, 4]), HOUR + 60)
    store.compact(HOUR + 3600)
    table = store.read(REAL, NODES, since=HOUR, until=HOUR + 600, key={"id": "a"}).table
    assert table["load"].to_pylist() == [1, None]
    assert table["clients"].to_pylist() == [None, 3]


def test_the_networks_do_not_mix(store: MetricStore) -> None:
    """Each has its own files."""
    fill(store, range(2))
    fill(store, range(5, 6), LAB)
    assert store.newest(REAL) == HOUR + 60
    assert store.newest(LAB) == HOUR + 300
    assert store.newest(REAL, until=HOUR + 59) == HOUR
    assert store.newest(REAL, until=HOUR - 1) is None
    assert store.read(LAB, LINKS, since=HOUR, until=HOUR + 60).table.num_rows == 0


def test_what_is_kept_is_bounded(store: MetricStore) -> None:
    """By age and by size; the oldest hours go first, and the one that goes on stays."""
    for hour in range(4):
        fill(store, range(60 * hour, 60 * hour + 2))
    store.compact(HOUR + 3 * 3600)
    size = store.bytes()
    assert store.expire(HOUR + 3600, 10**9) == 2  # nodes and links of the first hour
    assert qualities(store) == [60, 61, 120, 121, 180, 181]
    assert store.expire(0, store.bytes() - 1) == 1
    assert store.bytes() < size
    store.expire(HOUR + 10**9, 0)
    assert qualities(store) == [180, 181]


def test_files_of_others_are_left_alone(store: MetricStore) -> None:
    """What has no name of ours is neither read nor deleted."""
    fill(store, range(1))
    strange = store.directory / "observed" / "links" / "notes.parquet"
    strange.write_text("x")
    store.expire(HOUR + 10**9, 0)
    store.compact(HOUR + 10**6)
    assert strange.exists()
    assert qualities(store) == [0]


@given(st.lists(st.tuples(st.sampled_from(["write", "compact"]), st.integers(0, 150)), max_size=12))
def test_any_order_of_writing_and_compacting_tells_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    """Every minute that was written is told once, in the order of time."""
    store = MetricStore(tmp_path_factory.mktemp("history"))
    for step, minute in steps:
        if step == "write":
            fill(store, range(minute, minute + 1))
        else:
            store.compact(HOUR + 60 * minute)
    written = sorted({minute for step, minute in steps if step == "write"})
    assert qualities(store) == written
    assert store.newest(REAL) == (HOUR + 60 * written[-1] if written else None)
