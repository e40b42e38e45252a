"""Features of windows: what moves them, and what must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_apps.inference.deviations import deviations
from serve_apps.inference.labelled_windows import labelled_windows, links_of_interfaces
from serve_apps.inference.telemetry import NetworkGraph, Telemetry
from tests.unit.inference.made_data_set import IDLE, made_data_set

MADE = made_data_set()


def _column(name: str) -> int:
    return deviations(MADE.telemetry).features.index(name)


def test_a_loss_shows_at_the_end_that_receives_and_nowhere_else() -> None:
    """In `loss` and `excess`; its opposite stays within noise, an end that leaves is not known."""
    moved = deviations(MADE.telemetry)
    windows = labelled_windows(MADE)
    for one in windows.incidents:
        if one.incident is None or one.incident.kind != "link-loss":
            continue
        graph = one.example.graph
        for name in ("loss.rate.mean", "excess.rate"):
            column = one.example.x[graph.n_nodes :, _column(name)]
            if one.half_link == 6:
                assert np.isnan(column[one.half_link])
                continue
            assert column[one.half_link] < -2
            others = np.delete(column, [one.half_link])
            assert np.nanmax(np.abs(others)) < 2.5
    assert moved.moved.shape[1] == 4 + 8


def test_unknown_is_neither_zero_nor_contagious() -> None:
    """A cell that is missing leaves the other row of the window; a whole column is NaN."""
    metric = MADE.telemetry.metrics["cpu"]
    values = metric.values.copy()
    values[10, 0] = np.nan
    values[:, 1] = np.nan
    metrics = {**MADE.telemetry.metrics, "cpu": replace(metric, values=values)}
    moved = deviations(replace(MADE.telemetry, metrics=metrics))
    x = moved.window(np.array([10, 11]))
    column = moved.features.index("cpu.mean")
    assert np.isfinite(x[0, column])
    assert np.isnan(x[1, column])
    assert np.isnan(x[4:, column]).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_the_order_of_the_minutes_between_incidents_changes_nothing(seed: int) -> None:
    """Whatever is shuffled there: features of incidents are the same to the last bit."""
    windows = labelled_windows(MADE)
    quiet = np.ones(len(MADE.telemetry.times), np.bool_)
    for one in windows.incidents:
        quiet[one.rows] = False
    order = np.arange(len(quiet))
    order[quiet] = np.random.default_rng(seed).permutation(order[quiet])
    metrics = {
        name: replace(metric, values=metric.values[order])
        for name, metric in MADE.telemetry.metrics.items()
    }
    shuffled = labelled_windows(replace(MADE, telemetry=replace(MADE.telemetry, metrics=metrics)))
    for one, other in zip(windows.incidents, shuffled.incidents, strict=True):
        np.testing.assert_array_equal(one.example.x, other.example.x)
        assert one.half_link == other.half_link


def test_renamed_and_reordered_nodes_have_the_same_features() -> None:
    """A permutation of nodes permutes the rows of nodes, and does nothing else."""
    graph = MADE.telemetry.graph
    order = np.array([2, 0, 3, 1])  # new index of each node
    ends = np.where(graph.ends >= 0, order[graph.ends], -1).astype(np.int32)
    names = tuple(f"x{at}" for at in range(4))
    renamed = NetworkGraph(names, graph.links, ends, graph.directed)
    metrics = {
        name: metric if name.startswith(("in", "out")) else replace(metric, at=order[metric.at])
        for name, metric in MADE.telemetry.metrics.items()
    }
    first = deviations(MADE.telemetry).window(slice(22, 24))
    second = deviations(Telemetry(renamed, MADE.telemetry.times, metrics)).window(slice(22, 24))
    np.testing.assert_array_equal(second[order], first[:4])
    np.testing.assert_array_equal(second[4:], first[4:])


def test_a_reference_of_hours_follows_what_changes_slowly() -> None:
    """A level that drifts is normal again after the reference; against all of it, it never is."""
    metric = MADE.telemetry.metrics["cpu"]
    drift = np.linspace(0, 100, len(metric.values))[:, None]
    metrics = {"cpu": replace(metric, values=metric.values + drift)}
    telemetry = replace(MADE.telemetry, metrics=metrics)
    column = deviations(telemetry).features.index("cpu.mean")
    late = np.array([200, 201])
    whole = deviations(telemetry).window(late)[:4, column]
    recent = deviations(telemetry, 3600.0).window(late)[:4, column]
    assert np.abs(recent - np.arcsinh(3)).max() < np.abs(whole).max() + 3
    np.testing.assert_array_equal(
        deviations(telemetry, 1e9).window(late), deviations(telemetry).window(late)
    )


def test_features_that_a_model_wants_and_a_data_set_lacks_are_unknown() -> None:
    """And those that it has besides are left out; the windows say which are lacking."""
    windows = labelled_windows(MADE, ("fans.mean", "cpu.mean"))
    assert windows.incidents[0].example.x.shape[1] == 2
    assert windows.lacking() == ["fans.mean"]


def test_interfaces_are_matched_with_links_by_what_moves() -> None:
    """Although no file says which link leads over which interface."""
    moved = deviations(MADE.telemetry)
    windows = labelled_windows(MADE)
    rows = [one.rows for one in windows.incidents]
    found = links_of_interfaces(MADE.telemetry.graph, moved, MADE.incidents, rows)
    for (node, interface), half_link in found.items():
        at = MADE.telemetry.graph.nodes.index(node)
        half_links = np.flatnonzero(MADE.telemetry.graph.ends.reshape(-1) == at)
        if half_link // 2 != IDLE:
            assert half_links[int(interface[1])] == half_link


def test_a_delay_on_an_idle_link_is_invisible_and_nothing_else_is() -> None:
    """By what the link normally carries, not by what is answered."""
    for one in labelled_windows(MADE).incidents:
        assert one.incident is not None
        assert one.visible == (one.incident.kind != "link-delay")


def test_quiet_windows_overlap_no_incident_and_no_gap() -> None:
    """Nor each other."""
    windows = labelled_windows(MADE)
    rows = np.concatenate([one.rows for one in (*windows.quiet, *windows.incidents)])
    assert len(np.unique(rows)) == len(rows)
    assert len(windows.quiet) == 24 * 5
    start, end = windows.span()
    middle = (start + end) / 2
    parts = windows.between(start, middle), windows.outside(start, middle)
    assert sum(len(part.incidents) for part in parts) == len(windows.incidents)
    assert pytest.approx(end - start, rel=0.05) == 60 * 24 * 12
