"""What a mesh of many nodes takes on one machine, beside one Ray actor for each node.

The comparator is the obvious design. Its actors do nothing at all, so its figures are what the
design costs before any work is done.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.mesh.actor import MeshShard
from actors.mesh.coordinator import MeshCoordinator
from actors.runtime import spawn
from actors.runtime.flags import Flags
from actors.topology import radio_spec
from loadtests import drilling, footprint, mesh_load, payload, private_cluster
from loadtests.benchmark import Findings, Progress, Table, benchmark, named
from loadtests.load_plan import Load
from loadtests.mesh_figures import shortcomings
from loadtests.node_actor import LoneActor
from loadtests.spread import shown
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from actors.mesh.contract import MeshStatus
    from actors.mesh.drill.report import DrillReport
    from cluster.local import LocalCluster
    from loadtests.footprint import Footprint
    from loadtests.mesh_load import Ran

NODES: Final = 10_000
SMALLER: Final = (144, 1_000)
LONE_ACTORS: Final = 20
_AT_ONCE: Final = 5  # actors started together; Ray warns of more, and is no faster
IDLE_S: Final = 20.0
LOAD_S: Final = 5.0
DESTINATIONS: Final = 64
SEED: Final = 1
_METHOD: Final = """\
Made-up radio meshes (`radio:N`), {shards} shards, Hello every {hello:g} s, on a Ray cluster that \
runs already. "Ready" is the time from the start of the actors until every node's routes are \
agreed. Memory (resident) and CPU are of the shards and the coordinator together, Ray's own \
daemons left out on both sides; "at rest" is with Hellos and without messages, over {idle:g} s. \
Messages of {size} bytes between {destinations} nodes are offered as fast as the mesh takes them, \
for {seconds:g} s after a warm-up, each checked to arrive once and unaltered. The drill is \
`worst-node` at the rate that `x0 drill` chooses. One run each.

