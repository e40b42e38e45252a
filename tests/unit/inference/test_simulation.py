"""Simulated incidents: what is measured follows from what is wrong, and nothing else."""

import dataclasses
import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actors.topology.model import Topology
from actors.topology.radio import generate
from serve_apps.inference.simulation.condition_labels import TAIL, condition_labels
from serve_apps.inference.simulation.gateway_watcher import seen_at_gateways
from serve_apps.inference.simulation.incident_plans import ROOT_KINDS, plan
from serve_apps.inference.simulation.mesh_world import MeshWorld
from serve_apps.inference.simulation.runs import (
    HELLO_S,
    REST,
    Run,
    SimulationPlan,
    graph_of,
    simulate,
    simulate_all,
)
from serve_apps.inference.simulation.simulated_faults import LINK_KINDS, Effects, FaultKind, Role
from serve_apps.inference.telemetry import Metric, Place, Telemetry

MESH = generate(20, 5)


def half_links_of(topology: Topology, node: int) -> NDArray[np.intp]:
    return np.flatnonzero(topology.ends.reshape(-1) == node)


def before_and_in(run: Run, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of a metric over the rest before the first incident, and over its last rows."""
    planned, values = run.plans[0], run.telemetry.metrics[metric].values
    return values[: planned.start].mean(axis=0), values[planned.end - 3 : planned.end].mean(axis=0)


@pytest.fixture(scope="module")
def runs() -> dict[FaultKind, Run]:
    """One run of each kind of root fault, without noise and consequences."""
    kinds = (*ROOT_KINDS, FaultKind.UPSTREAM)
    plans = [SimulationPlan(MESH, (0,), 0, (kind,)) for kind in kinds]
    return dict(zip(kinds, simulate_all(plans, 4), strict=True))


def test_the_same_seed_gives_the_same_run_and_another_another() -> None:
    wanted = SimulationPlan(generate(12, 1), (1,), 2)
    first, again, other = (simulate(wanted, seed) for seed in (1, 1, 2))
    assert first.incidents == again.incidents
    assert first.plans == again.plans != other.plans
    for name, metric in first.telemetry.metrics.items():
        assert np.array_equal(metric.values, again.telemetry.metrics[name].values, equal_nan=True)


def test_a_node_that_is_down_says_nothing_and_its_links_are_down(
    runs: dict[FaultKind, Run],
) -> None:
    run = runs[FaultKind.NODE_DOWN]
    root = run.plans[0].root
    _, cpu = before_and_in(run, "cpu")
    assert np.isnan(cpu[root.node])
    assert np.isfinite(np.delete(cpu, root.node)).all()
    up = run.telemetry.metrics["link_up"].values[run.plans[0].end - 1]
    theirs = half_links_of(MESH, root.node) ^ 1
    assert (up[theirs] == 0).all()
    assert run.incidents[0].node == MESH.ids[root.node]
    assert run.incidents[0].interface == ""


def test_loss_is_measured_at_the_end_that_receives(runs: dict[FaultKind, Run]) -> None:
    run = runs[FaultKind.LINK_LOSS]
    root = run.plans[0].root
    usual, now = before_and_in(run, "quality")
    assert now[root.half_link] < 0.8 * usual[root.half_link]
    if not root.both_ways:
        assert now[root.half_link ^ 1] > 0.9 * usual[root.half_link ^ 1]
    assert MESH.ends.reshape(-1)[root.half_link] == root.node
    assert run.incidents[0].interface == run.telemetry.graph.links[root.half_link >> 1]


def test_delay_congestion_and_exhaustion_show_where_they_act(runs: dict[FaultKind, Run]) -> None:
    delayed = runs[FaultKind.DELAY]
    usual, now = before_and_in(delayed, "latency")
    assert now[delayed.plans[0].root.half_link] > usual[delayed.plans[0].root.half_link] + 0.2
    congested = runs[FaultKind.CONGESTION]
    usual, now = before_and_in(congested, "latency")
    own = half_links_of(MESH, congested.plans[0].root.node)
    assert (now[own] > 1.3 * usual[own]).all()
    for kind, metric in (
        (FaultKind.CPU_EXHAUSTION, "cpu"),
        (FaultKind.MEMORY_EXHAUSTION, "memory"),
    ):
        usual, now = before_and_in(runs[kind], metric)
        assert int(np.argmax(now - usual)) == runs[kind].plans[0].root.node


def test_an_outage_beyond_the_gateways_has_no_root_in_the_mesh(runs: dict[FaultKind, Run]) -> None:
    run = runs[FaultKind.UPSTREAM]
    assert run.incidents[0].node is None
    usual, now = before_and_in(run, "in_packet_rate")
    assert now.sum() < 0.8 * usual.sum()


def test_links_that_flap_come_back_between(runs: dict[FaultKind, Run]) -> None:
    run = runs[FaultKind.LINK_FLAP]
    planned = run.plans[0]
    up = run.telemetry.metrics["link_up"].values[planned.start : planned.end]
    shares = set(up[:, planned.root.half_link].tolist())
    assert {0.0, 1.0} <= shares
    assert all(0.0 <= share <= 1.0 for share in shares)


def test_a_link_that_fails_within_an_interval_was_up_in_a_part_of_it() -> None:
    """As a running network is seen, by looks of which the interval has the mean."""
    world = MeshWorld(MESH, np.array([0]), 20.0, HELLO_S, np.random.default_rng(1))
    for _ in range(4):
        before = world.step(Effects(MESH))
    harmed = Effects(MESH)
    harmed.cut[0] = True
    rows = [before, *(world.step(harmed) for _ in range(3))]
    for name in ("link_up", "quality"):
        share = np.array([row[name] for row in rows])
        assert (np.diff(share[:, :2], axis=0) <= 0.0).all()
        assert (share[-1, :2] == 0.0).all()
        assert ((share[1:, :2] > 0.0) & (share[1:, :2] < 1.0)).any(axis=0).all()
    assert all((row["link_up"][2:] == 1.0).all() for row in rows)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(2, 30))
def test_at_a_gateway_nothing_is_known_of_nodes_that_no_path_leads_to(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    topology = generate(size, seed % 1000)
    graph, n_half = graph_of(topology), 2 * topology.n_links
    up = rng.choice([0.0, 0.5, 1.0, np.nan], (3, n_half), p=[0.4, 0.2, 0.3, 0.1])
    at_half, at_node = np.arange(n_half, dtype=np.int32), np.arange(size, dtype=np.int32)
    whole = Telemetry(
        graph,
        np.arange(3.0),
        {
            "link_up": Metric(Place.HALF_LINK, at_half, up),
            "cpu": Metric(Place.NODE, at_node, np.ones((3, size))),
        },
    )
    gateways = np.flatnonzero(rng.random(size) < 0.2)
    seen = seen_at_gateways(whole, gateways)
    owner = topology.ends.reshape(-1)
    for row in range(3):
        web: nx.Graph[int] = nx.Graph()
        web.add_nodes_from(range(size))
        for link, (a, b) in enumerate(topology.ends.tolist()):
            if not (up[row, 2 * link : 2 * link + 2] == 0.0).any():
                web.add_edge(a, b)
        reached = {
            node for gateway in gateways for node in nx.node_connected_component(web, gateway)
        }
        known = np.isfinite(seen.metrics["cpu"].values[row])
        assert set(np.flatnonzero(known).tolist()) == reached
        wanted = np.where(known[owner], up[row], np.nan)
        np.testing.assert_array_equal(seen.metrics["link_up"].values[row], wanted)


def test_who_watches_at_the_gateways_sees_a_part_of_the_same_mesh() -> None:
    plan_of_both = SimulationPlan(MESH, (0, 0), 0, (FaultKind.NODE_DOWN, FaultKind.LINK_DOWN))
    whole = simulate(plan_of_both, 4).telemetry
    part = simulate(dataclasses.replace(plan_of_both, watched=True), 4).telemetry
    hidden = 0
    for name, metric in part.metrics.items():
        told = np.isfinite(metric.values)
        np.testing.assert_array_equal(metric.values[told], whole.metrics[name].values[told])
        hidden += int((np.isfinite(whole.metrics[name].values) & ~told).sum())
    assert hidden > 0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    hops=st.integers(0, 6),
    n_noise=st.integers(0, 6),
    size=st.integers(8, 40),
)
def test_a_cascade_goes_along_links_and_noise_spares_it(
    seed: int, hops: int, n_noise: int, size: int
) -> None:
    topology = generate(size, seed % 1000)
    planned = plan(topology, REST, hops, n_noise, np.random.default_rng(seed))
    chain = [planned.root, *planned.consequences]
    assert len(planned.consequences) <= hops
    for one, after in itertools.pairwise(chain):
        assert topology.directed_link(one.node, after.node) is not None
        assert 1 <= after.start - one.start <= 3
    assert len({each.node for each in chain}) == len(chain)
    assert not planned.nodes & {each.node for each in planned.noise}
    for each in planned.faults:
        assert (each.half_link >= 0) == (each.kind in LINK_KINDS)
        assert each.start < each.end
        assert 0 < each.strength <= 1


def test_what_happens_in_one_mesh_is_not_measured_in_another_beside_it() -> None:
    quiet = SimulationPlan(generate(10, 3), (), 0)
    harmed = SimulationPlan(generate(10, 4), (2,), 3, (FaultKind.NODE_DOWN,))
    run = simulate_all((quiet, harmed), 7)[0]
    assert run.incidents == ()
    assert not np.isnan(run.telemetry.metrics["cpu"].values).any()
    assert (run.telemetry.metrics["link_up"].values == 1).all()


def test_labels_say_where_something_is_wrong_and_leave_out_the_changes() -> None:
    run = simulate(SimulationPlan(MESH, (1,), 1), 11)
    labels = condition_labels(run)
    assert labels.shape == (len(run.telemetry.times), MESH.n_nodes)
    planned = run.plans[0]
    node = planned.root.node
    assert (labels[: planned.noise[0].start, :][: planned.start] == 0).all()
    assert np.isnan(labels[planned.start, node])
    assert (labels[planned.start + 1 : planned.end, node] == 1).all()
    assert planned.noise[0].role is Role.NOISE
    assert np.isnan(labels[planned.end : planned.end + TAIL, node]).all()


def test_a_mesh_with_gateways_keeps_them() -> None:
    known = np.zeros(MESH.n_nodes, bool)
    known[3] = True
    topology = Topology.of(
        MESH.ids,
        MESH.ends,
        MESH.quality,
        nodes=dataclasses.replace(MESH.nodes, gateway=known),
    )
    run = simulate(SimulationPlan(topology, (), 0), 1)
    rates = run.telemetry.metrics["out_packet_rate"].values.mean(axis=0)
    by_node = np.bincount(MESH.ends.reshape(-1), rates)
    assert by_node[3] > 0
