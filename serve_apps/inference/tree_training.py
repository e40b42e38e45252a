"""Grows trees that name the root of an incident, with scikit-learn, and takes them out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from serve_apps.inference.learning import Truth
from serve_apps.inference.trees import LEAF, Trees, inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.learning import Example

_FEWEST: Final = 2  # examples in a leaf


def grow(examples: Sequence[Example], count: int, seed: int) -> Trees:
    """Grow trees on the incidents that began in the network.

    Args:
        examples: with at least one of those.
        count: of trees.
        seed: of everything that is drawn.
    """
    return taken_out(fitted(examples, count, seed))


def fitted(examples: Sequence[Example], count: int, seed: int) -> ExtraTreesClassifier:
    """The same as scikit-learn has it; arguments as of `grow`."""
    inside = [each for each in examples if each.truth is Truth.INSIDE]
    trees = ExtraTreesClassifier(count, min_samples_leaf=_FEWEST, random_state=seed)
    return trees.fit(
        np.concatenate([inputs(each.graph, each.x)[each.graph.owner >= 0] for each in inside]),
        np.concatenate([each.roots[each.graph.owner >= 0] for each in inside]),
    )


def taken_out(trees: ExtraTreesClassifier) -> Trees:
    """Trees as numbers; what they say is the same."""
    parts = [each.tree_ for each in trees.estimators_]
    starts = np.cumsum([0, *(part.node_count for part in parts)])[:-1]
    leaf = np.concatenate([part.children_left < 0 for part in parts])

    def joined(name: str) -> NDArray[np.int32]:
        moved = [getattr(part, name) + at for part, at in zip(parts, starts, strict=True)]
        return np.where(leaf, 0, np.concatenate(moved)).astype(np.int32)

    return Trees(
        starts.astype(np.int32),
        np.where(leaf, LEAF, np.concatenate([part.feature for part in parts])).astype(np.int16),
        _at_most(np.where(leaf, 0.0, np.concatenate([part.threshold for part in parts]))),
        joined("children_left"),
        joined("children_right"),
        np.where(leaf, np.concatenate([_chance(part.value) for part in parts]), 0.0).astype(
            np.float32
        ),
    )


def _chance(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of roots, of [n, 1, 2]: of examples that are none, and of those that are one."""
    return np.asarray(value[:, 0, 1] / value[:, 0].sum(axis=1), np.float64)


def _at_most(limit: NDArray[np.float64]) -> NDArray[np.float32]:
    """The greatest float32 that is no greater: a float32 is above both or above neither."""
    found = limit.astype(np.float32)
    return np.where(found > limit, np.nextafter(found, np.float32(-np.inf)), found)
