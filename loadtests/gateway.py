"""The gateway beside a handler that does nothing, what it carries, and how it starts.

Two parts, each on clusters of their own: starts of a mesh before a crowd; then loads on a gateway
that is ready.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Final

import psutil
import typer

from actors.mesh.actor import MeshShard
from actors.mesh.client import Mesh
from actors.runtime.flags import Flags
from jobs.launch import gateway_opening as opened
from jobs.launch import session
from loadtests import (
    bare_app,
    far_pairs,
    footprint,
    gateway_figures,
    gateway_load,
    gateway_start,
    leipzig,
    private_cluster,
)
from loadtests.benchmark import Findings, NoVpn, Progress, Topology, benchmark, named
from loadtests.gateway_figures import GatewayRun
from loadtests.gateway_load import HttpLoad
from loadtests.gateway_start import Starts
from loadtests.http_connection import Server
from loadtests.http_messages import HttpMessages
from serve_apps.gateway import app
from serve_apps.web.auth import token_path

if TYPE_CHECKING:
    from cluster.local import LocalCluster
    from serve_apps.settings import Settings

CROWD: Final = 1000
STARTS: Final = 3
DEFAULT: Final = HttpLoad()
MIN_HOPS: Final = 3
SEED: Final = 1
HAPROXY: Final = "haproxy"


@benchmark("gateway", "The HTTP gateway", ("ray", "fastapi", "uvicorn", "locust"))
def measure(  # noqa: PLR0913 - an option each
    progress: Progress,
    *,
    seconds: Annotated[
        float, typer.Option(min=0.2, max=3600, help="Length of each turn.")
    ] = DEFAULT.seconds,
    rounds: Annotated[
        int, typer.Option(min=1, max=100, help="Number of rounds of turns.")
    ] = DEFAULT.rounds,
    open_seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="Length of the open loop, and of Locust.")
    ] = DEFAULT.open_s,
    callers: Annotated[int, typer.Option(min=1, max=1000, help="Connections.")] = DEFAULT.callers,
    batch: Annotated[
        int, typer.Option(min=1, max=50_000, help="Messages in a batch.")
    ] = DEFAULT.batch,
    batch_callers: Annotated[
        int, typer.Option(min=1, max=100, help="Connections that send batches.")
    ] = DEFAULT.batch_callers,
    crowd: Annotated[
        int, typer.Option(min=2, max=2000, help="Connections while the mesh starts.")
    ] = CROWD,
    starts: Annotated[int, typer.Option(min=1, max=100, help="Starts of each kind.")] = STARTS,
    topology: Topology = None,
    no_vpn: NoVpn = False,
) -> Findings:
    """Measure the gateway beside a bare handler, what it carries in batches, and its start.

    Exit code 3 when a request failed, or a message was lost, doubled or altered.

    Raises:
        TopologyError: the topology cannot be used.
        Unavailable: a mesh or a load generator gave up.
    """
    settings = leipzig.settings(topology, vpn=not no_vpn, seed=SEED)
    load = HttpLoad(
        seconds=seconds,
        rounds=rounds,
        open_s=open_seconds,
        callers=callers,
        batch=batch,
        batch_callers=batch_callers,
    )
    started = tuple(
        gateway_start.measure(
            named(progress, f"start {number} of {starts}"),
            count=crowd,
            settings=settings,
            gateway_first=gateway_first,
        )
        for number in range(1, starts + 1)
        for gateway_first in (False, True)
    )
    return gateway_figures.found(_loaded(progress, load, Starts(crowd, started), settings))


def _loaded(progress: Progress, load: HttpLoad, starts: Starts, settings: Settings) -> GatewayRun:
    with (
        private_cluster.started(progress) as cluster,
        session.ephemeral(settings, Flags.from_env(), progress=progress) as own,
    ):
        given = opened.with_port(own.settings)
        opening = opened.begin(given)
        opening.wait(progress)
        progress("deploying the bare handler")
        bare_app.deploy(own.settings)

        async def whole() -> GatewayRun:
            await own.wait_ready(progress, private_cluster.READY_TIMEOUT_S)
            mesh = await Mesh.attach()
            topology = mesh.membership.topology
            routes = far_pairs.choose(topology, MIN_HOPS, SEED)
            token = token_path(own.settings.state_dir).read_text().strip()
            server = Server(given.gateway_host, given.gateway_port, token)
            messages = HttpMessages(server, mesh, routes, MIN_HOPS)
            loaded = await gateway_load.run(messages, load, _groups(cluster), progress)
            return GatewayRun(
                topology=settings.topology,
                shape={
                    "nodes": topology.n_nodes,
                    "links": topology.n_links,
                    "shards": len(mesh.membership.placement.shards),
                    "pairs": len(routes.pairs),
                    "min_hops": MIN_HOPS,
                },
                load=load,
                loaded=loaded,
                account=messages.received.account(),
                altered=messages.received.altered,
                starts=starts,
            )

        return asyncio.run(whole())


def _groups(cluster: LocalCluster) -> dict[str, list[psutil.Process]]:
    """The processes of a cluster with a gateway, by what they do; `load` is this process."""
    kinds = {
        "shards": MeshShard.__name__,
        "gateway": f"ServeReplica:{app.NAME}:{app.NAME}",
        "bare": f"ServeReplica:{bare_app.NAME}:{bare_app.NAME}",
    }
    groups = {name: footprint.actors(cluster, [kind]) for name, kind in kinds.items()}
    known = {process for group in groups.values() for process in group}
    others = [p for p in footprint.everything(cluster) if p not in known]
    groups[HAPROXY] = [p for p in others if p.name() == HAPROXY]
    groups["ray"] = [p for p in others if p.name() != HAPROXY]
    groups["load"] = [psutil.Process()]
    return groups


if __name__ == "__main__":
    measure.main()
