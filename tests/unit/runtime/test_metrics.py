"""Instruments: one a name, checked names, readable values."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.metrics import MemoryMetrics


def test_a_second_request_returns_the_same_instrument() -> None:
    """Two modules that count under one name count into one place."""
    metrics = MemoryMetrics()
    first = metrics.counter("x0tta6bl4_sent_total", "Sent", ("shard",))
    assert metrics.counter("x0tta6bl4_sent_total", "Sent", ("shard",)) is first


def test_the_same_name_with_another_definition_is_refused() -> None:
    """Other labels, kinds or buckets under one name are an error."""
    metrics = MemoryMetrics()
    metrics.gauge("x0tta6bl4_lag_seconds", "Lag", ("shard",))
    metrics.histogram("x0tta6bl4_rtt_seconds", "RTT", buckets=(1, 2))
    with pytest.raises(ValueError, match="exists as"):
        metrics.gauge("x0tta6bl4_lag_seconds", "Lag")
    with pytest.raises(ValueError, match="exists as"):
        metrics.histogram("x0tta6bl4_lag_seconds", "Lag", ("shard",))
    with pytest.raises(ValueError, match="exists as"):
        metrics.histogram("x0tta6bl4_rtt_seconds", "RTT", buckets=(1, 3))


@pytest.mark.parametrize(
    "name",
    ["sent_total", "x0tta6bl4_", "x0tta6bl4_Sent_total", "x0tta6bl4_a-b_total", "x0tta6bl4_a"],
)
def test_a_counter_of_a_bad_name_is_refused(name: str) -> None:
    """Names have the prefix, lower-case words, and `_total` exactly on counters."""
    with pytest.raises(ValueError, match=r"x0tta6bl4|_total"):
        MemoryMetrics().counter(name, "d")


def test_a_gauge_may_not_look_like_a_counter() -> None:
    """`_total` on a gauge would be read as a sum."""
    with pytest.raises(ValueError, match="_total"):
        MemoryMetrics().gauge("x0tta6bl4_nodes_total", "d")


@pytest.mark.parametrize("label", ["node", "node_id", "mesh_node", "A", "a-b", ""])
def test_a_label_that_is_a_node_or_malformed_is_refused(label: str) -> None:
    """No instrument can be made that grows by a series a mesh node."""
    with pytest.raises(ValueError, match="label"):
        MemoryMetrics().gauge("x0tta6bl4_degree", "d", (label,))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1e9)), max_size=50))
def test_a_counter_holds_the_sum_of_each_series(steps: list[tuple[str, float]]) -> None:
    """Every increment counts into the series of its labels and no other."""
    metrics = MemoryMetrics()
    counter = metrics.counter("x0tta6bl4_sent_total", "d", ("kind",))
    for kind, value in steps:
        counter.inc(value, kind=kind)
    for kind in "ab":
        expected = 0.0
        for step_kind, value in steps:
            expected += value if step_kind == kind else 0.0
        assert metrics.value("x0tta6bl4_sent_total", kind=kind) == expected


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_a_counter_never_falls(value: float) -> None:
    """A negative increment, or one that is no number, is refused."""
    with pytest.raises(ValueError, match="upwards"):
        MemoryMetrics().counter("x0tta6bl4_sent_total", "d").inc(value)


@given(st.lists(st.floats(-10, 10), max_size=60))
def test_a_histogram_counts_as_prometheus_does(values: list[float]) -> None:
    """A bucket holds how many values are at most its bound, the bound included."""
    metrics = MemoryMetrics()
    histogram = metrics.histogram("x0tta6bl4_rtt_seconds", "d", buckets=(-1, 0, 2.5))
    for value in values:
        histogram.observe(value)
    seen = metrics.distribution("x0tta6bl4_rtt_seconds")
    assert seen.count == len(values)
    assert seen.buckets == tuple(sum(v <= bound for v in values) for bound in (-1, 0, 2.5))
    assert seen.total == pytest.approx(sum(values))


@pytest.mark.parametrize("buckets", [(), (2, 1), (1, 1)])
def test_buckets_must_exist_and_ascend(buckets: tuple[float, ...]) -> None:
    """A histogram that could not be read is not made."""
    with pytest.raises(ValueError, match="buckets"):
        MemoryMetrics().histogram("x0tta6bl4_rtt_seconds", "d", buckets=buckets)


@pytest.mark.parametrize("labels", [{}, {"kind": "a", "more": "b"}, {"other": "a"}])
def test_the_declared_labels_are_demanded_exactly(labels: dict[str, str]) -> None:
    """A missing or an extra label is an error in memory as it is in Ray."""
    counter = MemoryMetrics().counter("x0tta6bl4_sent_total", "d", ("kind",))
    with pytest.raises(ValueError, match="kind"):
        counter.inc(**labels)


def test_reading_an_unknown_name_is_an_error() -> None:
    """A test that asserts on a misspelt name fails rather than reading 0."""
    with pytest.raises(KeyError):
        MemoryMetrics().value("x0tta6bl4_sent_total")


def test_threads_lose_no_increment() -> None:
    """Counting from several threads at once adds up."""
    metrics = MemoryMetrics()

    def count() -> None:
        for _ in range(2000):
            metrics.counter("x0tta6bl4_sent_total", "d").inc()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.value("x0tta6bl4_sent_total") == 8000
