"""Routes, and what is lost on them.

Routes are the mesh's own: the forwarding trees of `actors.topology.spf` over ETX costs, with its
choice among equals. With d_e the delivery probability of a hop in the direction of travel and r
retries per hop, a message is lost with 1 - prod(1 - (1 - d_e)^(r + 1)), and certainly where there
is no route.

- Before: over the routes of the intact mesh.
- During: from the failure until routes have changed, the old routes are followed. What leads over
  something that has failed is lost; the rest fares as before.
- After: over the routes of the surviving mesh. A tree that the failure does not touch stays as it
  was, as it does in the router.

A loss that rests on a direction of a link whose quality nobody measured is not known: such routes
are counted, and no figure is made of them. Where there is a route is known all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from actors.topology import spf
from actors.topology.etx import etx_costs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology
    from actors.topology.spf import Trees
    from actors.topology.surviving import Surviving

_CACHED_CELLS: Final = 2**15


def hop_delivery(topology: Topology, retries: int) -> NDArray[np.float64]:
    """Chance that a frame crosses each directed link, float64 [2 * n_links] in (0, 1]."""
    return 1.0 - (1.0 - topology.link_quality) ** (retries + 1)


# No slots: the cached properties live in __dict__. No generated __eq__: the fields are arrays.
@dataclass(frozen=True, eq=False)
class Routes:
    """Routes from all nodes to some destinations.

    Attributes:
        topology: the intact mesh, which numbers everything.
        cost: int32 [2 * n_links], cost of each directed link; 0 where it has failed.
        trees: a row for each destination.
    """

    topology: Topology
    cost: NDArray[np.int32]
    trees: Trees

    @classmethod
    def of(cls, topology: Topology, destinations: NDArray[np.int64]) -> Self:
        """The routes of the intact mesh."""
        cost = etx_costs(topology)
        trees = spf.forwarding_trees(topology, cost, destinations.astype(np.int32))
        return cls(topology, cost, trees)

    def after(self, surviving: Surviving) -> Routes:
        """The routes once those that a failure touches have been computed again.

        Rows stay where they are; those of failed destinations lead nowhere.
        """
        cost = np.where(surviving.directed_alive, self.cost, np.int32(0))
        hit = spf.touched(self.topology, self.trees, self.cost, cost)
        again = spf.forwarding_trees(self.topology, cost, self.trees.destinations[hit])
        distance, next_link = self.trees.distance.copy(), self.trees.next_link.copy()
        distance[hit], next_link[hit] = again.distance, again.next_link
        trees = spf.Trees(self.trees.destinations, distance, next_link, self.trees.alternate)
        return Routes(self.topology, cost, trees)

    @cached_property
    def routed(self) -> NDArray[np.bool_]:
        """Which nodes have a route to each destination, themselves included, bool [k, n]."""
        return np.less(self.trees.distance, spf.INFINITE)

    @cached_property
    def hops(self) -> NDArray[np.int32]:
        """Hops of each route, int32 [k, n]; 0 at the destination, -1 without a route."""
        ones = np.ones(2 * self.topology.n_links, np.int32)
        hops = self._along(ones, np.add)
        return np.where(self.routed, hops, np.int32(-1))

    def delivery(self, crossing: NDArray[np.float64]) -> NDArray[np.float64]:
        """Chance that a message arrives over each route, float64 [k, n]; 0 without one.

        Args:
            crossing: float64 [2 * n_links], chance that a message crosses each directed link.
        """
        return np.where(self.routed, self._along(crossing, np.multiply), 0.0)

    def unmeasured(self) -> NDArray[np.bool_]:
        """Which routes lead over a direction of a link that nobody measured, bool [k, n]."""
        assumed = ~self.topology.measured.reshape(-1)
        if not assumed.any():
            return np.zeros(self.trees.next_link.shape, np.bool_)
        return np.asarray(self._along(assumed, np.logical_or), np.bool_)

    def _along(self, value: NDArray[np.generic], combine: np.ufunc) -> NDArray[np.generic]:
        """Values of the links of each route combined, [k, n], by pointer doubling."""
        link, n = self.trees.next_link, self.topology.n_nodes
        total = np.empty(link.shape, value.dtype)
        worth = np.append(value, np.asarray(combine.identity, value.dtype))  # -1: no link
        target = np.append(self.topology.link_target, 0).astype(np.intp)
        own = np.arange(n, dtype=np.intp)
        # A few rows at a time: what is gathered then stays in the caches of a core.
        chunk = max(1, _CACHED_CELLS // max(n, 1))
        for start in range(0, len(link), chunk):
            rows = link[start : start + chunk]
            first = n * np.arange(len(rows), dtype=np.intp)[:, None]
            at = (np.where(rows >= 0, target[rows], own) + first).reshape(-1)
            found = worth[rows].reshape(-1)
            while not np.array_equal(onward := at.take(at), at):
                found = combine(found, found.take(at))
                at = onward
            total[start : start + chunk] = found.reshape(rows.shape)
        return total

    def load(self, rate: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each link carries, both directions together, float64 [n_links].

        Args:
            rate: float64 [k, n], rate from each node to each destination; traffic without a route
                is not carried.
        """
        k, n = self.trees.next_link.shape
        flow = np.where(self.routed, rate, 0.0).reshape(-1)
        hops, link = self.hops.reshape(-1), self.trees.next_link.reshape(-1)
        cell = np.flatnonzero(hops > 0)
        cell = cell[np.argsort(-hops[cell], kind="stable")]
        onward = cell // n * n + self.topology.link_target[link[cell]] if k else cell
        # From the far ends of the trees inwards: each level's flow is complete before it moves on.
        level = np.flatnonzero(np.diff(hops[cell], prepend=-1, append=-1))
        for start, stop in zip(level[:-1].tolist(), level[1:].tolist(), strict=True):
            np.add.at(flow, onward[start:stop], flow[cell[start:stop]])
        carried = np.zeros(self.topology.n_links)
        np.add.at(carried, link[cell] >> 1, flow[cell])
        return carried
