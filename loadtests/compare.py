"""This mesh beside forwarding chains that do the least there is, and one Ray actor for each node.

In turn, in one call, on the same routes. What the comparators do is in `chain` and `node_actor`:
their messages carry unique ids, are routed hop by hop by the same tables, and are checked and
counted once on arrival; nothing is lost on the way, so nothing is repaired, and nothing is kept.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
import typer

from actors.runtime import spawn
from actors.runtime.flags import Flags
from actors.topology import source
from jobs.launch import session
from jobs.terminal import reporting
from loadtests import (
    compare_chains,
    far_pairs,
    leipzig,
    machine,
    mesh_load,
    payload,
    private_cluster,
)
from loadtests.chain import Hops
from loadtests.chain_plan import ChainPlan
from loadtests.command import Results, run
from loadtests.compare_chains import ACTOR_WINDOW, WARM_UP_S, Chained
from loadtests.mesh_figures import limits, shortcomings
from loadtests.mesh_load import Load
from loadtests.results import RESULTS, Outcome, Table
from loadtests.spread import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.settings import Settings
    from cluster.local import LocalCluster
    from loadtests.chain_plan import Transport
    from loadtests.machine import Provenance
    from loadtests.mesh_load import Ran

    Progress = Callable[[str], None]

SECONDS: Final = 10.0
MIN_HOPS: Final = 3
SEED: Final = 1
_READY_TIMEOUT_S: Final = 120.0
_ACTOR_NAMESPACE: Final = "x0-actor-per-node"
CHAINS: Final[dict[str, tuple[Transport, bool]]] = {
    "pyzmq": ("pyzmq", False),
    "asyncio": ("asyncio", False),
    "pyzmq_merged": ("pyzmq", True),
    "asyncio_merged": ("asyncio", True),
}
_TITLES: Final = {
    "mesh": "this mesh, journals on",
    "pyzmq": "pyzmq chain, a socket a node",
    "asyncio": "asyncio chain, a socket a node",
    "pyzmq_merged": "pyzmq chain, a socket a process",
    "asyncio_merged": "asyncio chain, a socket a process",
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
forward. Both with the fastest of {batches} messages made at once, tried before. A chain that did \
its look-ups on whole columns would be this mesh's own way of forwarding without what it promises. \
One actor a node: {actors} nodes in a line, {actor_hops} hops, calls that nobody waits for, \
{window} messages under way."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What all of them did.

    Attributes:
        mesh: this project's.
        others: by name.
    """

    mesh: Ran
    others: dict[str, Chained]

    def ratio(self, name: str) -> float:
        """How many times as many messages a second this mesh delivers."""
        return self.mesh.delivered_per_s / max(self.others[name].msg_per_s, 1e-9)


def measure(progress: Progress, *, seconds: float = SECONDS) -> Outcome:
    """Run the benchmark, `seconds` for each.

    Raises:
        Unavailable: a mesh or a comparator did not start, or gave up.
    """
    before, settings = machine.load(), leipzig.settings(seed=SEED)
    name = settings.topology
    topology = source.read(name, vpn=False, all_components=False).topology
    routes = far_pairs.choose(topology, MIN_HOPS, SEED)
    hops = Hops.of(routes, topology)
    with private_cluster.started(progress) as cluster:
        ran = _mesh(cluster, settings, seconds, progress)
        others = {
            kind: compare_chains.best(
                ChainPlan(transport, merged, 0, 0, seconds, WARM_UP_S),
                hops,
                float(routes.hops.mean()),
                _named(progress, _TITLES[kind]),
            )
            for kind, (transport, merged) in CHAINS.items()
        }
        path = routes.path(int(np.argmin(np.abs(routes.hops - routes.hops.mean()))))
        others["actor_per_node"] = _actors(
            cluster, path, seconds, _named(progress, "one actor a node")
        )
    method = _METHOD.format(
        topology="Leipzig"
        if name != leipzig.STAND_IN
        else f"{name} (the map of Leipzig is absent)",
        nodes=topology.n_nodes,
        links=topology.n_links,
        size=payload.SIZE,
        pairs=len(routes.pairs),
        min_hops=MIN_HOPS,
        hops=float(routes.hops.mean()),
        seconds=seconds,
        batches=", ".join(map(str, compare_chains.BATCHES)),
        actors=len(path),
        actor_hops=len(path) - 1,
        window=ACTOR_WINDOW,
    )
    origin = machine.provenance(("ray", "numpy", "pyzmq"), before, {})
    return outcome(Compared(ran, others), Path(name).name, method, origin)


