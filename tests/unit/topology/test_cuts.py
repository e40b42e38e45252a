"""What every single failure cuts off, against taking each element out of the graph."""

from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.topology.blocks import blocks
from actors.topology.cuts import single_failures
from actors.topology.forest import spanning_forest
from actors.topology.model import Topology


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Topology, nx.Graph]:
    """Up to 12 nodes, any links, connected or not."""
    n = draw(st.integers(0, 12))
    pairs = [(a, b) for a in range(n) for b in range(a)]
    links = draw(st.lists(st.sampled_from(pairs), unique=True) if pairs else st.just([]))
    graph = nx.Graph(links)
    graph.add_nodes_from(range(n))
    return Topology.of([f"n{i}" for i in range(n)], links), graph


def _separated(graph: nx.Graph, after: nx.Graph) -> int:
    """Unordered pairs of nodes of `after` that `graph` connects and `after` does not."""

    def connected_pairs(g: nx.Graph) -> int:
        alive = [sum(node in after for node in part) for part in nx.connected_components(g)]
        return sum(k * (k - 1) // 2 for k in alive)

    return connected_pairs(graph) - connected_pairs(after)


@given(graphs())
def test_agrees_with_removing_each_element(drawn: tuple[Topology, nx.Graph]) -> None:
    """Every node and link costs just the pairs that taking it out of the graph separates."""
    topology, graph = drawn
    cuts = single_failures(topology)
    for node in range(topology.n_nodes):
        after = graph.copy()
        after.remove_node(node)
        assert cuts.by_node[node] == _separated(graph, after)
    for link, (a, b) in enumerate(topology.ends.tolist()):
        after = graph.copy()
        after.remove_edge(a, b)
        assert cuts.by_link[link] == _separated(graph, after)


@given(graphs())
def test_blocks_are_the_biconnected_components(drawn: tuple[Topology, nx.Graph]) -> None:
    """The nodes of each block, its top among them, are those of a biconnected component."""
    topology, graph = drawn
    forest = spanning_forest(topology)
    parts = blocks(topology, forest)
    found = {
        frozenset(forest.node[[*np.flatnonzero(parts.of == block).tolist(), top]].tolist())
        for block, top in enumerate(parts.top.tolist())
    }
    assert found == {frozenset(part) for part in nx.biconnected_components(graph)}
    bridges = {frozenset(ends) for ends in nx.bridges(graph)}
    assert {part for part in found if len(part) == 2} == bridges
    assert int(parts.bridge.sum()) == len(bridges)


@given(graphs())
def test_the_forest_is_in_preorder(drawn: tuple[Topology, nx.Graph]) -> None:
    """Every subtree is an interval, parents are neighbours, and each component is one tree."""
    topology, graph = drawn
    forest = spanning_forest(topology)
    assert (forest.place[forest.node] == np.arange(topology.n_nodes)).all()
    for place, (parent, size) in enumerate(
        zip(forest.parent.tolist(), forest.size.tolist(), strict=True)
    ):
        below = {place}
        for later in range(place + 1, topology.n_nodes):
            if int(forest.parent[later]) in below:
                below.add(later)
        assert below == set(range(place, place + size))
        if parent >= 0:
            assert graph.has_edge(int(forest.node[place]), int(forest.node[parent]))
    parts = {frozenset(part) for part in nx.connected_components(graph)}
    assert {
        frozenset(forest.node[forest.root == root].tolist()) for root in set(forest.root.tolist())
    } == parts


def test_a_long_chain_needs_no_recursion() -> None:
    """The middle of a chain of 20,001 nodes separates 10,000 from 10,000."""
    n = 20_001
    topology = Topology.of([f"n{i}" for i in range(n)], [(i, i + 1) for i in range(n - 1)])
    cuts = single_failures(topology)
    assert cuts.by_node[n // 2] == 10_000 * 10_000
    assert np.argmax(cuts.by_node) == n // 2


def test_counts_of_a_large_star_are_exact() -> None:
    """The hub of 50,000 leaves separates them all; a leaf, nobody; each link, one from the rest."""
    n = 50_001
    topology = Topology.of([f"n{i}" for i in range(n)], [(n - 1, i) for i in range(n - 1)])
    cuts = single_failures(topology)
    assert cuts.by_node[n - 1] == 50_000 * 49_999 // 2
    assert not cuts.by_node[: n - 1].any()
    assert (cuts.by_link == n - 1).all()
