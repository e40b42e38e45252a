"""This mesh beside forwarding chains that do the least there is, and one Ray actor for each node.

In turn, in one call, on the same routes. What the comparators do is in `chain` and `node_actor`:
their messages carry unique ids, are routed hop by hop by the same tables, and are checked and
counted once on arrival; nothing is lost on the way, so nothing is repaired, and nothing is kept.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer

from actors.topology import source
from loadtests import (
    compare_chains,
    far_pairs,
    leipzig,
    mesh_load,
    payload,
    private_cluster,
)
from loadtests.benchmark import Findings, Progress, Table, benchmark, named
from loadtests.chain import ChainPlan, Hops
from loadtests.compare_chains import ACTOR_WINDOW, WARM_UP_S, Chained
from loadtests.load_plan import Load
from loadtests.mesh_figures import limits, shortcomings
from loadtests.spread import shown

if TYPE_CHECKING:
    from loadtests.chain import Transport
    from loadtests.mesh_load import Ran

SECONDS: Final = 10.0
MIN_HOPS: Final = 3
SEED: Final = 1
CHAINS: Final[dict[str, tuple[Transport, bool]]] = {
    "pyzmq": ("pyzmq", False),
    "pyzmq_merged": ("pyzmq", True),
    "asyncio": ("asyncio", True),
}
_TITLES: Final = {
    "mesh": "this mesh, journals on",
    "pyzmq": "pyzmq chain, a socket a node",
    "pyzmq_merged": "pyzmq chain, a socket a process",
    "asyncio": "asyncio chain, a socket a process",
    "actor_per_node": "one Ray actor a node, a call a hop",
}
_METHOD: Final = """\
{topology}: {nodes} nodes, {links} links; messages of {size} bytes between the same {pairs:,} \
pairs, at least {min_hops} hops apart ({hops:.2f} on average), {seconds:g} s each after a \
warm-up, one after the other, all on one machine.

The mesh: two shards with journals, emulated loss and its repair, exactly once, two more processes \
that send and receive. The chains: two processes with half of the nodes each, PUSH and PULL or \
asyncio streams; they make and check the same payloads, look up (node, destination) for each \
message at each hop in plain Python, as their users would, and count each message once; no loss, \
no journal, no acknowledgement, no custody. With a socket a node, every hop goes from one node's \
socket to another's, all messages that wait for it in one frame. With a socket a process, every \
hop goes to the other process, whoever has the node, in frames that mix the messages of all: the \
least that two processes which pass messages to each other can do, and no longer nodes that \
forward. The asyncio chain has only that form, which is its faster one. Each with the fastest of \
{batches} messages made at once, tried before. A chain that did its look-ups on whole columns \
would be this mesh's own way of forwarding without what it promises. \
One actor a node: {actors} nodes in a line, {actor_hops} hops, calls that nobody waits for, \
{window} messages under way."""


@benchmark("compare", "Beside other ways to forward messages", ("ray", "numpy", "pyzmq"))
def measure(
    progress: Progress,
    *,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="Measured time of each.")
    ] = SECONDS,
) -> Findings:
    """Compare this mesh with chains on pyzmq and asyncio, and with one Ray actor a node.

    Exit code 3 when anything lost, doubled or altered a message.

    Raises:
        Unavailable: a mesh or a comparator did not start, or gave up.
    """
    settings = leipzig.settings(seed=SEED)
    topology = source.read(settings.topology).topology
    routes = far_pairs.choose(topology, MIN_HOPS, SEED)
    hops, hops_mean = Hops.of(routes, topology), float(routes.hops.mean())
    path = routes.path(int(np.argmin(np.abs(routes.hops - hops_mean))))
    load = Load(rate=None, seconds=seconds, min_hops=MIN_HOPS, seed=SEED)
    with private_cluster.started(progress) as cluster:
        mesh = private_cluster.on_mesh(
            settings, progress, lambda _: mesh_load.run(cluster, load, progress)
        )
        others = {
            kind: compare_chains.best(
                ChainPlan(transport, merged, 0, 0, seconds, WARM_UP_S),
                hops,
                hops_mean,
                named(progress, _TITLES[kind]),
            )
            for kind, (transport, merged) in CHAINS.items()
        }
        with private_cluster.namespace(cluster, "x0-actor-per-node"):
            name = _TITLES["actor_per_node"]
            found = compare_chains.actor_per_node(path, seconds, named(progress, name))
            others["actor_per_node"] = asyncio.run(found)
    method = _METHOD.format(
        topology="Leipzig"
        if settings.topology != leipzig.STAND_IN
        else f"{leipzig.STAND_IN} (the map of Leipzig is absent)",
        nodes=topology.n_nodes,
        links=topology.n_links,
        size=payload.SIZE,
        pairs=len(routes.pairs),
        min_hops=MIN_HOPS,
        hops=hops_mean,
        seconds=seconds,
        batches=", ".join(map(str, compare_chains.BATCHES)),
        actors=len(path),
        actor_hops=len(path) - 1,
        window=ACTOR_WINDOW,
    )
    return _found(mesh, others, Path(settings.topology).name, method)


def _found(mesh: Ran, others: dict[str, Chained], topology: str, method: str) -> Findings:
    own = Chained(
        mesh.delivered_per_s, mesh.load.batch, mesh.hops_mean, sum(mesh.cpu.values()), faults=0
    )
    ratios = {
        name: own.msg_per_s / max(other.msg_per_s, 1e-9)
        for name, other in {"mesh": own, **others}.items()
    }
    rows = [
        [
            _TITLES[name],
            shown(found.msg_per_s),
            shown(found.msg_per_s * found.hops),
            shown(found.hops),
            str(found.batch),
            shown(found.cores),
            shown(ratios[name]),
        ]
        for name, found in {"mesh": own, **others}.items()
    ]
    times = ", ".join(f"{shown(ratios[name])} times the {_TITLES[name]}" for name in others)
    columns = [
        "", "messages/s", "hop-messages/s", "hops", "made at once", "cores", "this mesh is times",
    ]  # fmt: skip
    return Findings(
        method=method,
        tables=[Table(columns, rows)],
        findings=[
            f"This mesh delivers {times}.",
            f"What limits the mesh: {limits(mesh)}",
        ],
        values={
            "topology": topology,
            **{name: found.as_dict() for name, found in {"mesh": own, **others}.items()},
            **{f"mesh_vs_{name}": round(ratios[name], 3) for name in others},
        },
        shortcomings=shortcomings(mesh)
        + [
            f"{_TITLES[name]}: {found.faults:,} messages lost, doubled or altered"
            for name, found in others.items()
            if found.faults
        ],
        kept="In none was a message lost, doubled or altered.",
    )


if __name__ == "__main__":
    measure.main()
