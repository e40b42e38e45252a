"""Random small meshes and failures for the twin's tests, each beside its networkx graph.

Meshes are drawn as maps are published: links may repeat, in either direction, and need not connect
everything. A topology holds the best of parallel links; the graph of networkx merges them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx
from hypothesis import strategies as st

from actors.topology.selection import Wanted
from actors.topology.source import parse
from actors.twin.failure import Failure

if TYPE_CHECKING:
    from actors.topology.model import Topology

MAX_NODES = 9
# Few values, so that routes of equal cost are common.
QUALITIES = (1.0, 0.9, 0.75, 0.5)


@dataclass(frozen=True)
class World:
    topology: Topology
    graph: nx.Graph  # of node indices
    parallel: int  # links beyond the first between their nodes

    def failed(self, failure: Failure) -> nx.Graph:
        """The graph without what has failed."""
        after = self.graph.copy()
        after.remove_edges_from(self.topology.ends[failure.links].tolist())
        after.remove_nodes_from(failure.nodes.tolist())
        return after


def published(n: int, links: list[tuple[int, int, float, float]]) -> bytes:
    """A meshviewer map of nodes n0, n1, ... and these links."""
    return json.dumps(
        {
            "nodes": [{"node_id": f"n{i}"} for i in range(n)],
            "links": [
                {"source": f"n{a}", "target": f"n{b}", "source_tq": f, "target_tq": r}
                for a, b, f, r in links
            ],
        }
    ).encode()


@st.composite
def worlds(draw: st.DrawFn, min_nodes: int = 2, max_nodes: int = MAX_NODES) -> World:
    """A multigraph with at least one link, connected or not, read as a map is."""
    n = draw(st.integers(min_nodes, max_nodes))
    node = st.integers(0, n - 1)
    quality = st.sampled_from(QUALITIES)
    link = st.tuples(node, node, quality, quality).filter(lambda drawn: drawn[0] != drawn[1])
    links = draw(st.lists(link, min_size=1, max_size=2 * n))
    if draw(st.booleans()):  # connected, by a random tree
        links += [
            (draw(st.integers(0, b - 1)), b, draw(quality), draw(quality)) for b in range(1, n)
        ]
    imported = parse(published(n, links), "drawn", Wanted(all_components=True))
    graph = nx.Graph([(a, b) for a, b, _, _ in links])
    graph.add_nodes_from(range(n))
    topology = imported.topology
    return World(topology, graph, int(topology.parallel.sum()) - topology.n_links)


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
