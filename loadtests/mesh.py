"""How many messages a second the mesh delivers, each over several hops, exactly once and unaltered.

At a rate the load is open-loop; without one, as many are kept under way as the mesh takes.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.runtime.errors import InvalidInput
from actors.runtime.flags import Flags
from jobs.launch import session
from jobs.terminal import reporting
from loadtests import leipzig, machine, mesh_figures, mesh_load, private_cluster
from loadtests.command import NoVpn, Results, Topology, run
from loadtests.mesh_load import Load
from loadtests.results import RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.settings import Settings
    from loadtests.results import Outcome

    Progress = Callable[[str], None]

SECONDS: Final = 60.0
MAX: Final = "max"
READY_TIMEOUT_S: Final = 120.0


def measure(
    progress: Progress, *, load: Load | None = None, settings: Settings | None = None
) -> Outcome:
    """Run the benchmark on a mesh of its own.

    Args:
        progress: told what is going on.
        load: None is as many messages as the mesh takes.
        settings: of the mesh; None is `leipzig.settings`.

    Raises:
        TopologyError: the topology cannot be used.
        InvalidInput: no pair of nodes is far enough apart.
        Unavailable: the mesh did not become ready, or gave up.
    """
    load = load or Load(rate=None, seconds=SECONDS)
    settings = settings or leipzig.settings()
    flags, before = Flags.from_env(), machine.load()
    with (
        private_cluster.started(progress) as cluster,
        session.ephemeral(settings, flags, progress=progress) as own,
    ):

        async def whole() -> mesh_load.Ran:
            await own.wait_ready(progress, READY_TIMEOUT_S)
            return await mesh_load.run(cluster, load, progress)

        ran = asyncio.run(whole())
    origin = machine.provenance(("ray", "numpy", "scipy"), before, {})
    on = [name for name, value in asdict(flags).items() if value]
    return mesh_figures.outcome(ran, settings, on, origin)


def parsed_rate(text: str) -> float | None:
    """Messages per second; None for `max`.

    Raises:
        InvalidInput: it is neither.
    """
    if text == MAX:
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.0 < rate < 1e9:
        raise InvalidInput(
            f"no rate {text}",
            f"a rate is a number of messages per second, or {MAX}",
            "Give --rate 6800 or --rate max.",
            entry="rate",
        )
    return rate


@reporting.reported
def command(  # noqa: PLR0913 - an option each
    *,
    rate: Annotated[str, typer.Option(help="Messages per second, open loop; or max.")] = MAX,
    seconds: Annotated[float, typer.Option(min=0.5, max=86400, help="Measured.")] = SECONDS,
    min_hops: Annotated[
        int, typer.Option(min=1, help="Hops of the shortest route between sender and receiver.")
    ] = 3,
    shards: Annotated[int | None, typer.Option(help="Processes that host nodes.")] = None,
    topology: Topology = None,
    no_vpn: NoVpn = False,
    fail_node: Annotated[
        bool, typer.Option("--fail-node", help="Silence a node while the messages flow.")
    ] = False,
    victim: Annotated[
        str, typer.Option(help="Id of that node. Default: the busiest that is no cut node.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of every choice and of emulated radio.")] = 1,
    batch: Annotated[int, typer.Option(min=1, max=65536, help="Most messages a call.")] = 8192,
    lanes: Annotated[int, typer.Option(min=1, max=64, help="Calls at once, each shard.")] = 4,
    tick: Annotated[
        float, typer.Option(min=0.1, max=1000, help="Milliseconds between offers, at a rate.")
    ] = 5.0,
    window: Annotated[
        int, typer.Option(min=1, help="Messages under way, each shard, at --rate max.")
    ] = 8 * 8192,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that send and receive; else as shards.")
    ] = None,
    results: Results = RESULTS,
    as_json: reporting.AsJson = False,
) -> int:
    """Measure messages per second over several hops, and their latency.

    Latency counts from the time that a message was scheduled to be sent. Exit code 3 when a
    message was lost, doubled or altered.
    """
    load = Load(
        rate=parsed_rate(rate),
        seconds=seconds,
        min_hops=min_hops,
        seed=seed,
        batch=batch,
        lanes=lanes,
        window=max(window, batch),
        workers=workers,
        fail_node=fail_node or bool(victim),
        victim=victim,
        tick_s=tick / 1000,
    )
    settings = leipzig.settings_or(topology, vpn=not no_vpn, shards=shards, seed=seed)
    return run(partial(measure, load=load, settings=settings), results, as_json=as_json)


if __name__ == "__main__":
    reporting.run(command)
