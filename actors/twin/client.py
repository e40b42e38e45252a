"""Asks the twin of the live mesh, from a job, a notebook or Serve alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.runtime import spawn
from actors.runtime.errors import MeshNotRunning, ShardUnavailable, Unavailable

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
        MeshNotRunning: there is no twin.
        Unavailable: it is restarting, not ready, or has too many questions.
        InvalidInput: the scenario cannot be asked of this mesh, or not in this time.
        UnknownNode: a name is of no node.
    """
    try:
        answered: Reply = await spawn.find(TWIN).ask.remote(scenario, plot, limit_s)
    except MeshNotRunning as error:
        raise MeshNotRunning("the twin", why=error.why) from error
    except Exception as error:
        raise explained(error) from error
    return answered


def explained(error: Exception) -> Exception:
    """The project's error for what a call to the twin raised."""
    why = spawn.explained(error, TWIN)
    if not isinstance(why, ShardUnavailable):
        return why
    return Unavailable(
        "the twin does not answer",
        "its process ended or is restarting",
        "Retry after 2 s; it looks at the mesh anew.",
        retry_after_s=2.0,
    )
