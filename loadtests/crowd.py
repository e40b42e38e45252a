"""A crowd at the door of a gateway that is starting: who is answered, and by whom.

The crowd connects as soon as the port opens and asks all together, in waves, until everybody has
been told that the mesh is ready. An answer counts only if the gateway itself gave it: what is in
front of it answers too, and knows nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from serve_apps.web.problems import MEDIA_TYPE

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from loadtests.http_connection import Connection, HttpAnswer, Server

PATHS: Final = ("/healthz", "/readyz")  # asked by one half of the crowd each
WAVE_S: Final = 1.0  # interval between the starts of two waves
_KNOCK_S: Final = 0.002  # pause between two tries to connect


@dataclass(slots=True)
class Crowd:
    """What the crowd was told.

    Attributes:
        answers: number of answers, by path and status.
        errors: number of errors, by what was wrong.
        waves: number of waves of the whole crowd.
        opened_at: time when the port opened, s on the monotonic clock.
    """

    answers: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    waves: int = 0
    opened_at: float = 0.0


def fault(path: str, answer: HttpAnswer) -> str | None:
    """What is wrong with an answer; None if it is as it must be while the mesh starts."""
    if answer.status == 200:
        return None
    if path == "/readyz" and answer.status == 503 and answer.kind == MEDIA_TYPE:
        return None
    return f"{path}: {answer.status} {answer.kind}"


async def gather(server: Server, count: int, over: threading.Event) -> Crowd:
    """Wait for the port, then ask in waves until all of a wave hear that the mesh is ready.

    Args:
        server: server, which may not have started yet.
        count: number of connections.
        over: event that is set when there is nothing more to wait for.
    """
    crowd = Crowd()
    connections: list[Connection | None] = [None] * count
    while connections[0] is None and not over.is_set():
        try:
            connections[0] = await server.connect()
        except OSError:
            await asyncio.sleep(_KNOCK_S)
    crowd.opened_at = time.monotonic()
    statuses: Sequence[int] = []
    while statuses != [200] * count and not over.is_set():
        turn = time.monotonic()
        statuses = await _wave(server, crowd, connections)
        await asyncio.sleep(max(0.0, turn + WAVE_S - time.monotonic()))
    for connection in connections:
        if connection is not None:
            connection.close()
    return crowd


async def _wave(
    server: Server, crowd: Crowd, connections: list[Connection | None]
) -> Sequence[int]:
    """Have all ask at once; the statuses, 0 for who got no answer. Lost connections are renewed."""
    requests = [server.request("GET", path) for path in PATHS]

    async def one(number: int) -> int:
        which = number % len(PATHS)
        connection = connections[number]
        try:
            if connection is None or connection.closed:
                connection = connections[number] = await server.connect()
            answer = await connection.ask(requests[which])
        except OSError as error:
            crowd.errors[f"{PATHS[which]}: {type(error).__name__}"] += 1
            return 0
        crowd.answers[f"{PATHS[which]} {answer.status}"] += 1
        if why := fault(PATHS[which], answer):
            crowd.errors[why] += 1
        return answer.status

    crowd.waves += 1
    return await asyncio.gather(*map(one, range(len(connections))))
