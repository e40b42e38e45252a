"""Where one more link spares most pairs.

How the best link within a component is found. A link between a and b spares, at every cut node v
between them, the pairs of the two parts that v's failure cuts a and b into, s_a s_b, and at every
bridge between them its s (n - s) pairs; everything else stays. So each pair's gain is the weight of
a path in the tree of blocks, and the heaviest path in a tree is found from the leaves upwards: with
D(c) the most that a path gains from the top of block c downwards, a path turns around either at a
cut node, between two blocks c and d below it (D(c) + D(d) + below_c below_d), or inside a block,
between two of its other cut nodes.

Between components of sizes s and t, the gain is t times what a reaches plus s times what b reaches
under the failures in their own components, plus s t for each other case, so the best ends are those
that reach most.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.twin.intact import Intact


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """The best links at one place: any of `ends[0]` with any of `ends[1]` gains as much."""

    gain: int
    ends: tuple[NDArray[np.int64], NDArray[np.int64]]


def best_link(intact: Intact, fallible: int) -> Candidate | None:
    """The best link to add, or None if none gains anything; links from `fallible` on never fail."""
    found = [*_within(intact, fallible), *_between(intact, fallible)]
    best = max(found, key=lambda candidate: candidate.gain, default=None)
    return best if best is not None and best.gain > 0 else None


# -- within a component --------------------------------------------------------------------------


class _BlockTree:
    """Heaviest paths in the tree of blocks; nodes are places of the forest."""

    def __init__(self, intact: Intact, fallible: int) -> None:
        parts, forest = intact.blocks, intact.forest
        n = intact.topology.n_nodes
        self.node = forest.node
        self.top = parts.top.tolist()
        self.below = parts.below.tolist()
        self.rest = (forest.whole - 1 - parts.hanging(n)).tolist()
        self.spared = _bridge_gains(intact, fallible).tolist()
        self.members: list[list[int]] = [[] for _ in self.top]  # without the top
        for place in np.flatnonzero(parts.of >= 0).tolist():
            self.members[parts.of[place]].append(place)
        self.hanging: dict[int, list[int]] = defaultdict(list)  # blocks below each place
        for block, top in enumerate(self.top):
            self.hanging[top].append(block)
        # Filled from the leaves upwards.
        self.down = [0] * len(self.top)  # D(block)
        self.via = [-1] * len(self.top)  # cut node through which D leads on, -1: ends in the block
        self.up = [0] * n  # most gained from a place's block through it downwards
        self.onward = [-1] * n  # block below the place through which that leads

    def candidates(self) -> list[Candidate]:
        """The best of each turning point."""
        found = []
        # Places below a node are greater than its own, so tops descend from the leaves.
        for block in sorted(range(len(self.top)), key=lambda block: -self.top[block]):
            for x in self.members[block]:
                for lower in self.hanging.get(x, ()):
                    gain = self.below[lower] * self.rest[x] + self.down[lower]
                    if gain > self.up[x]:
                        self.up[x], self.onward[x] = gain, lower
            first = max(self.members[block], key=self.up.__getitem__)
            self.down[block] = self.spared[block] + self.up[first]
            self.via[block] = first if self.up[first] else -1
            found.append(self._inside(block, first))
        found += [self._at(top) for top, hanging in self.hanging.items() if len(hanging) > 1]
        return found

    def _inside(self, block: int, first: int) -> Candidate:
        """Turning around in a block, or ending at its top."""
        others = [x for x in self.members[block] if x != first]
        second = max(others, key=self.up.__getitem__, default=-1)
        if second >= 0 and self.up[second]:
            ends = self._end(self.onward[first]), self._end(self.onward[second])
            return Candidate(self.up[first] + self.up[second], ends)
        if self.up[first]:
            near = self.node[[self.top[block], *others]].astype(np.int64)
            return Candidate(self.down[block], (self._end(self.onward[first]), near))
        # A lone link has no other two ends, and a lone block nothing to spare.
        none = np.empty(0, np.int64)
        return Candidate(0, (none, none))

    def _at(self, v: int) -> Candidate:
        """Turning around at a cut node, between the best two blocks that hang below it."""
        # Of blocks with equally many nodes below, only the best two matter.
        by_size: dict[int, list[int]] = defaultdict(list)
        for block in sorted(self.hanging[v], key=lambda block: -self.down[block]):
            if len(by_size[self.below[block]]) < 2:
                by_size[self.below[block]].append(block)
        best: tuple[int, int, int] = (-1, -1, -1)
        pairs = [(both[0], both[1]) for both in by_size.values() if len(both) == 2]
        pairs += combinations([both[0] for both in by_size.values()], 2)
        for c, d in pairs:
            gain = self.down[c] + self.down[d] + self.below[c] * self.below[d]
            best = max(best, (gain, c, d))
        gain, c, d = best
        return Candidate(gain, (self._end(c), self._end(d)))

    def _end(self, block: int) -> NDArray[np.int64]:
        """Nodes at which the best path down from a block's top may end."""
        while self.via[block] >= 0:
            block = self.onward[self.via[block]]
        return self.node[self.members[block]].astype(np.int64)