Beside it one Ray actor for each node, of which {lone} fit a small machine, doing nothing."""


@dataclass(frozen=True, slots=True)
class Sized:
    """A mesh of one size.

    Attributes:
        nodes, links: size of the mesh.
        ready_s: seconds from the start of its actors to agreed routes.
        rest: memory before any message.
        idle_cores: processor time per second at rest.
        ran: what became of the messages.
        load_peak: largest memory up to the end of that load, MiB.
        drill: report of the incident.
        drill_peak: largest memory up to the end of the drill, MiB.
    """

    nodes: int
    links: int
    ready_s: float
    rest: Footprint
    idle_cores: float
    ran: Ran
    load_peak: float
    drill: DrillReport
    drill_peak: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "nodes": self.nodes,
            "links": self.links,
            "ready_s": self.ready_s,
            "rest_mib": asdict(self.rest),
            "idle_cores": self.idle_cores,
            "delivered_per_s": round(self.ran.delivered_per_s, 1),
            "hops_mean": round(self.ran.hops_mean, 3),
            "load_peak_mib": self.load_peak,
            "drill": self.drill.as_dict(),
            "drill_peak_mib": self.drill_peak,
        }


@dataclass(frozen=True, slots=True)
class Lone:
    """One actor a node: how many, how long all took to start, s, and their memory."""

    actors: int
    ready_s: float
    rest: Footprint


@benchmark("scale", "Many nodes on one machine", ("ray", "numpy", "scipy"))
def measure(
    progress: Progress,
    *,
    nodes: Annotated[int, typer.Option(min=200, help="Nodes of the largest mesh.")] = NODES,
) -> Findings:
    """Measure what large meshes take and carry, beside one actor for each node.

    Raises:
        TopologyError: no mesh of that size can be made.
        Unavailable: a mesh did not become ready or did not deliver.
    """
    radio_spec.parse(f"{radio_spec.PREFIX}{nodes}")
    sizes = [*(size for size in SMALLER if size < nodes), nodes]
    with private_cluster.started(progress) as cluster:
        lone = _lone_actors(cluster, progress)
        meshes = [_mesh(cluster, size, progress) for size in sizes]
    return _found(meshes, lone)


def _lone_actors(cluster: LocalCluster, progress: Progress) -> Lone:
    progress(f"starting {LONE_ACTORS} actors, one for each node")
    with private_cluster.namespace(cluster, "x0-lone-actors"):
        start = time.monotonic()
        for first in range(0, LONE_ACTORS, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, LONE_ACTORS))
            handles = [spawn.detached(LoneActor, f"lone-{number}") for number in numbers]
            spawn.wait_ready(handles, timeout_s=private_cluster.READY_TIMEOUT_S)
        ready_s = time.monotonic() - start
        processes = footprint.actors(cluster, [LoneActor.__name__])
        return Lone(len(processes), ready_s, footprint.footprint(processes))


def _mesh(cluster: LocalCluster, nodes: int, progress: Progress) -> Sized:
    tell = named(progress, f"{nodes:,} nodes")
    load = Load(None, LOAD_S, min_hops=1, seed=SEED, destinations=DESTINATIONS)
    start = time.monotonic()

    async def use(status: MeshStatus) -> Sized:
        ready_s = time.monotonic() - start
        processes = footprint.actors(cluster, [MeshShard.__name__, MeshCoordinator.__name__])
        tell("at rest")
        idle_cores = await footprint.cores_used(processes, IDLE_S)
        rest = footprint.footprint(processes)
        ran = await mesh_load.run(cluster, load, tell)
        load_peak = footprint.footprint(processes).peak
        report = await drilling.worst_node(SEED, tell)
        return Sized(
            nodes=status.nodes,
            links=status.links,
            ready_s=ready_s,
            rest=rest,
            idle_cores=idle_cores,
            ran=ran,
            load_peak=load_peak,
            drill=report,
            drill_peak=footprint.footprint(processes).peak,
        )

    settings = Settings.load(topology=f"{radio_spec.PREFIX}{nodes}:{SEED}")
    return private_cluster.on_mesh(settings, tell, use, Flags())


def _found(meshes: list[Sized], lone: Lone) -> Findings:
    largest = meshes[-1]
    method = _METHOD.format(
        shards=largest.drill.shards,
        hello=largest.drill.hello_s,
        idle=IDLE_S,
        size=payload.SIZE,
        destinations=DESTINATIONS,
        seconds=LOAD_S,
        lone=lone.actors,
    )
    running = Table(
        [
            "nodes",
            "links",
            "ready, s",
            "CPU at rest, cores",
            "MiB at rest",
            "peak under load",
            "in drill",
        ],
        [
            [
                f"{m.nodes:,}",
                f"{m.links:,}",
                shown(m.ready_s),
                shown(m.idle_cores),
                shown(m.rest.resident),
                shown(m.load_peak),
                shown(m.drill_peak),
            ]
            for m in meshes
        ],
    )
    working = Table(
        ["nodes", "messages/s", "hops", "drill: healed, s", "bound, s", "its messages"],
        [
            [
                f"{m.nodes:,}",
                shown(m.ran.delivered_per_s),
                shown(m.ran.hops_mean),
                "never" if m.drill.healed_s is None else shown(m.drill.healed_s),
                shown(m.drill.convergence_bound_s),
                f"{m.drill.lost_accepted} lost, {m.drill.duplicates} twice, {m.drill.loops} loops",
            ]
            for m in meshes
        ],
    )
    each = Table(
        ["per node", "resident, MiB", "unique, MiB", "start, s"],
        [
            [name, shown(rest.resident / n), shown(rest.unique / n), shown(seconds / n)]
            for name, n, rest, seconds in (
                (f"this mesh of {largest.nodes:,}", largest.nodes, largest.rest, largest.ready_s),
                (f"one actor a node, {lone.actors}", lone.actors, lone.rest, lone.ready_s),
            )
        ],
    )
    ratios = {
        "resident": lone.rest.resident / lone.actors / (largest.rest.resident / largest.nodes),
        "unique": lone.rest.unique / lone.actors / (largest.rest.unique / largest.nodes),
        "start": lone.ready_s / lone.actors / (largest.ready_s / largest.nodes),
    }
    spared = (
        f"A node of this mesh takes 1/{ratios['unique']:,.0f} of the unique memory"
        f" (1/{ratios['resident']:,.0f} of the resident) and 1/{ratios['start']:,.0f} of the time"
        " to start that an actor of its own takes."
    )
    return Findings(
        method=method,
        tables=[running, working, each],
        findings=[spared],
        values={
            "meshes": [m.as_dict() for m in meshes],
            "one_actor_a_node": {
                "actors": lone.actors,
                "ready_s": lone.ready_s,
                "rest_mib": asdict(lone.rest),
            },
            "ratio_per_node": ratios,
        },
        shortcomings=[
            f"{m.nodes:,} nodes: {text}"
            for m in meshes
            for text in (*shortcomings(m.ran), *m.drill.shortcomings)
        ],
        kept="No message was lost, doubled or altered, and every drill kept its promises.",
    )


if __name__ == "__main__":
    measure.main()
