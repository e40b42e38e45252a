"""Whether the root of faults is named: of babeld in a laboratory, and of the mesh of Leipzig.

In the laboratory ten branches of one network fail, each in a way and at a moment of its own; they
share nothing but the ring that joins them, and a gateway on it. What the daemons have measured is
all that is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer

from actors.observe.sampling import sampled
from actors.topology.events import EventKind
from cluster.lab.laboratory import Laboratory
from jobs.launch.drill_root_cause import PROMISED, RootCauseWatch, found
from loadtests import babel_network, leipzig, mesh_faults, private_cluster
from loadtests.benchmark import Findings, Progress, Table, benchmark
from loadtests.faults import POLL_S, RING, branch_ids, network
from loadtests.lab_observer import LabObserver
from loadtests.named_faults import COLUMNS, Fault, Named, rows
from serve_apps.inference.disturbances import KNOWN, SETTLING
from serve_apps.inference.live_loop import LiveOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from actors.topology.model import Topology
    from actors.topology.samples import NetworkSample

HELLO_S: Final = 0.5
ROUNDS: Final = 5
CALM_INTERVALS: Final = 12  # without a fault, before each round: what is opened then is false
LOSS: Final = 40  # per cent
FLAP_HELLOS: Final = 5  # for which a flapping link is down, and then up
PROMISED_SHARE: Final = 0.9
LAB: Final = "Laboratory"
LEIPZIG: Final = "Leipzig"
PATIENCE: Final = 120  # Hello intervals in which the network must be whole
_METHOD: Final = """\
Both networks are watched by links' states and qualities alone, as `x0 drill` and the incidents of \
running networks are. A fault is named if, within two intervals, its incident has the failed node, \
or an end of the failed link, in the first place.

{lab_name}: `x0 lab`, {nodes} namespaces with babeld {version}, links of its type wireless, Hello \
every {hello:g} s: ten branches at a ring, each a triangle with a leaf, and a gateway on the ring. \
The observer's core polls all control sockets every {poll:g} s; nothing else is known. In each of \
{rounds} rounds ten faults happen, one in each branch, at moments of their own: two nodes die in \
silence, two links lose {loss} % in one direction, two in both, two flap ({flap} Hellos down, \
{flap} up), two nodes are cut from the gateway. The kinds move on by one branch a round. An \
interval is {interval:g} s. Before each round {calm} intervals pass without a fault: incidents \
that are opened then are false alarms.

