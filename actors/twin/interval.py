"""Confidence intervals of estimates from random draws.

Of a probability: Wilson's score interval ("Probable Inference, the Law of Succession, and
Statistical Inference", JASA 22, 1927), which stays sensible where nothing or everything succeeded.
Of a mean: Student's t, by the central limit theorem, kept within the range that the values can
have.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import ndtri, stdtrit

from actors.runtime.errors import InvalidInput
from actors.twin.limits import MAX_SAMPLES, MIN_SAMPLES
from actors.twin.results import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW: Final = 30  # differing values, below which Wilson's interval is used


def check(samples: int, confidence: float) -> None:
    """Check the numbers that an interval is made from.

    Raises:
        InvalidInput: too few or too many samples, or a confidence outside (0, 1).
    """
    if not MIN_SAMPLES <= samples <= MAX_SAMPLES:
        raise InvalidInput(
            f"{samples} samples",
            "an interval needs some, and memory and time end",
            f"Ask for {MIN_SAMPLES} to {MAX_SAMPLES}.",
            entry="samples",
        )
    if not 0.0 < confidence < 1.0:
        raise InvalidInput(
            f"a confidence of {confidence:g}",
            "it is a probability",
            "Give 0.95, for example.",
            entry="confidence",
        )


def exact(value: float, samples: int) -> Interval:
    """A figure without uncertainty."""
    return Interval(value, value, value, 1.0, samples)


def probability(successes: float, samples: int, confidence: float) -> Interval:
    """Wilson's interval of `successes` out of `samples` > 0."""
    z = float(ndtri(0.5 + confidence / 2))
    share = successes / samples
    spread = z * z / samples
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / samples + spread / samples / 4)
    # At the ends the bound is the end; rounding must not move it past the share itself.
    low = 0.0 if successes == 0 else min(share, centre - half)
    high = 1.0 if successes == samples else max(share, centre + half)
    return Interval(share, low, high, confidence, samples)


def share(values: NDArray[np.float64], confidence: float) -> Interval:
    """The interval of the mean of two or more values in [0, 1].

    Student's t, unless nearly all values are the same: then their spread says little, and Wilson's
    is taken, which holds for any values in [0, 1] as none vary more than successes and failures.
    """
    extremes = (values == values.max()).sum(), (values == values.min()).sum()
    if len(values) - max(extremes) < _FEW:
        return probability(float(values.sum()), len(values), confidence)
    found = mean(values, confidence)
    return Interval(found.mean, found.low, min(1.0, found.high), confidence, len(values))


def mean(values: NDArray[np.float64] | NDArray[np.int64], confidence: float) -> Interval:
    """The t interval of the mean of two or more values that are not negative."""
    samples = len(values)
    centre = float(np.mean(values))
    error = float(np.std(values, ddof=1)) / math.sqrt(samples)
    half = float(stdtrit(samples - 1, 0.5 + confidence / 2)) * error
    return Interval(centre, max(0.0, centre - half), centre + half, confidence, samples)
