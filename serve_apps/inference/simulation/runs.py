"""Runs a simulated mesh through planned incidents, and says what was measured and what was wrong.

The same arguments give the same run. A run begins after the mesh has settled, and incidents lie
`REST` steps and more apart at random distances, so that what is normal can be learnt before each
and nothing can be learnt from the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.topology.model import Topology
from serve_apps.inference.simulation.gateway_watcher import seen_at_gateways
from serve_apps.inference.simulation.incident_plans import LEAD, IncidentPlan, plan
from serve_apps.inference.simulation.mesh_world import (
    HALF_LINK_METRICS,
    NODE_METRICS,
    MeshWorld,
)
from serve_apps.inference.simulation.simulated_faults import (
    LINK_KINDS,
    Effects,
    FaultKind,
    SimulatedFault,
)
from serve_apps.inference.telemetry import (
    LabelledIncident,
    Metric,
    NetworkGraph,
    Place,
    Telemetry,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

REST: Final = 24  # steps without an incident before each
SETTLE: Final = 4  # intervals before the first sample
EPOCH: Final = 1_700_000_000.0  # Unix time of the first sample, s
HELLO_S: Final = 4.0
INTERVALS_S: Final = (12.0, 20.0, 28.0)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What one simulated mesh went through.

    Attributes:
        topology: the mesh.
        telemetry: what its nodes reported.
        plans: what was wrong.
        incidents: the same as labels, one for each plan.
    """

    topology: Topology
    telemetry: Telemetry
    plans: tuple[IncidentPlan, ...]
    incidents: tuple[LabelledIncident, ...]


def graph_of(topology: Topology) -> NetworkGraph:
    """A mesh as the graph that telemetry is of; links are named by their ends."""
    return NetworkGraph(
        topology.ids,
        tuple("--".join(sorted((topology.ids[a], topology.ids[b]))) for a, b in topology.ends),
        topology.ends,
        np.zeros(topology.n_links, bool),
    )


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """What is to happen to one mesh.

    Attributes:
        topology: the mesh; it has links.
        hops: length of the cascade of each incident; 0 for a fault without consequences.
        n_noise: noise events that coincide with each incident.
        kinds: kind of each root fault; () or None: drawn.
        watched: all that is known comes over the mesh to somebody at its gateways, see
            `gateway_watcher`; else everything is known of every node that works.
    """

    topology: Topology
    hops: tuple[int, ...]
    n_noise: int
    kinds: tuple[FaultKind | None, ...] = ()
    watched: bool = False


def simulate(scenario: SimulationPlan, seed: int) -> Run:
    """Simulate one mesh."""
    return simulate_all((scenario,), seed)[0]


def simulate_all(scenarios: Sequence[SimulationPlan], seed: int) -> list[Run]:
    """Simulate several meshes side by side, which is quicker than one after the other.

    They are one world of which no part hears another.

    Args:
        scenarios: what is to happen to each, at least one.
        seed: of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    plans = [_plans(each, rng) for each in scenarios]
    world_map = _side_by_side([each.topology for each in scenarios])
    nodes = np.cumsum([0, *(each.topology.n_nodes for each in scenarios)])
    links = np.cumsum([0, *(each.topology.n_links for each in scenarios)])
    interval_s = float(rng.choice(INTERVALS_S))
    gateways = [
        _gateways(each.topology, rng) + node for each, node in zip(scenarios, nodes, strict=False)
    ]
    world = MeshWorld(world_map, np.concatenate(gateways), interval_s, HELLO_S, rng)
    faults = [
        one.moved(int(nodes[which]), 2 * int(links[which]))
        for which, of_mesh in enumerate(plans)
        for each in of_mesh
        for one in each.faults
    ]
    n_steps = max((of_mesh[-1].end + 1 for of_mesh in plans if of_mesh), default=REST)
    whole = _stepped(world, world_map, faults, n_steps)
    return [
        _run(
            each,
            plans[which],
            gateways[which] - nodes[which],
            interval_s,
            whole,
            slice(nodes[which], nodes[which + 1]),
            slice(2 * links[which], 2 * links[which + 1]),
        )
        for which, each in enumerate(scenarios)
    ]


def _stepped(
    world: MeshWorld, topology: Topology, faults: Sequence[SimulatedFault], n_steps: int
) -> dict[str, NDArray[np.float64]]:
    """What is measured in each step, by metric, after the mesh has settled."""
    for _ in range(SETTLE):
        world.step(Effects(topology))
    rows = [world.step(Effects.at(topology, faults, step)) for step in range(n_steps)]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _plans(scenario: SimulationPlan, rng: np.random.Generator) -> tuple[IncidentPlan, ...]:
    plans, step = [], int(rng.integers(REST, REST + 8))
    kinds = scenario.kinds or (None,) * len(scenario.hops)
    for length, kind in zip(scenario.hops, kinds, strict=True):
        plans.append(plan(scenario.topology, step, length, scenario.n_noise, rng, kind))
        step = plans[-1].end + REST + LEAD + int(rng.integers(0, 8))
    return tuple(plans)


def _side_by_side(topologies: Sequence[Topology]) -> Topology:
    if len(topologies) == 1:
        return topologies[0]
    starts = np.cumsum([0, *(each.n_nodes for each in topologies)])
    return Topology.of(
        [f"{which}.{name}" for which, each in enumerate(topologies) for name in each.ids],
        np.concatenate(
            [each.ends + start for each, start in zip(topologies, starts, strict=False)]
        ),
        np.concatenate([each.quality for each in topologies]),
    )


def _run(
    scenario: SimulationPlan,
    plans: tuple[IncidentPlan, ...],
    gateways: NDArray[np.intp],
    interval_s: float,
    whole: dict[str, NDArray[np.float64]],
    nodes: slice,
    halves: slice,
) -> Run:
    n_steps = plans[-1].end + 1 if plans else REST
    telemetry = Telemetry(
        graph_of(scenario.topology),
        EPOCH + interval_s * np.arange(n_steps, dtype=np.float64),
        {
            **{
                name: _metric(Place.HALF_LINK, whole[name][:n_steps, halves])
                for name in HALF_LINK_METRICS
            },
            **{name: _metric(Place.NODE, whole[name][:n_steps, nodes]) for name in NODE_METRICS},
        },
    )
    if scenario.watched:
        telemetry = seen_at_gateways(telemetry, gateways)
    incidents = tuple(_label(f"i{at:04d}", each, telemetry) for at, each in enumerate(plans))
    return Run(scenario.topology, telemetry, plans, incidents)


def _metric(place: Place, values: NDArray[np.float64]) -> Metric:
    return Metric(place, np.arange(values.shape[1], dtype=np.int32), values)


def _gateways(topology: Topology, rng: np.random.Generator) -> NDArray[np.intp]:
    """Those that the topology knows; else one in twelve nodes."""
    known = np.flatnonzero(topology.nodes.gateway)
    if len(known):
        return known
    linked = np.flatnonzero(topology.degree > 0)
    return np.sort(rng.permutation(linked)[: max(1, len(linked) // 12)])


def _label(name: str, planned: IncidentPlan, telemetry: Telemetry) -> LabelledIncident:
    root, graph, times = planned.root, telemetry.graph, telemetry.times
    return LabelledIncident(
        name,
        float(times[planned.start]),
        float(times[planned.end - 1]),
        root.kind.value,
        None if root.node < 0 else graph.nodes[root.node],
        graph.links[root.half_link >> 1] if root.kind in LINK_KINDS else "",
    )
