"""Scores of the nodes of networks by a condition model, many networks at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.errors import ModelSchemaMismatch
from serve_apps.inference.node_graph import operators, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.model_file import Model
    from serve_apps.inference.node_graph import NodeGraph

FALSE_ALARMS: Final = 0.005  # share of what is well that may be called otherwise by a threshold
ANOMALOUS: Final = "anomalous"  # the output of condition models


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """How the nodes of one network are.

    Attributes:
        score: float32 [n_nodes], logit that the node is anomalous.
        probability: float64 [n_nodes], calibrated; None: the model is not.
        anomalous: bool [n_nodes], whether the score reaches the threshold.
        known: int [n_nodes], how many features of the node are measured.
    """

    score: NDArray[np.float32]
    probability: NDArray[np.float64] | None
    anomalous: NDArray[np.bool_]
    known: NDArray[np.integer]


def output_of(model: Model) -> int:
    """Index of the output `ANOMALOUS`.

    Raises:
        ModelSchemaMismatch: the model has none, or no threshold for it.
    """
    card = model.card
    if ANOMALOUS not in card.outputs or ANOMALOUS not in card.thresholds:
        raise ModelSchemaMismatch(
            str(card.purpose), f"it has no output {ANOMALOUS} with a threshold"
        )
    return card.outputs.index(ANOMALOUS)


def scores(model: Model, graphs: Sequence[NodeGraph]) -> list[Scores]:
    """The scores of all nodes of all networks, in one evaluation.

    Raises:
        ModelSchemaMismatch: the model does not score nodes.
    """
    output = output_of(model)
    deviations, links = together(graphs)
    means = operators(model.card.relations, deviations.shape[0], links)
    score = model.network(model.normalisation(deviations), means)[:, output]
    calibrated = ANOMALOUS in model.card.calibration
    probability = model.probability(ANOMALOUS, score) if calibrated else None
    anomalous = score >= model.card.thresholds[ANOMALOUS]
    known = np.isfinite(deviations).sum(axis=1)
    ends = np.cumsum([len(graph.nodes) for graph in graphs])
    return [
        Scores(
            score[part],
            None if probability is None else probability[part],
            anomalous[part],
            known[part],
        )
        for part in map(slice, [0, *ends], ends)
    ]
