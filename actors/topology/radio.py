"""A generated radio mesh: the topology that needs no file (`radio:N`, `radio:N:SEED`).

None of it was measured. Its shape and the distribution of its link qualities were matched to
one measured community mesh (Freifunk Leipzig, March 2020, without VPN links: 144 nodes, 290
links). What the model does:

- Places: a settlement grows. Each node stands at a Gaussian offset from a node before it, so
  there are dense cores with hubs and thin edges with leaves.
- Links: the radio length of a pair is its distance, under log-normal shadowing (Rappaport,
  "Wireless Communications", ch. 4) and relative to how dense its surroundings are, since in
  dense places people turn the power down. The minimum spanning tree of radio lengths joins
  everything; the shortest remaining pairs fill up to the mean degree.
- Qualities: the worse direction of a link falls with its radio length, with scatter, and takes
  exactly the measured distribution; the better direction lies between it and 1.

At 144 nodes, means over 40 seeds against (Leipzig): cut nodes 38 (40), bridges 42 (44), leaves
20 (26), highest degree 11 (13), mean hops 7.7 (6.9), diameter 23 (17), clustering 0.28 (0.43).

Invariants: N nodes, one component, mean degree 4.03 (less where N is too small for it), all
links of kind `wifi`, equal arguments give equal topologies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial import Delaunay, cKDTree
from scipy.special import ndtri

from actors.topology.model import KINDS, Topology
from actors.topology.radio_spec import DEFAULT_SEED, PREFIX, parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINKS_PER_NODE: Final = 290 / 144
SHADOWING: Final = 0.4  # standard deviation of the natural logarithm of radio length
DENSITY_EXPONENT: Final = 0.25  # 0: one range for all; 1: range follows the neighbour distance
NEIGHBOURS: Final = 32  # nearest nodes within which a link is sought, beyond Delaunay edges
LENGTH_CORRELATION: Final = 0.7  # correlation of radio length and quality, as normal scores

# Measured delivery of the worse direction of a link: level of the quantile, and its value.
WORSE_LEVEL: Final = (
    0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.52, 1.0,
)  # fmt: skip
WORSE_VALUE: Final = (
    0.059, 0.117, 0.17, 0.217, 0.408, 0.498, 0.575, 0.686, 0.756, 0.847, 0.898, 0.937, 0.984, 1, 1,
)  # fmt: skip
# Of what the worse direction loses, the better one regains none (9 % of links), all (31 %), or
# any part evenly.
REGAINS_NONE: Final = 0.09
REGAINS_ALL: Final = 0.31


def generate(n_nodes: int, seed: int = DEFAULT_SEED) -> Topology:
    """Make the mesh of `n_nodes` nodes that belongs to `seed`.

    Raises:
        TopologyError: `n_nodes` is outside 2..50,000 or `seed` outside 0..2**63-1.
    """
    parse(f"{PREFIX}{n_nodes}:{seed}")
    rng = np.random.default_rng(seed)
    places = _settle(n_nodes, rng)
    pairs, length = _candidates(places, rng)
    links = _choose(n_nodes, pairs, length)
    width = max(4, len(str(n_nodes - 1)))
    return Topology.of(
        [f"n{index:0{width}d}" for index in range(n_nodes)],
        pairs[links],
        _qualities(length[links], rng),
        KINDS.index("wifi"),
    )


def _settle(n_nodes: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Places of the nodes, float64 [n_nodes, 2], in units of the step of growth."""
    parent = (rng.random(n_nodes) * np.arange(n_nodes)).astype(np.int64)
    places = rng.normal(size=(n_nodes, 2))
    for node in range(1, n_nodes):
        places[node] += places[parent[node]]
    return places


def _candidates(
    places: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pairs that might be linked, int64 [m, 2] in ascending order, and their radio lengths."""
    n_nodes = len(places)
    distance, near = map(np.asarray, cKDTree(places).query(places, k=min(NEIGHBOURS + 1, n_nodes)))
    found = [np.stack([np.repeat(np.arange(n_nodes), near.shape[1] - 1), near[:, 1:].ravel()], 1)]
    if n_nodes > NEIGHBOURS + 1:
        # Nearest neighbours may form islands; the Delaunay triangulation joins all places.
        corners = Delaunay(places).simplices.astype(np.int64)
        found += [corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]]
    pairs = np.unique(np.sort(np.vstack(found), axis=1), axis=0)
    spacing = distance[:, min(4, n_nodes - 1)]
    density = np.sqrt(spacing[pairs[:, 0]] * spacing[pairs[:, 1]]) ** DENSITY_EXPONENT
    apart = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    return pairs, apart / density * np.exp(SHADOWING * rng.normal(size=len(pairs)))


def _choose(
    n_nodes: int, pairs: NDArray[np.int64], length: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Positions in `pairs` of the links: the spanning tree, then the shortest others."""
    weights = coo_array((length, (pairs[:, 0], pairs[:, 1])), shape=(n_nodes, n_nodes))
    tree = minimum_spanning_tree(weights.tocsr()).tocoo()
    in_tree = np.isin(
        pairs[:, 0] * n_nodes + pairs[:, 1], tree.row.astype(np.int64) * n_nodes + tree.col
    )
    others = np.flatnonzero(~in_tree)
    wanted = max(0, round(n_nodes * LINKS_PER_NODE) - (n_nodes - 1))
    shortest = others[np.argsort(length[others], kind="stable")[:wanted]]
    return np.sort(np.concatenate([np.flatnonzero(in_tree), shortest]))


def _qualities(length: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Delivery probabilities, float64 [n_links, 2], the better direction on a random side."""
    n_links = len(length)
    shortness = ndtri(_ranks(-length) / (n_links + 1))
    scatter = np.sqrt(1 - LENGTH_CORRELATION**2) * rng.normal(size=n_links)
    level = (_ranks(LENGTH_CORRELATION * shortness + scatter) - 0.5) / n_links
    worse = np.interp(level, WORSE_LEVEL, WORSE_VALUE)
    regained = np.clip(
        (rng.random(n_links) - REGAINS_NONE) / (1 - REGAINS_NONE - REGAINS_ALL), 0.0, 1.0
    )
    better = worse + regained * (1 - worse)
    forth_is_better = rng.random(n_links) < 0.5
    return np.stack(
        [np.where(forth_is_better, better, worse), np.where(forth_is_better, worse, better)], axis=1
    )


def _ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of each value in ascending order, from 1; they are drawn, so no two are equal.

    `scipy.stats`, which could say it too, takes longer to import than all else that an actor needs.
    """
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(values)] = np.arange(1, len(values) + 1)
    return ranks
