"""Makes the models that are shipped: trains them on simulated meshes, and scores them on others.

Needs torch. The same seed makes the same models, whatever the number of processes.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.metrics import roc_auc_score

from serve_apps.inference import incident_features, node_features
from serve_apps.inference.learning import TrainingOptions
from serve_apps.inference.model_file import Model, save
from serve_apps.inference.node_graph import NEIGHBOUR
from serve_apps.inference.normalisation import Normalisation
from serve_apps.inference.simulation.examples import SIDE_BY_SIDE, SimulatedExamples, world_examples
from serve_apps.inference.simulation.root_cause_scores import score_root_causes
from serve_apps.inference.simulation.unseen_meshes import (
    HOPS,
    recall_and_precision,
    score_conditions,
    unseen_runs,
)
from serve_apps.inference.training import (
    CONDITION_OUTPUTS,
    Described,
    train_condition,
    train_root_cause,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from serve_apps.inference.learning import Example
    from serve_apps.inference.simulation.runs import Run

WORLDS: Final = 48
LOOKS: Final = 2  # at each mesh, by other metrics and at other moments
VALIDATION: Final = 0.15  # share of the worlds that training is stopped and calibrated by
SCORED: Final = 48  # meshes that the models are scored on
CONDITION: Final = "condition"
ROOT_CAUSE: Final = "root-cause"
CONDITION_SCALE: Final = 3.0  # deviations: with the clip, 30 are told apart, as features are
FALSE_ALARMS: Final = 0.003  # share of nodes in good condition that may be said to be anomalous
CONDITION_OPTIONS: Final = TrainingOptions(
    hidden=24, layers=3, members=1, epochs=8, patience=4, batch=48, rate=1e-2, decay=1e-3
)
ROOT_CAUSE_OPTIONS: Final = TrainingOptions(
    hidden=32, layers=3, members=3, epochs=14, patience=4, batch=48, rate=4e-3, decay=0.5
)


@dataclass(frozen=True, slots=True)
class _World:
    seed: int
    number: int

    def examples(self) -> SimulatedExamples:
        return world_examples(self.seed, self.number, LOOKS)


def train_default_models(
    to: Path,
    seed: int,
    processes: int = 1,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Train, score and write both models.

    Args:
        to: existing directory.
        seed: of everything that is drawn.
        processes: that simulate.
        progress: told what is being done.
    """
    worlds = _simulated(seed, processes, progress)
    progress("scoring on other meshes")
    unseen = unseen_runs(seed + 1_000_000, SCORED)
    for model, name in (
        (condition_model(worlds, seed, progress), CONDITION),
        (root_cause_model(worlds, seed, progress), ROOT_CAUSE),
    ):
        measure = condition_metrics if name == CONDITION else root_cause_metrics
        card = model.card.model_copy(update={"metrics": measure(model, unseen)})
        save(Model(card, model.normalisation, model.network), to / name)


def condition_model(
    worlds: Sequence[SimulatedExamples], seed: int, progress: Callable[[str], None]
) -> Model:
    """Train the condition model."""
    earlier, later = _parted(worlds)
    features = node_features.FEATURES
    described = Described(
        features,
        _in_words(worlds),
        (NEIGHBOUR,),
        FALSE_ALARMS,
        Normalisation(np.zeros(len(features)), np.full(len(features), CONDITION_SCALE)),
    )
    return train_condition(
        [one for each in earlier for one in each.conditions],
        [one for each in later for one in each.conditions],
        described,
        _seeded(CONDITION_OPTIONS, seed),
        progress,
    )


def root_cause_model(
    worlds: Sequence[SimulatedExamples], seed: int, progress: Callable[[str], None]
) -> Model:
    """Train the root-cause model."""
    earlier, later = _parted(worlds)
    examples = [one for each in earlier for one in each.incidents]
    described = Described(
        incident_features.FEATURES,
        _in_words(worlds),
        (NEIGHBOUR,),
        scaling=_scaling(examples),
    )
    return train_root_cause(
        examples,
        [one for each in later for one in each.incidents],
        described,
        _seeded(ROOT_CAUSE_OPTIONS, seed),
        progress,
    )


def condition_metrics(model: Model, unseen: Sequence[Run]) -> dict[str, float]:
    """AUC, and recall and precision at the threshold, on meshes that it has not seen."""
    logits, truth = score_conditions(model, unseen, 1)
    threshold = model.card.thresholds[CONDITION_OUTPUTS[0]]
    recall, precision = recall_and_precision(logits >= threshold, truth)
    auc = float(roc_auc_score(truth, logits))
    return _rounded({"auc": auc, "recall": recall, "precision": precision})


def root_cause_metrics(model: Model, unseen: Sequence[Run]) -> dict[str, float]:
    """Share of the roots that are named first, in all and by hops, and among the first three."""
    scores = score_root_causes(model, unseen)
    of_hops = {
        f"top1_hops_{hops}": float(np.mean([one.rank == 1 for one in scores if one.hops == hops]))
        for hops in HOPS
    }
    top1, top3 = (float(np.mean([one.rank <= most for one in scores])) for most in (1, 3))
    return _rounded({"top1": top1, "top3": top3, **of_hops})


def _simulated(
    seed: int, processes: int, progress: Callable[[str], None]
) -> list[SimulatedExamples]:
    worlds = [_World(seed, number) for number in range(WORLDS)]
    found = []
    context = multiprocessing.get_context("spawn")  # what has threads must not be forked
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for number, each in enumerate(pool.map(_World.examples, worlds), 1):
            found.append(each)
            progress(f"simulated {number * SIDE_BY_SIDE} of {WORLDS * SIDE_BY_SIDE} meshes")
    return found


def _parted(
    worlds: Sequence[SimulatedExamples],
) -> tuple[Sequence[SimulatedExamples], Sequence[SimulatedExamples]]:
    at = len(worlds) - max(1, round(len(worlds) * VALIDATION))
    return worlds[:at], worlds[at:]


def _scaling(examples: Sequence[Example]) -> Normalisation:
    """By standard deviations: most features are small, and it is the great ones that tell."""
    x = np.concatenate([each.x for each in examples])
    known = np.isfinite(x).any(axis=0)
    centre, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
    centre[known] = np.nanmedian(x[:, known], axis=0)
    scale[known] = np.maximum(np.nanstd(x[:, known], axis=0), 1e-2)
    return Normalisation(centre, scale)


def _seeded(options: TrainingOptions, seed: int) -> TrainingOptions:
    return replace(options, seed=seed)


def _in_words(worlds: Sequence[SimulatedExamples]) -> str:
    n_meshes = len(worlds) * SIDE_BY_SIDE
    n_incidents = sum(len(each.incidents) for each in worlds) // LOOKS
    return (
        f"{n_meshes} simulated radio meshes with {n_incidents} incidents, each seen {LOOKS} times"
    )


def _rounded(metrics: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in metrics.items()}
