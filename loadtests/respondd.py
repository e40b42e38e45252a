"""What one poll of many respondd nodes takes, beside the least that Python could do for it.

The nodes are another process (`respondd_nodes`), so its work is in no figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.observe.sources.respondd import RespondSource
from actors.observe.sources.respondd_datagram import REQUEST
from actors.observe.sources.respondd_targets import Target
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect
from loadtests.respondd_nodes import Responder, troubled
from loadtests.spread import Spread, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NODES: Final = 1000
RUNS: Final = 5
INTERVAL_S: Final = 60.0  # between two polls
MOST_S: Final = 10.0  # that a poll may take
MOST_CORE: Final = 0.05  # of a core, over the interval
_LINKS: Final = 3  # links at each node
_PACE: Final = 100  # requests sent at once, by both
_PACE_S: Final = 0.05
_QUIET_S: Final = 1.0
_METHOD: Final = """\
{nodes:,} nodes on loopback addresses, one socket each, in a process of their own; each answers \
with nodeinfo, statistics and {links} neighbours, {bytes:,} bytes of raw deflate. {runs} polls of \
each kind. A poll is one of the source `respondd` with its defaults, from the first request to the \
finished reading: {found:,} nodes and {found_links:,} links, each with its quality both ways. CPU \
is of this process (user and system), in % of one core over the {interval:.0f} s between two polls.

"Each by itself" asks every node at its own address. "As a group" sends one request, which all \
answer at once; a poll then waits for its half in any case, since new nodes answer these only. \
"With faults" is each by itself, with five nodes of a hundred whose first answer is lost, two that \
cut it short, two that send too much, two that send it twice, four that are late and one that is \
silent.

The comparator is bare: it sends the same requests, paced alike, receives, inflates and parses the \
JSON, and makes nothing of it."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll.

    Attributes:
        wall_s: time that it took, s.
        cpu_s: processor time that it took, s.
        nodes: number of nodes that were read.
        links: number of links that were read.
    """

    wall_s: float
    cpu_s: float
    nodes: int
    links: int = 0


@benchmark("respondd", "Asking nodes by respondd", ())
def measure(
    progress: Progress,
    *,
    nodes: Annotated[int, typer.Option(min=10, max=4000, help="Number of nodes.")] = NODES,
    runs: Annotated[int, typer.Option(min=1, max=100, help="Polls of each kind.")] = RUNS,
) -> Findings:
    """Measure what one poll of respondd takes.

    Raises:
        Unavailable: a reading lacks nodes that answered.
    """
    found: dict[str, list[Poll]] = {}
    with _nodes(nodes, "as_it_is") as calm:
        for turn in range(runs):
            progress(f"poll {turn + 1} of {runs}: each by itself, and bare")
            _add(found, "each by itself", _poll(calm.hosts, calm.port, None, nodes))
            _add(found, "bare", _bare(calm.hosts, calm.port))
            progress(f"poll {turn + 1} of {runs}: as a group")
            _add(found, "as a group", _poll([calm.group], calm.port, calm.group, nodes))
    answering = nodes - sum(not troubled(at, 1, b"x") for at in range(nodes))
    for turn in range(runs):
        progress(f"poll {turn + 1} of {runs}: with faults")
        with _nodes(nodes, "troubled") as faulty:
            _add(found, "with faults", _poll(faulty.hosts, faulty.port, None, answering))
    return _findings(found, nodes, runs)


def _add(found: dict[str, list[Poll]], name: str, poll: Poll) -> None:
    found.setdefault(name, []).append(poll)


@contextlib.contextmanager
def _nodes(n: int, mangle: str) -> Iterator[Responder]:
    """Where nodes answer that run in another process."""
    command = [sys.executable, "-m", "loadtests.respondd_nodes", str(n), mangle]
    with subprocess.Popen(  # noqa: S603 - all parts are made here
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:  # it ends with its stdin
        assert running.stdout is not None  # noqa: S101 - asked for
        line = running.stdout.readline()
        if not line.strip().isdigit():
            raise defect("the nodes did not start")
        yield Responder(n, port=int(line))


def _poll(hosts: Sequence[str], port: int, group: str | None, expected: int) -> Poll:
    """One poll of a new source."""
    targets = [Target(host, port) for host in hosts]
    source = RespondSource(targets, groups=[group] if group else [])

    async def ask() -> Poll:
        began, cpu = time.perf_counter(), time.process_time()
        reading = await source.poll()
        taken = time.perf_counter() - began, time.process_time() - cpu
        await source.close()
        if len(reading.nodes) != expected:
            raise defect(f"{len(reading.nodes)} of {expected} nodes were read")
        return Poll(*taken, len(reading.nodes), len(reading.links))

    return asyncio.run(ask())


def _bare(hosts: Sequence[str], port: int) -> Poll:
    """The comparator."""
    began, cpu = time.perf_counter(), time.process_time()
    read: list[object] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 2**20)
        for at, host in enumerate(hosts, 1):
            one.sendto(REQUEST, (host, port))
            if at % _PACE == 0:
                time.sleep(_PACE_S)
        one.settimeout(_QUIET_S)
        with contextlib.suppress(TimeoutError):
            while len(read) < len(hosts):
                answer = one.recv(8192)
                body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(answer)
                read.append(json.loads(body))
    return Poll(time.perf_counter() - began, time.process_time() - cpu, len(read))


def _findings(found: dict[str, list[Poll]], nodes: int, runs: int) -> Findings:
    wall = {name: Spread.of(poll.wall_s for poll in polls) for name, polls in found.items()}
    cpu = {name: Spread.of(poll.cpu_s for poll in polls) for name, polls in found.items()}
    whole = found["each by itself"][0]
    responder = Responder(nodes)
    shortcomings = [
        f"a poll {name} took {shown(wall[name].high)} s and {shown(cpu[name].high)} s of CPU"
        for name in found
        if name != "bare"
        and (wall[name].high >= MOST_S or cpu[name].high / INTERVAL_S >= MOST_CORE)
    ]
    ratio = cpu["each by itself"].median / cpu["bare"].median
    rows = [
        (
            name,
            str(wall[name]),
            str(cpu[name].times(1000.0)),
            str(cpu[name].times(100.0 / INTERVAL_S)),
            shown(cpu[name].median / cpu["bare"].median),
        )
        for name in found
    ]
    most = max(cpu[name].high for name in found if name != "bare")
    return Findings(
        method=_METHOD.format(
            nodes=nodes,
            links=_LINKS,
            bytes=len(responder.answer(1)),
            runs=runs,
            found=whole.nodes,
            found_links=whole.links,
            interval=INTERVAL_S,
        ),
        tables=[Table(("", "poll, s", "CPU, ms", "% of a core", "times the bare one's CPU"), rows)],
        findings=[
            f"A poll takes {shown(ratio)} times the CPU of receiving and parsing its answers alone."
        ],
        values={
            "nodes": nodes,
            "runs": runs,
            "wall_s": {name: spread.as_dict() for name, spread in wall.items()},
            "cpu_s": {name: spread.as_dict() for name, spread in cpu.items()},
            "cpu_times_bare": ratio,
        },
        shortcomings=shortcomings,
        kept=f"Each poll took less than {MOST_S:g} s and less than {100 * MOST_CORE:g} % of a core"
        f" (at most {100 * most / INTERVAL_S:.2g} %).",
    )


if __name__ == "__main__":
    measure.main()
