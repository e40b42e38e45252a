"""The shipped condition model, on simulated meshes that it has not seen."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from serve_apps.inference import node_features
from serve_apps.inference.model_file import Model, Purpose, load
from serve_apps.inference.settings import SHIPPED
from serve_apps.inference.simulation.runs import Run
from serve_apps.inference.simulation.unseen_meshes import (
    recall_and_precision,
    score_conditions,
    unseen_runs,
)
from serve_apps.inference.telemetry import Telemetry

SEED = 77
LINKS_ONLY = ("quality", "link_up")  # what any mesh tells


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    """Cascades of 1, 2, 3 and 4 hops, with 5 noise events each, in random meshes."""
    return unseen_runs(SEED, 24)


@pytest.fixture(scope="module")
def model() -> Model:
    return load(SHIPPED / "condition", purpose=Purpose.CONDITION, features=node_features.FEATURES)


def test_anomalous_nodes_are_told_from_others(model: Model, runs: list[Run]) -> None:
    logits, truth = score_conditions(model, runs, SEED)
    assert roc_auc_score(truth, logits) >= 0.97
    recall, precision = recall_and_precision(logits >= model.card.thresholds["anomalous"], truth)
    assert recall >= 0.9
    assert precision >= 0.9


def test_who_is_told_less_is_right_less_often_and_is_less_sure(
    model: Model, runs: list[Run]
) -> None:
    def bare(telemetry: Telemetry) -> Telemetry:
        kept = {name: telemetry.metrics[name] for name in LINKS_ONLY}
        return replace(telemetry, metrics=kept)

    less, truth = score_conditions(model, runs, SEED, bare)
    whole, _ = score_conditions(model, runs, SEED)
    assert 0.6 < roc_auc_score(truth, less) < roc_auc_score(truth, whole)
    sure = [model.probability("anomalous", logits)[truth].mean() for logits in (less, whole)]
    assert sure[0] < sure[1]
    quiet = model.probability("anomalous", less[~truth])
    assert np.mean(quiet > 0.5) < 0.02


def test_it_is_small_and_says_what_it_is(model: Model) -> None:
    files = [SHIPPED / f"condition{suffix}" for suffix in (".json", ".safetensors")]
    assert sum(path.stat().st_size for path in files) < 2**19
    assert model.card.metrics["auc"] >= 0.97
    assert "simulated" in model.card.trained_on
