"""Propagation: when deviations began, and what can have come from where."""

import networkx as nx
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from serve_apps.inference.propagation import NEVER, began, order, spread, steadiness
from serve_apps.inference.telemetry import NetworkGraph

Case = tuple[NetworkGraph, NDArray[np.intp], list[int], NDArray[np.intp], NDArray[np.intp]]


def graph_of(n_nodes: int, links: list[tuple[int, int]]) -> NetworkGraph:
    return NetworkGraph(
        tuple(f"n{at}" for at in range(n_nodes)),
        tuple(f"l{at}" for at in range(len(links))),
        np.array(links, np.int32).reshape(-1, 2),
        np.zeros(len(links), bool),
    )


def test_a_spike_of_one_row_is_no_beginning_unless_it_is_the_last() -> None:
    deviation = np.zeros((6, 4))
    deviation[2, 0] = 9.0
    deviation[5, 1] = 9.0
    deviation[3:, 2] = -9.0
    deviation[:, 3] = np.nan
    assert began(deviation).tolist() == [NEVER, 5, 3, NEVER]
    assert steadiness(deviation, began(deviation)).tolist() == [0.0, 1.0, 1.0, 0.0]


def test_a_chain_is_explained_by_its_first_node_also_across_one_that_says_nothing() -> None:
    graph = graph_of(5, [(0, 1), (1, 2), (2, 3), (3, 4)])
    start = np.array([0, NEVER, 2, 3, 5])
    found = spread(graph, start, np.where(start == NEVER, 0.0, 1.0))
    assert found.explained.argmax() == found.chain.argmax() == 0
    assert found.explained[0] == found.chain[0] == 1.0
    assert found.cause.tolist() == [-1, -1, 0, 2, 3]
    assert found.preceded.tolist() == [0, 0, 1, 1, 1]
    assert order(start, found.cause, 0) == [0, 2, 3, 4]


def test_nothing_is_explained_where_nothing_deviates() -> None:
    found = spread(graph_of(3, [(0, 1)]), np.full(3, NEVER), np.zeros(3))
    assert not found.explained.any()
    assert (found.cause == -1).all()


@st.composite
def cascades(draw: st.DrawFn) -> Case:
    """A graph, a cascade of 1 to 6 hops in it of which some nodes are not seen, and noise."""
    n_nodes = draw(st.integers(16, 40))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    tree = [(int(rng.integers(at)), at) for at in range(1, n_nodes)]
    web = nx.Graph(tree)
    hops = draw(st.integers(1, 6))
    root = int(rng.integers(n_nodes))
    far = nx.single_source_shortest_path(web, root)
    path = max((one for one in far.values() if len(one) <= hops + 1), key=len)
    start = np.full(n_nodes, NEVER)
    start[path] = 8 + np.concatenate([[0], np.cumsum(rng.integers(1, 4, len(path) - 1))])
    unseen = [at for at in path[1:-1:2] if draw(st.booleans())]
    start[unseen] = NEVER
    near = set().union(*(nx.single_source_shortest_path_length(web, at, 3) for at in path))
    away = np.array([at for at in range(n_nodes) if at not in near], int)
    noise = rng.permutation(away)[:5]
    start[noise] = rng.integers(0, 14, len(noise))
    return graph_of(n_nodes, tree), start, path, noise, rng.permutation(n_nodes)


@settings(max_examples=150, deadline=None)
@given(cascades())
def test_no_noise_and_no_node_unseen_makes_a_root(case: Case) -> None:
    """Each link of a cascade is followed back to its root, whatever happens elsewhere."""
    graph, start, path, noise, _ = case
    strength = np.where(start == NEVER, 0.0, 1.0)
    found = spread(graph, start, strength)
    seen = [at for at in path if start[at] != NEVER]
    assert found.cause[path[0]] == -1
    for at in seen[1:]:
        back = at
        while found.cause[back] >= 0:
            back = found.cause[back]
        assert back == path[0]
    assert not set(order(start, found.cause, path[0])) & set(noise.tolist())
    of_cascade = found.chain[path[0]]
    assert np.isclose(of_cascade, len(seen) / strength.sum())


@settings(max_examples=50, deadline=None)
@given(cascades())
def test_renumbering_nodes_changes_no_answer(case: Case) -> None:
    graph, start, _, _, new = case
    moved = NetworkGraph(
        tuple(f"m{at}" for at in range(len(start))),
        graph.links,
        new[graph.ends].astype(np.int32),
        graph.directed,
    )
    strength = np.abs(np.sin(np.arange(len(start)) + 1.0))
    there, strong = np.empty_like(start), np.empty_like(strength)
    there[new], strong[new] = start, strength
    before, after = spread(graph, start, strength), spread(moved, there, strong)
    np.testing.assert_allclose(before.explained, after.explained[new])
    np.testing.assert_allclose(before.chain, after.chain[new])
    np.testing.assert_allclose(before.preceded, after.preceded[new])
