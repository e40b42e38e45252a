"""A root-cause model orders the nodes of an incident; what it cannot be asked, evidence says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.topology import radio
from serve_apps.inference.errors import ModelFileCorrupt, ModelSchemaMismatch
from serve_apps.inference.evidence_ranking import BY, EvidenceRanker
from serve_apps.inference.incident_replay import replay
from serve_apps.inference.learnt_ranking import NAME, ranker_of
from serve_apps.inference.live_root_cause import Cause
from serve_apps.inference.model_file import CARD, WEIGHTS
from serve_apps.inference.settings import SHIPPED
from serve_apps.inference.simulation.examples import SPARSE
from serve_apps.inference.simulation.runs import Run, SimulationPlan, graph_of, simulate
from serve_apps.inference.simulation.simulated_faults import FaultKind
from serve_apps.inference.surroundings import around
from serve_apps.inference.telemetry import Metric, NetworkGraph, Place, Telemetry

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from serve_apps.inference.errors import ModelUnusable
    from serve_apps.inference.incidents import Incident
    from serve_apps.inference.live_root_cause import RootCauseRanker


@pytest.fixture(scope="module")
def run() -> Run:
    """A node falls silent after what is normal is known, with two events elsewhere."""
    plan = SimulationPlan(radio.generate(48, 3), (0,), 2, (FaultKind.NODE_DOWN,))
    return simulate(plan, 5)


def of_the_node(
    run: Run, ranker: RootCauseRanker, first: int = 0, names: Collection[str] | None = None
) -> Incident:
    """The incident that the fallen node is part of, as it is when it has been noticed.

    Seen from the row `first` on, by the metrics `names`, or by all.
    """
    whole, end = run.telemetry, run.plans[0].start + 3
    metrics = {
        name: replace(one, values=one.values[first:end])
        for name, one in whole.metrics.items()
        if names is None or name in names
    }
    found = replay(replace(whole, times=whole.times[first:end], metrics=metrics), ranker)
    return next(one for one in found if run.incidents[0].node in one.nodes)


def test_the_model_names_the_node_and_says_that_it_did(run: Run) -> None:
    root = of_the_node(run, ranker_of(SHIPPED, pytest.fail)).root
    assert root is not None
    assert (root.by, root.cause) == (NAME, Cause.NODE)
    assert root.nodes[0].node == run.incidents[0].node
    assert 0.5 < root.nodes[0].confidence <= 1.0


def test_only_nodes_that_the_incident_touches_are_named(run: Run) -> None:
    incident = of_the_node(run, ranker_of(SHIPPED, pytest.fail))
    assert incident.root is not None
    assert {one.node for one in incident.root.nodes} <= incident.nodes
    confidences = [one.confidence for one in incident.root.nodes]
    assert confidences == sorted(confidences, reverse=True)


def test_by_too_little_the_evidence_ranks_and_it_is_said(run: Run) -> None:
    """Of rows that begin shortly before the fault nothing is known to be normal; of links alone
    too little is known."""
    for first, names in ((run.plans[0].start - 5, None), (0, SPARSE)):
        learnt = of_the_node(run, ranker_of(SHIPPED, pytest.fail), first, names).root
        assert learnt is not None
        assert learnt == of_the_node(run, EvidenceRanker(), first, names).root
        assert learnt.by == BY


def test_a_model_is_used_as_soon_as_it_is_there_and_kept_when_it_is_harmed(
    run: Run, tmp_path: Path
) -> None:
    """Without one the evidence ranks; of each pair of files that cannot be used it is told once."""
    told: list[ModelUnusable] = []
    ranker = ranker_of(tmp_path, told.append)
    assert [error.model for error in told] == [NAME]
    by = []
    for harm in (False, True):
        by.append(of_the_node(run, ranker).root)
        for suffix in (WEIGHTS, CARD):
            shutil.copy(SHIPPED / f"{NAME}{suffix}", tmp_path)
        by.append(of_the_node(run, ranker).root)
        if harm:
            (tmp_path / f"{NAME}{CARD}").write_text("{}")
            by.append(of_the_node(run, ranker).root)
    assert [root.by for root in by if root is not None] == [BY, NAME, NAME, NAME, NAME]
    assert [type(error) for error in told] == [ModelFileCorrupt, ModelSchemaMismatch]


@given(st.integers(0, 2**31), st.integers(2, 30), st.integers(0, 4))
def test_surroundings_are_the_nodes_within_so_many_hops(seed: int, n: int, hops: int) -> None:
    """Each series stays with its place; links that leave the network are left out."""
    rng = np.random.default_rng(seed)
    whole = graph_of(radio.generate(n, seed))
    ends = whole.ends.copy()
    ends[rng.random(len(ends)) < 0.1, 1] = -1
    graph = NetworkGraph(whole.nodes, whole.links, ends, whole.directed)
    at_node, at_half = np.arange(n, dtype=np.int32), np.arange(2 * len(ends), dtype=np.int32)
    telemetry = Telemetry(
        graph,
        np.zeros(1),
        {
            "node": Metric(Place.NODE, at_node, at_node[None].astype(float)),
            "half": Metric(Place.HALF_LINK, at_half, at_half[None].astype(float)),
            "port": Metric(Place.INTERFACE, at_node, at_node[None].astype(float), graph.nodes),
        },
    )
    given_nodes = rng.random(n) < 0.2
    near = around(telemetry, given_nodes, hops)
    distance = np.where(given_nodes, 0, n + hops)
    inner = ends[(ends >= 0).all(axis=1)]
    for _ in range(n):
        for a, b in inner.tolist():
            distance[a], distance[b] = (
                min(distance[a], distance[b] + 1),
                min(distance[b], distance[a] + 1),
            )
    assert near.nodes.tolist() == np.flatnonzero(distance <= hops).tolist()
    part = near.telemetry
    assert part.graph.nodes == tuple(graph.nodes[node] for node in near.nodes.tolist())
    kept = {*near.nodes.tolist()}
    wanted = [link for link, pair in enumerate(ends.tolist()) if {*pair} <= kept]
    assert part.graph.links == tuple(graph.links[link] for link in wanted)
    assert near.nodes[part.graph.ends].tolist() == ends[wanted].tolist()
    for name in ("node", "port"):
        assert near.nodes[part.metrics[name].at].tolist() == part.metrics[name].values[0].tolist()
    assert part.metrics["port"].names == part.graph.nodes
    halves = part.metrics["half"]
    assert halves.at.tolist() == list(range(2 * len(wanted)))
    assert halves.values[0].tolist() == [2 * link + end for link in wanted for end in (0, 1)]
