"""What the observer takes while it polls a map of a large network, beside parsing it alone."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actors.observe import client
from actors.observe.actor import ObserverActor
from actors.observe.contract import OBSERVER, ObserverOptions
from actors.observe.observed_source import ObservedSource
from actors.observe.sources.published import MapSource
from actors.runtime import spawn
from actors.runtime.clock import SystemClock
from actors.topology.live import Watch
from loadtests import footprint, private_cluster
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect
from loadtests.call_actors import Echo
from loadtests.spread import Spread, shown

if TYPE_CHECKING:
    import psutil

NODES: Final = 2000
LINKS_PER_NODE: Final = 4
ROUNDS: Final = 5
POLLS: Final = 4  # in a round
POLL_S: Final = 5.0  # interval here
INTERVAL_S: Final = 60.0  # interval that the promise is about
REST_S: Final = 20.0
MOST_CORE: Final = 0.02
MOST_MIB: Final = 300.0
_READY_S: Final = 60.0
_METHOD: Final = """\
An observer on a cluster of Ray of its own polls a meshviewer map of {nodes:,} nodes and \
{links:,} links, {size:.1f} MiB, in a file; before each poll it is written anew with other \
qualities, clients and load, 2 % of the nodes offline and 1 % of the links missing, others each \
time, so that hundreds of events follow from each poll. After each poll the whole network and what \
a twin watches are asked for once. CPU is that of all threads of the actor's process, user and \
system. Polls are {poll:g} s apart here; "at rest" is the same with a map that does not change. "A \
minute" is one poll and a minute's rest. {rounds} rounds of {polls} polls. The comparators are \
`json.loads` of the same bytes, which makes nothing of them, and an actor that is never called, \
measured at the same time as the rest: that is what Ray itself takes."""


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one round took.

    Attributes:
        poll_s: processor time of a poll and what follows from it, s.
        bare_s: processor time of parsing the same maps alone, s.
        events: number of events of a poll.
    """

    poll_s: float
    bare_s: float
    events: float


@dataclass(frozen=True, slots=True)
class _Rest:
    """Processor time at rest, in cores.

    Attributes:
        cores: of the observer.
        idle_cores: of an actor that does nothing.
    """

    cores: float
    idle_cores: float


class _Maps:
    """Makes maps of one network.

    Args:
        nodes: number of nodes.
    """

    def __init__(self, nodes: int) -> None:
        self._chance = random.Random(1)
        self._ids = [f"c4e984{number:06x}" for number in range(nodes)]
        pairs = {(a, self._chance.randrange(max(0, a - 20), a)) for a in range(1, nodes)}
        while len(pairs) < LINKS_PER_NODE * nodes:
            a = self._chance.randrange(1, nodes)
            pairs.add((a, self._chance.randrange(max(0, a - 30), a)))
        self._pairs = sorted(pairs)
        self.links = len(self._pairs)

    def make(self, now: float) -> bytes:
        """A map as of `now`, Unix time, s."""
        chance = self._chance
        nodes = [self._node(number, now) for number in range(len(self._ids))]
        links = [
            {
                "source": self._ids[a],
                "target": self._ids[b],
                "source_tq": chance.uniform(0.6, 1.0),
                "target_tq": chance.uniform(0.6, 1.0),
                "type": "wifi",
            }
            for a, b in self._pairs
            if chance.random() > 0.01
        ]
        return json.dumps({"timestamp": _iso(now), "nodes": nodes, "links": links}).encode()

    def _node(self, number: int, now: float) -> dict[str, Any]:
        name, chance = self._ids[number], self._chance
        return {
            "node_id": name,
            "hostname": f"node-{name}",
            "is_online": chance.random() > 0.02,
            "is_gateway": number % 300 == 0,
            "gateway_nexthop": self._ids[max(0, number - 1)],
            "lastseen": _iso(now - chance.randrange(60)),
            "firstseen": "2020-01-01T00:00:00+0000",
            "uptime": "2026-01-01T00:00:00+0000",
            "clients": chance.randrange(9),
            "loadavg": chance.random(),
            "memory_usage": chance.random(),
            "model": "a router",
            "domain": "one",
            "mac": ":".join(name[at : at + 2] for at in range(0, 12, 2)),
            "addresses": [f"fe80::{number:x}", f"fd00::{number:x}"],
            "location": {"latitude": 51.0 + number / 10_000, "longitude": 12.0},
        }


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(moment))


@benchmark("observe", "Observing a real network", ("ray", "msgpack"))
def measure(
    progress: Progress,
    *,
    nodes: Annotated[int, typer.Option(min=10, max=20_000, help="Number of nodes.")] = NODES,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Number of rounds.")] = ROUNDS,
) -> Findings:
    """Measure what the observer takes.

    Raises:
        Unavailable: it does not start, or does not see the network.
    """
    maps = _Maps(nodes)
    with (
        tempfile.TemporaryDirectory(prefix="x0-") as place,
        private_cluster.started(progress) as cluster,
        private_cluster.namespace(cluster, "x0-observe"),
    ):
        directory = Path(place)
        size = _write(directory, maps)
        source = MapSource(str(directory / "map.json"))
        options = ObserverOptions((source,), directory / "state", POLL_S, log_level="ERROR")
        spawn.wait_ready([spawn.detached(ObserverActor, OBSERVER, options)], timeout_s=_READY_S)
        (process,) = footprint.actors(cluster, ["ObserverActor"])
        spawn.wait_ready([spawn.detached(Echo, "idle", "idle")], timeout_s=_READY_S)
        (idle,) = footprint.actors(cluster, ["Echo"])
        both = (process, idle)
        rest, costs = asyncio.run(_observed(progress, both, directory, maps, nodes, rounds))
        peak = footprint.footprint([process]).peak
    return _findings(maps, nodes, size, rest, costs, peak)


