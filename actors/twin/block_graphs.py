"""What the failure of a node and of one thing more separates, found within blocks.

A block stays whole without any one of its nodes (see `actors.topology.blocks`), so whatever falls
apart without two of them, or without one and a link, is lost by both together and by neither alone.
Two things of which no block holds both lose nothing beyond what each of them does: whoever they
part, one of them parts by itself. So every such pair is found block by block, each node of a block
counting for all that hangs on it.

Without u, a depth-first search of the block tells for every other node at once what its failure
then cuts off (Hopcroft and Tarjan, "Algorithm 447: Efficient Algorithms for Graph Manipulation",
CACM 16, 1973): below a node, those children whose subtrees no link leads out of past that node. The
search itself and all sums are array arithmetic; one plain loop over the nodes is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import depth_first_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from actors.topology.blocks import Blocks
    from actors.topology.forest import Forest
    from actors.topology.model import Topology

LEAST: Final = 3  # nodes of a block in which two things can separate what one does not


class Split(NamedTuple):
    """A block without one of its nodes, by place in the preorder of a depth-first search.

    Attributes:
        node: int32 [k], node of the block at each place; the removed one is among them, and
            counts for nothing.
        parent: int64 [k], place of the parent; that of the root is its own.
        below: int64 [w, k], weight of the subtree of each place.
        hanging: int64, places whose subtree the failure of their parent would cut off.
        bridge: int64, places whose link to their parent would do so by failing.
    """

    node: NDArray[np.int32]
    parent: NDArray[np.int64]
    below: NDArray[np.int64]
    hanging: NDArray[np.int64]
    bridge: NDArray[np.int64]

    def hung(self) -> NDArray[np.int64]:
        """Weight that the failure of each node would cut from the root, int64 [w, k], by node."""
        sums = np.zeros_like(self.below)
        for row, below in zip(sums, self.below, strict=True):
            # Whole numbers in floats are exact up to 2**53.
            row[self.node] = np.bincount(
                self.parent[self.hanging], below[self.hanging], len(self.node)
            )
        return sums

    def pairs(self) -> NDArray[np.int64]:
        """Pairs of weight units that the failure of each node separates, int64 [k], by node."""
        below, k = self.below[0], len(self.node)
        at, part = self.parent[self.hanging], below[self.hanging]
        hung = np.bincount(at, part, k).astype(np.int64)
        squares = np.bincount(at, part.astype(float) ** 2, k).astype(np.int64)
        own = below.copy()
        np.subtract.at(own, self.parent[1:], below[1:])
        apart = np.empty(k, np.int64)
        apart[self.node] = (hung**2 - squares) // 2 + hung * (below[0] - own - hung)
        return apart


@dataclass(frozen=True, slots=True, eq=False)
class BlockGraph:
    """A block as a graph of its own; its node 0 is its top.

    Attributes:
        node: int64 [k], the block's nodes in the mesh.
        weight: int64 [w, k], what each counts for: itself and all that hangs on it.
        indptr, neighbour: neighbours of each node, ascending, in compressed sparse rows.
        row, link: node and link, as the mesh numbers it, of each entry of `neighbour`.
    """

    node: NDArray[np.int64]
    weight: NDArray[np.int64]
    indptr: NDArray[np.int32]
    neighbour: NDArray[np.int32]
    row: NDArray[np.int64]
    link: NDArray[np.int64]

    def without(self, gone: int) -> Split:
        """The block without one node; searched from node 0, or from 1 without that."""
        k = len(self.node)
        root = 1 if gone == 0 else 0
        order, above = self._search(gone, root)
        place = np.empty(k, np.int64)
        place[order] = np.arange(k)
        above[root] = root
        upper = place[above]  # place of each node's parent, by node
        reached = place[self.neighbour]
        reached[(self.neighbour == gone) | (reached == upper[self.row])] = k
        least = np.minimum.reduceat(reached, self.indptr[:-1])
        least[gone] = k  # a leaf of no weight
        parent = upper[order]
        low, size = _subtrees(least[order], parent)
        weight = self.weight[:, order]
        weight[:, place[gone]] = 0
        total = np.pad(np.cumsum(weight, axis=1), ((0, 0), (1, 0)))
        at = np.arange(k)
        child = at[1:]
        return Split(
            node=order,
            parent=parent,
            below=total[:, at + size] - total[:, at],
            hanging=child[low[1:] >= parent[1:]],
            bridge=child[(low[1:] > parent[1:]) & (child != place[gone])],
        )

    def _search(self, gone: int, root: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Visiting order and predecessors; from `gone`, nothing leads on."""
        start, stop = self.indptr[gone], self.indptr[gone + 1]
        neighbour = np.concatenate([self.neighbour[:start], self.neighbour[stop:]])
        indptr = self.indptr.copy()
        indptr[gone + 1 :] -= stop - start
        k = len(self.node)
        graph = csr_array((np.ones(len(neighbour)), neighbour, indptr), shape=(k, k))
        order, above = depth_first_order(graph, root, directed=True)
        return order, above

    def links_above(self, split: Split, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The link, as the mesh numbers it, between each of these places and its parent."""
        k = len(self.node)
        wanted = split.node[places].astype(np.int64) * k + split.node[split.parent[places]]
        # Entries are in this order, and every one of these is there.
        return self.link[np.searchsorted(self.row * k + self.neighbour, wanted)]


def block_graphs(
    topology: Topology, forest: Forest, parts: Blocks, weight: NDArray[np.int64]
) -> Iterator[BlockGraph]:
    """The blocks of at least `LEAST` nodes; `weight` is int64 [w, n_nodes], by node."""
    n = topology.n_nodes
    here = weight[:, forest.node]
    total = np.pad(np.cumsum(here, axis=1), ((0, 0), (1, 0)))
    place = np.arange(n)
    below = total[:, place + forest.size] - total[:, place]
    child = np.flatnonzero(parts.of >= 0)
    direct = child[forest.parent[child] == parts.top[parts.of[child]]]
    hung = np.zeros((len(weight), len(parts.top)), np.int64)
    counting = here.copy()  # of each place, with all that hangs below it
    for sums, hanging, row in zip(hung, counting, below, strict=True):
        np.add.at(sums, parts.of[direct], row[direct])
        np.add.at(hanging, parts.top, sums)
    ends = np.sort(forest.place[topology.ends], axis=1)
    block_of_link = parts.of[ends[:, 1]] if len(ends) else np.empty(0, np.int32)
    links = np.argsort(block_of_link, kind="stable")
    members = child[np.argsort(parts.of[child], kind="stable")]
    blocks = np.arange(len(parts.top) + 1)
    link_ptr = np.searchsorted(block_of_link[links], blocks)
    member_ptr = np.searchsorted(parts.of[members], blocks)
    local = np.empty(n, np.int64)
    for block in np.flatnonzero(np.diff(member_ptr) >= LEAST - 1).tolist():
        top = parts.top[block]
        inside = np.concatenate([[top], members[member_ptr[block] : member_ptr[block + 1]]])
        local[inside] = np.arange(len(inside))
        own = links[link_ptr[block] : link_ptr[block + 1]]
        counts = counting[:, inside]
        counts[:, 0] = below[:, forest.root[top]] - hung[:, block]
        yield _graph(forest.node[inside].astype(np.int64), counts, local[ends[own]], own)


def _graph(
    node: NDArray[np.int64],
    weight: NDArray[np.int64],
    ends: NDArray[np.int64],
    link: NDArray[np.int64],
) -> BlockGraph:
    source = np.concatenate([ends[:, 0], ends[:, 1]])
    target = np.concatenate([ends[:, 1], ends[:, 0]])
    order = np.lexsort((target, source))
    indptr = np.searchsorted(source[order], np.arange(len(node) + 1)).astype(np.int32)
    return BlockGraph(
        node, weight, indptr, target[order].astype(np.int32), source[order], np.tile(link, 2)[order]
    )


def _subtrees(
    least: NDArray[np.int64], parent: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The least of each subtree, and its number of nodes; int64 [k] each."""
    low, above, size = least.tolist(), parent.tolist(), [1] * len(parent)
    for place in range(len(low) - 1, 0, -1):
        up, own = above[place], low[place]
        size[up] += size[place]
        if own < low[up]:  # noqa: PLR1730 - a call costs more than all the rest of this loop
            low[up] = own
    return np.array(low, np.int64), np.array(size, np.int64)
