"""What an operator wants to know of the running mesh, asked of its actors.

The gateway answers with it, and a command that finds no gateway asks in the same way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from actors.mesh import control
from actors.mesh.contract import COORDINATOR, shard_name
from actors.mesh.status_document import document
from actors.payments import control as payments
from actors.payments.contract import PREFIX
from actors.runtime import remote, spawn
from actors.runtime.actor_health import ActorContract
from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from collections.abc import Iterable

ANSWER_S: Final = 5.0  # for the coordinator, which waits less long for a shard
HEALTH_S: Final = 2.0  # for each companion


async def mesh_state() -> dict[str, Any]:
    """How the mesh of this process's namespace is, and each actor beside it.

    Returns:
        The values of `status_document`, and `actors`: state and reason of each by its name.

    Raises:
        NotRunning: there is no mesh.
        ActorUnavailable: its coordinator does not answer.
        TopologyError: the topology could not be read at the start.
    """
    coordinator = control.coordinator(timeout_s=ANSWER_S)
    status, options = await asyncio.gather(coordinator.status(), coordinator.options())
    # Not before: Ray waits long for a cluster that is gone, which the coordinator tells at once.
    names = await asyncio.to_thread(spawn.listing)
    mesh = {COORDINATOR, *(shard_name(number) for number in range(options.shards))}
    beside = [name for name in names if name not in mesh]
    return {**document(status, options), "actors": await actor_states(beside)}


async def actor_states(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """State and reason of each of these actors, all asked at once."""
    watchers = [name for name in names if name.startswith(PREFIX)]
    others = [name for name in names if not name.startswith(PREFIX)]
    told, found = await asyncio.gather(
        payments.states(watchers, timeout_s=HEALTH_S), asyncio.gather(*map(_state, others))
    )
    rows = [*((one.name, one.state, one.why) for one in told), *found]
    return {name: {"state": state, "why": why} for name, state, why in sorted(rows)}


async def _state(name: str) -> tuple[str, str, str]:
    try:
        health = await remote.proxy(ActorContract, name, timeout_s=HEALTH_S).health()
    except X0Error as error:
        return name, "silent", str(error)
    return name, health.state, health.why
