"""A topology under failures: masks over the immutable graph, so that no index ever moves.

A link survives when it has not failed itself and neither of its ends has. What is asked of
the surviving graph (components, diameter) is answered in the numbering of the whole one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from actors.topology.arrays import read_only

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology


def connected_pairs(components: NDArray[np.int32]) -> int:
    """Unordered pairs within one component; -1 marks nodes that do not count."""
    sizes = np.bincount(components[components >= 0]).astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


# No slots: the cached properties live in __dict__. No generated __eq__: the fields are arrays.
@dataclass(frozen=True, eq=False)
class Surviving:
    """The part of `topology` that has not failed; made by `Topology.without`.

    Attributes:
        topology: the whole graph.
        node_alive: bool [n_nodes].
        link_alive: bool [n_links]; False also where an end has failed.
    """

    topology: Topology
    node_alive: NDArray[np.bool_]
    link_alive: NDArray[np.bool_]

    @cached_property
    def directed_alive(self) -> NDArray[np.bool_]:
        """Which directed links survive, bool [2 * n_links]."""
        return read_only(np.repeat(self.link_alive, 2))

    @cached_property
    def adjacency(self) -> csr_array[np.int8, tuple[int, int]]:
        """Ones where a link survives, int8 sparse [n_nodes, n_nodes], symmetric."""
        topology, alive = self.topology, self.directed_alive
        source, target = topology.link_source[alive], topology.link_target[alive]
        ones = np.ones(len(source), dtype=np.int8)
        return csr_array((ones, (source, target)), shape=(topology.n_nodes, topology.n_nodes))

    @cached_property
    def components(self) -> NDArray[np.int32]:
        """Component of each node, int32 [n_nodes], numbered from 0; -1 for failed nodes."""
        if self.topology.n_nodes == 0:
            return read_only(np.empty(0, dtype=np.int32))
        _, labels = connected_components(self.adjacency, directed=False)
        labels[~self.node_alive] = -1
        # Failed nodes were components of their own: number the rest without gaps.
        used, dense = np.unique(labels, return_inverse=True)
        gone = 1 if used[0] < 0 else 0
        return read_only((dense - gone).astype(np.int32))

    @property
    def n_components(self) -> int:
        """Number of components among the surviving nodes."""
        return int(self.components.max(initial=-1)) + 1

    def largest_component(self) -> NDArray[np.bool_]:
        """Nodes of the largest component, bool [n_nodes]; the lowest-numbered of equals."""
        if self.n_components == 0:
            return np.zeros(self.topology.n_nodes, dtype=np.bool_)
        sizes = np.bincount(self.components[self.node_alive])
        return np.equal(self.components, sizes.argmax())

    def diameter(self) -> int:
        """Greatest number of hops on a shortest path between two connected nodes; 0 for none.

        Exact, by bounding eccentricities (Takes and Kosters, "Determining the Diameter of Small
        World Networks", CIKM 2011): one breadth-first search gives ecc(v), and for every w
        max(ecc(v) - d, d) <= ecc(w) <= ecc(v) + d with d = dist(v, w). Nodes whose upper bound
        cannot beat what is known are settled. Components advance side by side: one multi-source
        search serves them all, since no path leads from one to another.
        """
        alive = np.flatnonzero(self.node_alive)
        component = self.components[alive]
        lower = np.zeros(len(alive))
        upper = np.full(len(alive), np.inf)
        candidate = np.ones(len(alive), dtype=np.bool_)
        diameter = 0.0
        most_eccentric = True
        while candidate.any():
            # Alternately the candidates most and least likely to be far out, one a component.
            promise = -upper if most_eccentric else lower
            order = np.lexsort((-self.topology.degree[alive], promise, component))
            order = order[candidate[order]]
            _, first = np.unique(component[order], return_index=True)
            sources = order[first]
            hops = dijkstra(self.adjacency, unweighted=True, indices=alive[sources], min_only=True)[
                alive
            ]
            searched = np.isfinite(hops)  # the components that still had a candidate
            hops = hops[searched]
            ecc_of = np.zeros(self.n_components)
            np.maximum.at(ecc_of, component[searched], hops)
            ecc = ecc_of[component[searched]]
            lower[searched] = np.maximum.reduce([lower[searched], ecc - hops, hops])
            upper[searched] = np.minimum(upper[searched], ecc + hops)
            diameter = max(diameter, float(ecc.max()))
            candidate[sources] = False
            candidate &= (upper > diameter) & (lower < upper)
            diameter = max(diameter, float(lower.max()))
            most_eccentric = not most_eccentric
        return int(diameter)
