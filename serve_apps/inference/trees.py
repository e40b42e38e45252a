"""Extremely randomised trees in numpy: evaluates trained trees, without scikit-learn.

One scorer serves all vertices, so that renaming or reordering them changes no answer. Trees have no
edges to look along: what is known of the opposite half-link and of the node is laid beside each
vertex, and so is how far it is ahead of all others of its sort. Geurts, Ernst, Wehenkel: "Extremely
randomized trees", Machine Learning 63, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_apps.inference.learning import VertexGraph

INPUTS: Final = ("own", "opposite", "node", "ahead")  # each with a column for every raw feature
LEAF: Final = -1
_EDGE: Final = 1e-4  # chances are told apart as far as this from 0 and 1


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """The branches of all trees, one after the other; a branch comes before those that it leads to.

    Attributes:
        first: int32 [n_trees], the branch at which each tree begins.
        column: int16 [n_branches], of the input that decides; `LEAF` where nothing is decided.
        limit: float32 [n_branches], greatest value of that input that leads to `below`.
        below, above: int32 [n_branches], branches that it leads to; 0 in a leaf.
        chance: float32 [n_branches], share of roots among the examples that came to a leaf.
    """

    first: NDArray[np.int32]
    column: NDArray[np.int16]
    limit: NDArray[np.float32]
    below: NDArray[np.int32]
    above: NDArray[np.int32]
    chance: NDArray[np.float32]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All of it, by name."""
        return {name: getattr(self, name) for name in self.__slots__}

    def lead_to_leaves(self, columns: int) -> bool:
        """Whether every way through every tree ends, for so many inputs."""
        n = len(self.column)
        inner = self.column != LEAF
        here = np.flatnonzero(inner)
        return (
            all(len(each) == n for each in (self.limit, self.below, self.above, self.chance))
            and len(self.first) > 0
            and bool(((self.first >= 0) & (self.first < n)).all())
            and bool(((self.column >= LEAF) & (self.column < columns)).all())
            and all(
                bool(((each[inner] > here) & (each[inner] < n)).all())
                for each in (self.below, self.above)
            )
            and bool(((self.chance >= 0) & (self.chance <= 1)).all())
        )

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """The mean chance over all trees: inputs [v, f] to [v]."""
        values, trees = np.ravel(x), len(self.first)
        begin = np.repeat(np.arange(len(x)) * x.shape[1], trees)
        reached = np.tile(self.first, len(x))
        on_the_way = np.arange(len(reached))
        while len(on_the_way):
            at = reached[on_the_way]
            column = self.column[at]
            inner = column != LEAF
            on_the_way, at, column = on_the_way[inner], at[inner], column[inner]
            is_below = values[begin[on_the_way] + column] <= self.limit[at]
            reached[on_the_way] = np.where(is_below, self.below[at], self.above[at])
        chances = self.chance[reached].reshape(len(x), trees)
        return np.asarray(chances.mean(axis=1, dtype=np.float64))

    def shares(self, graph: VertexGraph, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of each vertex in being the root, [v]; they add up to 1.

        What each vertex is said to be by itself is one choice if exactly one is the root: then
        shares are as odds.

        Args:
            graph: the network.
            x: float64 [v, f], raw features; NaN where not known.
        """
        inside = graph.owner >= 0
        chance = np.clip(self(inputs(graph, x)[inside]), _EDGE, 1 - _EDGE)
        odds = np.zeros(len(x))
        odds[inside] = chance / (1 - chance)
        return np.asarray(odds / odds.sum(), np.float64)


def inputs(graph: VertexGraph, x: NDArray[np.float64]) -> NDArray[np.float32]:
    """What trees decide by: float64 [v, f] to float32 [v, 4 f], see `INPUTS`; 0 where not known."""
    halves = np.arange(len(x) - graph.n_nodes)
    opposite = np.concatenate((np.full(graph.n_nodes, -1), graph.n_nodes + (halves ^ 1)))
    opposite[graph.owner[opposite] < 0] = -1
    padded = np.concatenate((x, np.full((1, x.shape[1]), np.nan)))
    ahead = np.concatenate([_ahead(each) for each in np.split(np.abs(x), [graph.n_nodes])])
    beside = np.concatenate((x, padded[opposite], padded[graph.owner], ahead), axis=1)
    return np.asarray(np.nan_to_num(beside), np.float32)


def _ahead(size: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much each row exceeds the greatest of the others, by column; NaN where not known."""
    if len(size) < 2:
        return np.full(size.shape, np.nan)
    known = np.where(np.isnan(size), -np.inf, size)
    second, first = np.sort(known, axis=0)[-2:]
    found: NDArray[np.float64] = size - np.where(known == first, second, first)
    return np.where(np.isfinite(found), found, np.nan)
