"""The historian of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.history.contract import HISTORIAN, HistorianOptions, Recorded
from actors.observe.contract import OBSERVER
from actors.topology.provenance import Network
from jobs.launch.companion import Companion, Stage

if TYPE_CHECKING:
    from actors.runtime.daily import DailyTime
    from jobs.launch.companion import Plan
    from serve_apps.settings import Settings

_DAY_S = 86_400.0


class HistoryCompanion(Companion):
    """One actor that writes down what happens, and what is measured."""

    name = "historian"
    off = "not kept under X0TTA6BL4_MINIMAL"
    stage = Stage.LAST  # it would only delay the others

    def wanted(self, _plan: Plan) -> bool:
        """Always."""
        return True

    def prepare(self, plan: Plan) -> Plan:
        """Refuse a time of the digest that is none, before anything is started.

        Raises:
            ConfigurationError: there is no such time or zone.
        """
        digest_at(plan.settings)
        return plan

    def start(self, plan: Plan) -> None:
        """Start the actor."""
        from actors.history.actor import HistorianActor
        from actors.runtime import spawn

        spawn.detached(HistorianActor, HISTORIAN, history_options(plan.settings, plan.networks))

    def owns(self, actor: str) -> bool:
        """There is one."""
        return actor == HISTORIAN


def digest_at(settings: Settings) -> DailyTime | None:
    """When people are told what got worse, each day; None: never.

    Raises:
        ConfigurationError: there is no such time or zone.
    """
    from actors.runtime.daily import DailyTime
    from actors.runtime.settings import variable

    at = settings.alerts_digest_at
    return DailyTime.of(at, variable("alerts_digest_at")) if at and settings.alerts else None


def history_options(
    settings: Settings, networks: tuple[Network, ...] = (Network.EMULATED,)
) -> HistorianOptions:
    """What a historian of these networks is started with, in a new session."""
    from actors.history.archive import Archive
    from actors.mesh.live_source import LiveSource
    from actors.observe.observed_source import ObservedSource
    from actors.runtime import ids

    seen = ObservedSource()
    observed = {OBSERVER: Recorded(Network.OBSERVED, seen, seen)}
    return HistorianOptions(
        archive=Archive.of(settings),
        session=ids.random_id(),
        mesh=LiveSource() if Network.EMULATED in networks else None,
        event_s=settings.history_event_days * _DAY_S,
        metric_s=settings.history_metric_days * _DAY_S,
        metric_bytes=settings.history_metric_bytes,
        log_level=settings.log_level,
        recorded=observed if Network.OBSERVED in networks else {},
        digest_at=digest_at(settings),
    )
