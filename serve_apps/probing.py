"""One message through the mesh, and what became of it.

The gateway does it for whoever asks over HTTP, and a command that finds no gateway does the same.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from actors.mesh.contract import MAX_PORT
from actors.topology.etx import COST_UNIT

if TYPE_CHECKING:
    from actors.mesh.client import Mesh

DYNAMIC_PORTS: Final = (49152, MAX_PORT)  # RFC 6335, section 6: assigned to nobody
_POLL_S: Final = 0.02
_TIDY_S: Final = 10.0  # longest wait for a message whose sender leaves

Outcome = Literal["delivered", "returned", "under way"]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message.

    Attributes:
        id: of the message.
        port: it was sent to.
        outcome: returned means that the mesh found the destination unreachable.
        seconds: from the request to the outcome, or to giving up waiting.
        route: node ids from source to destination by the tables when it was sent; empty if none.
        transmissions: expected on that route, retransmissions included; None without a route.
        names: names by id of the nodes of the route, where they have one.
    """

    id: int
    port: int
    outcome: Outcome
    seconds: float
    route: tuple[str, ...]
    transmissions: float | None
    names: dict[str, str]


async def probe(
    mesh: Mesh, source: str, destination: str, payload: bytes, port: int | None, wait_s: float
) -> Sent:
    """Send a message and wait for what becomes of it.

    Of the inboxes, only this very message (without `port`) or the notice that it came back is
    taken; also when this is cancelled, which then takes up to ten seconds.

    Args:
        mesh: the running one.
        source: id of the node that sends.
        destination: id of the node that receives.
        payload: of the message.
        port: whose reader the message is left to; None is a random dynamic port.
        wait_s: for the outcome.

    Raises:
        UnknownNode, InvalidInput, MailboxFull, NodeSilent: the message was not accepted.
        Unavailable: a shard does not answer; the message may have been accepted.
    """
    start, end = mesh.index_of(source), mesh.index_of(destination)
    chosen = random.randint(*DYNAMIC_PORTS) if port is None else port
    ways = await mesh.paths(start, end)
    route, cost = ways[0] if ways else ([], None)
    started = time.monotonic()
    ends = start, end if port is None else None
    sending = asyncio.ensure_future(mesh.send(source, destination, payload, port=chosen))
    try:
        message = await asyncio.shield(sending)
        outcome = await _settled(mesh, message, chosen, ends, started + wait_s)
        seconds = time.monotonic() - started
    except asyncio.CancelledError:
        await asyncio.wait([sending])  # it may be cancelled while the message is being accepted
        if sending.exception() is None:
            deadline = time.monotonic() + _TIDY_S
            await _settled(mesh, sending.result(), chosen, ends, deadline)
        raise
    topology = mesh.membership.topology
    path = tuple(topology.ids[node] for node in route)
    return Sent(
        id=message,
        port=chosen,
        outcome=outcome,
        seconds=seconds,
        route=path,
        transmissions=None if cost is None else cost / COST_UNIT,
        names={node: name for node in path if (name := topology.naming.name_of(node))},
    )


async def _settled(
    mesh: Mesh, message: int, port: int, ends: tuple[int, int | None], deadline: float
) -> Outcome:
    """Wait for what becomes of a message, and take it; `ends[1]` is None to leave it there."""
    start, end = ends
    while (await mesh.pending(np.array([message], np.uint64)))[0]:
        if time.monotonic() >= deadline:
            return "under way"
        await asyncio.sleep(_POLL_S)
    if await _take(mesh, start, message, port, undeliverable=True):
        return "returned"
    if end is not None:
        await _take(mesh, end, message, port, undeliverable=False)
    return "delivered"


async def _take(mesh: Mesh, node: int, message: int, port: int, *, undeliverable: bool) -> bool:
    """Take one message out of a node's inbox and leave all others there; False if it is not."""
    partition = int(mesh.membership.placement.partition_of[node])
    unread = await mesh.receive_batch(partition, port=port, node=node)
    for row, found in enumerate(mesh.messages_of(unread)):
        if found.id == message and found.undeliverable == undeliverable:
            one = np.array([row])
            mine = replace(unread, offsets=unread.offsets[one], batch=unread.batch.take(one))
            await mesh.acknowledge(mine)
            return True
    return False
