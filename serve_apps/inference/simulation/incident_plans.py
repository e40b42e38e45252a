"""Draws what goes wrong, where and when: incidents with their cascades, and noise.

A cascade of h hops is a path of h + 1 nodes: the root fault at the first, and at each next one an
overload (or a crash of it) that begins one to three steps after the one before. Noise comes at any
time around an incident, before its root fault too, at nodes that have no part in it. Most noise
passes in one to three steps, the rest lasts and is weaker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.simulation.simulated_faults import (
    LINK_KINDS,
    FaultKind,
    Mechanism,
    Role,
    SimulatedFault,
)

if TYPE_CHECKING:
    from actors.topology.model import Topology

ROOT_KINDS: Final = (
    FaultKind.NODE_DOWN,
    FaultKind.LINK_DOWN,
    FaultKind.LINK_LOSS,
    FaultKind.LINK_FLAP,
    FaultKind.DELAY,
    FaultKind.CONGESTION,
    FaultKind.CPU_EXHAUSTION,
    FaultKind.MEMORY_EXHAUSTION,
)
OVERLOADS: Final = {
    FaultKind.CONGESTION: 0.35,
    FaultKind.CPU_EXHAUSTION: 0.35,
    FaultKind.MEMORY_EXHAUSTION: 0.1,
    FaultKind.DELAY: 0.1,
    FaultKind.NODE_DOWN: 0.1,
}
NOISE: Final = {
    FaultKind.CPU_EXHAUSTION: 0.25,
    FaultKind.MEMORY_EXHAUSTION: 0.1,
    FaultKind.CONGESTION: 0.15,
    FaultKind.DELAY: 0.15,
    FaultKind.LINK_LOSS: 0.25,
    FaultKind.TELEMETRY_GAP: 0.1,
}
LASTING_NOISE: Final = 0.3
MAX_HOP_DELAY: Final = 3  # steps
SETTLED: Final = 6  # steps that an incident lasts after its last hop
LEAD: Final = 6  # steps before an incident in which its noise may begin


@dataclass(frozen=True, slots=True)
class IncidentPlan:
    """One incident as it will happen.

    Attributes:
        start, end: first step of the root fault, and the step after the last of all.
        root: the root fault.
        consequences: one for each hop, in order.
        noise: events that have nothing to do with it.
    """

    start: int
    end: int
    root: SimulatedFault
    consequences: tuple[SimulatedFault, ...]
    noise: tuple[SimulatedFault, ...]

    @property
    def faults(self) -> tuple[SimulatedFault, ...]:
        """All that happens."""
        return (self.root, *self.consequences, *self.noise)

    @property
    def nodes(self) -> frozenset[int]:
        """The nodes that the incident acts on; noise does not count."""
        return frozenset(each.node for each in (self.root, *self.consequences) if each.node >= 0)


def plan(
    topology: Topology,
    start: int,
    hops: int,
    n_noise: int,
    rng: np.random.Generator,
    kind: FaultKind | None = None,
) -> IncidentPlan:
    """Draw an incident that begins at `start`.

    Args:
        topology: the mesh; it has links.
        start: step of the root fault.
        hops: hops of the cascade, 0 or more; fewer where no path is so long.
        n_noise: number of noise events.
        rng: draws all.
        kind: of the root fault; drawn from `ROOT_KINDS` if None. `UPSTREAM` has no cascade.
    """
    kind = kind or ROOT_KINDS[rng.integers(len(ROOT_KINDS))]
    path = [-1] if kind is FaultKind.UPSTREAM else _path(topology, hops, rng)
    starts = start + np.concatenate(
        [[0], np.cumsum(rng.integers(1, MAX_HOP_DELAY + 1, len(path) - 1))]
    ).astype(int)
    end = int(starts[-1]) + SETTLED
    root = _fault(topology, kind, Role.ROOT, path[0], (start, end), rng.uniform(0.4, 1.0), rng)
    consequences = tuple(
        _fault(
            topology,
            _one_of(OVERLOADS, rng),
            Role.CONSEQUENCE,
            node,
            (int(begin), end),
            rng.uniform(0.5, 1.0),
            rng,
        )
        for node, begin in zip(path[1:], starts[1:], strict=True)
    )
    noise = _noise(topology, start, end, n_noise, set(path), rng)
    return IncidentPlan(start, end, root, consequences, noise)


def _path(topology: Topology, hops: int, rng: np.random.Generator) -> list[int]:
    """A simple path of `hops` hops, the longest found where there is none."""
    indptr, links = topology.out_links
    longest: list[int] = []
    linked = np.flatnonzero(topology.degree > 0)
    for _ in range(20):
        path = [int(rng.choice(linked))]
        while len(path) <= hops:
            onward = topology.link_target[links[indptr[path[-1]] : indptr[path[-1] + 1]]]
            onward = onward[~np.isin(onward, path)]
            if not len(onward):
                break
            path.append(int(rng.choice(onward)))
        if len(path) > len(longest):
            longest = path
        if len(longest) == hops + 1:
            break
    return longest


def _noise(
    topology: Topology,
    start: int,
    end: int,
    n_noise: int,
    spared: set[int],
    rng: np.random.Generator,
) -> tuple[SimulatedFault, ...]:
    free = np.array([node for node in np.flatnonzero(topology.degree > 0) if node not in spared])
    events = []
    for node in rng.permutation(free)[:n_noise].tolist():
        begin = int(rng.integers(max(0, start - LEAD), end - 1))
        lasts = rng.random() < LASTING_NOISE
        until = end if lasts else begin + int(rng.integers(1, 4))
        strength = rng.uniform(0.2, 0.4) if lasts else rng.uniform(0.3, 0.8)
        kind = _one_of(NOISE, rng)
        events.append(
            _fault(topology, kind, Role.NOISE, node, (begin, until), float(strength), rng)
        )
    return tuple(events)


def _fault(
    topology: Topology,
    kind: FaultKind,
    role: Role,
    node: int,
    steps: tuple[int, int],
    strength: float,
    rng: np.random.Generator,
) -> SimulatedFault:
    if kind is FaultKind.UPSTREAM:
        return SimulatedFault(kind, role, *steps, strength, -1, mesh=(0, topology.n_nodes))
    if kind not in LINK_KINDS:
        return SimulatedFault(kind, role, *steps, strength, node)
    indptr, links = topology.out_links
    own = links[indptr[node] : indptr[node + 1]]
    both = kind in (FaultKind.LINK_DOWN, FaultKind.LINK_FLAP) or bool(rng.random() < 0.4)
    mechanism = tuple(Mechanism)[rng.integers(len(Mechanism))]
    return SimulatedFault(kind, role, *steps, strength, node, int(rng.choice(own)), both, mechanism)


def _one_of(weights: dict[FaultKind, float], rng: np.random.Generator) -> FaultKind:
    kinds, shares = tuple(weights), np.array(tuple(weights.values()))
    return kinds[rng.choice(len(kinds), p=shares / shares.sum())]
