"""What protection against lying nodes costs: a mesh with BYZANTINE and without, and the parts.

In both, the mesh is also sent as many messages as it takes.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer

from actors.identity.byzantine.signed_advertisements import SignedAdvertisements
from actors.identity.node_keys import NodeKeys
from actors.runtime.flags import Flags
from actors.topology.advertisement import Lsa
from actors.topology.disjoint import DisjointPaths
from actors.topology.etx import etx_costs
from actors.topology.radio import generate
from loadtests import mesh_at_rest, mesh_load, private_cluster
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect, named
from loadtests.load_plan import Load
from loadtests.open_loop import percentiles_ms
from loadtests.spread import Spread, shown
from serve_apps.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.model import Topology
    from cluster.local import LocalCluster
    from loadtests.mesh_load import Ran

NODES: Final = 144
SEED: Final = 1
ROUNDS: Final = 2
SECONDS: Final = 20.0
PAIRS: Final = 200
_METHOD: Final = """\
A made-up radio mesh (`radio:{nodes}:{seed}`), 2 shards, Hello every 1 s, at rest: with \
`X0TTA6BL4_BYZANTINE` and without, in turns ({rounds} each, a new start for each). Processor \
time is that of the shards and the coordinator over {seconds:g} s. Then a mesh of each kind is \
sent as many messages as it takes, over 3 hops and more, for {seconds:g} s, as in "Messages \
through the mesh".

The parts, in one thread: each node's advertisement signed by one host, checked and believed by \
another; as many forgeries refused; two disjoint paths between each of {pairs} pairs."""


@benchmark("byzantine", "Lying nodes", ("cryptography", "ray", "numpy"))
def measure(
    progress: Progress,
    *,
    nodes: Annotated[int, typer.Option(min=3, max=10_000, help="Nodes of the mesh.")] = NODES,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Length of a turn.")] = SECONDS,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Turns of each kind.")] = ROUNDS,
) -> Findings:
    """Measure what protection against lying nodes costs, on and off in the same run.

    Raises:
        Unavailable: a mesh did not become ready, or an advertisement was judged wrongly.
    """
    progress("advertisements and paths")
    mesh = generate(nodes, SEED)
    parts = _advertisements(mesh) | {f"{PAIRS} pairs: two disjoint paths": _paths(mesh)}
    turns: dict[bool, list[float]] = {False: [], True: []}
    with private_cluster.started(progress) as cluster:
        for number, on in itertools.product(range(rounds), (False, True)):
            tell = named(progress, f"{'with' if on else 'without'}, turn {number + 1} of {rounds}")
            turns[on].append(
                mesh_at_rest.cores(
                    cluster, f"radio:{nodes}:{SEED}", seconds, tell, Flags(byzantine=on)
                )
            )
        carried = {on: _carried(cluster, nodes, seconds, progress, on=on) for on in (False, True)}
    return _found(nodes, seconds, rounds, turns, carried, parts)


def _carried(
    cluster: LocalCluster, nodes: int, seconds: float, progress: Progress, *, on: bool
) -> Ran:
    """What a mesh does with as many messages as it takes."""
    settings = Settings.load(topology=f"radio:{nodes}:{SEED}", shards=2, hello_s=1.0)
    load = Load(rate=None, seconds=seconds)
    return private_cluster.on_mesh(
        settings,
        progress,
        lambda _: mesh_load.run(cluster, load, progress, int(on)),
        Flags(byzantine=on),
    )