def _bridge_gains(intact: Intact, fallible: int) -> NDArray[np.int64]:
    """Pairs that each block separates by failing as a link, int64 [n_blocks]; 0 if it cannot."""
    parts, forest, topology = intact.blocks, intact.forest, intact.topology
    gain = np.zeros(len(parts.top), np.int64)
    lower = np.flatnonzero(parts.of >= 0)
    lower = lower[parts.bridge[parts.of[lower]]]
    link = topology.directed_links(forest.node[forest.parent[lower]], forest.node[lower]) >> 1
    lower, link = lower[link < fallible], link[link < fallible]
    gain[parts.of[lower]] = intact.cuts.by_link[link]
    return gain


def _within(intact: Intact, fallible: int) -> list[Candidate]:
    return _BlockTree(intact, fallible).candidates()


# -- between components --------------------------------------------------------------------------


def _between(intact: Intact, fallible: int) -> list[Candidate]:
    """The best link between two components, if there are two."""
    topology, forest = intact.topology, intact.forest
    roots = np.flatnonzero(forest.parent < 0)
    if len(roots) < 2:
        return []
    links = np.bincount(
        forest.root[forest.place[topology.ends[:fallible, 0]]], minlength=topology.n_nodes
    )[roots]
    size = forest.size[roots]
    reach = _reach(intact, fallible)
    best = np.maximum.reduceat(reach, roots)
    cases = 1 + topology.n_nodes + fallible
    # Components alike in size, links and reach are alike: of each kind, two are enough.
    _, kind = np.unique(np.stack([size, links, best]), axis=1, return_inverse=True)
    order = np.argsort(kind, kind="stable")
    nth = np.arange(len(order)) - np.searchsorted(kind[order], kind[order])
    few = order[nth < 2]
    s, own, r = size[few], size[few] + links[few], best[few]
    gain = np.multiply.outer(s, s) * (cases - np.add.outer(own, own))
    gain += np.multiply.outer(s, r) + np.multiply.outer(r, s)
    np.fill_diagonal(gain, -1)
    a, b = np.unravel_index(int(gain.argmax()), gain.shape)
    ends = []
    for component in (few[a], few[b]):
        places = np.arange(roots[component], roots[component] + size[component])
        places = places[reach[places] == best[component]]
        ends.append(forest.node[places].astype(np.int64))
    return [Candidate(int(gain[a, b]), (ends[0], ends[1]))]


def _reach(intact: Intact, fallible: int) -> NDArray[np.int64]:
    """Nodes that each place reaches, itself included, summed over failures in its component.

    Of every node, then every link up to `fallible`; a node reaches nobody when it fails itself.
    """
    topology, forest, parts = intact.topology, intact.forest, intact.blocks
    n = topology.n_nodes
    whole, hanging = forest.whole, parts.hanging(n)
    links = np.bincount(forest.root[forest.place[topology.ends[:fallible, 0]]], minlength=n)
    # If nothing were cut off: all others at each other node's failure, all at each link's.
    reach = (whole - 1) ** 2 + whole * links[forest.root]
    # What is cut off, as sums over intervals of places: differences, then a running sum.
    missing = np.zeros(n + 1, np.int64)

    def take(start: NDArray[np.int64], stop: NDArray[np.int64], count: NDArray[np.int64]) -> None:
        np.add.at(missing, start, count)
        np.add.at(missing, stop, -count)

    place = np.arange(n)
    # A node's failure cuts what hangs below it from the rest, which misses all of that...
    take(forest.root.astype(np.int64), forest.root + whole, hanging)
    take(place, place + 1, -hanging)
    # ...while each part that hangs below misses all but itself.
    child = np.flatnonzero(parts.of >= 0)
    block = parts.of[child]
    child = child[forest.parent[child] == parts.top[block]]
    block, top = parts.of[child], forest.parent[child]
    part = whole[top] - 1 - parts.below[block]
    take(child, child + forest.size[child], part - hanging[top])
    # A bridge's failure cuts both sides from each other.
    lower = child[_bridge_gains(intact, fallible)[block] > 0]
    take(forest.root[lower].astype(np.int64), forest.root[lower] + whole[lower], forest.size[lower])
    take(lower, lower + forest.size[lower], whole[lower] - 2 * forest.size[lower])
    return reach - np.cumsum(missing[:-1])


