"""The pairs of links whose failure together separates what neither alone does.

Two links do so just when every way around the one leads over the other: when they are covered by
the same links outside a spanning forest, or one of them is the only link that covers the other. So
such links form classes. To find them, each link outside the forest gets a random number, and each
link of it the sum (exclusive or) of those that cover it: equal sums are candidates, and nothing
else can be (Pritchard and Thurimella, "Fast Computation of Small Cuts via Cycle Space Sampling",
ACM Trans. Algorithms 7, 2011). Chance plays no part in the result: removing a true class of k links
leaves k parts where there was one, fewer otherwise, and that is counted for every candidate.

The part that two links of a class cut off is known from the subtrees below them, and loses all that
is outside. Two links that join the same pair are such a class where they are all that joins them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from actors.twin.failure import Failure
from actors.twin.partitions import FailedSets, Partitioner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.blocks import Blocks
    from actors.topology.forest import Forest
    from actors.topology.model import Topology


class CutClasses(NamedTuple):
    """Classes of links, any two of which cut off a part, and pairs of parallel links that do.

    Attributes:
        members: int64, links of each class.
        place: int64, beside them, the place whose link to its parent each is; -1 outside the
            forest.
        twin, twin_place: int64, pairs of nodes that just two links join, and are all that does.
    """

    members: list[NDArray[np.int64]]
    place: list[NDArray[np.int64]]
    twin: NDArray[np.int64]
    twin_place: NDArray[np.int64]

    @classmethod
    def of(cls, topology: Topology, forest: Forest, parts: Blocks, fallible: int) -> Self:
        """The classes among the links before `fallible`; of parallel links none is in a class."""
        lower = _lower(topology, forest)
        inside = np.flatnonzero(lower >= 0)
        bridge = np.zeros(topology.n_links, np.bool_)
        bridge[inside] = parts.bridge[parts.of[lower[inside]]]
        first = np.arange(topology.n_links) < fallible
        double = np.flatnonzero(first & bridge & (topology.parallel == 2))
        able = first & ~bridge & (topology.parallel == 1)
        seed = 0
        while (found := _classes(topology, forest, lower, able, seed)) is None:
            seed += 1  # two different sums were equal, once in ages
        return cls(found, [lower[links] for links in found], double, lower[double])


def part_of(
    forest: Forest, below: NDArray[np.int64], one: int, others: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Weight of what link `one` and each of `others` of its class cut off, int64 [w, len(others)].

    Args:
        forest: the forest that the places are of.
        below: int64 [w, n_nodes], weight of the subtree of each place.
        one: place of the link, -1 outside the forest.
        others: places of the others.
    """
    mine = below[:, [one]] if one >= 0 else np.zeros((len(below), 1), np.int64)
    theirs = np.where(others >= 0, below[:, others], 0)
    if one < 0:
        return theirs
    size = forest.size
    inner = (others >= one) & (others < one + size[one])
    outer = (others >= 0) & (others <= one) & (one < others + size[others])
    return np.where(inner | outer, np.abs(mine - theirs), mine + theirs)


def _lower(topology: Topology, forest: Forest) -> NDArray[np.int64]:
    """The lower place of each link of the forest, int64 [n_links]; -1 for the others."""
    ends = np.sort(forest.place[topology.ends], axis=1)
    if not len(ends):
        return np.empty(0, np.int64)
    inside = forest.parent[ends[:, 1]] == ends[:, 0]
    return np.where(inside, ends[:, 1], -1).astype(np.int64)


def _classes(
    topology: Topology, forest: Forest, lower: NDArray[np.int64], able: NDArray[np.bool_], seed: int
) -> list[NDArray[np.int64]] | None:
    """The classes of two links and more; None if a candidate is none."""
    draw = np.random.default_rng(seed)
    number = draw.integers(1, 2**64, topology.n_links, np.uint64)
    outside = np.flatnonzero(lower < 0)
    at = np.zeros(topology.n_nodes + 1, np.uint64)
    for end in topology.ends[outside].T:
        np.bitwise_xor.at(at, forest.place[end] + 1, number[outside])
    running = np.bitwise_xor.accumulate(at)
    place = lower[lower >= 0]
    number[lower >= 0] = running[place + forest.size[place]] ^ running[place]
    links = np.flatnonzero(able)
    links = links[np.argsort(number[links], kind="stable")]
    starts = np.flatnonzero(np.diff(number[links])) + 1
    found = [links for links in np.split(links, starts) if len(links) > 1]
    sets = FailedSets.of([Failure.at((), links) for links in found])
    left = Partitioner(topology, forest).figures(sets).components
    whole = len(np.unique(forest.root))
    sizes = np.array([len(links) for links in found], np.int64)
    return found if np.array_equal(left, whole + sizes - 1) else None
