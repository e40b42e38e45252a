"""The twin's prediction beside what a drill, or a real failure, showed.

Counts of pairs must be equal, since both are exact. Times must not exceed the bounds; the means
assume detection by missing Hellos alone, and traffic detects a failure sooner, so they are shown
and not judged. Losses may differ by `LOSS_TOLERANCE`. Where only a sample of the pairs was watched,
counts are shown as shares, and neither they nor losses are judged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.twin.results import Compared, Comparison

if TYPE_CHECKING:
    from actors.twin.results import Impact

LOSS_TOLERANCE: Final = 0.02  # largest absolute difference of losses that agree
EQUAL: Final = "equal"
AT_MOST: Final = "at most the prediction"
NEAR: Final = f"within {LOSS_TOLERANCE:g}"
SHOWN: Final = "not judged"


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of a failure; None for what was not watched.

    Attributes:
        pairs: number of unordered pairs of survivors that were watched.
        all_pairs: whether all pairs were watched.
        unreachable_pairs: number of watched pairs that were cut off.
        detected_s: first notice by any node, s after the failure; infinite if there was none.
        healed_s: all routes right again, s after the failure; infinite if they never were.
        loss_before, loss_during, loss_after: share of messages between survivors that were lost, in
            [0, 1], before the failure, until routes had changed, and since.
    """

    pairs: int
    all_pairs: bool
    unreachable_pairs: int
    detected_s: float | None = None
    healed_s: float | None = None
    loss_before: float | None = None
    loss_during: float | None = None
    loss_after: float | None = None


def compare(predicted: Impact, observed: Observed) -> Comparison:
    """Set a prediction beside an observation, figure by figure."""
    recovery, loss = predicted.recovery, predicted.loss
    near = NEAR if observed.all_pairs else SHOWN
    figures = [
        *_pairs(predicted, observed),
        _judged("detection_bound_s", recovery.detection_bound_s, observed.detected_s, AT_MOST),
        _judged("convergence_bound_s", recovery.convergence_bound_s, observed.healed_s, AT_MOST),
        _judged("mttd_s", recovery.mttd_s, observed.detected_s, SHOWN),
        _judged("mttr_s", recovery.mttr_s, observed.healed_s, SHOWN),
        _judged("loss_before", loss.before if loss else None, observed.loss_before, near),
        _judged("loss_during", loss.during if loss else None, observed.loss_during, near),
        _judged("loss_after", loss.after if loss else None, observed.loss_after, near),
    ]
    return Comparison(figures, all(figure.agrees is not False for figure in figures))


def _pairs(predicted: Impact, observed: Observed) -> list[Compared]:
    if observed.all_pairs:
        apart = predicted.pairs - predicted.pairs_connected_after
        return [
            _judged("pairs", predicted.pairs, observed.pairs, EQUAL),
            _judged("unreachable_pairs", apart, observed.unreachable_pairs, EQUAL),
        ]
    share = 1 - predicted.pairs_connected_after / predicted.pairs if predicted.pairs else None
    seen = observed.unreachable_pairs / observed.pairs if observed.pairs else None
    return [_judged("unreachable_share", share, seen, SHOWN)]


def _judged(name: str, predicted: float | None, observed: float | None, rule: str) -> Compared:
    agrees: bool | None = None
    if predicted is not None and observed is not None and rule != SHOWN:
        agrees = {
            EQUAL: predicted == observed,
            AT_MOST: observed <= predicted,
            NEAR: abs(predicted - observed) <= LOSS_TOLERANCE,
        }[rule]
    if observed == math.inf:
        observed = None  # JSON has no infinity; `agrees` is already set
    return Compared(name, predicted, observed, agrees, rule)
