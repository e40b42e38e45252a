"""The observer of a session that observes a network."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from actors.observe.contract import OBSERVER
from jobs.launch.companion import Companion, Stage

if TYPE_CHECKING:
    from jobs.launch.companion import Plan, Wait


class ObserverCompanion(Companion):
    """One actor that asks the sources of a real network."""

    name = "observer"
    off = "no network is observed; `x0 watch` and `x0 up --from-observed` observe one"
    stage = Stage.FIRST  # the twin, and the mesh of `x0 up --from-observed`, are of its network

    def wanted(self, plan: Plan) -> bool:
        """Whether there is anything to observe."""
        return plan.observer is not None

    def start(self, plan: Plan) -> Wait:
        """Start the actor; what is returned waits until each source has been asked once."""
        from actors.observe.actor import ObserverActor
        from actors.runtime import spawn
        from jobs.launch import joining

        assert plan.observer is not None  # noqa: S101 - it is wanted
        spawn.detached(ObserverActor, OBSERVER, plan.observer)
        return joining.until_ready(OBSERVER)

    def load(self) -> None:
        """Import the class of the actor."""
        importlib.import_module("actors.observe.actor")

    def owns(self, actor: str) -> bool:
        """There is one."""
        return actor == OBSERVER
