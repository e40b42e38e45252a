"""The gateway beside a handler that does nothing, what it carries, and how it starts.

Two parts, each on clusters of their own: starts of a mesh before a crowd; then
loads on a gateway that is ready.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.mesh.client import Mesh
from actors.runtime.flags import Flags
from jobs.launch import gateway as opened
from jobs.launch import session
from jobs.terminal import reporting
from loadtests import (
    bare_app,
    cores,
    far_pairs,
    gateway_load,
    gateway_outcome,
    gateway_start,
    leipzig,
    machine,
    private_cluster,
    wrk,
)
from loadtests.command import NoVpn, Results, Topology, run
from loadtests.gateway_figures import Found
from loadtests.gateway_load import Load
from loadtests.gateway_starts import Starts
from loadtests.http_connection import Server
from loadtests.http_messages import HttpMessages
from loadtests.results import RESULTS
from serve_apps.web.auth import token_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.settings import Settings
    from loadtests.results import Outcome

    Progress = Callable[[str], None]

CROWD: Final = 1000
STARTS: Final = 3
DEFAULT: Final = Load()
MIN_HOPS: Final = 3
SEED: Final = 1
_READY_TIMEOUT_S: Final = 120.0


def measure(
    progress: Progress,
    *,
    load: Load | None = None,
    crowd: int = CROWD,
    starts: int = STARTS,
    settings: Settings | None = None,
) -> Outcome:
    """Run the benchmark.

    Args:
        progress: told what is going on.
        load: on the gateway that is ready.
        crowd: connections at each start.
        starts: how many of each kind.
        settings: of the meshes.

    Raises:
        TopologyError: the topology cannot be used.
        Unavailable: a mesh or a load generator gave up.
    """
    before, settings = machine.load(), settings or leipzig.settings(seed=SEED)
    started = tuple(
        gateway_start.measure(
            _numbered(progress, number, starts),
            count=crowd,
            settings=settings,
            gateway_first=gateway_first,
        )
        for number in range(1, starts + 1)
        for gateway_first in (False, True)
    )
    found = _loaded(progress, load or DEFAULT, Starts(crowd, started), settings)
    others = {"wrk": wrk.version()} if wrk.installed() else {}
    origin = machine.provenance(("ray", "fastapi", "uvicorn", "locust"), before, others)
    return gateway_outcome.outcome(found, settings, origin)


def _numbered(progress: Progress, number: int, starts: int) -> Progress:
    return lambda text: progress(f"start {number} of {starts}: {text}")


def _loaded(progress: Progress, load: Load, starts: Starts, settings: Settings) -> Found:
    with (
        private_cluster.started(progress) as cluster,
        session.ephemeral(settings, Flags.from_env(), progress=progress) as own,
    ):
        given = opened.with_port(own.settings)
        opening = opened.begin(given)

        async def ready() -> Mesh:
            await own.wait_ready(progress, _READY_TIMEOUT_S)
            return await Mesh.attach()

        async def whole() -> Found:
            mesh = await ready()
            topology = mesh.membership.topology
            routes = far_pairs.choose(topology, MIN_HOPS, SEED)
            token = token_path(own.settings.state_dir).read_text().strip()
            server = Server(given.gateway_host, given.gateway_port, token)
            messages = HttpMessages(server, mesh, routes, MIN_HOPS)
            groups = cores.http_groups(cluster)
            loaded = await gateway_load.run(messages, load, groups, progress)
            return Found(
                load=load,
                nodes=topology.n_nodes,
                links=topology.n_links,
                shards=len(mesh.membership.placement.shards),
                pairs=len(routes.pairs),
                min_hops=MIN_HOPS,
                loaded=loaded,
                account=messages.account(),
                altered=messages.altered,
                starts=starts,
            )

        opening.wait(progress)
        progress("deploying the bare handler")
        bare_app.deploy(own.settings)
        return asyncio.run(whole())


@reporting.reported
def command(  # noqa: PLR0913 - an option each
    *,
    seconds: Annotated[
        float, typer.Option(min=0.2, max=3600, help="Of each turn.")
    ] = DEFAULT.seconds,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Of turns.")] = DEFAULT.rounds,
    open_seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="Of the open loop, and of Locust; of wrk, half.")
    ] = DEFAULT.open_s,
    callers: Annotated[int, typer.Option(min=1, max=1000, help="Connections.")] = DEFAULT.callers,
    batch: Annotated[int, typer.Option(min=1, max=50_000, help="Messages in one.")] = DEFAULT.batch,
    batch_callers: Annotated[
        int, typer.Option(min=1, max=100, help="Connections that send batches.")
    ] = DEFAULT.batch_callers,
    crowd: Annotated[
        int, typer.Option(min=2, max=2000, help="Connections while the mesh starts.")
    ] = CROWD,
    starts: Annotated[int, typer.Option(min=1, max=100, help="Of meshes, of each kind.")] = STARTS,
    topology: Topology = None,
    no_vpn: NoVpn = False,
    results: Results = RESULTS,
    as_json: reporting.AsJson = False,
) -> int:
    """Measure the gateway beside a bare handler, what it carries in batches, and its start.

    Exit code 3 when a request failed, or a message was lost, doubled or altered.
    """
    settings = leipzig.settings_or(topology, vpn=not no_vpn, seed=SEED)
    load = Load(
        seconds=seconds,
        rounds=rounds,
        open_s=open_seconds,
        callers=callers,
        batch=batch,
        batch_callers=batch_callers,
    )
    measured = partial(measure, load=load, crowd=crowd, starts=starts, settings=settings)
    return run(measured, results, as_json=as_json)


if __name__ == "__main__":
    reporting.run(command)
