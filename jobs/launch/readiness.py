"""When a mesh is ready, told from what its coordinator says.

Ready: every shard answers and works by the agreed placement, all databases are equal and hold an
advertisement of every node, and routes are computed from them. Neighbours are another matter: a
real map has links too weak to ever come up, so those that are not up are waited for only as long
as a neighbour is held, 3.5 Hellos.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from actors.mesh.formation import missing, neighbours_up
from actors.runtime.errors import ActorUnavailable, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.mesh.contract import MeshStatus

    Progress = Callable[[str], None]

POLL_S: Final = 0.1


async def _lacking(
    ask: Callable[[], Awaitable[MeshStatus]],
) -> tuple[MeshStatus | None, list[str]]:
    """How the mesh is, if it can be asked, and what it still lacks besides neighbours."""
    try:
        status = await ask()
    except ActorUnavailable as error:
        return None, [error.what]
    return status, missing(status)


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
    deadline = clock() + timeout_s
    held_until = math.inf  # from when on nothing but neighbours was missing, hold_s later
    said = ""
    while True:
        status, lacking = await _lacking(ask)
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
                "See `x0 status`, and the logs that it names; a large map takes longer.",
                retry_after_s=5.0,
            )
        await asyncio.sleep(POLL_S)
