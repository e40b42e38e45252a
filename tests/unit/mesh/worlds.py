"""Small random meshes, what befalls them, and what is true of them, for the simulator's tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from hypothesis import strategies as st

from actors.topology.bound import convergence_bound_s, flood_bound_s
from actors.topology.model import Topology

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.mesh.simulator import Simulation

QUALITIES = (1.0, 0.95, 0.8)


def grid(width: int, height: int, quality: float = 1.0) -> Topology:
    """A rectangular grid, row by row."""
    return of_graph(nx.grid_2d_graph(height, width), quality)


def of_graph(graph: nx.Graph, quality: object = 1.0) -> Topology:
    """The topology with the nodes and edges of `graph`, in their sorted order."""
    names = sorted(graph.nodes)
    number = {name: index for index, name in enumerate(names)}
    links = sorted(tuple(sorted((number[a], number[b]))) for a, b in graph.edges)
    return Topology.of([f"n{index}" for index in range(len(names))], links, quality)


@st.composite
def meshes(
    draw: st.DrawFn,
    max_nodes: int = 8,
    qualities: tuple[float, ...] = QUALITIES,
) -> Topology:
    """Connected: a tree, ring, grid or random graph; each direction of a link its own quality."""
    shape = draw(st.sampled_from(("tree", "ring", "grid", "random")))
    if shape == "grid":
        width = draw(st.integers(2, 3))
        graph = nx.grid_2d_graph(draw(st.integers(2, max(2, max_nodes // width))), width)
        graph = nx.convert_node_labels_to_integers(graph, ordering="sorted")
    else:
        n = draw(st.integers(3, max_nodes))
        graph = nx.cycle_graph(n) if shape == "ring" else nx.empty_graph(n)
        if shape != "ring":
            graph.add_edges_from((draw(st.integers(0, b - 1)), b) for b in range(1, n))
        if shape == "random":
            pairs = sorted(nx.non_edges(graph))
            graph.add_edges_from(
                draw(st.lists(st.sampled_from(pairs), max_size=n, unique=True)) if pairs else []
            )
    count = 2 * graph.number_of_edges()
    quality = draw(st.lists(st.sampled_from(qualities), min_size=count, max_size=count))
    return of_graph(graph, np.reshape(quality, (-1, 2)))


@dataclass
class World:
    """What is true: which nodes are silent and which links are cut."""

    topology: Topology
    silent: set[int] = field(default_factory=set)
    cut: set[tuple[int, int]] = field(default_factory=set)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """All links as pairs of nodes."""
        return [(int(a), int(b)) for a, b in self.topology.ends]

    def graph(self) -> nx.Graph:
        """Who can still talk to whom."""
        graph = nx.Graph(pair for pair in self.pairs if pair not in self.cut)
        graph.add_nodes_from(range(self.topology.n_nodes))
        graph.remove_nodes_from(self.silent)
        return graph

    def diameter(self) -> int:
        """Hops of the longest shortest path."""
        graph = self.graph()
        parts = [graph.subgraph(part) for part in nx.connected_components(graph)]
        return max((nx.diameter(part) for part in parts), default=0)

    def befall(self, sim: Simulation, fault: Fault) -> None:
        """Let a fault happen, here and in the simulation."""
        kind, some = fault
        pairs = self.pairs
        if kind == "silence":
            self.silent.add(some % self.topology.n_nodes)
            sim.silence(some % self.topology.n_nodes)
        elif kind == "speak" and self.silent:
            node = sorted(self.silent)[some % len(self.silent)]
            self.silent.remove(node)
            sim.silence(node, silent=False)
        elif kind == "cut":
            self._cut(sim, [pairs[some % len(pairs)]])
        elif kind == "partition":
            # The bits of the draw say on which side each node is.
            self._cut(sim, [(a, b) for a, b in pairs if (some >> a ^ some >> b) & 1])
        elif kind == "mend" and self.cut:
            pair = sorted(self.cut)[some % len(self.cut)]
            self.cut.remove(pair)
            sim.cut(pair, cut=False)
        elif kind == "heal":
            self.heal(sim)

    def _cut(self, sim: Simulation, pairs: Iterable[tuple[int, int]]) -> None:
        self.cut.update(pairs)
        sim.cut(*self.cut)

    def heal(self, sim: Simulation) -> None:
        """Everything works again."""
        sim.silence(*self.silent, silent=False)
        sim.cut(*self.cut, cut=False)
        self.silent, self.cut = set(), set()


Fault = tuple[str, int]
faults = st.tuples(
    st.sampled_from(("silence", "cut", "partition", "speak", "mend", "heal")),
    st.integers(0, 1023),
)


def settle(sim: Simulation, world: World, hello_s: float) -> None:
    """Let the bound pass since the last fault, and then the news of the last change of a cost.

    Costs are estimated for as long as the mesh lives, so there is news at any time; what holds
    after the bound holds once the last of it had time to reach everybody. That such an instant
    comes is a promise too.
    """
    diameter = world.diameter()
    sim.run(sim.now + convergence_bound_s(hello_s, diameter))
    for _ in range(40):
        before = [host.database.get(node) for node, host in enumerate(sim.hosts)]
        sim.run(sim.now + flood_bound_s(diameter))
        if before == [host.database.get(node) for node, host in enumerate(sim.hosts)]:
            return
    raise AssertionError("nodes advertise all the time")
