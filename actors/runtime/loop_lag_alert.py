"""Alerts when an event loop answers late for a while, until it does not any more (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.runtime.alerting import Alert, AlertName, raise_alert
from actors.runtime.standing_alert import StandingAlert

if TYPE_CHECKING:
    from collections.abc import Callable

BOUND_S: Final = 0.5  # delay of a timer that is too long
LASTS_S: Final = 10.0  # time for which delays are too long, again and again, until it is told
CALM_S: Final = 30.0  # time without such a delay, after which it is over
APART_S: Final = 2.5  # delays further apart than this do not belong to one time


class LoopLagAlert:
    """The alert about the event loop of one actor.

    Args:
        actor: name of the actor.
        sink: is given the alerts.
    """

    def __init__(self, actor: str, sink: Callable[[Alert], None] = raise_alert) -> None:
        self._actor = actor
        self._alert = StandingAlert(
            AlertName.EVENT_LOOP_LAG,
            actor,
            f"The event loop of {actor} answers in time again",
            labels={"actor": actor},
            sink=sink,
        )
        self._since: float | None = None  # when the first of the delays began
        self._last = 0.0  # when the last one ended
        self._worst_s = 0.0
        self._calm_since: float | None = None

    def note(self, late_s: float, at: float) -> None:
        """Take in the largest delay since the last call.

        Args:
            late_s: the delay, s.
            at: Unix time, s.
        """
        if late_s <= BOUND_S:
            self._rest(at)
            return
        self._calm_since = None
        if self._since is None or at - late_s - self._last > APART_S:
            self._since, self._worst_s = at - late_s, 0.0
        self._last, self._worst_s = at, max(self._worst_s, late_s)
        if at - self._since >= LASTS_S and not self._alert.lasts:
            self._alert.holds(
                f"The event loop of {self._actor} has answered up to {self._worst_s:.1f} s late"
                f" for {at - self._since:.0f} s",
                self._since,
                subjects=(self._actor,),
            )

    def _rest(self, at: float) -> None:
        if self._calm_since is None:
            self._calm_since = at
        elif at - self._calm_since >= CALM_S:
            self._alert.over(self._calm_since)
