"""A spanning forest in preorder: the frame on which cuts and failures are counted.

A tree a component, breadth first from the component's lowest-numbered node, so that subtrees are
small; trees in the order of their roots. Nodes are renumbered by their *place* in preorder, in
which a subtree is an interval: that of place p is p..p + size[p] - 1, and `parent[p] < p`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology


class Forest(NamedTuple):
    """Nodes by place in preorder; all arrays [n_nodes].

    Attributes:
        place: int32, place of each node.
        node: int32, node at each place.
        parent: int32, place of the parent of each place; -1 at roots.
        size: int64, nodes in the subtree of each place, itself included.
        root: int32, place of the root of each place's component.
    """

    place: NDArray[np.int32]
    node: NDArray[np.int32]
    parent: NDArray[np.int32]
    size: NDArray[np.int64]
    root: NDArray[np.int32]

    @property
    def whole(self) -> NDArray[np.int64]:
        """Nodes in the component of each place, int64 [n_nodes]."""
        return self.size[self.root]


def spanning_forest(topology: Topology) -> Forest:
    """The forest of this module; O(V + E)."""
    n = topology.n_nodes
    if n == 0:
        none = np.empty(0, np.int32)
        return Forest(none, none, none, np.empty(0, np.int64), none)
    order, above = _breadth_first(topology)
    # Plain lists: a loop over nodes in them is faster than numpy's items, and nodes are few
    # compared with links.
    parents, forward = above.tolist(), order.tolist()
    sizes = [1] * (n + 1)
    for v in reversed(forward[1:]):
        sizes[parents[v]] += sizes[v]
    # Where the next child of each node goes; what comes before it in preorder is complete.
    free, places = [0] * (n + 1), [-1] * (n + 1)
    for v in forward[1:]:
        at = free[parents[v]]
        places[v] = at
        free[parents[v]] = at + sizes[v]
        free[v] = at + 1
    place = np.array(places, np.int32)  # -1 at the node above all roots
    node = np.empty(n, np.int32)
    node[place[:n]] = np.arange(n, dtype=np.int32)
    parent = place[above[node]]
    starts = np.flatnonzero(parent < 0)
    size = np.array(sizes[:n], np.int64)[node]
    root = np.repeat(starts, size[starts]).astype(np.int32)
    return Forest(place[:n], node, parent, size, root)


def _breadth_first(topology: Topology) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Visiting order and predecessors, from a node n_nodes added above one node a component."""
    n = topology.n_nodes
    indptr, links = topology.out_links
    _, roots = np.unique(topology.components(), return_index=True)
    neighbours = np.concatenate([topology.link_target[links], np.sort(roots).astype(np.int32)])
    starts = np.append(indptr, len(neighbours)).astype(np.int32)
    graph = csr_array((np.ones(len(neighbours), np.int8), neighbours, starts), shape=(n + 1, n + 1))
    order, above = breadth_first_order(graph, n, directed=True)
    return order, above
