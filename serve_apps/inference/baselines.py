"""What a root-cause model has to beat, on the same windows and the same features.

Trees see each vertex with its opposite half-link and its node laid beside it, since they have no
edges to look along, and one scorer serves all vertices, so that they too know no node by its place.
What those of a model see besides, how far each is ahead of all others, is left out here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier

from serve_apps.inference.evaluation import Answer
from serve_apps.inference.learning import Truth
from serve_apps.inference.trees import INPUTS, inputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.labelled_windows import LabelledWindow
    from serve_apps.inference.learning import Example

_MEAN: Final = ".mean"
_BESIDE: Final = INPUTS.index("ahead")  # inputs that are features of something


def majority(trained_on: Sequence[LabelledWindow], asked: Sequence[LabelledWindow]) -> list[Answer]:
    """Always the nodes that have been the root most often before."""
    names = [one.incident.node for one in trained_on if one.incident is not None]
    found = []
    for one in asked:
        count = np.zeros(one.example.graph.n_nodes)
        for node, at in _indices(trained_on).items():
            count[at] = names.count(node)
        ranked = count - np.arange(len(count)) / (1 + len(count))  # of equals the first
        found.append(Answer(ranked, np.zeros(len(one.example.x) - len(count))))
    return found


def _indices(windows: Sequence[LabelledWindow]) -> dict[str, int]:
    """Index of each node that has been a root."""
    return {
        one.incident.node: int(one.example.graph.owner[one.example.roots][0])
        for one in windows
        if one.incident is not None and one.incident.node is not None
    }


def farthest(features: Sequence[str], asked: Sequence[LabelledWindow]) -> list[Answer]:
    """The node at which anything is farthest from its normal: the largest robust z-score."""
    columns = [at for at, name in enumerate(features) if name.endswith(_MEAN)]
    found = []
    for one in asked:
        graph = one.example.graph
        size = np.nan_to_num(np.abs(one.example.x[:, columns])).max(axis=1, initial=0.0)
        found.append(_answer(one.example, size, np.maximum, np.zeros(graph.n_nodes)))
    return found


def extra_trees(
    trained_on: Sequence[LabelledWindow], asked: Sequence[LabelledWindow], seed: int
) -> list[Answer]:
    """Extremely randomised trees."""
    trees = ExtraTreesClassifier(200, min_samples_leaf=2, random_state=seed)
    return _trees(trees, trained_on, asked)


def boosting(
    trained_on: Sequence[LabelledWindow], asked: Sequence[LabelledWindow], seed: int
) -> list[Answer]:
    """Gradient boosting over histograms."""
    trees = HistGradientBoostingClassifier(
        max_iter=150, max_leaf_nodes=15, l2_regularization=1.0, random_state=seed
    )
    return _trees(trees, trained_on, asked)


def without_edges(examples: Sequence[Example]) -> list[Example]:
    """The same examples for a network that looks at each vertex alone."""
    bare = {id(each.graph): replace(each.graph, edges=()) for each in examples}
    return [replace(each, graph=bare[id(each.graph)]) for each in examples]


def _trees(
    trees: ExtraTreesClassifier | HistGradientBoostingClassifier,
    trained_on: Sequence[LabelledWindow],
    asked: Sequence[LabelledWindow],
) -> list[Answer]:
    located = [one.example for one in trained_on if one.example.truth is Truth.INSIDE]
    trees.fit(
        np.concatenate([_beside(each) for each in located]),
        np.concatenate([each.roots[each.graph.owner >= 0] for each in located]),
    )
    rows = [_beside(one.example) for one in asked]
    if not rows:
        return []
    chances = trees.predict_proba(np.concatenate(rows))[:, 1]
    found = []
    for one, chance in zip(
        asked, np.split(chances, np.cumsum([len(each) for each in rows])[:-1]), strict=True
    ):
        size = np.zeros(len(one.example.x))
        size[one.example.graph.owner >= 0] = chance
        found.append(_answer(one.example, size, np.add, np.zeros(one.example.graph.n_nodes)))
    return found


def _beside(example: Example) -> NDArray[np.float32]:
    """Features of each vertex inside, of its opposite and of its node, [n, 3 f]."""
    beside = inputs(example.graph, example.x)[:, : _BESIDE * example.x.shape[1]]
    return beside[example.graph.owner >= 0]


def _answer(
    example: Example, size: NDArray[np.float64], together: np.ufunc, nodes: NDArray[np.float64]
) -> Answer:
    inside = example.graph.owner >= 0
    together.at(nodes, example.graph.owner[inside], size[inside])
    return Answer(nodes, size[example.graph.n_nodes :])
