"""Node-disjoint paths: ways from one node to another that share no node between.

Of k such paths a liar can stand on one at most, so f + 1 of them include one without liars (Menger,
1927). Found by successive shortest paths in the graph whose nodes are split in two, joined by an
edge that one path may use (Suurballe, "Disjoint Paths in a Network", 1974; the potentials keep
costs from being negative): the total cost is the least possible.
"""

from __future__ import annotations

import heapq
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from actors.topology.model import Topology


class DisjointPaths:
    """Finds them in one graph.

    Args:
        topology: numbers nodes and directed links.
        cost: int32 [2 * n_links], cost of each directed link; 0 for those that do not count.
    """

    def __init__(self, topology: Topology, cost: NDArray[np.int32]) -> None:
        indptr, links = topology.out_links
        target, price = topology.link_target.tolist(), cost.tolist()
        bounds, order = indptr.tolist(), links.tolist()
        self._out: list[list[tuple[int, int]]] = [
            [(target[d], price[d]) for d in order[start:stop] if price[d] > 0]
            for start, stop in pairwise(bounds)
        ]
        self._price = {(u, v): cost for u, around in enumerate(self._out) for v, cost in around}

    def between(self, source: int, destination: int, most: int) -> list[list[int]]:
        """At most `most` paths, each the nodes from source to destination, the shortest first.

        The same graph gives the same paths, wherever they are computed.
        """
        if source == destination:
            return [[source]]
        search = _Search(self._out, self._price, source, destination)
        while len(search.first) < most and search.augment():
            pass
        return search.paths()


# A state is a node and a side: 2 * node where a path comes in, 2 * node + 1 where it goes out.
class _Search:
    """Paths found so far, as the successor and predecessor of each node on them."""

    def __init__(
        self,
        out: list[list[tuple[int, int]]],
        price: dict[tuple[int, int], int],
        source: int,
        destination: int,
    ) -> None:
        self._out = out
        self._source, self._destination = source, destination
        self.first: set[int] = set()  # first nodes of the paths
        self._next: dict[int, int] = {}  # of nodes between
        self._before: dict[int, int] = {}
        self._price = price
        self._height: dict[int, int] = {}  # potentials: distances of earlier searches

    def augment(self) -> bool:
        """Find one more path, rearranging the others; whether there is one."""
        start, goal = 2 * self._source + 1, 2 * self._destination
        best, came = {start: 0}, dict[int, int]()
        done: set[int] = set()
        queue = [(0, start)]
        while queue:
            so_far, state = heapq.heappop(queue)
            if state in done:
                continue
            if state == goal:
                break
            done.add(state)
            for after, cost in self._edges(state):
                lifted = so_far + cost + self._height.get(state, 0) - self._height.get(after, 0)
                if after not in best or lifted < best[after]:
                    best[after], came[after] = lifted, state
                    heapq.heappush(queue, (lifted, after))
        if goal not in came:
            return False
        for state in done:  # of the others the distance counts as the goal's: a shift of all
            self._height[state] = self._height.get(state, 0) + best[state] - best[goal]
        self._rearrange(goal, came)
        return True

    def _edges(self, state: int) -> list[tuple[int, int]]:
        """Where a path may go from a state, and what it costs."""
        node, goes_out = divmod(state, 2)
        if not goes_out:
            if node not in self._before:  # free: through it
                return [(state + 1, 0)]
            # Taken: back along the path that comes in here, whose rest is then somebody else's.
            before = self._before[node]
            return [(2 * before + 1, -self._price[before, node])]
        edges = [
            (2 * after, cost)
            for after, cost in self._out[node]
            if after != self._source and not self._carries(node, after)
        ]
        if node in self._before:
            edges.append((2 * node, 0))
        return edges

    def _carries(self, node: int, after: int) -> bool:
        if node == self._source:
            return after in self.first
        return self._next.get(node) == after

    def _rearrange(self, goal: int, came: dict[int, int]) -> None:
        """Add the links of the new path, and drop those that it takes back."""
        used = {(node, after) for node, after in self._next.items()}
        used |= {(self._source, node) for node in self.first}
        state = goal
        while state in came:
            before, (node, goes_out) = came[state], divmod(state, 2)
            if before >> 1 != node:  # else it only passes through the node
                if goes_out:
                    used.discard((node, before >> 1))
                else:
                    used.add((before >> 1, node))
            state = before
        self.first = {after for node, after in used if node == self._source}
        self._next = {node: after for node, after in used if node != self._source}
        self._before = {after: node for node, after in used if after != self._destination}

    def paths(self) -> list[list[int]]:
        """The paths found, the cheapest first; of equal ones, that with the lower first node."""
        found = []
        for first in sorted(self.first):
            path, cost = [self._source, first], self._price[self._source, first]
            while path[-1] != self._destination:
                after = self._next[path[-1]]
                cost += self._price[path[-1], after]
                path.append(after)
            found.append((cost, path))
        return [path for _, path in sorted(found)]
