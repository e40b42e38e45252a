"""One silent death in each of several babeld networks at once, and when their routes were whole.

The judge is the drill's own (`actors.mesh.drill.judgement`): tables of one moment are followed from
every surviving node to every other. It is milder here than for this project's mesh, where a route
to the dead node must be gone as well. Networks share nothing, and an idle babeld costs next to
nothing, so running them side by side saves minutes and disturbs none.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.mesh.drill import judgement
from actors.mesh.drill.conductor import CALM_S
from actors.runtime.errors import Unavailable
from loadtests.babel_network import BabelNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.topology.model import Topology
    from loadtests.babel_network import LinkType
    from loadtests.benchmark import Progress

SAMPLE_S: Final = 0.05  # time between two looks at all tables
SETTLE_HELLOS: Final = 8  # wait between whole routes and the fault, for link costs to settle
_START_HELLOS: Final = 60  # time in which new networks must have all routes
HEAL_HELLOS: Final = 40  # a network that takes longer counts as never healed


def heal_times(
    topology: Topology,
    victim: int,
    hello_s: float,
    link_types: Sequence[LinkType],
    progress: Progress,
) -> list[float]:
    """Seconds from the death of `victim` to routes that are whole and stay so, for each network.

    Infinite for a network that is not whole `HEAL_HELLOS` Hellos after the death.

    Args:
        topology: topology of every network.
        victim: index of the node that dies.
        hello_s: interval between Hellos.
        link_types: link type of each network.
        progress: is told what is being done.

    Raises:
        Unavailable: a network did not become whole before the death.
    """
    everyone = np.arange(topology.n_nodes, dtype=np.int32)
    with ExitStack() as stack:
        progress(f"babeld: starting {len(link_types)} networks of {topology.n_nodes} namespaces")
        networks = [
            stack.enter_context(BabelNetwork(topology, hello_s, link_type, number))
            for number, link_type in enumerate(link_types)
        ]
        progress("babeld: waiting for all routes")
        begun = [time.monotonic()] * len(networks)
        missing = sum(map(math.isinf, _watch(networks, everyone, topology, begun, (), hello_s)))
        if missing:
            raise Unavailable(
                f"{missing} of {len(networks)} babeld networks are not whole",
                f"routes are missing {_START_HELLOS * hello_s:g} s after the start",
                "Run it on a machine with less load.",
                retry_after_s=1.0,
            )
        time.sleep(SETTLE_HELLOS * hello_s)
        progress(f"babeld: {topology.ids[victim]} dies in each")
        fell = [network.kill(victim) for network in networks]
        return _watch(networks, everyone[everyone != victim], topology, fell, (victim,), hello_s)


def _watch(
    networks: Sequence[BabelNetwork],
    among: np.ndarray[tuple[int], np.dtype[np.int32]],
    topology: Topology,
    since: Sequence[float],
    failed: tuple[int, ...],
    hello_s: float,
) -> list[float]:
    """Sample until every network is whole and calm, or patience ends; after how long each was, s.

    Infinite for one that is not whole at the end.
    """
    truth = topology.without(nodes=list(failed))
    patience_s = (HEAL_HELLOS if failed else _START_HELLOS) * hello_s
    whole_since = [math.inf] * len(networks)
    while True:
        turn = time.monotonic()
        for number, network in enumerate(networks):
            whole = judgement.is_whole(network.next_hops()[among], among, truth)
            now = time.monotonic()
            whole_since[number] = min(whole_since[number], now) if whole else math.inf
        now = time.monotonic()
        calm = now - max(whole_since) >= CALM_S
        if calm or now - max(since) > patience_s + CALM_S:
            return [at - start for at, start in zip(whole_since, since, strict=True)]
        time.sleep(max(0.0, turn + SAMPLE_S - time.monotonic()))
