"""Node-disjoint paths, against networkx."""

from __future__ import annotations

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.topology.disjoint import DisjointPaths
from actors.topology.model import Topology
from tests.examples import share


@st.composite
def graphs(draw: st.DrawFn) -> nx.Graph:
    n = draw(st.integers(2, 9))
    pairs = [(a, b) for a in range(n) for b in range(a + 1, n)]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=24))
    graph = nx.empty_graph(n)
    for a, b in chosen:
        graph.add_edge(a, b, cost=draw(st.integers(1, 9)))
    return graph


def least_total(graph: nx.Graph, source: int, destination: int, count: int) -> int:
    """The least total cost of `count` disjoint paths, by networkx's network simplex."""
    split = nx.DiGraph()
    for node in graph:
        room = count if node in (source, destination) else 1
        split.add_edge((node, 0), (node, 1), capacity=room, weight=0)
    for a, b, data in graph.edges(data=True):
        split.add_edge((a, 1), (b, 0), capacity=1, weight=data["cost"])
        split.add_edge((b, 1), (a, 0), capacity=1, weight=data["cost"])
    split.nodes[source, 0]["demand"] = -count
    split.nodes[destination, 1]["demand"] = count
    return int(nx.min_cost_flow_cost(split))


@given(graph=graphs(), most=st.integers(1, 4))
@settings(max_examples=share(1))
def test_as_many_as_there_are_and_as_cheap(graph: nx.Graph, most: int) -> None:
    """Paths are disjoint, as many as Menger promises, and of the least total cost."""
    edges = sorted(graph.edges)
    mesh = Topology.of([f"n{i}" for i in range(len(graph))], edges or np.empty((0, 2), int))
    cost = np.repeat([graph.edges[edge]["cost"] for edge in edges], 2).astype(np.int32)
    paths = DisjointPaths(mesh, cost).between(0, 1, most)
    between = [node for path in paths for node in path[1:-1]]
    assert len(between) == len(set(between))
    total = 0
    for path in paths:
        assert (path[0], path[-1]) == (0, 1)
        total += nx.path_weight(graph, path, "cost")
    rest = graph.copy()
    direct = rest.has_edge(0, 1)
    if direct:
        rest.remove_edge(0, 1)
    there_are = nx.node_connectivity(rest, 0, 1) + direct
    assert len(paths) == min(most, there_are)
    if paths:
        assert total == least_total(graph, 0, 1, len(paths))


def test_the_trap() -> None:
    """The shortest path crosses both others, and is given up for them."""
    links = [(0, 2), (2, 3), (3, 1), (0, 3), (2, 1)]
    mesh = Topology.of(["s", "t", "a", "b"], links)
    cost = np.repeat([1, 1, 1, 5, 5], 2).astype(np.int32)
    found = DisjointPaths(mesh, cost)
    assert found.between(0, 1, 1) == [[0, 2, 3, 1]]
    assert found.between(0, 1, 2) == [[0, 2, 1], [0, 3, 1]]
    assert found.between(0, 0, 2) == [[0]]
