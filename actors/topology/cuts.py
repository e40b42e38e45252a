"""What every single failure would cut off, all at once.

One depth-first search with low points and subtree sizes (Tarjan, "Depth-First Search and Linear
Graph Algorithms", 1972). The subtrees below a node v whose low point does not lie above v are
separated when v fails: with their sizes s_i, S = sum(s_i) and R the rest of v's component without
v, the failure separates sum_{i<j} s_i s_j + S R pairs of survivors. A tree link whose subtree of
size s reaches nothing above is a bridge, and separates s (n - s) pairs of its component of n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology


class Cuts(NamedTuple):
    """Pairs of surviving nodes, connected before, that one failure separates (unordered)."""

    by_node: NDArray[np.int64]  # [n_nodes]; above 0 for cut nodes only
    by_link: NDArray[np.int64]  # [n_links]; above 0 for bridges only


def single_failures(  # noqa: C901, PLR0912 - one search, whose state splitting would only pass on
    topology: Topology,
) -> Cuts:
    """The pairs that each node's and each link's failure would separate, exactly; O(V + E)."""
    n = topology.n_nodes
    indptr = topology.out_links.indptr.tolist()
    links = topology.out_links.links.tolist()
    target = topology.link_target.tolist()
    by_node, by_link = [0] * n, [0] * topology.n_links
    seen, low, size = [-1] * n, [0] * n, [1] * n
    # Per node: pairs and nodes below it that its failure separates.
    apart, below = [0] * n, [0] * n
    position = indptr[:-1].copy()
    clock = 0
    for root in range(n):
        if seen[root] >= 0:
            continue
        stack, up, order = [root], [-1], [root]
        seen[root] = low[root] = clock
        clock += 1
        while stack:
            v, arrival = stack[-1], up[-1]
            if position[v] < indptr[v + 1]:
                link = links[position[v]]
                position[v] += 1
                w = target[link]
                if seen[w] < 0:
                    seen[w] = low[w] = clock
                    clock += 1
                    stack.append(w)
                    up.append(link)
                    order.append(w)
                elif link >> 1 != arrival >> 1:
                    low[v] = min(low[v], seen[w])
                continue
            stack.pop()
            up.pop()
            if stack:
                parent = stack[-1]
                size[parent] += size[v]
                low[parent] = min(low[parent], low[v])
                if low[v] >= seen[parent]:
                    apart[parent] += below[parent] * size[v]
                    below[parent] += size[v]
                if low[v] > seen[parent]:
                    by_link[arrival >> 1] = size[v]
        whole = size[root]
        for v in order:
            by_node[v] = apart[v] + below[v] * (whole - 1 - below[v])
        for v in order:
            for place in range(indptr[v], indptr[v + 1]):
                link = links[place]
                if link & 1 == 0 and by_link[link >> 1]:
                    cut = by_link[link >> 1]
                    by_link[link >> 1] = cut * (whole - cut)
    return Cuts(np.array(by_node, np.int64), np.array(by_link, np.int64))
