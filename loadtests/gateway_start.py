"""The start of a mesh and its gateway before a crowd: who is answered, and how late loops get."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import Unavailable
from actors.runtime.flags import Flags
from actors.runtime.lag import Lag
from cluster.ray_start import free_ports
from jobs.launch import gateway_opening, joining, session
from loadtests import crowd, private_cluster
from loadtests.http_connection import Server
from loadtests.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.benchmark import Progress
    from loadtests.crowd import Crowd
    from serve_apps.settings import Settings

PATIENCE_S: Final = 30.0  # time for all to hear that the mesh is ready, after it is
_LAG: Final = re.compile(
    rb"^x0tta6bl4_gateway_loop_lag_max_(starved_)?seconds (\S+)$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Started:
    """One start.

    Attributes:
        gateway_first: whether the gateway was there before the mesh.
        crowd: what the crowd was told.
        lag: the largest delay of the event loop in the gateway and in each shard, by name.
        open_s: seconds from the beginning until the port was open.
        ready_s: seconds from the beginning until mesh and gateway were ready.
    """

    gateway_first: bool
    crowd: Crowd
    lag: dict[str, Lag]
    open_s: float
    ready_s: float


@dataclass(frozen=True, slots=True)
class Starts:
    """Starts before crowds of one size.

    Attributes:
        crowd: number of connections at each start.
        each: the starts, at least one.
    """

    crowd: int
    each: tuple[Started, ...]

    @property
    def requests(self) -> int:
        """Number of requests of all crowds."""
        return self.crowd * sum(start.crowd.waves for start in self.each)

    @property
    def errors(self) -> Counter[str]:
        """What was wrong with answers."""
        return sum((start.crowd.errors for start in self.each), Counter[str]())

    @property
    def answers(self) -> Counter[str]:
        """What was answered, by path and status."""
        return sum((start.crowd.answers for start in self.each), Counter[str]())

    @property
    def lag_ms(self) -> dict[str, Spread]:
        """The largest lag in each process."""
        return self._spreads(lambda lag: 1000 * lag.late_s)

    @property
    def starved_ms(self) -> dict[str, Spread]:
        """The part of the largest lag that was a wait for a processor."""
        return self._spreads(lambda lag: 1000 * lag.starved_s)

    def _spreads(self, figure: Callable[[Lag], float]) -> dict[str, Spread]:
        names = sorted({name for start in self.each for name in start.lag})
        return {name: Spread.of(figure(start.lag[name]) for start in self.each) for name in names}

    @property
    def open_s(self) -> Spread:
        """Seconds until the port was open, Ray's start included."""
        return Spread.of(start.open_s for start in self.each)

    @property
    def ready_s(self) -> Spread:
        """Seconds until mesh and gateway were ready, Ray's start included."""
        return Spread.of(start.ready_s for start in self.each)

    def of_kind(self, *, gateway_first: bool) -> Starts:
        """The starts in which the gateway was there before the mesh, or the others."""
        some = tuple(start for start in self.each if start.gateway_first is gateway_first)
        return Starts(self.crowd, some)

    def values(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {
            "starts": len(self.each),
            "requests": self.requests,
            "errors": dict(self.errors),
            "answers": dict(self.answers),
            "lag_ms": {name: spread.as_dict() for name, spread in self.lag_ms.items()},
            "starved_ms": {name: spread.as_dict() for name, spread in self.starved_ms.items()},
            "open_s": self.open_s.as_dict(),
            "ready_s": self.ready_s.as_dict(),
        }


def measure(progress: Progress, *, count: int, settings: Settings, gateway_first: bool) -> Started:
    """Start a mesh and its gateway, on a cluster of their own, before a crowd.

    Args:
        progress: is told what is being done.
        count: number of connections in the crowd.
        settings: settings of the mesh.
        gateway_first: start the mesh when the gateway answers; else both at once, as `x0 up` does.

    Raises:
        Unavailable: the mesh did not become ready, or the crowd never got an answer.
    """
    given = settings.model_copy(update={"gateway_port": free_ports(1)[0]})
    server = Server(given.gateway_host, given.gateway_port)
    began, over = time.monotonic(), threading.Event()
    started = _after_gateway if gateway_first else _with_gateway
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(asyncio.run, crowd.gather(server, count, over))
        try:
            with started(given, progress) as own:
                asyncio.run(own.wait_ready(progress))
                ready_s = time.monotonic() - began
                progress(f"{count} connections hear that the mesh is ready")
                told = waiting.result(PATIENCE_S)
                lag = asyncio.run(_lags(own, server))
        except TimeoutError as error:
            raise Unavailable(
                "the mesh is ready, and not everybody has heard it",
                f"in {PATIENCE_S:g} s no wave of {count} requests was answered with 200 alone",
                "Run it again.",
                retry_after_s=1.0,
            ) from error
        finally:
            over.set()
    return Started(gateway_first, told, lag, told.opened_at - began, ready_s)


@contextlib.contextmanager
def _with_gateway(given: Settings, progress: Progress) -> Iterator[session.Session]:
    with (
        private_cluster.ray_address(None),
        session.ephemeral(given, Flags(), progress=progress, beside=True) as own,
    ):
        yield own


@contextlib.contextmanager
def _after_gateway(given: Settings, progress: Progress) -> Iterator[session.Session]:
    with (
        tempfile.TemporaryDirectory(prefix="x0-state-") as state_dir,
        private_cluster.started(progress) as cluster,
    ):
        namespace = f"start-{uuid.uuid4().hex[:12]}"
        given = given.model_copy(update={"state_dir": Path(state_dir), "namespace": namespace})
        joining.join(cluster.address, namespace)
        progress("opening the gateway")
        gateway_opening.begin(given).deployed()
        own = session.launch(given, Flags(), progress=progress)
        try:
            yield own
        finally:
            own.end()


async def _lags(own: session.Session, server: Server) -> dict[str, Lag]:
    """The largest delays since the start, as each process has measured its own."""
    async with server.connections(1) as (connection,):
        metrics = await connection.ask(server.request("GET", "/metrics"))
    found = {bool(starved): float(value) for starved, value in _LAG.findall(metrics.body)}
    if len(found) < 2:
        raise Unavailable(
            "the gateway does not tell its lag",
            f"GET /metrics was answered with {metrics.status} and without it",
            "Run it again.",
            retry_after_s=1.0,
        )
    status = await own.status()
    return {
        "gateway": Lag(found[False], found[True]),
        **{shard.name: Lag(shard.largest_lag_s, shard.starved_s) for shard in status.shards},
    }
