"""The blocks of a mesh: its parts that no single node's failure takes apart.

The biconnected components, by the method of Tarjan and Vishkin ("An Efficient Parallel
Biconnectivity Algorithm", SIAM J. Comput. 14, 1985): over any rooted spanning forest, the tree
links of one block are those that two rules join, and joining is finding connected components. So
all work on links is array arithmetic. (The textbook search with low points looks at each link in
turn, which costs ten times as much here.)

Blocks hang together at cut nodes like a tree. Each is known by its *top*, the node nearest to the
root of its component: the top's failure cuts what hangs below in the block from all the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.forest import Forest
    from actors.topology.model import Topology


class Blocks(NamedTuple):
    """Blocks, in places of a `Forest`.

    Attributes:
        of: int32 [n_nodes], block of the tree link from each place's parent; -1 at roots.
        top: int32 [n_blocks], place of the block's node nearest to the root.
        below: int64 [n_blocks], nodes that the top's failure cuts off through this block: those
            of the block but the top, and all that hang below them.
        bridge: bool [n_blocks], whether the block is a single link.
    """

    of: NDArray[np.int32]
    top: NDArray[np.int32]
    below: NDArray[np.int64]
    bridge: NDArray[np.bool_]

    def hanging(self, n_nodes: int) -> NDArray[np.int64]:
        """Nodes that each place's failure cuts from its component's root, int64 [n_nodes].

        All of them for a root, whose failure leaves no rest.
        """
        return np.bincount(self.top, self.below, n_nodes).astype(np.int64)


def blocks(topology: Topology, forest: Forest) -> Blocks:
    """Find the blocks; O(V + E)."""
    n = topology.n_nodes
    if n == 0:
        none = np.empty(0, np.int32)
        return Blocks(none, none, np.empty(0, np.int64), np.empty(0, np.bool_))
    parent, size = forest.parent, forest.size
    ends = np.sort(forest.place[topology.ends], axis=1)
    first, second = ends[:, 0], ends[:, 1]
    low, high = _reach(n, first, second, parent)
    # Rule 1: a link between places of which neither is above the other joins their tree links.
    across = second >= first + size[first]
    # Rule 2: a tree link joins the one above it when a link leads from below it past that one.
    child = np.flatnonzero(parent >= 0)
    middle = parent[child]
    past = (low[child] < middle) | (high[child] >= middle + size[middle])
    past &= parent[middle] >= 0
    joined = np.concatenate([first[across], child[past]])
    partner = np.concatenate([second[across], middle[past]])
    graph = csr_array((np.ones(len(joined), np.int32), (joined, partner)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, dense = np.unique(label[child], return_inverse=True)
    of = np.full(n, -1, np.int32)
    of[child] = dense
    count = int(dense.max(initial=-1)) + 1
    # Places rise from the top, so the least parent of a block's tree links is its top.
    top = np.full(count, n, np.int32)
    np.minimum.at(top, dense, middle)
    directly = middle == top[dense]
    below = np.bincount(dense[directly], size[child[directly]], count).astype(np.int64)
    return Blocks(of, top, below, np.bincount(dense, minlength=count) == 1)


def _reach(
    n: int, first: NDArray[np.int32], second: NDArray[np.int32], parent: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Least and greatest place that a link from each place's subtree leads to, int32 [n]."""
    least = np.arange(n, dtype=np.int32)
    greatest = least.copy()
    np.minimum.at(least, second, first)
    np.maximum.at(greatest, first, second)
    low, high, above = least.tolist(), greatest.tolist(), parent.tolist()
    for place in range(n - 1, 0, -1):
        up = above[place]
        if up >= 0:
            low[up] = min(low[up], low[place])
            high[up] = max(high[up], high[place])
    return np.array(low, np.int32), np.array(high, np.int32)