{mesh_name}: the emulated mesh, Hello every {mesh_hello:g} s, an interval is {mesh_interval:g} s. \
Five nodes and five links fail one after the other, from the costliest to harmless ones. \
{mesh_note}"""


def laboratory() -> Topology:
    """The network of the laboratory, with its gateway."""
    plain = network(10)
    gateway = np.zeros(plain.n_nodes, bool)
    gateway[0] = True
    return replace(plain, nodes=replace(plain.nodes, gateway=gateway))


def ten_faults(turn: int) -> list[Fault]:
    """A fault for each branch; those of the next turn are moved on by one branch."""
    ids = [branch_ids((place + turn) % 10) for place in range(10)]
    uplink = RING[(8 + turn) % 10 % len(RING)]
    return [
        Fault("silent death", (ids[0][2],)),
        Fault("silent death", (ids[1][1],)),
        Fault(f"{LOSS} % loss one way", (ids[2][0], ids[2][1]), LOSS, one_way=True),
        Fault(f"{LOSS} % loss one way", (ids[3][2], ids[3][0]), LOSS, one_way=True),
        Fault(f"{LOSS} % loss both ways", (ids[4][0], ids[4][1]), LOSS),
        Fault(f"{LOSS} % loss both ways", (ids[5][1], ids[5][2]), LOSS),
        Fault("flapping link", (ids[6][0], ids[6][1]), 100, flaps=True),
        Fault("flapping link", (ids[7][0], ids[7][2]), 100, flaps=True),
        Fault("cut from the gateway", (uplink, ids[8][0]), 100),
        Fault("cut from the gateway", (ids[9][2], ids[9][3]), 100),
    ]


class LabLooks:
    """Looks at a laboratory by what its daemons tell.

    Args:
        observer: polls them.
    """

    def __init__(self, observer: LabObserver) -> None:
        self._observer = observer

    async def look(self) -> NetworkSample:
        """See `NetworkLooks.look`."""
        return sampled(await self._observer.network())


async def one_round(
    lab: Laboratory, observer: LabObserver, turn: int, calm: int = 0
) -> tuple[list[Named], int]:
    """Have ten faults happen, and mend them.

    Args:
        lab: the laboratory, all of it up.
        observer: polls it.
        turn: of the round.
        calm: intervals that pass before.

    Returns:
        What was found of each, and the number of false alarms before.
    """
    choose = random.Random(turn)
    live = LiveOptions.laboratory(lab.hello_s)
    faults = ten_faults(turn)
    async with RootCauseWatch(live, LabLooks(observer)) as watch:
        await watch.settled()
        await watch.pass_intervals(max(calm, KNOWN - SETTLING))
        before = len([each for each in watch.events if each.kind is EventKind.INCIDENT_OPENED])
        async with contextlib.AsyncExitStack() as broken:
            at = []
            for fault in faults:
                await asyncio.sleep(choose.uniform(0.0, live.interval_s / len(faults)))
                at.append(await broken.enter_async_context(_broken(lab, fault)))
            await asyncio.sleep(PROMISED * live.interval_s)
            events = tuple(watch.events)
    named = []
    for fault, began in zip(faults, at, strict=True):
        branch = next(one for one in map(branch_ids, range(10)) if fault.failed[-1] in one)
        mine = [each for each in events if {*each.nodes} & {*branch}]
        named.append(Named(fault, found(mine, {*fault.failed}, began, live.interval_s)))
    return named, before


@contextlib.asynccontextmanager
async def _broken(lab: Laboratory, fault: Fault) -> AsyncIterator[float]:
    """A fault that lasts for the block; since when, Unix time, s."""
    if not fault.percent:
        _, at = await asyncio.to_thread(lab.fail, *fault.failed)
        try:
            yield at
        finally:
            await asyncio.to_thread(lab.mend, *fault.failed)
        return
    at = await _lose(lab, fault, fault.percent)
    flapping = asyncio.create_task(_flap(lab, fault)) if fault.flaps else None
    try:
        yield at
    finally:
        if flapping is not None:
            flapping.cancel()
            await asyncio.gather(flapping, return_exceptions=True)
        await _lose(lab, fault, 0)


async def _flap(lab: Laboratory, fault: Fault) -> None:
    while True:
        for percent in (0, fault.percent):
            await asyncio.sleep(FLAP_HELLOS * lab.hello_s)
            # A thread that has begun goes on when this is cancelled: it must not end after the
            # mending.
            await asyncio.shield(_lose(lab, fault, percent))


async def _lose(lab: Laboratory, fault: Fault, percent: int) -> float:
    a, b = fault.failed
    _, at = await asyncio.to_thread(lab.lose, a, b, percent, one_way=fault.one_way)
    return at


# -- the benchmark ---------------------------------------------------------------------------------


@benchmark("root_cause", "The root of faults", ("numpy", "scipy"))
def measure(
    progress: Progress,
    *,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Ten faults each.")] = ROUNDS,
    hello: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds between Hellos.")
    ] = HELLO_S,
) -> Findings:
    """Measure whether the root of faults is named: of real babeld, and of the emulated mesh.

    Needs root, babeld and nftables.

    Raises:
        ConfigurationError: something is missing.
        Unavailable: a network does not become whole.
    """
    version = babel_network.require()
    interval_s = LiveOptions.laboratory(hello).interval_s
    with tempfile.TemporaryDirectory(prefix="x0-") as directory:
        progress("making a laboratory")
        lab = Laboratory.up(Path(directory), laboratory(), hello)
        try:
            named, false = asyncio.run(_rounds(lab, rounds, progress))
        finally:
            lab.down()
    settings = leipzig.settings(log_level="ERROR", hello_s=mesh_faults.HELLO_S)
    with private_cluster.ray_address(None):
        of_mesh = private_cluster.on_mesh(
            settings, progress, lambda _: mesh_faults.named_faults(progress)
        )
    calm_s = rounds * CALM_INTERVALS * interval_s
    places = {LAB: named, LEIPZIG: of_mesh}
    is_map = leipzig.MAP.is_file()
    return Findings(
        method=_METHOD.format(
            lab_name=LAB,
            nodes=len(lab.nodes),
            version=version,
            hello=hello,
            poll=POLL_S,
            rounds=rounds,
            loss=LOSS,
            flap=FLAP_HELLOS,
            interval=interval_s,
            calm=CALM_INTERVALS,
            mesh_name=LEIPZIG,
            mesh_hello=mesh_faults.HELLO_S,
            mesh_interval=LiveOptions.emulated(mesh_faults.HELLO_S).interval_s,
            mesh_note="" if is_map else f"Its map is not there: {leipzig.STAND_IN} stands in.",
        ).rstrip(),
        tables=[Table([place, *COLUMNS[1:]], rows(each)) for place, each in places.items()],
        findings=[
            *(
                f"{place}: of {len(each)} faults {_first(each)} are named."
                for place, each in places.items()
            ),
            f"{LAB}: {false} false alarms in {calm_s:.0f} s without a fault.",
        ],
        values={
            "hello_s": hello,
            "interval_s": interval_s,
            "named": _first(named),
            "faults": len(named),
            "false_alarms": false,
            "calm_s": calm_s,
            "causes": [each.as_dict() for each in named],
            "mesh": {
                "topology": settings.topology,
                "named": _first(of_mesh),
                "faults": len(of_mesh),
                "causes": [each.as_dict() for each in of_mesh],
            },
        },
        shortcomings=[
            f"{place}: less than nine in ten are named"
            for place, each in places.items()
            if _first(each) < PROMISED_SHARE * len(each)
        ],
        kept="At least nine in ten are named in both.",
        versions={"babeld": version},
    )


def _first(named: Sequence[Named]) -> int:
    return sum(each.first for each in named)


async def _rounds(lab: Laboratory, rounds: int, progress: Progress) -> tuple[list[Named], int]:
    named: list[Named] = []
    false = 0
    for turn in range(rounds):
        progress(f"round {turn + 1} of {rounds}")
        async with LabObserver(lab, POLL_S) as observer:
            await observer.settled(PATIENCE * lab.hello_s)
            found_now, false_now = await one_round(lab, observer, turn, CALM_INTERVALS)
        named += found_now
        false += false_now
    return named, false


if __name__ == "__main__":
    measure.main()
