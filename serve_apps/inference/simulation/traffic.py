"""Traffic over the mesh: flows on ETX shortest paths, what each link carries, and how late.

Each node talks with its nearest gateway, more down than up, and some pairs of nodes talk with each
other. A flow takes the path of least total ETX over links that are up at both ends, by the costs
that nodes advertise, so routes follow a fault only once the nodes have noticed it. What a frame
meets on each link:

- It is sent up to `ATTEMPTS` times, so (1 - p)^ATTEMPTS of the frames are lost where one
  transmission arrives with probability p, and the air is occupied for every attempt.
- All transmissions that a node sends or receives share its air, and the processor forwards. With
  utilisation r a frame waits r / (1 - r) times its service (M/M/1), and above 1 the rest is
  dropped.
- Behind a delay of D seconds stands a queue of 1000 frames, so at most 1000 / D a second get by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from serve_apps.inference.simulation.simulated_faults import Effects

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology
ATTEMPTS: Final = 4
FRAME_S: Final = 0.001  # air and processor time of one transmission
QUEUE: Final = 1000  # frames
OVERFULL: Final = 1.2  # utilisation where others take all the air that they can
FULL: Final = 0.98  # utilisation above which waiting no longer grows: the queue is full
DOWN_SHARE: Final = 0.8  # of a node's traffic with its gateway


@dataclass(frozen=True, slots=True, eq=False)
class CarriedLoad:
    """What links and nodes carry in one step.

    Attributes:
        sent: [2 * n_links], frames/s that the node at this half-link sends over it.
        arriving: [2 * n_links], frames/s that arrive at this half-link.
        utilisation: [n_nodes], of the air and the processor, as offered; may be above 1.
        latency_s: [2 * n_links], from the peer to this half-link, s.
    """

    sent: NDArray[np.float64]
    arriving: NDArray[np.float64]
    utilisation: NDArray[np.float64]
    latency_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FlowPaths:
    """The paths of all flows, laid end to end.

    Attributes:
        link: [n], directed link of each hop.
        flow: [n], flow of each hop.
        first: [n], position of the first hop of that flow.
    """

    link: NDArray[np.intp]
    flow: NDArray[np.intp]
    first: NDArray[np.intp]


class SimulatedTraffic:
    """The demand of all flows, and where it goes.

    Args:
        topology: the mesh.
        gateways: indices of the gateways, at least one.
        busy: utilisation of the busiest nodes (95th percentile) in normal times.
        rng: draws the flows.
    """

    def __init__(
        self,
        topology: Topology,
        gateways: NDArray[np.intp],
        busy: float,
        rng: np.random.Generator,
    ) -> None:
        self._topology = topology
        self._gateways = gateways
        n_nodes = topology.n_nodes
        # Pairs that have no path to each other have no traffic.
        pairs = rng.integers(n_nodes, size=(max(2, n_nodes // 3), 2))
        near = rng.normal(0.0, 8.0, len(pairs)).astype(int)  # by index: in one mesh of several
        pairs[:, 1] = np.clip(pairs[:, 0] + near, 0, n_nodes - 1)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        self._pairs = pairs
        usual = rng.lognormal(0.0, 0.7, n_nodes)
        self._demand = np.concatenate(
            [usual * DOWN_SHARE, usual * (1 - DOWN_SHARE), rng.lognormal(-1.0, 0.7, len(pairs))]
        )
        self._routes: FlowPaths | None = None
        self._routed: bytes = b""
        self._utilisation = np.zeros(n_nodes)
        self._swing = np.zeros(len(self._demand))
        quality = topology.link_quality
        effects = Effects(topology)
        self.route(1.0 / (quality * quality[np.arange(len(quality)) ^ 1]))
        for _ in range(2):
            load = self._carry(self._demand, quality, effects)
            top = float(np.percentile(load.utilisation, 95))
            self._demand *= busy / max(top, 1e-9)
        self._utilisation = load.utilisation * 0.0

    def route(self, cost: NDArray[np.float64]) -> None:
        """Find all paths for these costs of directed links; 0 where a link is down."""
        key = cost.tobytes()
        if key == self._routed:
            return
        self._routed = key
        topology = self._topology
        usable = (cost > 0) & (cost.reshape(-1, 2)[:, ::-1].reshape(-1) > 0)
        source, target = topology.link_source[usable], topology.link_target[usable]
        n_nodes = topology.n_nodes
        graph = csr_array((cost[usable], (source, target)), shape=(n_nodes, n_nodes))
        roots = np.concatenate([self._gateways, np.unique(self._pairs[:, 0])])
        distance, before = dijkstra(graph, indices=roots, return_predecessors=True)
        nearest = np.argmin(distance[: len(self._gateways)], axis=0)
        row_of_pair = len(self._gateways) + np.searchsorted(
            np.unique(self._pairs[:, 0]), self._pairs[:, 0]
        )
        rows = np.concatenate([nearest, nearest, row_of_pair])
        ends = np.concatenate([np.tile(np.arange(n_nodes), 2), self._pairs[:, 1]])
        upward = np.arange(len(rows)) // n_nodes == 1
        upward[2 * n_nodes :] = False
        self._routes = self._trace(roots[rows], ends, before[rows], upward)

    def _trace(
        self,
        roots: NDArray[np.intp],
        ends: NDArray[np.intp],
        before: NDArray[np.int32],
        upward: NDArray[np.bool_],
    ) -> FlowPaths:
        """Follow each flow's path back from its end; one that leads `upward` runs the other way."""
        at = ends.copy()
        flows, hops, source, target = [], [], [], []
        hop = 0
        while True:
            earlier = before[np.arange(len(at)), at]
            going = np.flatnonzero((at != roots) & (earlier >= 0))
            if not len(going):
                break
            there = earlier[going]
            up = upward[going]
            flows.append(going)
            hops.append(np.where(up, hop, -hop))
            source.append(np.where(up, at[going], there))
            target.append(np.where(up, there, at[going]))
            at[going] = there
            hop += 1
        if not flows:
            none = np.empty(0, np.intp)
            return FlowPaths(none, none, none)
        flow, order = np.concatenate(flows), np.concatenate(hops)
        links = self._topology.directed_links(np.concatenate(source), np.concatenate(target))
        place = np.lexsort((order, flow))
        flow = flow[place]
        return FlowPaths(links[place].astype(np.intp), flow, np.searchsorted(flow, flow))

    def step(
        self, quality: NDArray[np.float64], effects: Effects, rng: np.random.Generator
    ) -> CarriedLoad:
        """What is carried in the next step; demand swings about what is usual.

        Args:
            quality: [2 * n_links], true delivery probability of each directed link; 0 if cut.
            effects: what is wrong.
            rng: draws the demand.
        """
        self._swing = 0.9 * self._swing + rng.normal(0.0, 0.05, len(self._swing))
        demand = self._demand * np.exp(self._swing + rng.normal(0.0, 0.08, len(self._swing)))
        demand[: 2 * self._topology.n_nodes] *= np.tile(effects.demand, 2)
        # What waits depends on what passes, and the reverse: two rounds settle it well enough.
        self._carry(demand, quality, effects)
        return self._carry(demand, quality, effects)

    def _carry(
        self, demand: NDArray[np.float64], quality: NDArray[np.float64], effects: Effects
    ) -> CarriedLoad:
        topology = self._topology
        routes = self._routes
        assert routes is not None  # noqa: S101 - the constructor routes
        source, target = topology.link_source, topology.link_target
        back = quality.reshape(-1, 2)[:, ::-1].reshape(-1)
        arrival = 1.0 - (1.0 - quality) ** ATTEMPTS
        tries = np.minimum(ATTEMPTS, 1.0 / np.maximum(quality * back, 1e-3))
        served = 1.0 / np.maximum(self._utilisation, 1.0)
        served = np.where(effects.silent, 0.0, served)
        # Sent is what the sender's queue lets through; `passing` is what then gets across.
        delay = effects.delay_s.reshape(-1, 2)[:, ::-1].reshape(-1)  # by directed link
        alive = np.maximum(served[source], 1e-12)
        passing = np.maximum(arrival, 1e-12)
        through = np.log(alive) + np.log(passing)
        total = np.cumsum(through[routes.link])
        ahead = total - through[routes.link]
        prior = ahead - ahead[routes.first] if len(total) else total
        sent_part = np.exp(prior) * alive[routes.link]
        flow_sent = demand[routes.flow] * sent_part
        n_directed = 2 * topology.n_links
        sent = np.bincount(routes.link, flow_sent, n_directed).astype(np.float64)
        late = delay > 0
        arriving = sent * np.where(arrival > 0, arrival, 0.0)
        arriving[late] = np.minimum(arriving[late], QUEUE / delay[late])
        air = FRAME_S * sent * tries / np.maximum(alive, 1e-3)
        at_source = np.bincount(source, air, topology.n_nodes)
        at_target = np.bincount(target, air, topology.n_nodes)
        slowed = 1.0 - 0.7 * effects.cpu - 0.5 * np.maximum(effects.memory - 0.5, 0.0)
        own = (at_source + at_target) / slowed
        self._utilisation = own + effects.occupied * np.maximum(OVERFULL - own, 0.0)
        full = np.minimum(self._utilisation, FULL)
        service = FRAME_S * tries / slowed[source]
        latency = service / (1.0 - np.maximum(full[source], full[target])) + delay
        opposite = np.arange(n_directed) ^ 1  # a half-link receives over the reverse of its own
        return CarriedLoad(sent, arriving[opposite], self._utilisation, latency[opposite])
