"""A model that calls too much anomalous outside incidents is told, and when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.alerting import AlertName
from actors.topology.provenance import Network
from serve_apps.inference.model_drift import INTERVALS, ModelDrift

if TYPE_CHECKING:
    from actors.runtime.alerting import Alert


def passes(drift: ModelDrift, intervals: int, scored: int, anomalous: int) -> None:
    for at in range(intervals):
        drift.note(scored, anomalous, float(at))


def test_a_share_far_above_what_the_threshold_is_set_for_is_told_until_it_falls() -> None:
    """A few intervals of it are no drift."""
    told: list[Alert] = []
    drift = ModelDrift(Network.OBSERVED, told.append)
    passes(drift, INTERVALS, 200, 1)
    assert [one.ended is None for one in told] == [False]
    passes(drift, 10, 200, 40)
    assert len(told) == 1
    passes(drift, INTERVALS, 200, 40)
    alert = told[1]
    assert (alert.name, alert.key) == (AlertName.MODEL_DRIFT, "condition:observed")
    assert "it is set for 0.5%" in alert.summary
    passes(drift, INTERVALS, 200, 10)
    assert len(told) == 2
    passes(drift, INTERVALS, 200, 1)
    assert [one.ended is None for one in told] == [False, True, False]


def test_few_nodes_say_too_little() -> None:
    """Also if all of them are called anomalous all the time."""
    told: list[Alert] = []
    passes(ModelDrift(Network.EMULATED, told.append), 5 * INTERVALS, 3, 3)
    assert told == []
