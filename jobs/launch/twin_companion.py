"""The digital twin beside a mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.twin.contract import TWIN
from jobs.launch.companion import Companion

if TYPE_CHECKING:
    from jobs.launch.companion import Plan


class TwinCompanion(Companion):
    """One actor that holds the mesh as its nodes know it."""

    name = "twin"
    off = "not kept under X0TTA6BL4_MINIMAL"
    late = True  # it would only delay the shards

    def wanted(self, _plan: Plan) -> bool:
        """Always."""
        return True

    def start(self, plan: Plan) -> None:
        """Start the actor."""
        from actors.runtime import spawn
        from actors.twin.actor import TwinActor
        from jobs.launch.options import twin_options

        spawn.detached(TwinActor, TWIN, twin_options(plan.options))

    def owns(self, actor: str) -> bool:
        """There is one."""
        return actor == TWIN
