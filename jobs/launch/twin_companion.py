"""The digital twin beside an emulated mesh, or of an observed network."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from actors.twin.contract import TWIN
from jobs.launch.companion import Companion

if TYPE_CHECKING:
    from jobs.launch.companion import Plan, Wait


class TwinCompanion(Companion):
    """One actor that holds the network of the session; the emulated one, if there are two."""

    name = "twin"
    off = "not kept under X0TTA6BL4_MINIMAL"

    def wanted(self, _plan: Plan) -> bool:
        """Always."""
        return True

    def start(self, plan: Plan) -> Wait | None:
        """Start the actor. A mesh does not wait for it."""
        from actors.runtime import spawn
        from actors.twin.actor import TwinActor
        from actors.twin.contract import TwinOptions
        from jobs.launch import joining

        settings = plan.settings
        options = TwinOptions(plan.watched, settings.hello_s, settings.log_level)
        spawn.detached(TwinActor, TWIN, options)
        return None if plan.mesh is not None else joining.until_ready(TWIN)

    def load(self) -> None:
        """Import the class of the actor."""
        importlib.import_module("actors.twin.actor")

    def owns(self, actor: str) -> bool:
        """There is one."""
        return actor == TWIN
