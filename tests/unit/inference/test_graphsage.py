"""The evaluation of GraphSAGE in numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_apps.inference import root_cause
from serve_apps.inference.graphsage import GraphSage, mean_operator
from serve_apps.inference.learning import VertexGraph
from serve_apps.inference.node_graph import neighbour_operator
from serve_apps.inference.telemetry import NetworkGraph
from tests.unit.inference.drawn import drawn_edges, drawn_network

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy import sparse

SEEDS = st.integers(0, 2**32 - 1)


def _operators(
    rng: np.random.Generator, n: int, relations: int
) -> tuple[list[NDArray[np.int32]], list[sparse.csr_array]]:
    edges = [drawn_edges(rng, n) for _ in range(relations)]
    return edges, [mean_operator(n, *each) for each in edges]


@pytest.mark.parametrize("seed", range(5))
def test_it_computes_what_torch_geometric_does(seed: int) -> None:
    """Within 1e-6, with one SAGEConv for each relation; vertices without edges included."""
    torch = pytest.importorskip("torch", reason="training's torch is not installed")
    nn = pytest.importorskip("torch_geometric.nn", reason="torch-geometric is not installed")
    rng = np.random.default_rng(seed)
    n, sizes, relations = 60, (10, 16, 24, 3), seed % 4
    network = drawn_network(rng, sizes, relations)
    edges, operators = _operators(rng, n, relations)
    assert all((operator.sum(axis=1) == 0).any() for operator in operators)
    x = rng.normal(size=(n, sizes[0])).astype(np.float32)

    h = torch.from_numpy(x)
    for number, layer in enumerate(network.layers):
        out = h @ torch.from_numpy(layer.own) + torch.from_numpy(layer.bias)
        for pair, weights in zip(edges, layer.of_relation, strict=True):
            conv = nn.SAGEConv(*weights.shape, aggr="mean", root_weight=False, bias=False)
            with torch.no_grad():
                conv.lin_l.weight.copy_(torch.from_numpy(weights.T.copy()))
                out = out + conv(h, torch.from_numpy(pair.astype(np.int64)))
        h = out if number == len(network.layers) - 1 else torch.relu(out)
    expected = h.detach().numpy()
    assert np.abs(network(x, operators) - expected).max() <= 1e-6 * max(1.0, np.abs(expected).max())


@given(seed=SEEDS)
def test_renaming_vertices_changes_no_answer(seed: int) -> None:
    """A permutation of the vertices permutes the answers and does nothing else."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 20))
    network = drawn_network(rng, (4, 8, 2), 2)
    edges, operators = _operators(rng, n, 2)
    x = rng.normal(size=(n, 4)).astype(np.float32)
    order = rng.permutation(n)  # new index of each vertex
    renamed = np.empty_like(x)
    renamed[order] = x
    moved = [mean_operator(n, order[source], order[target]) for source, target in edges]
    np.testing.assert_allclose(
        network(renamed, moved)[order], network(x, operators), atol=1e-4, rtol=1e-4
    )


def test_the_mean_is_over_the_sources_of_the_edges_into_a_vertex() -> None:
    operator = mean_operator(4, np.array([0, 1, 1, 3]), np.array([2, 2, 2, 0]))
    values = np.array([[3.0], [6.0], [100.0], [7.0]], np.float32)
    np.testing.assert_allclose(operator @ values, [[7.0], [0.0], [5.0], [0.0]], rtol=1e-6)


def test_without_relations_each_vertex_stands_for_itself() -> None:
    rng = np.random.default_rng(0)
    network = drawn_network(rng, (3, 5, 1), 0)
    x = rng.normal(size=(6, 3)).astype(np.float32)
    alone = np.concatenate([network(row[None], []) for row in x])
    np.testing.assert_allclose(network(x, []), alone, rtol=1e-5)


def test_a_graph_without_vertices_has_no_answers() -> None:
    network = drawn_network(np.random.default_rng(0), (3, 5, 2), 1)
    nothing = np.empty(0, np.int32)
    found = network(np.empty((0, 3), np.float32), [mean_operator(0, nothing, nothing)])
    assert found.shape == (0, 2)


def test_operators_must_be_as_many_as_relations() -> None:
    network: GraphSage = drawn_network(np.random.default_rng(0), (3, 2), 1)
    with pytest.raises(ValueError, match="zip"):
        network(np.zeros((2, 3), np.float32), [])


def test_each_neighbour_counts_once() -> None:
    """However many links lead to it, and however they are written; nobody is its own neighbour."""
    links = np.array([[0, 1], [1, 0], [0, 1], [0, 2], [2, 2], [3, -1]])
    expected = mean_operator(4, np.array([1, 2, 0, 0]), np.array([0, 0, 1, 2]))
    found = neighbour_operator(4, links)
    np.testing.assert_array_equal(found.todense(), expected.todense())
    assert found.dtype == np.float32
    graph = NetworkGraph(tuple("abcd"), tuple("uvwxyz"), links, np.zeros(6, bool))
    (learnt_on,) = root_cause.operators(VertexGraph.of_nodes(graph))
    np.testing.assert_array_equal(learnt_on.todense(), expected.todense())
    assert neighbour_operator(0, np.empty((0, 2), int)).shape == (0, 0)
