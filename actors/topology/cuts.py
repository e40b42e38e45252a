"""The pairs that every single failure would separate, computed all at once.

Through each block that hangs below a node v (see `blocks`), the failure of v cuts off some nodes:
with their numbers s_i, S = sum(s_i) and R the rest of v's component without v, the failure
separates sum_{i<j} s_i s_j + S R pairs of survivors. A block that is a single link is a bridge;
with s nodes below, its failure separates s (n - s) pairs of its component of n. Where several links
join a pair of nodes, the failure of one of them separates nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actors.topology.blocks import blocks
from actors.topology.forest import spanning_forest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.blocks import Blocks
    from actors.topology.forest import Forest
    from actors.topology.model import Topology


class Cuts(NamedTuple):
    """Unordered pairs of surviving nodes, connected before, that one failure separates."""

    by_node: NDArray[np.int64]  # [n_nodes]; above 0 for cut nodes only
    by_link: NDArray[np.int64]  # [n_links]; above 0 for bridges only, 0 for parallel links


def single_failures(topology: Topology) -> Cuts:
    """The pairs that each node's and each link's failure would separate, exactly; O(V + E)."""
    forest = spanning_forest(topology)
    return cuts(topology, forest, blocks(topology, forest))


def cuts(topology: Topology, forest: Forest, parts: Blocks) -> Cuts:
    """As `single_failures`, for blocks that are already computed."""
    n = topology.n_nodes
    hanging = parts.hanging(n)
    # Whole numbers in floats are exact up to 2**53; squares of 50,000 nodes' are far below.
    squares = np.bincount(parts.top, parts.below**2, n).astype(np.int64)
    apart = (hanging**2 - squares) // 2 + hanging * (forest.whole - 1 - hanging)
    by_node = np.empty(n, np.int64)
    by_node[forest.node] = apart
    by_link = np.zeros(topology.n_links, np.int64)
    lower = np.flatnonzero(parts.of >= 0)
    lower = lower[parts.bridge[parts.of[lower]]]
    directed = topology.directed_links(forest.node[forest.parent[lower]], forest.node[lower])
    by_link[directed >> 1] = forest.size[lower] * (forest.whole[lower] - forest.size[lower])
    by_link[topology.parallel > 1] = 0
    return Cuts(by_node, by_link)
