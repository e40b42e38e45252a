"""Alerts that last: raised when they begin and change, and ended once; and one of them, of lag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.alerting import AlertName
from actors.runtime.loop_lag_alert import BOUND_S, CALM_S, LASTS_S, LoopLagAlert
from actors.runtime.standing_alert import StandingAlert

if TYPE_CHECKING:
    from actors.runtime.alerting import Alert


def test_what_lasts_is_raised_when_it_begins_changes_and_ends() -> None:
    """Since when is what was said first; what is said again is not raised again."""
    told: list[Alert] = []
    alert = StandingAlert(AlertName.MODEL_DRIFT, "m", "it is over", sink=told.append)
    alert.holds("much", 5.0)
    alert.holds("much", 6.0)
    alert.holds("more", 7.0, severity=None, details=("a line",))
    alert.over(9.0)
    alert.over(10.0)
    said = [(one.summary, one.started, one.ended) for one in told]
    assert said == [("much", 5.0, None), ("more", 5.0, None), ("more", 5.0, 9.0)]
    alert.holds("much", 11.0)
    assert told[-1].started == 11.0


def test_what_an_earlier_process_has_raised_is_ended() -> None:
    """By the first word that all is well."""
    told: list[Alert] = []
    alert = StandingAlert(AlertName.MODEL_DRIFT, "m", "it is over", sink=told.append)
    alert.over(3.0)
    alert.over(4.0)
    assert [(one.key, one.summary, one.ended) for one in told] == [("m", "it is over", 3.0)]


def lags(alert: LoopLagAlert, late_s: float, begin: float, seconds: float) -> float:
    """One delay after the other, for a while; when it is over."""
    at = begin
    while at < begin + seconds:
        at += 1.0
        alert.note(late_s, at)
    return at


def test_a_loop_that_is_late_for_long_is_told_until_it_is_calm() -> None:
    """Late for less than the bound, or for a moment, is told nobody."""
    told: list[Alert] = []
    alert = LoopLagAlert("mesh-shard-00", told.append)
    at = lags(alert, BOUND_S, 1_000.0, 60)
    assert [one.ended is None for one in told] == [False]  # the first calm ends an earlier one
    at = lags(alert, 2.0, at, LASTS_S - 4)
    at = lags(alert, 0.0, at, 5)
    at = lags(alert, 2.0, at, LASTS_S - 4)
    at = lags(alert, 0.0, at, CALM_S + 2)
    assert len(told) == 1
    at = lags(alert, 2.0, at, LASTS_S + 30)
    late = told[1]
    assert (late.name, late.key, late.ended) == (AlertName.EVENT_LOOP_LAG, "mesh-shard-00", None)
    assert "up to 2.0 s late" in late.summary
    calm = lags(alert, 0.0, at, 5)
    lags(alert, 2.0, calm, 1)
    assert len(told) == 2
    lags(alert, 0.0, calm + 2, CALM_S + 5)
    assert [one.ended is None for one in told] == [False, True, False]


def test_one_delay_that_is_long_enough_is_told_when_it_is_over() -> None:
    """As of a call that blocks the loop for a quarter of a minute."""
    told: list[Alert] = []
    LoopLagAlert("gateway", told.append).note(LASTS_S + 5, 1_000.0)
    assert [one.started for one in told] == [1_000.0 - LASTS_S - 5]
