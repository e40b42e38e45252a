"""Asks the twin of the live mesh, from a job, a notebook or Serve alike."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.runtime import spawn
from actors.runtime.errors import ActorUnavailable, NotRunning, Unavailable

if TYPE_CHECKING:
    from actors.twin.reply import Reply
    from actors.twin.scenario import Scenario

TWIN: Final = "twin"  # name of the actor


async def ask(scenario: Scenario, *, plot: bool, limit_s: float) -> Reply:
    """Ask everything that a scenario asks of the mesh of this process's namespace.

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
        twin = spawn.find(TWIN)
    except NotRunning as error:
        raise Unavailable(
            "the mesh has no twin",
            f"{error.why}: the mesh is just starting, or runs under X0TTA6BL4_MINIMAL",
            "Retry, or start it without that flag; of its map anything can be asked at any time.",
            retry_after_s=5.0,
        ) from error
    answer = twin.ask.remote(scenario, plot, limit_s)
    try:
        answered: Reply = await answer
    except asyncio.CancelledError:
        spawn.cancel(answer)
        raise
    except Exception as error:
        raise _explained(error) from error
    return answered


def _explained(error: Exception) -> Exception:
    why = spawn.explained(error, TWIN)
    if not isinstance(why, ActorUnavailable):
        return why
    return Unavailable(
        "the twin does not answer",
        "its process ended or is restarting",
        "Retry after 2 s; it looks at the mesh anew.",
        retry_after_s=2.0,
    )
