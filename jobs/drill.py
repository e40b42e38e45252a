"""`x0 drill`: break something on purpose, and measure how the mesh heals."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from jobs import reporting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from actors.mesh.drill.report import Report
    from actors.mesh.drill.scenario import Scenario
    from actors.runtime.settings import Settings
    from jobs.session import Session

FELL_SHORT = 3  # exit code
SCENARIOS = "worst-node, random-node, link, partition, shard-kill"


@reporting.reported
def command(
    scenario: Annotated[str, typer.Option(help=f"What to break: {SCENARIOS}.")] = "worst-node",
    target: Annotated[
        str | None,
        typer.Option(help="Break this instead: a node, the two ends A,B of a link, or a shard."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=1e6,
            help="Messages per second over all pairs together. "
            "Default: what the mesh carries easily, at most 10000.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the traffic, of every choice, and of emulated radio.")
    ] = 1,
    topology: Annotated[
        str | None,
        typer.Option(
            help="Path, URL or radio:N[:SEED]. This option and those below drill a private mesh, "
            "which ends with the drill; without them the running mesh is drilled, if there is one."
        ),
    ] = None,
    no_vpn: Annotated[bool, typer.Option("--no-vpn", help="Leave vpn links out.")] = False,
    all_components: Annotated[
        bool, typer.Option("--all-components", help="Keep more than the largest component.")
    ] = False,
    shards: Annotated[int | None, typer.Option(help="Processes that host nodes.")] = None,
    hello: Annotated[float | None, typer.Option(help="Seconds between Hellos.")] = None,
    no_feedback: Annotated[
        bool,
        typer.Option("--no-feedback", help="Detect by missing Hellos alone, as other protocols."),
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Break something silently under steady traffic, and measure how the mesh heals.

    Times are seconds after the fault; pairs are unordered pairs of surviving nodes. What was broken
    is mended afterwards.

    Exit code: 0 when the mesh healed as promised, 3 when it fell short, 1 when the drill failed.
    """
    from actors.mesh.drill.scenario import Scenario  # noqa: PLC0415 - slow to import
    from actors.runtime import log  # noqa: PLC0415 - the same
    from actors.runtime.errors import InvalidInput  # noqa: PLC0415 - the same
    from actors.runtime.settings import Settings  # noqa: PLC0415 - the same

    report = reporting.Report(as_json)
    try:
        chosen = Scenario(scenario)
    except ValueError as error:
        raise InvalidInput(
            f"no scenario {scenario}", "a drill is one of a few", f"Choose from: {SCENARIOS}."
        ) from error
    options = {
        "topology": topology,
        "vpn": False if no_vpn else None,
        "all_components": True if all_components else None,
        "shards": shards,
        "hello_s": hello,
        "feedback": False if no_feedback else None,
    }
    settings = Settings.load(**options, seed=seed)
    log.configure("ERROR" if settings.log_level == "INFO" else settings.log_level)
    private = any(value is not None for value in options.values())
    names = tuple(target.split(",")) if target else ()
    with _mesh(settings, report, private=private) as session:
        result = asyncio.run(_drill(session, chosen, names, rate, seed, report))
    report.result(result.as_dict(), *_readable(result))
    return FELL_SHORT if result.shortcomings else 0


@contextlib.contextmanager
def _mesh(settings: Settings, report: reporting.Report, *, private: bool) -> Iterator[Session]:
    """The running mesh, or one of the drill's own."""
    from actors.runtime.errors import MeshNotRunning  # noqa: PLC0415 - slow to import
    from actors.runtime.flags import Flags  # noqa: PLC0415 - the same
    from jobs import session  # noqa: PLC0415 - the same

    running = None
    if not private:
        with contextlib.suppress(MeshNotRunning):
            running = session.running(settings)
    if running is not None:
        try:
            yield running
        finally:
            running.close()
        return
    with session.ephemeral(settings, Flags.from_env(), progress=report.progress) as own:
        yield own


async def _drill(
    session: Session,
    scenario: Scenario,
    target: tuple[str, ...],
    rate: float | None,
    seed: int,
    report: reporting.Report,
) -> Report:
    from actors.mesh.client import Mesh  # noqa: PLC0415 - slow to import
    from actors.mesh.drill.conductor import Conductor  # noqa: PLC0415 - the same
    from actors.mesh.drill.scenario import plan  # noqa: PLC0415 - the same

    await session.wait_ready(report.progress)
    mesh = await Mesh.attach()
    chosen = plan(scenario, mesh.membership, seed, target)
    return await Conductor(mesh, chosen, rate, seed, report.progress).run()


def _readable(result: Report) -> list[RenderableType | str]:
    def seconds(value: float | None) -> str:
        return "never" if value is None else f"{value:.2f} s"

    failed = ", ".join(result.failed[:3])
    if len(result.failed) > 3:
        failed += f" and {len(result.failed) - 3} more"
    return [
        reporting.pairs(
            f"Drill {result.scenario}: {failed}",
            {
                "mesh": f"{result.nodes} nodes, {result.links} links, {result.shards} shards,"
                f" Hello every {result.hello_s:g} s",
                "traffic": f"{result.sent} messages between {result.pairs} pairs,"
                f" {result.hops_mean:g} hops on average",
            },
        ),
        reporting.table(
            "",
            ("", "predicted", "happened"),
            [
                (
                    "first notice",
                    f"within {result.detection_bound_s:.2f} s",
                    seconds(result.detected_s),
                ),
                (
                    "all routes whole again",
                    f"within {result.convergence_bound_s:.2f} s",
                    seconds(result.healed_s),
                ),
                (
                    "pairs cut off, and told so",
                    str(result.unreachable_pairs_truth),
                    str(result.unreachable_pairs_reported),
                ),
                ("connected pairs without a route", "0", str(result.blackholed_pairs_after_bound)),
                ("accepted messages lost", "0", str(result.lost_accepted)),
                ("delivered twice", "0", str(result.duplicates)),
                ("corrupted", "0", str(result.corrupt)),
                ("forwarding loops", "0", str(result.loops)),
            ],
        ),
        (
            f"{result.accepted} messages accepted: {result.delivered} delivered,"
            f" {result.returned} returned to their senders as unreachable."
        ),
        "The mesh healed as promised."
        if not result.shortcomings
        else f"The mesh fell short: {'; '.join(result.shortcomings)}.",
    ]


if __name__ == "__main__":
    reporting.run(command)
