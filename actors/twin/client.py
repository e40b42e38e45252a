"""Asks the twin of a live network, from a job, a notebook or Serve alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime import remote
from actors.runtime.errors import NotRunning, Unavailable
from actors.twin.contract import TWIN, TwinContract

if TYPE_CHECKING:
    from actors.twin.results import Reply
    from actors.twin.scenario import Scenario


async def ask(scenario: Scenario, *, plot: bool, limit_s: float, twin: str = TWIN) -> Reply:
    """Have a scenario answered for a network of this process's namespace.

    The twin stops work on a question when the caller stops waiting for it.

    Args:
        scenario: the questions; a topology in it is ignored.
        plot: whether to draw.
        limit_s: time after which the twin gives up, s.
        twin: which one, of `contract.twins`.

    Raises:
        Unavailable: there is no twin, it is restarting, not ready, or has too many questions.
        InvalidInput: the scenario does not fit this mesh, or takes longer than `limit_s`.
        UnknownNode: a name belongs to no node.
    """
    try:
        return await remote.proxy(TwinContract, twin, cancels=True).ask(scenario, plot, limit_s)
    except NotRunning as error:
        raise Unavailable(
            "the network has no twin",
            f"{error.why}: the mesh is just starting, or runs under X0TTA6BL4_MINIMAL",
            "Retry, or start it without that flag; of its map anything can be asked at any time.",
            retry_after_s=5.0,
        ) from error
