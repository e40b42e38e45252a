"""From scores to probabilities: logistic (Platt) scaling, and how far off probabilities are.

Platt: "Probabilistic outputs for support vector machines", 1999. The calibration error is that of
Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit, logit

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS: Final = 65
BINS: Final = 10
_PULL: Final = 20.0  # towards slope 1 and offset 0: the scores of a network are nearly right
_EDGE: Final = 1e-4  # scores that are probabilities are told apart as far as this from 0 and 1


def logistic_curve(
    scores: NDArray[np.float64], right: NDArray[np.bool_], *, of_probability: bool = False
) -> tuple[tuple[float, float], ...]:
    """The curve from a score to the probability of being right.

    Args:
        scores: [n], finite.
        right: [n], whether each was.
        of_probability: whether the scores are probabilities; else they are logits.

    Returns:
        Points by ascending score; a score that says nothing gives a level curve, never one that
        falls.
    """
    x = logit(np.clip(scores, _EDGE, 1 - _EDGE)) if of_probability else np.asarray(scores)
    spread = float(np.std(x)) or 1.0
    sign = np.where(right, 1.0, -1.0)

    def loss(at: NDArray[np.float64]) -> float:
        slope, offset = at
        pull = _PULL * ((slope - 1) ** 2 + offset**2)
        return float(pull - log_expit(sign * (slope * x + offset)).sum())

    slope, offset = minimize(loss, (1.0, 0.0), bounds=((0, None), (None, None))).x
    if of_probability:
        grid = expit(np.linspace(logit(_EDGE), logit(1 - _EDGE), POINTS))
        places = logit(grid)
    else:
        places = grid = np.linspace(x.min() - spread, x.max() + spread, POINTS)
    chances = expit(slope * places + offset)
    return tuple(zip(grid.tolist(), chances.tolist(), strict=True))


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over equal bins.

    Args:
        confidence: [n], 0 to 1.
        right: [n].

    Returns:
        0 to 1; NaN if there is nothing.
    """
    if not len(confidence):
        return float("nan")
    of_bin = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    gap = np.bincount(of_bin, confidence - right, BINS)
    return float(np.abs(gap).sum() / len(confidence))
