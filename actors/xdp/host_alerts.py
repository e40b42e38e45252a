"""Alerts about the interfaces of a host, each with its end (pure)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from actors.runtime.alerting import Alert, AlertName, raise_alert
from actors.runtime.standing_alert import StandingAlert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.xdp.contract import Ownership, TableChurn

WINDOW_S: Final = 60.0  # over which churn is measured
UNTABLED: Final = 1000  # packets in a window that were of too many new flows


class HostAlerts:
    """What is wrong with XDP on one host.

    Args:
        host: its name.
        sink: is given the alerts.
    """

    def __init__(self, host: str, sink: Callable[[Alert], None] = raise_alert) -> None:
        self._host = host
        self._sink = sink
        self._interfaces: dict[str, _Interface] = {}

    def note(self, states: Mapping[str, Ownership], at: float) -> None:
        """Take in how the owned interfaces are at a Unix time, s.

        An interface that is owned no more has no fault any more.
        """
        for name in self._interfaces.keys() - states.keys():
            self._interfaces.pop(name).end(at)
        for name, state in states.items():
            self._of(name).note(name, state, at)

    def expect(self, name: str) -> None:
        """Take it for detached if an interface is not attached: an earlier life had attached it."""
        self._of(name).was_attached = True

    def reattached(self, name: str, since: float, at: float) -> None:
        """Tell that the program was off an interface between two Unix times, s."""
        self._sink(
            Alert(
                AlertName.XDP_REATTACHED,
                f"{self._host}:{name}",
                f"The packet filter was off {name} of {self._host} for at most {at - since:.1f} s:"
                " its actor had ended, and has been started again",
                since,
                labels={"host": self._host, "interface": name},
                subjects=(name,),
                momentary=True,
            )
        )

    def note_churn(self, name: str, churn: TableChurn, at: float) -> None:
        """Take in how the tables of an owned interface are used at a Unix time, s."""
        self._of(name).note_churn(name, churn, at)

    def _of(self, name: str) -> _Interface:
        if name not in self._interfaces:
            where = f"{name} of {self._host}"
            self._interfaces[name] = _Interface(
                self._alert(
                    AlertName.XDP_ATTACH_FAILED, name, f"The packet filter is attached to {where}"
                ),
                self._alert(
                    AlertName.XDP_DETACHED, name, f"The packet filter is attached to {where} again"
                ),
                self._alert(
                    AlertName.XDP_MAP_CHURN, name, f"The tables of {where} hold their entries again"
                ),
                where,
            )
        return self._interfaces[name]

    def _alert(self, kind: AlertName, name: str, over: str) -> StandingAlert:
        labels = {"host": self._host, "interface": name}
        return StandingAlert(kind, f"{self._host}:{name}", over, labels=labels, sink=self._sink)


@dataclass(slots=True)
class _Interface:
    """The alerts of one interface.

    Attributes:
        where: its name and that of its host.
        was_attached: whether the program was attached since it is wished there.
        began: when the present window of churn began, and how the tables were used then.
    """

    failed: StandingAlert
    detached: StandingAlert
    churn: StandingAlert
    where: str
    was_attached: bool = False
    began: tuple[float, TableChurn] | None = field(default=None)

    def note(self, name: str, state: Ownership, at: float) -> None:
        if state.state == "attached":
            self.was_attached = True
            self.failed.over(at)
            self.detached.over(at)
        elif state.state == "waiting":  # without an interface nothing fails
            self.was_attached = False
            self.end(at)
        elif state.state == "detached" or self.was_attached:
            self.detached.holds(
                f"The packet filter was taken off {self.where}: {state.reason}",
                at,
                subjects=(name,),
            )
        else:
            self.failed.holds(
                f"The packet filter cannot be attached to {self.where}: {state.reason}",
                at,
                subjects=(name,),
            )

    def note_churn(self, name: str, now: TableChurn, at: float) -> None:
        if self.began is None or now.new_flows < self.began[1].new_flows:  # loaded anew
            self.began = (at, now)
            return
        since, before = self.began
        if at - since < WINDOW_S:
            return
        self.began = (at, now)
        evicted = now.evicted_flows - before.evicted_flows
        untabled = now.untabled - before.untabled
        if evicted > now.flows or untabled > UNTABLED:
            self.churn.holds(
                f"In a minute {max(evicted, 0):,} flows of {self.where} made room for others, and"
                f" {untabled:,} packets were of too many new ones",
                since,
                subjects=(name,),
            )
        else:
            self.churn.over(at)

    def end(self, at: float) -> None:
        self.began = None
        for alert in (self.failed, self.detached, self.churn):
            if alert.lasts:
                alert.over(at)
