"""The rolling window of what was measured: means of intervals, unknown kept apart, bounded."""

from __future__ import annotations

import numpy as np
import pytest

from actors.topology.samples import LINK_FIGURES, LinkSamples, NetworkSample, NodeSamples
from serve_apps.inference import live_telemetry
from serve_apps.inference.live_telemetry import COST, LINK_UP, NODE_UP, QUALITY, LiveTelemetry
from serve_apps.inference.telemetry import Place


def sample(
    nodes: tuple[str, ...], links: list[tuple[str, str]], state: str = "up", ab: float = 0.9
) -> NetworkSample:
    a, b = tuple(one for one, _ in links), tuple(other for _, other in links)
    columns = (ab, 0.7, 1.5, np.nan)
    return NetworkSample(
        NodeSamples(
            nodes, ("",) * len(nodes), ("up",) * len(nodes), {"load": np.zeros(len(nodes))}
        ),
        LinkSamples(
            a,
            b,
            ("wifi",) * len(a),
            (state,) * len(a),
            {
                name: np.full(len(a), value)
                for name, value in zip(LINK_FIGURES, columns, strict=True)
            },
        ),
    )


def test_a_row_has_the_means_of_its_interval_at_the_end_that_measures() -> None:
    window = LiveTelemetry()
    window.look(sample(("a", "b"), [("a", "b")]))
    window.look(sample(("a", "b"), [("a", "b")], "down", 0.7))
    assert window.close(10.0) is not None
    telemetry = window.telemetry()
    assert telemetry.graph.nodes == ("a", "b")
    assert telemetry.times.tolist() == [10.0]
    of = {name: metric.values[0].tolist() for name, metric in telemetry.metrics.items()}
    assert of[LINK_UP] == [0.5, 0.5]
    assert of[QUALITY] == pytest.approx([0.7, 0.8])  # a hears b, b hears a
    assert np.isnan(of[COST][0])
    assert of[COST][1] == 1.5
    assert of[NODE_UP] == [1.0, 1.0]
    assert telemetry.metrics[QUALITY].place is Place.HALF_LINK
    assert telemetry.metrics["load"].place is Place.NODE


def test_an_interval_without_a_look_has_no_row() -> None:
    window = LiveTelemetry()
    assert window.close(10.0) is None
    with pytest.raises(ValueError, match="nothing"):
        window.telemetry()


def test_who_comes_later_has_no_past_and_who_is_absent_is_unknown() -> None:
    window = LiveTelemetry()
    window.look(sample(("a", "b"), [("a", "b")]))
    window.close(10.0)
    window.look(sample(("b", "c"), [("b", "c")]))
    window.close(20.0)
    telemetry = window.telemetry()
    assert telemetry.graph.nodes == ("a", "b", "c")
    up = telemetry.metrics[LINK_UP].values
    assert np.isnan(up[0]).tolist() == [False, False, True, True]
    assert np.isnan(up[1]).tolist() == [True, True, False, False]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By rows, by figures of a large network, by metrics, and by members that come and go."""
    window = LiveTelemetry(kept=5)
    for turn in range(9):
        window.look(sample(("a", "b"), [("a", "b")]))
        window.close(float(turn))
    assert window.telemetry().times.tolist() == [4.0, 5.0, 6.0, 7.0, 8.0]
    monkeypatch.setattr(live_telemetry, "CELLS", 1)
    monkeypatch.setattr(live_telemetry, "FEWEST", 2)
    monkeypatch.setattr(live_telemetry, "GONE", 10)
    monkeypatch.setattr(live_telemetry, "MOST_FIGURES", 1)
    for turn in range(100):
        window.look(sample((f"n{turn}", "z"), [(f"n{turn}", "z")]))
        window.close(float(turn))
    telemetry = window.telemetry()
    assert len(telemetry.times) <= 2
    assert len(telemetry.graph.nodes) < 20
    assert [name for name, one in telemetry.metrics.items() if one.place is Place.NODE] == [NODE_UP]
