"""Raw features to inputs of a network: robust scaling, and a mask that says what is missing.

A value becomes its distance from the median of normal, in robust standard deviations (1.4826 times
the median absolute deviation, which for a normal distribution is the standard deviation), and is
clipped. A missing value becomes 0, which is also what a normal one becomes; so each feature has a
second input, which is 1 where it is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP: Final = 10.0  # robust standard deviations
_TO_DEVIATION: Final = 1.4826


@dataclass(frozen=True, slots=True, eq=False)
class Normalisation:
    """How raw features are scaled.

    Attributes:
        centre: float64 [f], normal value of each feature, in its unit.
        scale: float64 [f], its robust standard deviation, above 0.
        clip: largest distance from normal that is told apart, in scales.
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    clip: float = CLIP

    @classmethod
    def of(cls, values: NDArray[np.float64], clip: float = CLIP) -> Self:
        """The normalisation after which `values` [n, f] are normal; NaN is missing.

        A feature without spread is scaled by its standard deviation, or by 1 if it never varies;
        one that is always missing has centre 0 and scale 1.
        """
        columns = [column[np.isfinite(column)] for column in np.asarray(values, np.float64).T]
        centre = np.array([np.median(column) if column.size else 0.0 for column in columns])
        scale = np.array(
            [_scale(column - at) for column, at in zip(columns, centre, strict=True)], np.float64
        )
        return cls(centre, scale, clip)

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Inputs [..., 2 f]: first the scaled features, then their masks; NaN is missing."""
        missing = np.isnan(values)
        scaled = np.clip((values - self.centre) / self.scale, -self.clip, self.clip)
        scaled[missing] = 0.0
        return np.concatenate((scaled, missing), axis=-1, dtype=np.float32, casting="unsafe")


def _scale(distance: NDArray[np.float64]) -> float:
    if not distance.size:
        return 1.0
    robust = _TO_DEVIATION * float(np.median(np.abs(distance)))
    return robust or float(distance.std()) or 1.0