# -- any pair ------------------------------------------------------------------------------------


class Gains:
    """What joining any two nodes gains, by the same sums.

    Within a component, a place's way to its root leads from the top of its block to the top of that
    one's block, and so on; sums over these ways give those over any path, from where two ways meet
    (the lowest common ancestor, by doubling steps).
    """

    def __init__(self, intact: Intact, fallible: int) -> None:
        topology, forest, parts = intact.topology, intact.forest, intact.blocks
        n = topology.n_nodes
        self._place, self._root, self._parent = forest.place, forest.root, forest.parent
        self._block, self._below = parts.of, parts.below
        self._spared = _bridge_gains(intact, fallible)
        rest = (forest.whole - 1 - parts.hanging(n)).tolist()
        own = np.arange(n)
        jump = np.where(parts.of >= 0, parts.top[parts.of], own) if len(parts.top) else own
        depth, total = [0] * n, [0] * n  # jumps to the root, and what the way there gains
        blocks, spared, below = parts.of.tolist(), self._spared.tolist(), parts.below.tolist()
        for place, up in enumerate(jump.tolist()):
            if up != place:
                block = blocks[place]
                depth[place] = depth[up] + 1
                total[place] = total[up] + spared[block] + below[block] * rest[up]
        self._depth, self._total = np.array(depth, np.int64), np.array(total, np.int64)
        self._jumps = [jump]
        for _ in range(max(depth, default=0).bit_length()):
            self._jumps.append(self._jumps[-1][self._jumps[-1]])
        ends = forest.root[forest.place[topology.ends[:fallible, 0]]]
        links = np.bincount(ends, minlength=n)
        self._size = forest.whole
        self._cases = self._size + links[forest.root]
        self._all_cases = 1 + n + fallible
        self._reach = _reach(intact, fallible)

    def __call__(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        """What joining each node of `a` to that of `b` gains; 0 where a link does already."""
        one, two = self._place[a].astype(np.int64), self._place[b].astype(np.int64)
        gain = np.zeros(len(one), np.int64)
        same = self._root[one] == self._root[two]
        gain[same] = self._within(one[same], two[same])
        one, two = one[~same], two[~same]
        size, other = self._size[one], self._size[two]
        gain[~same] = (
            size * other * (self._all_cases - self._cases[one] - self._cases[two])
            + size * self._reach[two]
            + other * self._reach[one]
        )
        return gain

    def _within(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same of places in one component."""
        depth = np.minimum(self._depth[a], self._depth[b])
        x, y = self._lifted(a, depth), self._lifted(b, depth)
        above = x == y  # one is on the other's way to the root
        lower = np.where(self._depth[a] > depth, a, b)
        child = self._lifted(lower, np.minimum(depth + 1, self._depth[lower]))
        for jump in reversed(self._jumps):
            apart = jump[x] != jump[y]
            x, y = np.where(apart, jump[x], x), np.where(apart, jump[y], y)
        total, spared, block = self._total, self._spared, self._block
        if not len(spared):
            return np.zeros(len(a), np.int64)
        straight = total[lower] - total[child] + spared[block[child]]
        one, other = block[x], block[y]
        turned = total[a] - total[x] + total[b] - total[y]
        at_node = spared[one] + spared[other] + self._below[one] * self._below[other]
        turned += np.where(one == other, 0, at_node)
        # Neighbours in the forest are the only two that a bridge joins.
        joined = (a == b) | (self._parent[a] == b) | (self._parent[b] == a)
        found: NDArray[np.int64] = np.where(joined, 0, np.where(above, straight, turned))
        return found

    def _lifted(self, places: NDArray[np.int64], depth: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places at these depths on the ways to the root."""
        steps = self._depth[places] - depth
        for number, jump in enumerate(self._jumps):
            places = np.where(steps >> number & 1, jump[places], places)
        return places
