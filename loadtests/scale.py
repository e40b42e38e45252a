"""What a mesh of many nodes takes on one machine, beside one Ray actor for each node.

The comparator is the obvious design. Its actors do nothing at all, so its figures are what the
design costs before any work is done.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.mesh.actor import MeshShard
from actors.mesh.client import Mesh
from actors.mesh.coordinator import MeshCoordinator
from actors.runtime import spawn
from actors.runtime.flags import Flags
from actors.runtime.settings import Settings
from actors.topology import radio
from jobs.launch import session
from jobs.terminal import reporting
from loadtests import burst, drilling, footprint, machine, private_cluster
from loadtests.command import Results, run
from loadtests.lone_actor import LoneActor
from loadtests.results import RESULTS
from loadtests.scale_figures import Lone, Sized, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.local import LocalCluster
    from loadtests.burst import Burst
    from loadtests.results import Outcome

    Progress = Callable[[str], None]

NODES: Final = 10_000
SMALLER: Final = (144, 1_000)
LONE_ACTORS: Final = 20
_AT_ONCE: Final = 5  # of them started together; Ray warns of more, and is no faster
IDLE_S: Final = 20.0
MESSAGES: Final = 200_000
DESTINATIONS: Final = 64
SEED: Final = 1
_READY_TIMEOUT_S: Final = 300.0
_BURST_TIMEOUT_S: Final = 300.0


def measure(progress: Progress, *, nodes: int = NODES) -> Outcome:
    """Run the benchmark with meshes of up to `nodes` nodes.

    Raises:
        TopologyError: no mesh of that size can be made.
        Unavailable: a mesh did not become ready or did not deliver.
    """
    load = machine.load()
    radio.parse(f"{radio.PREFIX}{nodes}")
    sizes = [*(size for size in SMALLER if size < nodes), nodes]
    with private_cluster.started(progress) as cluster:
        lone = _lone_actors(cluster, progress)
        meshes = [_mesh(cluster, size, progress) for size in sizes]
    origin = machine.provenance(("ray", "numpy", "scipy"), load, {})
    return outcome(meshes, lone, IDLE_S, origin)


def _lone_actors(cluster: LocalCluster, progress: Progress) -> Lone:
    progress(f"starting {LONE_ACTORS} actors, one for each node")
    namespace = "x0-lone-actors"
    spawn.connect(cluster.address, namespace)
    try:
        start = time.monotonic()
        for first in range(0, LONE_ACTORS, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, LONE_ACTORS))
            handles = [spawn.detached(LoneActor, f"lone-{number}") for number in numbers]
            spawn.wait_ready(handles, timeout_s=_READY_TIMEOUT_S)
        ready_s = time.monotonic() - start
        processes = footprint.actors(cluster, [LoneActor.__name__])
        found = Lone(len(processes), ready_s, footprint.footprint(processes))
        spawn.tear_down(namespace)
    finally:
        spawn.disconnect()
    return found


def _mesh(cluster: LocalCluster, nodes: int, progress: Progress) -> Sized:
    def tell(text: str) -> None:
        progress(f"{nodes:,} nodes: {text}")

    settings = Settings.load(topology=f"{radio.PREFIX}{nodes}:{SEED}")
    start = time.monotonic()
    with session.ephemeral(settings, Flags(), progress=tell) as own:
        status = asyncio.run(own.wait_ready(tell, _READY_TIMEOUT_S))
        ready_s = time.monotonic() - start
        processes = footprint.actors(cluster, [MeshShard.__name__, MeshCoordinator.__name__])
        tell("at rest")
        idle_cores = footprint.cores_used(processes, IDLE_S)
        rest = footprint.footprint(processes)
        sent = asyncio.run(_burst(tell))
        burst_peak = footprint.footprint(processes).peak
        report = asyncio.run(drilling.worst_node(SEED, tell))
        drill_peak = footprint.footprint(processes).peak
    return Sized(
        nodes=status.nodes,
        links=status.links,
        ready_s=ready_s,
        rest=rest,
        idle_cores=idle_cores,
        burst=sent,
        burst_peak=burst_peak,
        drill=report,
        drill_peak=drill_peak,
    )


async def _burst(tell: Progress) -> Burst:
    mesh = await Mesh.attach()
    tell(f"{MESSAGES:,} messages at once")
    return await burst.run(mesh, MESSAGES, DESTINATIONS, SEED, _BURST_TIMEOUT_S)


@reporting.reported
def command(
    *,
    nodes: Annotated[int, typer.Option(min=200, help="Nodes of the largest mesh.")] = NODES,
    results: Results = RESULTS,
    as_json: reporting.AsJson = False,
) -> int:
    """Measure what large meshes take and carry, beside one actor for each node."""
    return run(partial(measure, nodes=nodes), results, as_json=as_json)


if __name__ == "__main__":
    reporting.run(command)
