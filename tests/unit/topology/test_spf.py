"""Forwarding trees against networkx, alternates against RFC 5286, and what changes touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.topology import spf
from tests.unit.mesh.worlds import meshes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology

# Few values, so that paths of equal cost are common; 0: not advertised.
costs = st.sampled_from((0, 1, 2, 2, 3, 256))


@st.composite
def weighted(draw: st.DrawFn) -> tuple[Topology, NDArray[np.int32]]:
    mesh = draw(meshes())
    return mesh, draw(advertised(mesh))


def advertised(mesh: Topology) -> st.SearchStrategy[NDArray[np.int32]]:
    count = 2 * mesh.n_links
    return st.lists(costs, min_size=count, max_size=count).map(
        lambda values: spf.usable_costs(np.array(values, np.int32))
    )


def digraph(mesh: Topology, cost: NDArray[np.int32]) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(mesh.n_nodes))
    for link in np.flatnonzero(cost).tolist():
        ends = int(mesh.link_source[link]), int(mesh.link_target[link])
        graph.add_edge(*ends, weight=int(cost[link]))
    return graph


def all_trees(mesh: Topology, cost: NDArray[np.int32], *, alternates: bool = False) -> spf.Trees:
    nodes = np.arange(mesh.n_nodes, dtype=np.int32)
    return spf.forwarding_trees(mesh, cost, nodes, alternates=alternates)


@given(weighted())
def test_distances_and_next_hops_are_shortest(
    world: tuple[Topology, NDArray[np.int32]],
) -> None:
    """Distances equal networkx's, and each next hop lies on a shortest path."""
    mesh, cost = world
    graph, trees = digraph(mesh, cost), all_trees(mesh, cost)
    for destination in range(mesh.n_nodes):
        truth = nx.single_source_dijkstra_path_length(graph.reverse(), destination)
        for node in range(mesh.n_nodes):
            distance = int(trees.distance[destination, node])
            link = int(trees.next_link[destination, node])
            assert distance == truth.get(node, spf.INFINITE)
            assert (link < 0) == (node == destination or node not in truth)
            if link >= 0:
                assert mesh.link_source[link] == node
                assert distance == cost[link] + truth[int(mesh.link_target[link])]


@given(weighted())
def test_alternates_are_the_best_downstream_neighbours(
    world: tuple[Topology, NDArray[np.int32]],
) -> None:
    """An alternate is the cheapest other neighbour nearer than the node itself, where one is."""
    mesh, cost = world
    trees = all_trees(mesh, cost, alternates=True)
    for destination in range(mesh.n_nodes):
        distance = trees.distance[destination].astype(np.int64)
        for node in range(mesh.n_nodes):
            indptr, links = mesh.out_links
            allowed = [
                int(link)
                for link in links[indptr[node] : indptr[node + 1]]
                if cost[link] > 0
                and link != trees.next_link[destination, node]
                and distance[mesh.link_target[link]] < distance[node]  # RFC 5286, 3.1, downstream
            ]
            via = {link: int(cost[link] + distance[mesh.link_target[link]]) for link in allowed}
            chosen = int(trees.alternate[destination, node])
            assert via.get(chosen) == min(via.values(), default=None)


@given(world=weighted(), data=st.data(), alternates=st.booleans())
def test_untouched_trees_are_still_right(
    world: tuple[Topology, NDArray[np.int32]],
    data: st.DataObject,
    *,
    alternates: bool,
) -> None:
    """A tree that `touched` passes over has the distances of a fresh one, by its own links."""
    mesh, old = world
    change = data.draw(advertised(mesh))
    few = data.draw(st.sets(st.integers(0, mesh.n_links - 1), max_size=2))
    new = old.copy()
    for link in few:
        new[2 * link : 2 * link + 2] = change[2 * link : 2 * link + 2]
    before, after = (all_trees(mesh, cost, alternates=alternates) for cost in (old, new))
    hit = spf.touched(mesh, before, old, new, alternates=alternates)
    assert np.array_equal(before.distance[~hit], after.distance[~hit])
    for row in np.flatnonzero(~hit).tolist():
        distance = before.distance[row].astype(np.int64)
        assert np.array_equal(before.alternate[row] < 0, after.alternate[row] < 0)
        for node in np.flatnonzero(before.next_link[row] >= 0).tolist():
            link = before.next_link[row, node]
            assert new[link] > 0
            assert distance[node] == new[link] + distance[mesh.link_target[link]]
        for node in np.flatnonzero(before.alternate[row] >= 0).tolist():
            link, fresh = before.alternate[row, node], after.alternate[row, node]
            assert new[link] > 0
            assert distance[mesh.link_target[link]] < distance[node]
            if before.next_link[row, node] == after.next_link[row, node]:
                cost_via = new[link] + distance[mesh.link_target[link]]
                assert cost_via == new[fresh] + distance[mesh.link_target[fresh]]


def test_a_link_counts_only_if_both_ends_advertise_it() -> None:
    """The two-way check of RFC 2328, 16.1."""
    one_sided = np.array([256, 0, 300, 400, 0, 0], np.int32)
    assert spf.usable_costs(one_sided).tolist() == [0, 0, 300, 400, 0, 0]
