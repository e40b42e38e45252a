"""How many messages a second the mesh delivers, each over several hops, exactly once and unaltered.

At a rate the load is open-loop; without one, as many are kept under way as the mesh takes.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

import typer

from actors.runtime.errors import InvalidInput
from actors.runtime.flags import Flags
from loadtests import leipzig, mesh_figures, mesh_load, private_cluster
from loadtests.benchmark import Findings, NoVpn, Progress, Topology, benchmark
from loadtests.load_plan import Load

SECONDS: Final = 60.0
MAX: Final = "max"


@benchmark("mesh", mesh_figures.TITLE, ("ray", "numpy", "scipy"))
def measure(  # noqa: PLR0913 - an option each
    progress: Progress,
    *,
    rate: Annotated[str, typer.Option(help="Messages per second, open loop; or max.")] = MAX,
    seconds: Annotated[float, typer.Option(min=0.5, max=86400, help="Measured time.")] = SECONDS,
    min_hops: Annotated[
        int, typer.Option(min=1, help="Hops of the shortest route between sender and receiver.")
    ] = 3,
    shards: Annotated[int | None, typer.Option(help="Number of processes that host nodes.")] = None,
    topology: Topology = None,
    no_vpn: NoVpn = False,
    fail_node: Annotated[
        bool, typer.Option("--fail-node", help="Silence a node while the messages flow.")
    ] = False,
    victim: Annotated[
        str, typer.Option(help="Id of that node. Default: the busiest that is no cut node.")
    ] = "",
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of every choice and of the emulated radio.")
    ] = 1,
    batch: Annotated[int, typer.Option(min=1, max=65536, help="Most messages in a call.")] = 8192,
    lanes: Annotated[int, typer.Option(min=1, max=64, help="Calls at once for each shard.")] = 4,
    tick: Annotated[
        float, typer.Option(min=0.1, max=1000, help="Milliseconds between offers, at a rate.")
    ] = 5.0,
    window: Annotated[
        int, typer.Option(min=1, help="Messages under way for each shard, at --rate max.")
    ] = 8 * 8192,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that send and receive. Default: one for each shard."),
    ] = None,
) -> Findings:
    """Measure messages per second over several hops, and their latency.

    Latency counts from the time that a message was scheduled to be sent. Exit code 3 when a
    message was lost, doubled or altered.

    Raises:
        TopologyError: the topology cannot be used.
        InvalidInput: the rate is none, or no pair of nodes is far enough apart.
        Unavailable: the mesh did not become ready, or gave up.
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
    settings = leipzig.settings(topology, vpn=not no_vpn, shards=shards, seed=seed)
    flags = Flags.from_env()
    with private_cluster.started(progress) as cluster:
        ran = private_cluster.on_mesh(
            settings, progress, lambda _: mesh_load.run(cluster, load, progress), flags
        )
    on = [name for name, value in asdict(flags).items() if value]
    return mesh_figures.found(ran, settings, on)


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


if __name__ == "__main__":
    measure.main()
