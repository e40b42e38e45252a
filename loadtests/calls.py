"""What a call between two actors of one machine costs: through Ray, and over a Unix socket.

The same actor is called in both ways by the same code, one way right after the other.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.runtime import remote, spawn
from loadtests import payload, private_cluster
from loadtests.benchmark import Findings, Progress, Table, benchmark
from loadtests.call_actors import MESSAGES, Asking, Echo
from loadtests.spread import Spread, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.call_actors import Called

SECONDS: Final = 1.0
ROUNDS: Final = 5
CALLERS: Final = 64
RAY: Final = "by Ray"
SOCKET: Final = "by Unix socket"
_WARM_UP_S: Final = 0.5
_READY_S: Final = 60.0
_METHOD: Final = """\
Two actors on one machine, each a process with Ray's own event loop for actors. One calls the \
other with a batch of {messages} messages of {size} bytes and gets it back; each caller calls \
again as soon as it is answered. {rounds} rounds of {seconds:g} s for each way and number of \
callers, the ways in turn. Processor time is that of all threads of both processes, not that of \
Ray's daemons. What comes back is compared before each turn."""


@dataclass(frozen=True, slots=True)
class CallCosts:
    """What calls of so many callers took, by round.

    Attributes:
        turns: figures of each turn, by way.
    """

    turns: Mapping[str, list[Called]] = field(default_factory=lambda: {RAY: [], SOCKET: []})

    def per_s(self, way: str) -> Spread:
        """Calls answered in a second."""
        return Spread.of(turn.calls / turn.seconds for turn in self.turns[way])

    def caller_us(self, way: str) -> Spread:
        """Processor time that a call takes where it is made, µs."""
        return Spread.of(1e6 * turn.caller_s / turn.calls for turn in self.turns[way])

    def actor_us(self, way: str) -> Spread:
        """Processor time that a call takes where it is answered, µs."""
        return Spread.of(1e6 * turn.actor_s / turn.calls for turn in self.turns[way])

    @property
    def rate_ratio(self) -> float:
        """Calls in a second over the socket, as a multiple of those through Ray."""
        return self.per_s(SOCKET).median / self.per_s(RAY).median

    @property
    def cost_ratio(self) -> float:
        """Processor time of a call over the socket, both sides, as a part of one through Ray."""
        both = {way: self.caller_us(way).median + self.actor_us(way).median for way in self.turns}
        return both[SOCKET] / both[RAY]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        costs = {
            name: {
                "calls_per_s": self.per_s(way).as_dict(),
                "caller_us": self.caller_us(way).as_dict(),
                "actor_us": self.actor_us(way).as_dict(),
            }
            for name, way in (("ray", RAY), ("socket", SOCKET))
        }
        return {
            **costs,
            "socket_vs_ray_calls_per_s": round(self.rate_ratio, 3),
            "socket_vs_ray_cpu": round(self.cost_ratio, 4),
        }


@benchmark("calls", "Calls between actors of one machine", ("ray", "uvloop", "numpy"))
def measure(
    progress: Progress,
    *,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="Length of a turn.")] = SECONDS,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="Number of rounds.")] = ROUNDS,
    callers: Annotated[
        int, typer.Option(min=2, max=512, help="Callers at once; one alone is measured too.")
    ] = CALLERS,
) -> Findings:
    """Measure what calls between actors of one machine cost, through Ray and over a Unix socket.

    Raises:
        Unavailable: an actor did not start.
    """
    with (
        private_cluster.started(progress) as cluster,
        private_cluster.namespace(cluster, "x0-calls"),
    ):
        serial, crowd = asyncio.run(_called(progress, seconds, rounds, callers))
    method = _METHOD.format(messages=MESSAGES, size=payload.SIZE, rounds=rounds, seconds=seconds)
    kinds = {"one after the other": serial, f"{callers} at once": crowd}
    rows = [
        [f"{how}, {way}", *map(str, (w.per_s(way), w.caller_us(way), w.actor_us(way)))]
        for how, w in kinds.items()
        for way in (RAY, SOCKET)
    ]
    findings = [
        f"Calls {how} take {shown(costs.cost_ratio)} of Ray's processor time over the socket;"
        f" {shown(costs.rate_ratio)} times as many are answered in a second."
        for how, costs in kinds.items()
    ]
    return Findings(
        method=method,
        tables=[Table(["calls", "calls/s", "caller, µs a call", "actor, µs a call"], rows)],
        findings=findings,
        values={"callers": callers, "serial": serial.as_dict(), "concurrent": crowd.as_dict()},
    )


async def _called(
    progress: Progress, seconds: float, rounds: int, callers: int
) -> tuple[CallCosts, CallCosts]:
    progress("starting the actors")
    names = {RAY: "echo-by-ray", SOCKET: "echo-by-socket"}
    actors = [spawn.detached(Asking, "asking")]
    actors += [spawn.detached(Echo, name, name) for name in names.values()]
    await asyncio.to_thread(spawn.wait_ready, actors, timeout_s=_READY_S)
    await remote.proxy(Echo, names[SOCKET]).open()
    asking = remote.proxy(Asking, "asking")
    serial, crowd = CallCosts(), CallCosts()
    for way in (RAY, SOCKET):
        await asking.ask(names[way], callers, min(_WARM_UP_S, seconds))
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        # Who comes first finds the machine as the other left it, so they take turns in it.
        order = (RAY, SOCKET) if number % 2 == 0 else (SOCKET, RAY)
        for costs, count in ((serial, 1), (crowd, callers)):
            for way in order:
                costs.turns[way].append(await asking.ask(names[way], count, seconds))
    return serial, crowd


if __name__ == "__main__":
    measure.main()
