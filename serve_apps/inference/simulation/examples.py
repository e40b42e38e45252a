"""What the shipped models learn from: moments of simulated meshes, seen by more or by less.

Every mesh is seen several times: once with all that is measured, and with metrics left out at
random, down to what a running mesh or a watched one tells (which links are up, and their
qualities). So a model learns what little can be said by little, and with how little confidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.topology.radio import generate
from serve_apps.inference.incident_features import incident_features
from serve_apps.inference.learning import Example, NodeExample, Truth, VertexGraph
from serve_apps.inference.mesh_series import series_of
from serve_apps.inference.node_features import node_features
from serve_apps.inference.simulation.condition_labels import condition_labels
from serve_apps.inference.simulation.runs import Run, SimulationPlan, simulate_all
from serve_apps.inference.simulation.simulated_faults import LINK_KINDS, FaultKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.simulation.incident_plans import IncidentPlan
    from serve_apps.inference.telemetry import Telemetry

SPARSE: Final = ("quality", "link_up")  # what any mesh tells
SIDE_BY_SIDE: Final = 16  # meshes in a world
INCIDENTS: Final = 4  # of each mesh
SIZES: Final = (14, 44)  # fewest and most nodes
MOST_HOPS: Final = 6
MOST_NOISE: Final = 7
UPSTREAM_SHARE: Final = 0.05
QUIET_SHARE: Final = 0.1  # of the windows, without an incident
WHOLE: Final = 0.5  # share of the times that all metrics are seen
MOMENTS: Final = 6  # of each look at which conditions are learnt
WATCHED_SHARE: Final = 0.5  # of the meshes, of which only what reaches a gateway is known
BARE: Final = 0.25  # share of the times that `SPARSE` alone is seen


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedExamples:
    """What can be learnt from simulated meshes.

    Attributes:
        incidents: for root-cause models; their vertices are the nodes.
        conditions: for condition models.
    """

    incidents: tuple[Example, ...]
    conditions: tuple[NodeExample, ...]


def world_runs(seed: int, world: int) -> list[Run]:
    """Simulate `SIDE_BY_SIDE` meshes of all sizes, with all kinds of incidents.

    Args:
        seed: of everything that is drawn.
        world: number of this world among those of the seed.
    """
    rng = np.random.default_rng((seed, world))
    plans = [_plan(rng) for _ in range(SIDE_BY_SIDE)]
    return simulate_all(plans, int(rng.integers(2**31)))


def world_examples(seed: int, world: int, looks: int) -> SimulatedExamples:
    """What can be learnt from all meshes of a world, each looked at `looks` times."""
    rng = np.random.default_rng((seed, world, looks))
    found = [examples(run, looks, rng) for run in world_runs(seed, world)]
    return SimulatedExamples(
        tuple(one for each in found for one in each.incidents),
        tuple(one for each in found for one in each.conditions),
    )


def examples(run: Run, looks: int, rng: np.random.Generator) -> SimulatedExamples:
    """Look at a run several times, each time by other metrics and at other moments."""
    graph = VertexGraph.of_nodes(run.telemetry.graph)
    labels = condition_labels(run)
    incidents, conditions = [], []
    for _ in range(looks):
        seen = fewer_metrics(run.telemetry, rng)
        series = series_of(seen)
        for each in run.plans:
            noticed, now, truth = _moment(each, rng)
            x = incident_features(seen, noticed, now, series).x
            incidents.append(Example(graph, x, truth, _roots(run, each, truth)))
        for row in _rows(run, rng):
            x = node_features(seen, row, series).deviations
            told = np.isfinite(labels[row])
            conditions.append(NodeExample(graph.edges, x, labels[row] == 1, told))
    return SimulatedExamples(tuple(incidents), tuple(conditions))


def fewer_metrics(telemetry: Telemetry, rng: np.random.Generator) -> Telemetry:
    """The same as somebody sees it who is told less."""
    told = rng.random()
    if told < WHOLE:
        return telemetry
    share = 0.0 if told < WHOLE + BARE else rng.random()
    kept = {
        name: metric
        for name, metric in telemetry.metrics.items()
        if name in SPARSE or rng.random() < share
    }
    return replace(telemetry, metrics=kept)


def roots_of(run: Run, planned: IncidentPlan) -> NDArray[np.bool_]:
    """The nodes any of which is the right answer: of a link lost both ways, both ends."""
    root = planned.root
    found = np.zeros(run.topology.n_nodes, bool)
    if root.node >= 0:
        found[root.node] = True
    if root.kind in LINK_KINDS and root.both_ways:
        found[run.topology.ends[root.half_link >> 1]] = True
    return found


def _plan(rng: np.random.Generator) -> SimulationPlan:
    topology = generate(int(rng.integers(SIZES[0], SIZES[1] + 1)), int(rng.integers(2**31)))
    hops = tuple(rng.integers(0, MOST_HOPS + 1, INCIDENTS).tolist())
    kinds = tuple(FaultKind.UPSTREAM if rng.random() < UPSTREAM_SHARE else None for _ in hops)
    n_noise = int(rng.integers(0, MOST_NOISE + 1))
    return SimulationPlan(topology, hops, n_noise, kinds, bool(rng.random() < WATCHED_SHARE))


def _moment(planned: IncidentPlan, rng: np.random.Generator) -> tuple[int, int, Truth]:
    """When an incident is noticed, when it is judged, and what is true then."""
    if rng.random() < QUIET_SHARE:
        now = int(rng.integers(planned.start - 8, planned.start))
        return now, now, Truth.NORMAL
    last = planned.end - 1
    now = last if rng.random() < 0.5 else int(rng.integers(planned.start, planned.end))
    noticed = min(now, planned.start + int(rng.integers(0, 3)))
    return noticed, now, Truth.OUTSIDE if planned.root.node < 0 else Truth.INSIDE


def _roots(run: Run, planned: IncidentPlan, truth: Truth) -> NDArray[np.bool_]:
    return roots_of(run, planned) & (truth is Truth.INSIDE)


def _rows(run: Run, rng: np.random.Generator) -> Sequence[int]:
    """Some moments, half of them in incidents."""
    rows = []
    for _ in range(MOMENTS // 2):
        within = run.plans[rng.integers(len(run.plans))]
        rows.append(int(rng.integers(run.plans[0].start - 4, len(run.telemetry.times))))
        rows.append(int(rng.integers(within.start, within.end)))
    return rows
