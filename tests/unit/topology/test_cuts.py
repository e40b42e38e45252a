from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.topology.cuts import single_failures
from actors.topology.model import Topology


def _separated(graph: nx.Graph, after: nx.Graph) -> int:
    """Unordered pairs of nodes of `after` that `graph` connects and `after` does not."""

    def connected_pairs(g: nx.Graph) -> int:
        alive = [sum(node in after for node in part) for part in nx.connected_components(g)]
        return sum(k * (k - 1) // 2 for k in alive)

    return connected_pairs(graph) - connected_pairs(after)


@given(st.data())
def test_agrees_with_removing_each_element(data: st.DataObject) -> None:
    """Every node and link costs just the pairs that taking it out of the graph separates."""
    n = data.draw(st.integers(1, 12))
    pairs = [(a, b) for a in range(n) for b in range(a)]
    links = data.draw(st.lists(st.sampled_from(pairs), unique=True) if pairs else st.just([]))
    topology = Topology.of([f"n{i}" for i in range(n)], links)
    graph = nx.Graph(links)
    graph.add_nodes_from(range(n))
    cuts = single_failures(topology)
    for node in range(n):
        after = graph.copy()
        after.remove_node(node)
        assert cuts.by_node[node] == _separated(graph, after)
    for link, (a, b) in enumerate(topology.ends.tolist()):
        after = graph.copy()
        after.remove_edge(a, b)
        assert cuts.by_link[link] == _separated(graph, after)


def test_a_long_chain_needs_no_recursion() -> None:
    """The middle of a chain of 20,001 nodes separates 10,000 from 10,000."""
    n = 20_001
    topology = Topology.of([f"n{i}" for i in range(n)], [(i, i + 1) for i in range(n - 1)])
    cuts = single_failures(topology)
    assert cuts.by_node[n // 2] == 10_000 * 10_000
    assert np.argmax(cuts.by_node) == n // 2
