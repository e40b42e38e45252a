"""Asks the twin of the live mesh, from a job, a notebook or Serve alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime import remote
from actors.runtime.errors import NotRunning, Unavailable
from actors.twin.contract import TWIN, TwinContract

if TYPE_CHECKING:
    from actors.twin.reply import Reply
    from actors.twin.scenario import Scenario


async def ask(scenario: Scenario, *, plot: bool, limit_s: float) -> Reply:
    """Ask everything that a scenario asks of the mesh of this process's namespace.

    A question that nobody waits for any more is given up by the twin too.

    Args:
        scenario: the questions; what it says of a topology counts for nothing.
        plot: whether to draw.
        limit_s: after which the twin gives up.

    Raises:
        Unavailable: there is no twin, it is restarting, not ready, or has too many questions.
        InvalidInput: the scenario cannot be asked of this mesh, or not in this time.
        UnknownNode: a name is of no node.
    """
    try:
        return await remote.proxy(TwinContract, TWIN, cancels=True).ask(scenario, plot, limit_s)
    except NotRunning as error:
        raise Unavailable(
            "the mesh has no twin",
            f"{error.why}: the mesh is just starting, or runs under X0TTA6BL4_MINIMAL",
            "Retry, or start it without that flag; of its map anything can be asked at any time.",
            retry_after_s=5.0,
        ) from error
