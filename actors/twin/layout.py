"""Drawing positions of nodes without known ones, so that near in hops is near on paper.

Each component by stress majorization (Gansner, Koren, North, "Graph Drawing by Stress
Majorization", GD 2004), which minimises sum_{a<b} (|x_a - x_b| - h_ab)^2 / h_ab^2 over hops h_ab,
from the start that pivot MDS gives (Brandes and Pich, "Eigensolver Methods for Progressive
Multidimensional Scaling of Large Data", GD 2006). Of components too large for all pairs, pivot MDS
alone. Components are then packed in rows, largest first; isolated nodes stand in a grid below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.csgraph import dijkstra
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from actors.topology.model import Topology

MAX_STRESS: Final = 2500  # most nodes of a component; time and memory grow with the square
ITERATIONS: Final = 60
PIVOTS: Final = 50
_SETTLED: Final = 1e-4  # relative change of stress at which it ends
_GAP: Final = 2.0  # distance between components, in hops


def layout(topology: Topology, seed: int = 1) -> NDArray[np.float64]:
    """Places of the nodes, float64 [n_nodes, 2], in units of a hop; equal for equal seeds."""
    places = np.zeros((topology.n_nodes, 2))
    components = topology.components()
    sizes = np.bincount(components)
    adjacency = topology.without().adjacency
    order = np.argsort(-sizes, kind="stable")
    parts = []
    for component in order[sizes[order] > 1].tolist():
        nodes = np.flatnonzero(components == component)
        parts.append((nodes, _component(adjacency[nodes][:, nodes], seed)))
    width = max(
        [np.ptp(part[:, 0]) for _, part in parts[:1]] + [2 * np.sqrt(topology.n_nodes)], default=0.0
    )
    x = y = height = 0.0
    for nodes, part in parts:
        low, span = part.min(axis=0), np.ptp(part, axis=0)
        if x > 0 and x + span[0] > width:
            x, y, height = 0.0, y - height - _GAP, 0.0
        places[nodes] = part - low + (x, y - span[1])
        x, height = x + span[0] + _GAP, max(height, span[1])
    alone = np.flatnonzero(np.isin(components, order[sizes[order] == 1]))
    row = max(1, int(width))
    below = y - height - (_GAP if parts else 0.0)
    places[alone] = np.stack(
        [np.arange(len(alone)) % row, below - np.arange(len(alone)) // row], axis=1
    )
    return places


def _component(adjacency: csr_array[np.int8, tuple[int, int]], seed: int) -> NDArray[np.float64]:
    n = adjacency.shape[0]
    draw = np.random.default_rng(seed)
    places = _pivot_mds(adjacency, draw)
    if n > MAX_STRESS:
        return places
    return _upright(_majorize(places, dijkstra(adjacency, unweighted=True)))


def _pivot_mds(
    adjacency: csr_array[np.int8, tuple[int, int]], draw: np.random.Generator
) -> NDArray[np.float64]:
    """Places from hops to some far-apart nodes."""
    n = adjacency.shape[0]
    hops = np.empty((n, min(PIVOTS, n)))
    pivots, nearest = [int(draw.integers(n))], np.full(n, np.inf)
    for column in range(hops.shape[1]):
        hops[:, column] = dijkstra(adjacency, unweighted=True, indices=pivots[-1:])[0]
        nearest = np.minimum(nearest, hops[:, column])
        pivots.append(int(nearest.argmax()))
    centred = hops**2
    centred -= centred.mean(axis=0)
    centred -= centred.mean(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    places = centred @ vectors[:, -2:]
    if places.shape[1] < 2:
        places = np.hstack([places, np.zeros((n, 1))])
    distance = cdist(places, places[pivots[:-1]])
    scale = (distance * hops).sum() / max(float((distance**2).sum()), 1e-9)
    # Nodes alike in hops, such as the leaves of one node, would stand on one spot.
    scattered: NDArray[np.float64] = places * scale + draw.normal(0.0, 0.1, places.shape)
    return scattered


def _majorize(places: NDArray[np.float64], hops: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower the stress until it settles."""
    apart = hops + np.eye(len(hops))
    weight = apart**-2.0
    np.fill_diagonal(weight, 0.0)
    laplacian = np.diag(weight.sum(axis=1)) - weight
    # Only differences of places matter: the first node is held, which makes the rest solvable.
    factor = cho_factor(laplacian[1:, 1:])
    last = np.inf
    for _ in range(ITERATIONS):
        distance = cdist(places, places)
        stress = float((weight * (distance - hops) ** 2).sum())
        if last - stress <= _SETTLED * stress:
            break
        last = stress
        pull = weight * hops / np.maximum(distance, 1e-9)
        target = pull.sum(axis=1)[:, None] * places - pull @ places
        moved = np.zeros_like(places)
        moved[1:] = cho_solve(factor, target[1:])
        places = moved
    return places


def _upright(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turned so that the longest extent lies across."""
    centred = places - places.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    turned: NDArray[np.float64] = centred @ vectors[:, ::-1]
    return turned
