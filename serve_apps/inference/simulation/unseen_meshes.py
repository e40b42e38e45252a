"""Simulated meshes that no model was trained on, and how well conditions are told in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from actors.topology.radio import generate
from serve_apps.inference.mesh_series import series_of
from serve_apps.inference.node_features import node_features
from serve_apps.inference.node_graph import neighbour_operator
from serve_apps.inference.simulation.condition_labels import condition_labels
from serve_apps.inference.simulation.runs import SimulationPlan, simulate_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.model_file import Model
    from serve_apps.inference.simulation.runs import Run
    from serve_apps.inference.telemetry import Telemetry

HOPS: Final = (1, 2, 3, 4)
NOISE: Final = 5  # events that coincide with each incident
SIZES: Final = (24, 80)  # fewest and most nodes
MOMENTS: Final = 6  # of each run at which conditions are scored


def unseen_runs(seed: int, n: int, hops: Sequence[int] = HOPS, n_noise: int = NOISE) -> list[Run]:
    """Simulate `n` random meshes with an incident of each of these lengths, side by side.

    Of every other one only what reaches its gateways is known.
    """
    rng = np.random.default_rng((seed, n))
    plans = [
        SimulationPlan(
            generate(int(rng.integers(SIZES[0], SIZES[1] + 1)), int(rng.integers(2**31))),
            tuple(rng.permutation(hops).tolist()),
            n_noise,
            watched=which % 2 == 1,
        )
        for which in range(n)
    ]
    return simulate_all(plans, int(rng.integers(2**31)))


def score_conditions(
    model: Model,
    runs: Sequence[Run],
    seed: int,
    seen: Callable[[Telemetry], Telemetry] = lambda whole: whole,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Logits and truth of all nodes at some moments, half of them in incidents.

    Returns:
        Both [n], without the nodes of which `condition_labels` says nothing.
    """
    rng = np.random.default_rng(seed)
    logits, truth = [], []
    for run in runs:
        labels, telemetry = condition_labels(run), seen(run.telemetry)
        series, using = (
            series_of(telemetry),
            (neighbour_operator(len(telemetry.graph.nodes), telemetry.graph.ends),),
        )
        for at in range(MOMENTS):
            planned = run.plans[rng.integers(len(run.plans))]
            first, last = (planned.start, planned.end) if at % 2 else (20, len(telemetry.times))
            row = int(rng.integers(first, last))
            x = node_features(telemetry, row, series).deviations
            said = model.network(model.normalisation(x), using)[:, 0]
            told = np.isfinite(labels[row])
            logits.append(said[told].astype(np.float64))
            truth.append(labels[row, told] == 1)
    return np.concatenate(logits), np.concatenate(truth)


def recall_and_precision(
    flagged: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> tuple[float, float]:
    """Of nodes that are anomalous, and that are said to be."""
    right = float((flagged & truth).sum())
    return right / max(1, int(truth.sum())), right / max(1, int(flagged.sum()))
