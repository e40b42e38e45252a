"""Pairs of nodes that are so many hops apart whatever way a message takes.

Routes are the mesh's own (shortest by ETX), but what it measures changes and its routes with it;
so a pair is chosen by its fewest hops, and no route between its nodes can have less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.errors import InvalidInput
from actors.topology import spf
from actors.topology.etx import etx_costs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology

MAX_DESTINATIONS: Final = 256  # each needs a tree of routes
MAX_PAIRS: Final = 32_768


@dataclass(frozen=True, slots=True)
class FarPairs:
    """Chosen pairs, in random order, and the tables that lead from one to the other.

    Attributes:
        pairs: int32 [p, 2], source and destination of each pair.
        hops: int32 [p], hops of each pair's route.
        destinations: int32 [d], rows of `next_hop`.
        next_hop: int32 [d, n_nodes], the next node towards each destination; -1 at it or where
            there is none.
    """

    pairs: NDArray[np.int32]
    hops: NDArray[np.int32]
    destinations: NDArray[np.int32]
    next_hop: NDArray[np.int32]

    def path(self, row: int) -> list[int]:
        """The nodes from source to destination of pair `row`."""
        source, destination = self.pairs[row].tolist()
        tree = self.next_hop[int(np.flatnonzero(self.destinations == destination)[0])]
        path = [source]
        while path[-1] != destination:
            path.append(int(tree[path[-1]]))
        return path


def choose(topology: Topology, min_hops: int, seed: int, most: int = MAX_DESTINATIONS) -> FarPairs:
    """Pairs of nodes at least `min_hops` apart by any way, among at most `most` nodes.

    Raises:
        InvalidInput: there is none.
    """
    draw = np.random.default_rng(seed)
    n = topology.n_nodes
    count = min(n, most)
    destinations = np.sort(draw.choice(n, count, replace=False)).astype(np.int32)
    trees = spf.forwarding_trees(topology, etx_costs(topology), destinations)
    next_hop = np.where(trees.next_link < 0, np.int32(-1), topology.link_target[trees.next_link])
    hops = _hops(next_hop.astype(np.int32), destinations)
    # Sources are of the same few nodes, so that accounts and mailboxes of both ends are even.
    among = np.zeros(n, bool)
    among[destinations] = True
    every = np.ones(2 * topology.n_links, np.int32)
    fewest = spf.forwarding_trees(topology, every, destinations).distance
    row, source = np.nonzero((hops > 0) & (fewest >= min_hops) & among)
    if not len(row):
        raise InvalidInput(
            "no pair of nodes is far enough apart",
            f"every two nodes are connected by fewer than {min_hops} hops",
            "Give a smaller --min-hops or a larger --topology.",
            entry="min_hops",
        )
    order = draw.permutation(len(row))[:MAX_PAIRS]
    pairs = np.stack([source, destinations[row]], axis=1).astype(np.int32)[order]
    return FarPairs(pairs, hops[row, source][order], destinations, next_hop.astype(np.int32))


def busiest(topology: Topology, routes: FarPairs) -> int:
    """The node on most of the routes (between their ends) whose loss separates no others.

    Raises:
        InvalidInput: every node on the way is one without which the mesh falls apart.
    """
    through = np.zeros(topology.n_nodes, np.int64)
    source, destination = routes.pairs.T.astype(np.int64)
    row = np.searchsorted(routes.destinations, destination)
    at = routes.next_hop[row, source]
    while (moving := at != destination).any():
        through += np.bincount(at[moving], minlength=topology.n_nodes)
        at = np.where(moving, routes.next_hop[row, at], at)
    before = len(np.unique(topology.components()))
    for node in np.argsort(-through, kind="stable").tolist():
        if not through[node]:
            break
        left = np.delete(topology.without(nodes=[node]).components, node)
        if len(np.unique(left)) == before:
            return int(node)
    raise InvalidInput(
        "no node can fail without separating others",
        "every node on a route is a cut node of the topology",
        "Name one with --victim; messages that it separates come back as unreachable.",
        entry="victim",
    )


def _hops(next_hop: NDArray[np.int32], destinations: NDArray[np.int32]) -> NDArray[np.int32]:
    """Hops from each node to each destination [d, n]; -1 where there is no route."""
    d, n = next_hop.shape
    rows = np.arange(d)[:, None]
    at = np.broadcast_to(np.arange(n), (d, n)).copy()
    hops = np.zeros((d, n), np.int32)
    while True:
        moving = (at >= 0) & (at != destinations[:, None])
        if not moving.any():
            break
        step = next_hop[rows, np.maximum(at, 0)]
        at = np.where(moving, step, at)
        hops += moving
    hops[at < 0] = -1
    return hops
