"""Instruments: one a name, checked names, readable values."""

from __future__ import annotations

import threading

import pytest

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


@pytest.mark.parametrize("buckets", [(), (2, 1), (1, 1)])
def test_buckets_must_exist_and_ascend(buckets: tuple[float, ...]) -> None:
    """A histogram that could not be read is not made."""
    with pytest.raises(ValueError, match="buckets"):
        MemoryMetrics().histogram("x0tta6bl4_rtt_seconds", "d", buckets=buckets)


@pytest.mark.parametrize("labels", [{}, {"kind": "a", "more": "b"}, {"other": "a"}])
def test_the_declared_labels_are_demanded_exactly(labels: dict[str, str]) -> None:
    """A missing or an extra label is an error in memory as it is in Ray."""
    metrics = MemoryMetrics()
    with pytest.raises(ValueError, match="kind"):
        metrics.counter("x0tta6bl4_sent_total", "d", ("kind",)).inc(**labels)
    with pytest.raises(ValueError, match="kind"):
        metrics.histogram("x0tta6bl4_rtt_seconds", "d", ("kind",)).observe(1.0, **labels)


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
