"""Random small meshes and failures for the twin's tests, each beside its networkx graph.

Meshes are drawn as maps are read: not everything is connected, several links may join a pair, some
nodes are gateways, and of some it is not known how many clients they have.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from hypothesis import strategies as st

from actors.topology.model import Topology
from actors.topology.node_table import UNKNOWN_CLIENTS, NodeTable
from actors.twin.failure import Failure
from actors.twin.results import NodesAndClients

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NODES = 9
# Few values, so that routes of equal cost are common.
QUALITIES = (1.0, 0.9, 0.75, 0.5)


@dataclass(frozen=True)
class World:
    topology: Topology
    graph: nx.Graph  # of node indices; a pair has one edge

    @property
    def every_link(self) -> nx.MultiGraph:
        """The graph with an edge for each of the links that join a pair."""
        links = zip(self.topology.ends.tolist(), self.topology.parallel.tolist(), strict=True)
        graph = nx.MultiGraph([ends for ends, count in links for _ in range(count)])
        graph.add_nodes_from(self.graph)
        return graph

    @property
    def single_bridges(self) -> set[frozenset[int]]:
        """Bridges that are the only link of their pair."""
        return bridges_of(self.topology, self.graph)

    @property
    def single_pairs(self) -> set[frozenset[int]]:
        """Pairs that one link joins."""
        topology = self.topology
        return {frozenset(ends) for ends in topology.ends[topology.parallel == 1].tolist()}

    def failed(self, failure: Failure) -> nx.Graph:
        """The graph without what has failed."""
        after = self.graph.copy()
        after.remove_edges_from(self.topology.ends[failure.links].tolist())
        after.remove_nodes_from(failure.nodes.tolist())
        return after

    def offline(self, after: nx.Graph) -> set[int]:
        """Nodes of `after` that reach no gateway in it, and reached one before."""
        gateways = set(np.flatnonzero(self.topology.nodes.gateway).tolist())

        def served(graph: nx.Graph) -> set[int]:
            return {v for part in nx.connected_components(graph) if part & gateways for v in part}

        return (served(self.graph) & set(after)) - served(after)

    def without_gateway(self, after: nx.Graph) -> set[int]:
        """Nodes of `after` that reach no gateway in it."""
        gateways = set(np.flatnonzero(self.topology.nodes.gateway).tolist())
        parts = nx.connected_components(after)
        return {v for part in parts if not part & gateways for v in part}

    def people(self, nodes: Iterable[int]) -> NodesAndClients:
        """These nodes and their clients; unknown is not 0."""
        known = self.clients(nodes := list(nodes))
        return NodesAndClients(len(nodes), sum(known) if known or not nodes else None, len(known))

    def clients(self, nodes: Iterable[int]) -> list[int]:
        """The clients of those of these nodes of which it is known."""
        all_clients = self.topology.nodes.clients.tolist()
        return [all_clients[v] for v in nodes if all_clients[v] != UNKNOWN_CLIENTS]


def bridges_of(topology: Topology, graph: nx.Graph) -> set[frozenset[int]]:
    """Bridges of a part of a mesh that are the only link of their pair."""
    single = {frozenset(ends) for ends in topology.ends[topology.parallel == 1].tolist()}
    return {frozenset(ends) for ends in nx.bridges(graph)} & single


@st.composite
def worlds(draw: st.DrawFn, min_nodes: int = 2, max_nodes: int = MAX_NODES) -> World:
    """A multigraph with at least one link, connected or not, and what is known of its nodes."""
    n = draw(st.integers(min_nodes, max_nodes))
    node = st.integers(0, n - 1)
    quality = st.sampled_from(QUALITIES)
    link = st.tuples(node, node).filter(lambda drawn: drawn[0] != drawn[1])
    links = draw(st.lists(link, min_size=1, max_size=2 * n))
    if draw(st.booleans()):  # connected, by a random tree
        links += [(draw(st.integers(0, b - 1)), b) for b in range(1, n)]
    count = Counter(tuple(sorted(ends)) for ends in links)
    pairs = [draw(st.permutations(pair)) for pair in count]
    known = NodeTable(
        ("",) * n,
        np.array(draw(st.lists(st.sampled_from([False, False, True]), min_size=n, max_size=n))),
        np.array(draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n)), np.int32),
        np.full((n, 2), np.nan),
    )
    qualities = [(draw(quality), draw(quality)) for _ in pairs]
    plain = Topology.of([f"n{i}" for i in range(n)], pairs, qualities, nodes=known)
    graph = nx.Graph(pairs)
    graph.add_nodes_from(range(n))
    return World(replace(plain, parallel=np.array(list(count.values()), np.int16)), graph)


@st.composite
def failures(draw: st.DrawFn, topology: Topology) -> Failure:
    """Any set: empty, a few, or everything."""
    nodes = draw(st.sets(st.integers(0, topology.n_nodes - 1)))
    links = draw(st.sets(st.integers(0, topology.n_links - 1)))
    return Failure.at(sorted(nodes), sorted(links))


def connected_pairs(graph: nx.Graph) -> int:
    """Unordered pairs of nodes that a path joins."""
    return sum(k * (k - 1) // 2 for k in map(len, nx.connected_components(graph)))


def connected_before(world: World, after: nx.Graph) -> int:
    """Unordered pairs of nodes of `after` that the intact graph connects."""
    alive = (sum(node in after for node in c) for c in nx.connected_components(world.graph))
    return sum(k * (k - 1) // 2 for k in alive)
