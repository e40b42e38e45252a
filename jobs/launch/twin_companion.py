"""The digital twins of a session: of its emulated mesh, of the network that it observes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from actors.twin.contract import OBSERVED_TWIN, TWIN, twins
from jobs.launch.companion import Companion

if TYPE_CHECKING:
    from jobs.launch.companion import Plan, Wait


class TwinCompanion(Companion):
    """One actor for each network of the session."""

    name = "twin"
    off = "not kept under X0TTA6BL4_MINIMAL"

    def wanted(self, _plan: Plan) -> bool:
        """Always."""
        return True

    def start(self, plan: Plan) -> Wait | None:
        """Start them. A mesh does not wait for its twin."""
        from actors.observe.observed_source import ObservedSource
        from actors.runtime import spawn
        from actors.topology.provenance import Network
        from actors.twin.actor import TwinActor
        from actors.twin.contract import TwinOptions
        from jobs.launch import joining

        settings = plan.settings
        for network, name in twins(plan.networks).items():
            source = ObservedSource() if network is Network.OBSERVED else plan.watched
            options = TwinOptions(source, settings.hello_s, settings.log_level, name)
            spawn.detached(TwinActor, name, options)
        return None if plan.mesh is not None else joining.until_ready(TWIN)

    def load(self) -> None:
        """Import the class of the actor."""
        importlib.import_module("actors.twin.actor")

    def owns(self, actor: str) -> bool:
        """There are two, at most."""
        return actor in {TWIN, OBSERVED_TWIN}
