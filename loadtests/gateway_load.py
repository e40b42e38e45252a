"""The loads on a gateway that is ready: each kind of request in turns with the bare handler.

Requests of both sides are the same bytes but for the path's prefix. What the gateway accepts is
received through the mesh's client: batches while they are sent, so that the rate is one that the
whole way sustains; single messages after each turn, because reading them in small pieces would be
measured in place of the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from loadtests import closed_loop, locust_run
from loadtests.bare_app import PREFIX as BARE
from loadtests.footprint import CoresUsed
from loadtests.open_loop import Samples, Schedule, offer_singly
from loadtests.paired_runs import PairedRuns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    import psutil

    from loadtests.benchmark import Progress
    from loadtests.closed_loop import ClosedLoopResult
    from loadtests.http_connection import Connection, HttpAnswer
    from loadtests.http_messages import HttpMessages
    from loadtests.locust_run import LocustScenario

    Ask = Callable[[Connection], Awaitable[HttpAnswer]]

OPEN_LOOP_PART: Final = 0.5  # fraction of the measured capacity
_WARM_UP_S: Final = 1.0
_LEAD_S: Final = 0.1  # pause before the first request of the open loop is due


@dataclass(frozen=True, slots=True)
class HttpLoad:
    """How much to ask.

    Attributes:
        seconds: length of each turn.
        rounds: number of rounds, each with a turn of every kind of request on both sides.
        open_s: length of the open loop, and of Locust.
        callers: connections for single messages and for routes.
        batch: messages in a batch.
        batch_callers: connections for batches.
    """

    seconds: float = 2.0
    rounds: int = 5
    open_s: float = 10.0
    callers: int = 64
    batch: int = 10_000
    batch_callers: int = 4


class Carried(NamedTuple):
    """Messages of one turn of batches.

    Attributes:
        accepted_per_s: messages a second until the last was accepted.
        delivered_per_s: messages a second until the last was delivered.
    """

    accepted_per_s: float
    delivered_per_s: float

    @property
    def per_s(self) -> float:
        """The rate that both ends kept up with."""
        return min(self)


@dataclass(slots=True)
class RequestKind:
    """A kind of request: how it is made, and what came of it.

    Attributes:
        callers: number of connections.
        ask: function that makes one request of the gateway.
        ask_bare: function that makes the same request of the bare handler.
        cores: cores used in the gateway's turns.
        batches: whether each request carries many messages, which are received meanwhile.
        runs: turns of both sides.
        carried: messages of batches, by round.
    """

    callers: int
    ask: Ask
    ask_bare: Ask
    cores: CoresUsed
    batches: bool = False
    runs: PairedRuns = field(default_factory=PairedRuns)
    carried: list[Carried] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the loads showed.

    Attributes:
        kinds: kinds of requests, by name.
        open_rate: single messages per second in the open loop.
        open_loop: their latencies.
        scenarios: what Locust counted, by name.
    """

    kinds: Mapping[str, RequestKind]
    open_rate: float
    open_loop: Samples
    scenarios: Mapping[str, LocustScenario]


async def run(
    messages: HttpMessages,
    load: HttpLoad,
    groups: Mapping[str, Sequence[psutil.Process]],
    progress: Progress,
) -> Loaded:
    """Offer everything to a gateway that is ready and to the bare handler beside it.

    Args:
        messages: messages to the gateway.
        load: how much to ask.
        groups: processes whose processor time is measured, by kind.
        progress: is told what is being done.

    Raises:
        OSError: the gateway refuses a connection.
        Unavailable: the mesh or a load generator gave up.
    """
    kinds = _kinds(messages, load, groups)
    for name, kind in kinds.items():
        progress(f"warming up: {name}")
        for ask in (kind.ask, kind.ask_bare):
            await _asked(messages, kind.callers, ask, min(_WARM_UP_S, load.seconds))
        await _drain(messages)
    for number in range(load.rounds):
        # Who comes first finds the machine as the other left it, so they take turns in that too.
        sides = (_gateway_turn, _bare_turn) if number % 2 == 0 else (_bare_turn, _gateway_turn)
        for name, kind in kinds.items():
            progress(f"round {number + 1} of {load.rounds}: {name}")
            for turn in sides:
                await turn(messages, kind, load.seconds)
    rate = max(1.0, OPEN_LOOP_PART * kinds["single"].runs.per_s.median)
    progress(f"open loop: {rate:,.0f} single messages a second")
    open_loop = await _open_loop(messages, rate, load.open_s)
    progress("Locust")
    scenarios = await asyncio.to_thread(locust_run.run, messages.server, load.open_s)
    return Loaded(kinds, rate, open_loop, scenarios)


def _kinds(
    messages: HttpMessages, load: HttpLoad, groups: Mapping[str, Sequence[psutil.Process]]
) -> dict[str, RequestKind]:
    async def batch(connection: Connection) -> HttpAnswer:
        return await messages.send_batch(connection, load.batch)

    def asking(request: Callable[[], bytes]) -> Ask:
        async def ask(connection: Connection) -> HttpAnswer:
            return await connection.ask(request())

        return ask

    bare_single = asking(partial(messages.single, BARE))
    bare_batch = asking(partial(messages.batch, load.batch, BARE))
    route, bare_route = asking(messages.route), asking(partial(messages.route, BARE))
    few, many = load.batch_callers, load.callers
    return {
        "single": RequestKind(many, messages.send_single, bare_single, CoresUsed(groups)),
        "batch": RequestKind(few, batch, bare_batch, CoresUsed(groups), batches=True),
        "route": RequestKind(many, route, bare_route, CoresUsed(groups)),
    }


async def _asked(
    messages: HttpMessages, callers: int, ask: Ask, seconds: float
) -> ClosedLoopResult:
    async with messages.server.connections(callers) as connections:
        return await closed_loop.ask(connections, ask, seconds)


async def _gateway_turn(messages: HttpMessages, kind: RequestKind, seconds: float) -> None:
    begun, accepted, delivered = (
        time.monotonic(),
        messages.received.accepted,
        messages.received.delivered,
    )
    async with messages.received.receiving() if kind.batches else contextlib.nullcontext():
        with kind.cores:
            asked = await _asked(messages, kind.callers, kind.ask, seconds)
        accepted_s = time.monotonic() - begun
    kind.runs.gateway.append(asked)
    if kind.batches:
        delivered_s = max(accepted_s, messages.received.last_arrival - begun)
        kind.carried.append(
            Carried(
                (messages.received.accepted - accepted) / accepted_s,
                (messages.received.delivered - delivered) / delivered_s,
            )
        )
    else:
        await _drain(messages)


async def _bare_turn(messages: HttpMessages, kind: RequestKind, seconds: float) -> None:
    asked = await _asked(messages, kind.callers, kind.ask_bare, seconds)
    kind.runs.bare.append(asked)


async def _open_loop(messages: HttpMessages, rate: float, seconds: float) -> Samples:
    """Single messages at a rate; each takes a free connection, or a new one where none is free."""
    samples = Samples()
    free: list[Connection] = []

    async def send(_number: int) -> None:
        connection = free.pop() if free else await messages.server.connect()
        answer = await messages.send_single(connection)
        free.append(connection)
        if answer.status != 200:
            raise OSError(f"answered with {answer.status}")

    schedule = Schedule.lasting(time.monotonic() + _LEAD_S, rate, seconds)
    await offer_singly(schedule, send, samples)
    for connection in free:
        connection.close()
    await _drain(messages)
    return samples


async def _drain(messages: HttpMessages) -> None:
    """Receive everything that was accepted, or as much as comes in time."""
    async with messages.received.receiving():
        pass
