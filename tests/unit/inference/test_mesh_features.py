"""Features of nodes and of incidents in meshes, by whatever is measured."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.topology.radio import generate
from serve_apps.inference import incident_features, node_features
from serve_apps.inference.mesh_series import MOST, median, series_of
from serve_apps.inference.propagation import NEVER
from serve_apps.inference.simulation.runs import Run, SimulationPlan, simulate
from serve_apps.inference.simulation.simulated_faults import FaultKind
from serve_apps.inference.telemetry import Metric, NetworkGraph, Place, Telemetry
from tests.unit.inference.shuffled import shuffled

NAMES = node_features.FEATURES


@pytest.fixture(scope="module")
def run() -> Run:
    """A node that goes down, with a cascade behind it and noise around."""
    return simulate(SimulationPlan(generate(18, 2), (2,), 3, (FaultKind.NODE_DOWN,)), 5)


def only(telemetry: Telemetry, *names: str) -> Telemetry:
    return replace(telemetry, metrics={name: telemetry.metrics[name] for name in names})


def column(run: Run, row: int, name: str) -> np.ndarray:
    found = node_features.node_features(run.telemetry, row)
    return found.deviations[:, NAMES.index(name)]


def test_a_node_that_is_down_has_only_what_its_neighbours_say(run: Run) -> None:
    root, last = run.plans[0].root.node, run.plans[0].end - 1
    found = node_features.node_features(run.telemetry, last)
    told = dict(zip(NAMES, found.deviations[root], strict=True))
    assert {name for name, value in told.items() if np.isfinite(value)} == {"loss_rate", "link_age"}
    assert told["loss_rate"] == MOST
    assert told["link_age"] < -3
    assert found.values[root, NAMES.index("loss_rate")] == 1.0


def test_what_nobody_measures_stays_unknown(run: Run) -> None:
    bare = only(run.telemetry, "quality", "link_up")
    found = node_features.node_features(bare, run.plans[0].start - 1)
    known = np.isfinite(found.deviations).any(axis=0)
    assert {name for name, told in zip(NAMES, known, strict=True) if told} == {
        "loss_rate",
        "link_age",
    }
    metrics = run.telemetry.metrics
    silent = {name: replace(one, values=one.values * np.nan) for name, one in metrics.items()}
    same = node_features.node_features(
        replace(bare, metrics={**silent, **bare.metrics}), run.plans[0].start - 1
    )
    for one, other in zip(astuple(found), astuple(same), strict=True):
        np.testing.assert_array_equal(one, other)
    nothing = node_features.node_features(replace(run.telemetry, metrics={}))
    assert np.isnan(nothing.deviations).all()


def test_nothing_is_said_to_deviate_while_little_is_known_of_what_is_normal(run: Run) -> None:
    assert np.isnan(column(run, 2, "cpu")).all()
    assert np.isfinite(column(run, 5, "cpu")).all()


def test_normal_nodes_deviate_little_and_values_come_in_their_own_units(run: Run) -> None:
    found = node_features.node_features(run.telemetry, run.plans[0].start - 8)
    assert np.nanmedian(np.abs(found.deviations)) < 2
    cpu = NAMES.index("cpu")
    np.testing.assert_array_equal(
        found.values[:, cpu], run.telemetry.metrics["cpu"].values[run.plans[0].start - 8]
    )
    assert np.abs(found.normal[:, cpu] - found.values[:, cpu]).max() < 0.2
    latency = found.normal[:, NAMES.index("latency")]
    assert ((latency > 1e-4) & (latency < 0.5)).all()


def test_a_network_without_links_or_nodes_has_features_too() -> None:
    lonely = NetworkGraph(("a",), (), np.zeros((0, 2), np.int32), np.zeros(0, bool))
    empty = NetworkGraph((), (), np.zeros((0, 2), np.int32), np.zeros(0, bool))
    for graph in (lonely, empty):
        telemetry = Telemetry(graph, np.arange(8.0), {})
        found = node_features.node_features(telemetry)
        assert found.deviations.shape == (len(graph.nodes), len(NAMES))
        about = incident_features.incident_features(telemetry, 7)
        assert about.x.shape == (len(graph.nodes), len(incident_features.FEATURES))


def test_later_rows_are_not_looked_at(run: Run) -> None:
    noticed, now = run.plans[0].start + 1, run.plans[0].start + 3
    cut = Telemetry(
        run.telemetry.graph,
        run.telemetry.times[: now + 1],
        {
            name: replace(metric, values=metric.values[: now + 1])
            for name, metric in run.telemetry.metrics.items()
        },
    )
    np.testing.assert_array_equal(
        incident_features.incident_features(run.telemetry, noticed, now).x,
        incident_features.incident_features(cut, noticed).x,
    )
    np.testing.assert_array_equal(
        node_features.node_features(run.telemetry, now).deviations,
        node_features.node_features(cut).deviations,
    )


@pytest.mark.parametrize("told", [0.9, 0.36], ids=["quality while up", "mean quality"])
def test_a_node_that_dies_within_an_interval_is_no_fault_of_its_neighbours(told: float) -> None:
    """A link that was up in 0.4 of the interval has lost 0.6 of it, however its source tells."""
    graph = NetworkGraph(
        ("dead", "a", "b", "c"),
        ("dead--a", "dead--b", "a--c", "b--c"),
        np.array([[0, 1], [0, 2], [1, 3], [2, 3]], np.int32),
        np.zeros(4, bool),
    )
    up, quality = np.ones((20, 8)), np.full((20, 8), 0.9)
    up[-1, :4], quality[-1, :4] = 0.4, told
    at = np.arange(8, dtype=np.int32)
    telemetry = Telemetry(
        graph,
        np.arange(20.0),
        {
            "link_up": Metric(Place.HALF_LINK, at, up),
            "quality": Metric(Place.HALF_LINK, at, quality),
        },
    )
    assert (series_of(telemetry)["loss_rate"].values[-1, :4] >= 0.6).all()
    found = incident_features.incident_features(telemetry, 19)
    assert (found.node_began != NEVER).tolist() == [True, False, False, False]


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_renaming_and_reordering_changes_no_feature(run: Run, seed: int) -> None:
    other = shuffled(run.telemetry, np.random.default_rng(seed))
    noticed, now = run.plans[0].start + 1, run.plans[0].end - 1
    for moved, here in (
        (
            node_features.node_features(other.telemetry, now).deviations,
            node_features.node_features(run.telemetry, now).deviations,
        ),
        (
            incident_features.incident_features(other.telemetry, noticed, now).x,
            incident_features.incident_features(run.telemetry, noticed, now).x,
        ),
    ):
        np.testing.assert_allclose(moved[other.node], here, rtol=1e-9, atol=1e-9)


def test_the_median_leaves_out_what_is_not_known() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan], [2.0, 7.0, np.nan]])
    np.testing.assert_array_equal(median(values), [2.0, 6.0, np.nan])
