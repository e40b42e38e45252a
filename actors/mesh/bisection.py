"""Cutting a graph into equal parts along few links: recursive spectral bisection.

The nodes of each connected component are put in the order of the component's Fiedler vector, the
eigenvector of the second smallest eigenvalue of the graph's Laplacian, and cut in the middle
(Fiedler, "Algebraic connectivity of graphs", 1973; Pothen, Simon and Liou, "Partitioning Sparse
Matrices with Eigenvectors of Graphs", 1990).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DENSE = 300  # nodes up to which all eigenvectors are computed at once
_SHIFT = -1e-3  # near the eigenvalue 0, at which the Laplacian cannot be factorised


def parts(ends: NDArray[np.int32], n_nodes: int, count: int) -> NDArray[np.int16]:
    """The part of each node, int16 [n_nodes]; sizes differ by one at most.

    Args:
        ends: int32 [n_links, 2], node indices.
        n_nodes: number of nodes of the graph.
        count: number of parts.
    """
    a, b = ends.T
    links = coo_array((np.ones(len(ends)), (a, b)), shape=(n_nodes, n_nodes)).tocsr()
    graph = csr_array(links + links.T)
    part = np.empty(n_nodes, np.int16)
    _cut(graph, np.arange(n_nodes), np.arange(count + 1) * n_nodes // count, part, 0)
    return part


def _cut(
    graph: csr_array,
    nodes: NDArray[np.intp],
    bounds: NDArray[np.intp],
    part: NDArray[np.int16],
    first: int,
) -> None:
    """Number the parts of `nodes` from `first` on; `bounds` says how many go where."""
    count = len(bounds) - 1
    if count == 1:
        part[nodes] = first
        return
    half = count // 2
    order = nodes[_order(graph[nodes][:, nodes])]
    middle = bounds[half] - bounds[0]
    _cut(graph, np.sort(order[:middle]), bounds[: half + 1], part, first)
    _cut(graph, np.sort(order[middle:]), bounds[half:], part, first + half)


def _order(graph: csr_array) -> NDArray[np.intp]:
    """The nodes in such an order that neighbours are close together."""
    count, component = connected_components(graph, directed=False)
    place = np.empty(graph.shape[0])
    for number in range(count):
        nodes = np.flatnonzero(component == number)
        place[nodes] = _fiedler(graph[nodes][:, nodes])
    return np.lexsort((place, component))


def _fiedler(graph: csr_array) -> NDArray[np.float64]:
    """The Fiedler vector of a connected graph, its sign such that the first entry is positive."""
    n = graph.shape[0]
    laplacian = diags_array(np.asarray(graph.sum(axis=0)).ravel()) - graph
    if n <= _DENSE:
        vectors = np.linalg.eigh(laplacian.toarray())[1]
    else:
        start = np.random.default_rng(1).random(n)  # fixed, so that results are repeatable
        values, vectors = eigsh(laplacian.tocsc(), k=2, sigma=_SHIFT, which="LM", v0=start)
        vectors = vectors[:, np.argsort(values)]
    found: NDArray[np.float64] = vectors[:, min(1, n - 1)]
    return found if found[0] >= 0 else -found
