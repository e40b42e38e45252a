"""Ten faults of the emulated mesh of Leipzig, one after the other, and what is found of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from actors.mesh import control
from actors.mesh.client import Mesh
from actors.mesh.live_source import LiveSource
from actors.mesh.membership import Faults
from actors.topology.cuts import single_failures
from jobs.launch.drill_root_cause import RootCauseWatch
from loadtests.named_faults import Fault, Named
from serve_apps.inference.learnt_ranking import FEWEST
from serve_apps.inference.live_loop import LiveOptions
from serve_apps.inference.looking import MeshLooks

if TYPE_CHECKING:
    from actors.topology.model import Topology
    from loadtests.benchmark import Progress

HELLO_S: Final = 0.3
NODES: Final = (1, 4, 12, 39, 80)  # places among all by what their loss costs, the dearest first
LINKS: Final = (0, 3, 9, 30, 60)


def ten_faults(topology: Topology) -> list[tuple[Fault, Faults]]:
    """Five nodes and five links, the costliest to harmless ones, and how each is made to fail."""
    costs = single_failures(topology)
    nodes, links = (np.argsort(-each, kind="stable") for each in (costs.by_node, costs.by_link))
    found = []
    for node in nodes[list(NODES)].tolist():
        fault = Fault("a node dies in silence", (topology.ids[node],))
        found.append((fault, Faults(silent=frozenset({node}))))
    for a, b in topology.ends[links[list(LINKS)]].tolist():
        fault = Fault("a link is cut", (topology.ids[a], topology.ids[b]), 100)
        found.append((fault, Faults(cut=frozenset({(min(a, b), max(a, b))}))))
    return found


async def named_faults(progress: Progress) -> list[Named]:
    """Have ten faults happen in the mesh that this process joined, and mend each.

    Args:
        progress: is told what is being done.

    Raises:
        Unavailable: the mesh cannot be watched.
    """
    mesh = await Mesh.attach()
    live = LiveOptions.emulated(HELLO_S)
    named = []
    async with RootCauseWatch(live, MeshLooks(LiveSource(), live.interval_s)) as watch:
        await watch.settled()
        await watch.pass_intervals(FEWEST)
        for number, (fault, harm) in enumerate(ten_faults(mesh.membership.topology), 1):
            progress(f"fault {number} of 10: {fault.kind}")
            at = min((await control.coordinator().inject(harm)).values())
            try:
                named.append(Named(fault, await watch.found(fault.failed, at)))
            finally:
                await control.coordinator().inject(Faults())
            await watch.calm()
    return named
