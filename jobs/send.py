"""`x0 send`: one message through the running mesh, and what became of it."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from jobs.terminal import exit_codes, reporting

if TYPE_CHECKING:
    from actors.mesh.client import Mesh, Message

DYNAMIC_PORTS: Final = (49152, 65535)  # RFC 6335, section 6: assigned to nobody
_POLL_S: Final = 0.02

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
    """

    id: int
    port: int
    outcome: Outcome
    seconds: float
    route: tuple[str, ...]
    transmissions: float | None


@reporting.reported
def command(
    source: Annotated[str, typer.Argument(help="Id of the node that sends.")],
    destination: Annotated[str, typer.Argument(help="Id of the node that receives.")],
    text: Annotated[str, typer.Argument(help="The payload, at most 65536 bytes of UTF-8.")],
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Leave the message to the application that reads this port. "
            "Default: a random dynamic port, taken out of the inbox again on arrival.",
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds to wait for the outcome.")
    ] = 30.0,
    as_json: reporting.AsJson = False,
) -> int:
    """Send one message and tell what became of it, its route and the time taken.

    The inboxes of applications stay as they are: of what is there, only this very message (without
    --port) or the notice that it came back is taken.

    Exit code: 0 when it was delivered, 3 when it came back or is still under way after --wait;
    another one when it was not accepted (see `x0 --help`).
    """
    from actors.runtime import log
    from jobs.launch import session
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    settings = Settings.load()
    log.configure(settings.log_level)
    running = session.running(settings)
    try:
        payload = text.encode("utf-8", "surrogateescape")  # an argument may be any bytes
        sent = asyncio.run(_send(source, destination, payload, port, wait))
    finally:
        running.close()
    route = " > ".join(sent.route) or "none known"
    cost = "" if sent.transmissions is None else f", {sent.transmissions:.2f} transmissions"
    report.result(
        asdict(sent),
        f"message {sent.id}: {sent.outcome} after {sent.seconds * 1000:.0f} ms",
        f"route: {route}{cost}",
    )
    return 0 if sent.outcome == "delivered" else exit_codes.NOT_WELL


async def _send(
    source: str, destination: str, payload: bytes, port: int | None, wait_s: float
) -> Sent:
    import numpy as np

    from actors.mesh.client import Mesh
    from actors.topology.etx import COST_UNIT

    mesh = await Mesh.attach()
    mesh.node(destination)  # the typed error, before anything else is asked
    mesh.node(source)
    chosen = random.randint(*DYNAMIC_PORTS) if port is None else port
    ways = await mesh.paths(mesh.index_of(source), mesh.index_of(destination))
    route, cost = ways[0] if ways else ([], None)
    started = time.monotonic()
    message = await mesh.send(source, destination, payload, port=chosen)
    while True:
        is_open = bool((await mesh.pending(np.array([message], np.uint64)))[0])
        seconds = time.monotonic() - started
        if not is_open or seconds >= wait_s:
            break
        await asyncio.sleep(_POLL_S)
    outcome: Outcome = "under way"
    if not is_open:
        returned = await _take(mesh, source, message, chosen, undeliverable=True)
        outcome = "returned" if returned else "delivered"
    if outcome == "delivered" and port is None:
        await _take(mesh, destination, message, chosen, undeliverable=False)
    names = mesh.membership.topology.ids
    return Sent(
        id=message,
        port=chosen,
        outcome=outcome,
        seconds=seconds,
        route=tuple(names[node] for node in route),
        transmissions=None if cost is None else cost / COST_UNIT,
    )


async def _take(
    mesh: Mesh, node: str, message: int, port: int, *, undeliverable: bool
) -> Message | None:
    """Take one message out of a node's inbox and leave all others there; None if it is not."""
    import numpy as np

    from actors.mesh.client import Received

    index = mesh.index_of(node)
    partition = int(mesh.membership.placement.partition_of[index])
    unread = await mesh.receive_batch(partition, port=port, node=index)
    for row, found in enumerate(mesh.messages_of(unread)):
        if found.id == message and found.undeliverable == undeliverable:
            one = np.array([row])
            await mesh.acknowledge(
                Received(partition, port, unread.offsets[one], unread.batch.take(one))
            )
            return found
    return None


if __name__ == "__main__":
    reporting.run(command)
