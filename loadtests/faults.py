"""How soon the observer tells of real faults: babeld in a laboratory, watched by its sockets.

Branches of one network fail alike, each at a moment of its own; they share nothing but the ring
that joins them.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from actors.observe.sources import babel_join
from actors.runtime.errors import Unavailable
from actors.topology.events import EventKind
from actors.topology.model import Topology
from cluster.lab.laboratory import Laboratory
from loadtests import babel_network
from loadtests.benchmark import Findings, Progress, Table, benchmark
from loadtests.lab_observer import LabObserver
from loadtests.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.topology.events import NetworkEvent

    Breaking = Callable[[Laboratory, int], float]  # breaks or mends a branch; when, Unix time, s

BRANCHES: Final = 10
ROUNDS: Final = 2
HELLO_S: Final = 1.0
POLL_S: Final = 0.5
RING: Final = tuple(f"ring{at}" for at in range(6))  # the main part, whatever fails
PATIENCE: Final = 60  # Hello intervals in which a fault must be told, or the network be whole
_LOSS: Final = 40  # per cent
_METHOD: Final = """\
A laboratory (`x0 lab`) of {nodes} namespaces with babeld {version}, links of its type wireless, \
Hello every {hello:g} s: {branches} branches at a ring, each a triangle with a leaf. The \
observer's core polls all control sockets every {poll:g} s. In each of {rounds} rounds the same \
fails in every branch, at moments that have nothing to do with the Hellos, and is mended. A \
death is SIGKILL of babeld and IPv6 switched off; it has three neighbours. The cut is of the \
link to the ring, so that the branch is split off. Times run from the fault to the observer's \
event: "first" is any event about the branch, "told" the one that says what it is. babeld looks \
for missing Hellos every 1.5 Hello intervals, a quarter more or less, and counts one as missed \
1.7 intervals after the last (`check_neighbours` and `update_neighbour` of its source): what can \
be known from it of one missed Hello comes 1.7 to 3.6 intervals after the last one."""


class _Case(NamedTuple):
    """One kind of fault, or its end."""

    name: str
    do: Breaking
    tells: frozenset[EventKind]


def branch_ids(branch: int) -> tuple[str, str, str, str]:
    """Ids of the nodes of a branch."""
    a, b, c, leaf = (f"{letter}{branch}" for letter in "abcd")
    return a, b, c, leaf


def network(branches: int) -> Topology:
    """The network: first the ring, to which the branches are joined in turn."""
    ids = list(RING)
    links = [(at, (at + 1) % len(RING)) for at in range(len(RING))]
    for branch in range(branches):
        a = len(ids)
        ids += branch_ids(branch)
        links += [(branch % len(RING), a), (a, a + 1), (a + 1, a + 2), (a, a + 2), (a + 2, a + 3)]
    return Topology.of(ids, links)


def _loses(ends: Callable[[int], tuple[str, str]], percent: int) -> Breaking:
    return lambda lab, branch: lab.lose(*ends(branch), percent)[1]


def _uplink(branch: int) -> tuple[str, str]:
    return RING[branch % len(RING)], branch_ids(branch)[0]


def _side(branch: int) -> tuple[str, str]:
    return branch_ids(branch)[0], branch_ids(branch)[1]


_BACK: Final = frozenset({EventKind.NODE_BACK, EventKind.REJOINED, EventKind.LINK_UP})
# What fails, and then what mends it.
_CASES: Final = (
    (
        _Case(
            "silent death",
            lambda lab, branch: lab.fail(branch_ids(branch)[2])[1],
            frozenset({EventKind.NODE_SILENT}),
        ),
        _Case(
            "return of the dead",
            lambda lab, branch: lab.mend(branch_ids(branch)[2])[1],
            _BACK,
        ),
    ),
    (
        _Case("split by a cut link", _loses(_uplink, 100), frozenset({EventKind.SPLIT})),
        _Case("return of the link", _loses(_uplink, 0), _BACK),
    ),
    (
        _Case(
            f"link at {_LOSS} % loss",
            _loses(_side, _LOSS),
            frozenset({EventKind.LINK_DEGRADED, EventKind.LINK_DOWN}),
        ),
        # A quality recovers slowly, by what it is: not timed.
        _Case("end of the loss", _loses(_side, 0), frozenset()),
    ),
)


@dataclass(frozen=True, slots=True)
class _Times:
    """Seconds from each fault to its first event, and to the one that says what it is."""

    first: list[float]
    told: list[float]


@benchmark("faults", "Real faults, as they are observed", ("numpy", "scipy"))
def measure(
    progress: Progress,
    *,
    branches: Annotated[int, typer.Option(min=1, max=40, help="Branches.")] = BRANCHES,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Faults of a branch.")] = ROUNDS,
    hello: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds between Hellos.")
    ] = HELLO_S,
    poll: Annotated[float, typer.Option(min=0.05, max=60, help="Seconds between polls.")] = POLL_S,
) -> Findings:
    """Measure how soon faults of real babeld are told. Needs root, babeld and nftables.

    Raises:
        ConfigurationError: something is missing.
        Unavailable: the network does not become whole, or a fault is not told.
    """
    version = babel_network.require()
    with tempfile.TemporaryDirectory(prefix="x0-") as directory:
        progress(f"making a laboratory of {4 * branches + len(RING)} namespaces")
        lab = Laboratory.up(Path(directory), network(branches), hello)
        try:
            found = asyncio.run(_rounds(lab, branches, rounds, poll, progress))
        finally:
            lab.down()
    bound = 2 * hello + poll
    rows = [_row(name, times, bound) for name, times in found.items()]
    return Findings(
        method=_METHOD.format(
            nodes=4 * branches + len(RING),
            version=version,
            hello=hello,
            branches=branches,
            poll=poll,
            rounds=rounds,
        ),
        tables=[
            Table(
                ["", "runs", "first, s", "told, s", f"first within {bound:g} s"],
                rows,
            )
        ],
        findings=[
            (
                f"A link is told to be down when both its ends miss {babel_join.CUT} Hellos in a"
                " row; babeld itself takes it for lost after twelve."
            )
        ],
        values={
            "hello_s": hello,
            "poll_s": poll,
            "first_s": {name: times.first for name, times in found.items()},
            "told_s": {name: times.told for name, times in found.items()},
        },
        versions={"babeld": version},
    )


def _row(name: str, times: _Times, bound: float) -> list[str]:
    within = sum(one <= bound for one in times.first)
    shown = [str(Spread.of(some)) for some in (times.first, times.told)]
    return [name, str(len(times.told)), *shown, f"{within / len(times.first):.0%}"]


async def _rounds(
    lab: Laboratory, branches: int, rounds: int, poll_s: float, progress: Progress
) -> Mapping[str, _Times]:
    choose = random.Random(1)
    found: dict[str, _Times] = {}
    for number in range(1, rounds + 1):
        for cases in _CASES:
            progress(f"{cases[0].name}, round {number} of {rounds}")
            await _round(lab, branches, poll_s, cases, choose, found)
    return found


async def _round(
    lab: Laboratory,
    branches: int,
    poll_s: float,
    cases: tuple[_Case, _Case],
    choose: random.Random,
    found: dict[str, _Times],
) -> None:
    """Have one kind of fault happen in every branch, and mend it."""
    fault, mended = cases
    async with LabObserver(lab, poll_s) as observer:
        await observer.settled(PATIENCE * lab.hello_s)
        await _one(lab, observer, fault, branches, choose, found)
        if mended.tells:
            await _one(lab, observer, mended, branches, choose, found)
        else:
            for branch in range(branches):
                mended.do(lab, branch)


async def _one(
    lab: Laboratory,
    observer: LabObserver,
    case: _Case,
    branches: int,
    choose: random.Random,
    found: dict[str, _Times],
) -> None:
    """Have the same happen in every branch, and take down when it is told of each."""
    times = found.setdefault(case.name, _Times([], []))
    after = (await observer.network()).event
    at: list[float] = []
    for branch in range(branches):
        await asyncio.sleep(choose.uniform(0.0, 2 * lab.hello_s / branches))
        at.append(await asyncio.to_thread(case.do, lab, branch))
    deadline = time.monotonic() + PATIENCE * lab.hello_s
    waiting = set(range(branches))
    while waiting:
        if time.monotonic() > deadline:
            raise Unavailable(
                f"{case.name}: not told of branches {sorted(waiting)}",
                f"{PATIENCE} Hello intervals have passed",
                "Run it on a machine with less load.",
                retry_after_s=1.0,
            )
        await asyncio.sleep(0.1)
        events = (await observer.events(after, 10_000)).events
        for branch in sorted(waiting):
            mine = _about(branch, events, at[branch])
            told = [event.at for event in mine if event.kind in case.tells]
            if told:
                waiting.discard(branch)
                times.first.append(round(mine[0].at - at[branch], 2))
                times.told.append(round(told[0] - at[branch], 2))


def _about(branch: int, events: tuple[NetworkEvent, ...], at: float) -> list[NetworkEvent]:
    mine = {*branch_ids(branch)}
    return [event for event in events if event.at >= at and mine.intersection(event.nodes)]


if __name__ == "__main__":
    measure.main()
