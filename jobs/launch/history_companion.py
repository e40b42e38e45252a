"""The historian beside a mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.history.contract import HISTORIAN, HistorianOptions
from jobs.launch.companion import Companion

if TYPE_CHECKING:
    from jobs.launch.companion import Plan
    from serve_apps.settings import Settings

_DAY_S = 86_400.0


class HistoryCompanion(Companion):
    """One actor that writes down what happens, and what is measured."""

    name = "historian"
    off = "not kept under X0TTA6BL4_MINIMAL"
    late = True  # it would only delay the shards

    def wanted(self, _plan: Plan) -> bool:
        """Always."""
        return True

    def start(self, plan: Plan) -> None:
        """Start the actor."""
        from actors.history.actor import HistorianActor
        from actors.runtime import spawn

        spawn.detached(HistorianActor, HISTORIAN, history_options(plan.settings))

    def owns(self, actor: str) -> bool:
        """There is one."""
        return actor == HISTORIAN


def history_options(settings: Settings) -> HistorianOptions:
    """What a historian of an emulated mesh is started with, in a new session."""
    from actors.history.archive import Archive
    from actors.mesh.live_source import LiveSource
    from actors.runtime import ids

    return HistorianOptions(
        archive=Archive.of(settings),
        session=ids.random_id(),
        mesh=LiveSource(),
        event_s=settings.history_event_days * _DAY_S,
        metric_s=settings.history_metric_days * _DAY_S,
        metric_bytes=settings.history_metric_bytes,
        log_level=settings.log_level,
    )
