"""Waits until a mesh is ready, told from what its coordinator says: see `actors.mesh.formation`.

Neighbours are another matter: a real map has links too weak to ever come up, so those that are not
up are waited for only as long as a neighbour is held, 3.5 Hellos.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from actors.mesh.formation import Formation, neighbours_up
from actors.runtime.errors import ActorUnavailable, Unavailable
from cluster.local import KEPT_LOGS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.mesh.contract import MeshStatus

    Progress = Callable[[str], None]

POLL_S: Final = 0.1


async def _lacking(
    ask: Callable[[], Awaitable[MeshStatus]], formation: Formation, now: float
) -> tuple[MeshStatus | None, list[str]]:
    """How the mesh is, if it can be asked, and what it still lacks besides neighbours."""
    try:
        status = await ask()
    except ActorUnavailable as error:
        return None, [error.what]
    return status, formation.missing(status, now)


async def wait(
    ask: Callable[[], Awaitable[MeshStatus]],
    progress: Progress,
    hold_s: float,
    timeout_s: float,
) -> MeshStatus:
    """Ask again and again until the mesh is ready, by the clock of the running event loop.

    Args:
        ask: how the mesh is; `ActorUnavailable` means not yet.
        progress: is told what is waited for, whenever that changes.
        hold_s: how long neighbours are waited for after all else was there.
        timeout_s: for all else.

    Raises:
        Unavailable: it is not ready in time; the error says what is missing.
    """
    clock = asyncio.get_running_loop().time
    formation = Formation(hold_s)
    deadline = clock() + timeout_s
    held_until = math.inf  # from when on nothing but neighbours was missing, hold_s later
    said = ""
    while True:
        status, lacking = await _lacking(ask, formation, clock())
        text = "; ".join(lacking)
        if status is not None and not lacking:
            up, links = neighbours_up(status)
            held_until = min(held_until, clock() + hold_s)
            if up == links or clock() >= held_until:
                return status
            text = f"neighbours: {up} of {links} up"
        if text != said:
            said = text
            progress(f"waiting for {text}")
        if lacking and clock() >= deadline:
            raise Unavailable(
                f"the mesh is not ready after {timeout_s:g} s",
                text,
                f"See its logs; if it has ended, they are in {KEPT_LOGS} of X0TTA6BL4_STATE_DIR."
                " A large map takes longer.",
                retry_after_s=5.0,
            )
        await asyncio.sleep(POLL_S)
