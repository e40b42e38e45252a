"""A crowd at the gateway's door while the mesh starts: who is answered, and how late loops get.

The crowd connects as soon as the port opens, and asks all together, in waves, until everybody has
been told that the mesh is ready. An answer counts only if the gateway itself gave it.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import Unavailable
from actors.runtime.flags import Flags
from cluster.ray_start import free_ports
from jobs import session
from loadtests import leipzig, private_cluster
from loadtests.http_connection import Server
from serve_apps.gateway.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.runtime.settings import Settings
    from loadtests.http_connection import Answer, Connection

    Progress = Callable[[str], None]

PATHS: Final = ("/healthz", "/readyz")  # asked by one half of the crowd each
WAVE_S: Final = 1.0  # from one wave to the next
PATIENCE_S: Final = 30.0  # for all to hear that the mesh is ready, once it is
_KNOCK_S: Final = 0.002  # between two looks whether the port is open
_LAG: Final = re.compile(rb"^x0tta6bl4_gateway_loop_lag_max_seconds (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Crowd:
    """What the crowd was told.

    Attributes:
        answers: by path and status.
        errors: by what was wrong.
        waves: of the whole crowd.
        opened_at: when the port opened, s on the monotonic clock.
    """

    answers: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    waves: int = 0
    opened_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Started:
    """One start.

    Attributes:
        crowd: what it was told.
        lag_s: the largest delay of the event loop in the gateway and in each shard, by name.
        open_s: from the beginning until the port was open.
        ready_s: from the beginning until mesh and gateway were ready.
    """

    crowd: Crowd
    lag_s: dict[str, float]
    open_s: float
    ready_s: float

    @property
    def errors(self) -> int:
        """Requests that were refused, dropped, or answered by something else than the gateway."""
        return self.crowd.errors.total()


def fault(path: str, answer: Answer) -> str | None:
    """What is wrong with an answer; None if it is as it must be while the mesh starts."""
    if answer.status == 200:
        return None
    if path == "/readyz" and answer.status == 503 and answer.kind == MEDIA_TYPE:
        return None
    return f"{path}: {answer.status} {answer.kind}"


def measure(progress: Progress, *, count: int, settings: Settings | None = None) -> Started:
    """Start a mesh with its gateway as `x0 up` does, on a cluster of its own, before a crowd.

    Args:
        progress: told what is going on.
        count: of connections.
        settings: of the mesh.

    Raises:
        Unavailable: the mesh did not become ready, or the crowd never got an answer.
    """
    given = settings or leipzig.settings()
    given = given.model_copy(update={"gateway_port": free_ports(1)[0]})
    server = Server(given.gateway_host, given.gateway_port)
    began, over = time.monotonic(), threading.Event()
    with private_cluster.addressed(None), ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(asyncio.run, gather(server, count, over))
        try:
            with session.ephemeral(given, Flags(), progress=progress, http=True) as own:
                asyncio.run(own.wait_ready(progress))
                ready_s = time.monotonic() - began
                progress(f"{count} connections hear that the mesh is ready")
                crowd = waiting.result(PATIENCE_S)
                lag_s = asyncio.run(_lags(own, server))
        except TimeoutError as error:
            raise Unavailable(
                "the mesh is ready, and not everybody has heard it",
                f"in {PATIENCE_S:g} s no wave of {count} requests was answered with 200 alone",
                "Run it again.",
                retry_after_s=1.0,
            ) from error
        finally:
            over.set()
    return Started(crowd, lag_s, crowd.opened_at - began, ready_s)


async def _lags(own: session.Session, server: Server) -> dict[str, float]:
    """The largest delays since the start, as each process has measured its own."""
    async with await server.connect() as connection:
        metrics = await connection.ask(server.request("GET", "/metrics"))
    found = _LAG.search(metrics.body)
    if found is None:
        raise Unavailable(
            "the gateway does not tell its lag",
            f"GET /metrics was answered with {metrics.status} and without it",
            "Run it again.",
            retry_after_s=1.0,
        )
    status = await own.status()
    return {
        "gateway": float(found[1]),
        **{shard.name: shard.largest_lag_s for shard in status.shards},
    }


async def gather(server: Server, count: int, over: threading.Event) -> Crowd:
    """Wait for the port, then ask in waves until all of a wave hear that the mesh is ready.

    Args:
        server: may not be there yet.
        count: of connections.
        over: set when there is nothing more to wait for.
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