def _advertisements(mesh: Topology) -> dict[str, float]:
    """Seconds to sign every node's advertisement, to check them, and to refuse as many forged."""
    with tempfile.TemporaryDirectory(prefix="x0-") as directory:
        place = Path(directory) / "mesh"
        place.mkdir()
        here, there = (
            SignedAdvertisements(
                NodeKeys(place), lambda _: None, mesh="mesh", faults=1, hello_s=1.0
            )
            for _ in range(2)
        )
        here.attend(mesh, {0: range(mesh.n_nodes)})
        there.attend(mesh, {})
        began = time.perf_counter()
        signed = [here.sign(lsa, 0.0) for lsa in _said(mesh)]
        signing = time.perf_counter() - began
        told = [lsa for lsa in signed if lsa is not None]
        forged = [
            Lsa(lsa.origin, lsa.incarnation, 2, lsa.neighbours, lsa.costs, signature=lsa.signature)
            for lsa in told
        ]
        checking, believed = _checked(there, told)
        refusing, wrongly = _checked(there, forged)
    if (believed, wrongly) != (len(told), 0):
        raise defect(f"{believed} of {len(told)} were believed, and {wrongly} forged ones")
    return {
        f"{len(told)} advertisements signed": signing,
        f"{len(told)} checked": checking,
        f"{len(told)} forged ones refused": refusing,
    }


def _said(mesh: Topology) -> list[Lsa]:
    indptr, links = mesh.out_links
    cost, out = etx_costs(mesh), []
    for node in range(mesh.n_nodes):
        mine = links[indptr[node] : indptr[node + 1]]
        neighbours = tuple(mesh.link_target[mine].tolist())
        out.append(Lsa(node, 1, 1, neighbours, tuple(cost[mine].tolist())))
    return out


def _checked(guard: SignedAdvertisements, lsas: list[Lsa]) -> tuple[float, int]:
    """Seconds until all have been judged, and how many were believed."""
    began, believed, now = time.perf_counter(), 0, 0.0
    for start in range(0, len(lsas), 256):
        guard.offer(lsas[start : start + 256], 0, 0, now)
    while (job := guard.job(now)) is not None:
        believed += len(guard.install(job.run(), now))
    return time.perf_counter() - began, believed


def _paths(mesh: Topology) -> float:
    """Seconds to find two disjoint paths for each of `PAIRS` pairs."""
    choose = np.random.default_rng(SEED)
    pairs = choose.integers(0, mesh.n_nodes, (PAIRS, 2)).tolist()
    began = time.perf_counter()
    search = DisjointPaths(mesh, etx_costs(mesh))
    for source, destination in pairs:
        search.between(source, destination, 2)
    return time.perf_counter() - began


def _found(
    nodes: int,
    seconds: float,
    rounds: int,
    turns: Mapping[bool, list[float]],
    carried: Mapping[bool, Ran],
    parts: Mapping[str, float],
) -> Findings:
    off, on = (Spread.of(turns[kind]) for kind in (False, True))
    more = on.median - off.median
    running = Table(
        ["mesh at rest", "CPU, cores"],
        [["without BYZANTINE", str(off)], ["with", str(on)], ["the difference", shown(more)]],
    )
    load = Table(
        ["messages", "delivered/s", "p50, ms", "p99, ms", "lost", "twice"],
        [
            [
                "with BYZANTINE" if on else "without",
                f"{ran.delivered_per_s:,.0f}",
                *(shown(one) for one in percentiles_ms(ran.latency())[::2]),
                f"{ran.account.lost:,}",
                f"{ran.account.duplicates:,}",
            ]
            for on, ran in carried.items()
        ],
    )
    rates = [carried[on].delivered_per_s for on in (False, True)]
    each = Table(
        ["in one thread", "ms in all"],
        [[name, shown(1e3 * taken)] for name, taken in parts.items()],
    )
    return Findings(
        method=_METHOD.format(nodes=nodes, seed=SEED, rounds=rounds, seconds=seconds, pairs=PAIRS),
        tables=[running, load, each],
        findings=[
            f"The mesh at rest takes {100 * more:.1f} % of a core more with BYZANTINE.",
            f"It carries {rates[1] / rates[0]:.0%} of the messages that it carries without.",
        ],
        values={
            "nodes": nodes,
            "cores_off": off.as_dict(),
            "cores_on": on.as_dict(),
            "cores_more": more,
            "seconds": dict(parts),
            "delivered_per_s_off": rates[0],
            "delivered_per_s_on": rates[1],
        },
    )


if __name__ == "__main__":
    measure.main()
