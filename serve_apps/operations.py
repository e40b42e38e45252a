"""What an operator wants to know of the running session, asked of its actors.

The gateway answers with it, and a command that finds no gateway asks in the same way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from actors.mesh import control
from actors.mesh.contract import COORDINATOR, SHARD_PREFIX
from actors.mesh.status_document import document
from actors.observe import client as observer
from actors.observe import condition
from actors.payments import control as payments
from actors.payments.contract import PREFIX
from actors.runtime import remote
from actors.runtime.actor_health import ActorContract
from actors.runtime.errors import NotRunning, X0Error
from actors.runtime.unwaited import in_thread
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

ANSWER_S: Final = 5.0  # for the coordinator, which waits less long for a shard
HEALTH_S: Final = 2.0  # for each companion


async def session_state(networks: Collection[Network]) -> dict[str, Any]:
    """How the session in this process's namespace is: its networks, and each actor beside them.

    Args:
        networks: those that it has; no other is asked for.

    Returns:
        `networks`, those that are; `healthy`; `unwell`, why not; `observed`, see
        `condition.document`, if there is such a network; the values of `status_document`, if there
        is an emulated mesh; and `actors`: state and reason of each actor beside it, by name.

    Raises:
        NotRunning: there is neither.
        ActorUnavailable: the coordinator or the observer does not answer.
        TopologyError: the topology could not be read at the start.
    """
    from actors.runtime import spawn  # noqa: PLC0415 - it imports Ray, which may not be needed yet

    asked = {Network.EMULATED: _mesh, Network.OBSERVED: _observed}
    mesh, observed = await asyncio.gather(
        *(_if_there(ask if network in networks else _nobody) for network, ask in asked.items())
    )
    if mesh is None and observed is None:
        raise NotRunning("mesh", why="its namespace has neither a coordinator nor an observer")
    # Not before: Ray waits long for a cluster that is gone, which those two tell at once.
    names = await in_thread(spawn.listing)
    beside = [name for name in names if name != COORDINATOR and not name.startswith(SHARD_PREFIX)]
    unwell = [*([] if mesh is None else mesh["unwell"])]
    unwell += [] if observed is None else observed["troubles"]
    states = await actor_states(beside)
    unwell += _unread(states)
    there = {Network.EMULATED: mesh, Network.OBSERVED: observed}
    return {
        "networks": [str(network) for network, found in there.items() if found is not None],
        **(mesh or {}),
        "healthy": not unwell,
        "unwell": unwell,
        "observed": observed,
        "actors": states,
    }


def _unread(states: dict[str, dict[str, str]]) -> list[str]:
    """Why payments are not read. What else is beside a mesh it can do without, a shop cannot."""
    return [
        f"{name} has failed: {state['why']}"
        for name, state in states.items()
        if name.startswith(PREFIX) and state["state"] == "failed"
    ]


async def _if_there(
    ask: Callable[[], Awaitable[dict[str, Any] | None]],
) -> dict[str, Any] | None:
    """What is told; None if there is nobody to tell it."""
    try:
        return await ask()
    except NotRunning:
        return None


async def _nobody() -> None:
    return None


async def _mesh() -> dict[str, Any]:
    coordinator = control.coordinator(timeout_s=ANSWER_S)
    status, options = await asyncio.gather(coordinator.status(), coordinator.options())
    return document(status, options)


async def _observed() -> dict[str, Any]:
    network = await observer.network()
    sources = await observer.sources()
    return await asyncio.to_thread(condition.document, network, sources)


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