def _named(progress: Progress, name: str) -> Progress:
    return lambda text: progress(f"{name}: {text}")


def _mesh(cluster: LocalCluster, settings: Settings, seconds: float, progress: Progress) -> Ran:
    with session.ephemeral(settings, Flags.from_env(), progress=progress) as own:

        async def whole() -> Ran:
            await own.wait_ready(progress, _READY_TIMEOUT_S)
            load = Load(rate=None, seconds=seconds, min_hops=MIN_HOPS, seed=SEED)
            return await mesh_load.run(cluster, load, progress)

        return asyncio.run(whole())


def _actors(cluster: LocalCluster, path: list[int], seconds: float, progress: Progress) -> Chained:
    spawn.connect(cluster.address, _ACTOR_NAMESPACE)
    try:
        found = asyncio.run(compare_chains.actor_per_node(path, seconds, progress))
        spawn.tear_down(_ACTOR_NAMESPACE)
    finally:
        spawn.disconnect()
    return found


def outcome(compared: Compared, topology: str, method: str, origin: Provenance) -> Outcome:
    """What the figures say."""
    mesh = compared.mesh
    short = shortcomings(mesh) + [
        f"{_TITLES[name]}: {found.faults:,} messages lost, doubled or altered"
        for name, found in compared.others.items()
        if found.faults
    ]
    rows = [
        [
            _TITLES["mesh"],
            shown(mesh.delivered_per_s),
            shown(mesh.delivered_per_s * mesh.hops_mean),
            shown(mesh.hops_mean),
            str(mesh.load.batch),
            shown(sum(mesh.cpu.values())),
            "1",
        ]
    ]
    rows += [
        [
            _TITLES[name],
            shown(found.msg_per_s),
            shown(found.msg_per_s * found.hops),
            shown(found.hops),
            str(found.batch),
            shown(found.cores),
            shown(compared.ratio(name)),
        ]
        for name, found in compared.others.items()
    ]
    found = ", ".join(
        f"{shown(compared.ratio(name))} times the {_TITLES[name]}" for name in compared.others
    )
    findings = [
        f"This mesh delivers {found}.",
        f"What limits the mesh: {limits(mesh, origin.cores)}",
    ]
    findings.append(
        "Fell short: " + "; ".join(short) + "."
        if short
        else "In none was a message lost, doubled or altered."
    )
    values: dict[str, object] = {
        "topology": topology,
        "mesh": {
            "msg_per_s": round(mesh.delivered_per_s, 1),
            "hop_messages_per_s": round(mesh.delivered_per_s * mesh.hops_mean, 1),
            "hops_mean": round(mesh.hops_mean, 3),
            "batch": mesh.load.batch,
            "cpu_cores": round(sum(mesh.cpu.values()), 3),
        },
        **{name: found.as_dict() for name, found in compared.others.items()},
        **{f"mesh_vs_{name}": round(compared.ratio(name), 3) for name in compared.others},
        "shortcomings": short,
    }
    return Outcome(
        slug="compare",
        title="Beside other ways to forward messages",
        method=method,
        tables=[
            Table(
                [
                    "",
                    "messages/s",
                    "hop-messages/s",
                    "hops",
                    "made at once",
                    "cores",
                    "this mesh is times",
                ],
                rows,
            )
        ],
        findings=findings,
        values=values,
        provenance=origin,
    )


@reporting.reported
def command(
    *,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="Measured, each.")] = SECONDS,
    results: Results = RESULTS,
    as_json: reporting.AsJson = False,
) -> int:
    """Compare this mesh with chains on pyzmq and asyncio, and with one Ray actor a node.

    Exit code 3 when anything lost, doubled or altered a message.
    """
    return run(partial(measure, seconds=seconds), results, as_json=as_json)


if __name__ == "__main__":
    reporting.run(command)
