"""Networks and models with drawn weights, for tests that need no training."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from serve_apps.inference.graphsage import GraphSage, Layer
from serve_apps.inference.model_file import Card, Model, Purpose
from serve_apps.inference.normalisation import Normalisation
from serve_apps.inference.trees import LEAF, Trees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FEATURES = ("rssi", "snr", "loss_rate", "link_age", "latency", "throughput", "cpu", "memory")


def drawn_network(rng: np.random.Generator, sizes: Sequence[int], relations: int) -> GraphSage:
    """A network whose numbers stay of the order of 1."""

    def weights(f_in: int, f_out: int) -> NDArray[np.float32]:
        return (rng.normal(size=(f_in, f_out)) / np.sqrt(f_in)).astype(np.float32)

    return GraphSage(
        tuple(
            Layer(
                weights(f_in, f_out),
                tuple(weights(f_in, f_out) for _ in range(relations)),
                rng.normal(size=f_out).astype(np.float32),
            )
            for f_in, f_out in itertools.pairwise(sizes)
        )
    )


def drawn_trees(rng: np.random.Generator, columns: int, count: int = 20) -> Trees:
    """Full trees of depth 3."""
    n = 15
    inner = np.arange(n) < n // 2
    starts = np.repeat(np.arange(count) * n, n)
    here = np.tile(np.arange(n), count)
    is_inner = np.tile(inner, count)
    return Trees(
        (np.arange(count) * n).astype(np.int32),
        np.where(is_inner, rng.integers(0, columns, n * count), LEAF).astype(np.int16),
        rng.normal(size=n * count).astype(np.float32),
        np.where(is_inner, starts + 2 * here + 1, 0).astype(np.int32),
        np.where(is_inner, starts + 2 * here + 2, 0).astype(np.int32),
        rng.random(n * count).astype(np.float32),
    )


def drawn_edges(rng: np.random.Generator, n: int) -> NDArray[np.int32]:
    """Sources and targets of edges; some vertices have none."""
    found = rng.integers(n, size=(2, n)).astype(np.int32)
    if n > 1:
        found[1][found[1] == n - 1] = 0
    return found


def drawn_model(
    seed: int = 0, features: Sequence[str] = FEATURES, relations: Sequence[str] = ("neighbour",)
) -> Model:
    """A condition model."""
    rng = np.random.default_rng(seed)
    sizes = (2 * len(features), 16, 8, 1)
    card = Card(
        purpose=Purpose.CONDITION,
        features=tuple(features),
        relations=tuple(relations),
        sizes=sizes,
        outputs=("anomalous",),
        thresholds={"anomalous": 0.5},
        calibration={"anomalous": ((-4.0, 0.02), (0.0, 0.5), (4.0, 0.98))},
        trained_on="nothing: its weights are drawn",
        seed=seed,
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
        metrics={"auc": 0.5},
        versions={"numpy": np.__version__},
    )
    normal = rng.normal(size=(200, len(features))) * rng.uniform(0.1, 10, size=len(features))
    return Model(card, Normalisation.of(normal), drawn_network(rng, sizes, len(relations)))
