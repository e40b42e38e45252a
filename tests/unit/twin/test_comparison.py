"""Predictions beside observations."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from actors.topology.model import Topology
from actors.twin.comparison import LOSS_TOLERANCE, Observed, compare
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact

LINE = Topology.of([f"n{i}" for i in range(5)], [(i, i + 1) for i in range(4)], 0.8)
PREDICTED = impact(Intact(LINE), Failure.at([2]))
SEEN = Observed(
    pairs=6,
    all_pairs=True,
    unreachable_pairs=4,
    detected_s=0.1,
    healed_s=2.0,
    loss_before=PREDICTED.loss.before + 0.01,
    loss_during=PREDICTED.loss.during - 0.01,
    loss_after=PREDICTED.loss.after,
)


def agreed(observed: Observed) -> dict[str, bool | None]:
    found = compare(PREDICTED, observed)
    assert found.agrees == (False not in {one.agrees for one in found.figures})
    return {one.name: one.agrees for one in found.figures}


def test_what_came_as_predicted_agrees() -> None:
    """Counts are equal, times within the bounds, losses near; means are shown only."""
    assert agreed(SEEN) == {
        "pairs": True,
        "unreachable_pairs": True,
        "detection_bound_s": True,
        "convergence_bound_s": True,
        "mttd_s": None,
        "mttr_s": None,
        "loss_before": True,
        "loss_during": True,
        "loss_after": True,
    }


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"pairs": 5}, "pairs"),
        ({"unreachable_pairs": 3}, "unreachable_pairs"),
        ({"detected_s": 3.76}, "detection_bound_s"),
        ({"healed_s": 9.0}, "convergence_bound_s"),
        ({"healed_s": math.inf}, "convergence_bound_s"),
        ({"loss_before": PREDICTED.loss.before - 1.1 * LOSS_TOLERANCE}, "loss_before"),
        ({"loss_during": PREDICTED.loss.during + 1.1 * LOSS_TOLERANCE}, "loss_during"),
        ({"loss_after": PREDICTED.loss.after - 1.1 * LOSS_TOLERANCE}, "loss_after"),
    ],
)
def test_what_came_otherwise_disagrees(changed: dict[str, float], name: str) -> None:
    """One wrong figure is enough, and is the only one named."""
    found = agreed(replace(SEEN, **changed))
    assert [one for one, agrees in found.items() if agrees is False] == [name]


def test_what_never_happened_is_json() -> None:
    """That the mesh never healed is no number, and disagrees."""
    found = compare(PREDICTED, replace(SEEN, healed_s=math.inf)).as_dict()
    healed = next(one for one in found["figures"] if one["name"] == "convergence_bound_s")
    assert (healed["observed"], healed["agrees"]) == (None, False)


def test_what_was_not_watched_is_not_judged() -> None:
    """Missing observations and samples of pairs are shown without a verdict."""
    found = agreed(Observed(pairs=4, all_pairs=False, unreachable_pairs=3, loss_after=1.0))
    assert set(found.values()) == {None}
    share = compare(PREDICTED, Observed(4, all_pairs=False, unreachable_pairs=3)).figures[0]
    assert (share.predicted, share.observed) == (pytest.approx(4 / 6), 0.75)


def test_a_mesh_of_which_nothing_is_left() -> None:
    """Even that can be compared."""
    nothing = impact(Intact(LINE), Failure.at(range(5)))
    for complete in (True, False):
        assert compare(nothing, Observed(0, all_pairs=complete, unreachable_pairs=0)).agrees