def _write(directory: Path, maps: _Maps) -> int:
    """Write the next map, in one step; its size in bytes."""
    body = maps.make(time.time())
    (directory / "next").write_bytes(body)
    (directory / "next").rename(directory / "map.json")
    return len(body)


async def _observed(
    progress: Progress,
    both: tuple[psutil.Process, psutil.Process],
    directory: Path,
    maps: _Maps,
    nodes: int,
    rounds: int,
) -> tuple[_Rest, list[_Cost]]:
    """What is taken at rest, and by each round."""
    process = both[0]
    watch = Watch(ObservedSource(), SystemClock())
    await _ask(watch, nodes)
    progress("at rest")
    rest = _Rest(*await asyncio.gather(*(footprint.cores_used([each], REST_S) for each in both)))
    costs = []
    for turn in range(rounds):
        before, began, bare = footprint.cpu_s([process]), time.monotonic(), 0.0
        first = (await client.network()).event
        for number in range(POLLS):
            progress(f"round {turn + 1} of {rounds}, poll {number + 1} of {POLLS}")
            _write(directory, maps)
            bare += _bare((directory / "map.json").read_bytes())
            await _next_poll(watch, nodes)
        idle = rest.cores * (time.monotonic() - began)
        spent = footprint.cpu_s([process]) - before - idle
        events = (await client.network()).event - first
        costs.append(_Cost(spent / POLLS, bare / POLLS, events / POLLS))
    return rest, costs


async def _next_poll(watch: Watch, nodes: int) -> None:
    """Wait until the map that was just written has been polled; then ask as others do."""
    (before,) = await client.sources()
    until = time.monotonic() + 10 * POLL_S
    while time.monotonic() < until:
        await asyncio.sleep(0.25)
        (now,) = await client.sources()
        if now.good_at != before.good_at:
            await _ask(watch, nodes)
            return
    raise defect(f"the observer took no map over in {10 * POLL_S:g} s: {now.why}")


async def _ask(watch: Watch, nodes: int) -> None:
    await watch.look()
    if watch.mesh is None or not watch.mesh.is_whole:  # there is another roster: its links follow
        await watch.look()
    found = await client.network()
    if len(found.nodes) != nodes or watch.mesh is None or not watch.mesh.is_whole:
        raise defect(f"the observer tells {len(found.nodes)} of {nodes} nodes, or not their links")


def _bare(body: bytes) -> float:
    """Processor time of parsing a map, s."""
    began = time.process_time()
    json.loads(body)
    return time.process_time() - began


def _findings(
    maps: _Maps, nodes: int, size: int, rest: _Rest, costs: list[_Cost], peak: float
) -> Findings:
    poll = Spread.of(cost.poll_s for cost in costs)
    bare = Spread.of(cost.bare_s for cost in costs)
    events = Spread.of(cost.events for cost in costs)
    minute = Spread.of(cost.poll_s / INTERVAL_S + rest.cores for cost in costs)
    rows = [
        ["a poll, ms of CPU", str(poll.times(1000.0))],
        ["the same bytes, parsed alone, ms of CPU", str(bare.times(1000.0))],
        ["at rest, % of a core", shown(100 * rest.cores)],
        ["an actor that is never called, % of a core", shown(100 * rest.idle_cores)],
        ["a minute, % of a core", str(minute.times(100.0))],
        ["memory at most, MiB", shown(peak)],
        ["events of a poll", str(events)],
    ]
    shortcomings = []
    if minute.median >= MOST_CORE:
        shortcomings.append(f"a minute took {100 * minute.median:.2g} % of a core")
    if peak >= MOST_MIB:
        shortcomings.append(f"the process took {peak:.0f} MiB")
    ratio = shown(poll.median / bare.median)
    return Findings(
        method=_METHOD.format(
            nodes=nodes,
            links=maps.links,
            size=size / 2**20,
            poll=POLL_S,
            rounds=len(costs),
            polls=POLLS,
        ),
        tables=[Table(["", f"{nodes:,} nodes"], rows)],
        findings=[f"A poll and what follows takes {ratio} times the CPU of parsing alone."],
        values={
            "nodes": nodes,
            "poll_cpu_s": poll.as_dict(),
            "bare_cpu_s": bare.as_dict(),
            "rest_cores": rest.cores,
            "idle_actor_cores": rest.idle_cores,
            "minute_cores": minute.as_dict(),
            "peak_mib": peak,
            "events": events.as_dict(),
        },
        shortcomings=shortcomings,
        kept=f"Polled each minute, it takes less than {100 * MOST_CORE:g} % of a core and less than"
        f" {MOST_MIB:g} MiB.",
    )


if __name__ == "__main__":
    measure.main()
