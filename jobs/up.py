"""`x0 up`: start a mesh, then stay with it or leave it running."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs.launch import interruption
from jobs.terminal import reporting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jobs.launch.session import Session

_LOOK_S: Final = 1.0  # between two looks at a mesh in the foreground
_ANSWER_S: Final = 15.0  # for its coordinator, which itself waits 5 s for a shard
_DOWN_S: Final = 60.0  # for an `x0 down` that is under way


@reporting.reported
def command(
    topology: Annotated[
        str | None,
        typer.Option(
            metavar="PATH|URL|radio:N[:SEED]",
            help="Map of the network: meshviewer or NetJSON, or N made-up radio nodes. "
            "Default: radio:144.",
        ),
    ] = None,
    no_vpn: Annotated[bool, typer.Option("--no-vpn", help="Drop vpn links of the map.")] = False,
    all_components: Annotated[
        bool,
        typer.Option("--all-components", help="Keep more than the largest component."),
    ] = False,
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="auto|tq|babel|throughput",
            help="What the map's qualities are. Default: auto, told by their values.",
        ),
    ] = None,
    refresh: Annotated[
        float | None,
        typer.Option(metavar="S", help="Seconds between polls of the map. Default: 30."),
    ] = None,
    shards: Annotated[
        int | None,
        typer.Option(metavar="K", help="Processes that host the nodes, 1 to 64. Default: 2."),
    ] = None,
    hello: Annotated[
        float | None,
        typer.Option(metavar="S", help="Seconds between two Hellos, 0.05 to 60. Default: 1."),
    ] = None,
    no_feedback: Annotated[
        bool,
        typer.Option(
            "--no-feedback",
            help="Notice dead neighbours by missing Hellos alone, not by missing acknowledgements.",
        ),
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once the mesh is ready; `x0 down` ends it.")
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Start a mesh and stay with it until Ctrl-C, which ends it; or leave it running.

    Starts a Ray cluster for it, unless RAY_ADDRESS (host:port) names one, as in a Ray job.
    """
    began = time.monotonic()
    from actors.runtime import log
    from actors.runtime.flags import Flags
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    settings = Settings.load(
        topology=topology,
        vpn=False if no_vpn else None,
        all_components=True if all_components else None,
        quality=quality,
        refresh_s=refresh,
        shards=shards,
        hello_s=hello,
        feedback=False if no_feedback else None,
    )
    flags = Flags.from_env()
    log.configure(settings.log_level)
    report.progress("loading Ray")
    from jobs.launch import session
    from jobs.terminal import summary

    launched = session.launch(settings, flags, progress=report.progress, beside=True)
    try:
        found = interruption.run(_ready(launched, report))
        ready_s = time.monotonic() - began
        announce = functools.partial(
            report.result,
            {**found, "ready_s": round(ready_s, 2)},
            summary.mesh(found),
            summary.where(found),
            f"ready after {ready_s:.1f} s",
        )
        if detach:
            announce()
        else:
            report.note(_stay(launched, report, announce))
    except BaseException as error:
        launched.end(keep_logs=settings.state_dir if session.is_failure(error) else None)
        raise
    if detach:
        launched.close()
    else:
        launched.end()
    return 0


async def _ready(launched: Session, report: reporting.Report) -> dict[str, Any]:
    """Wait until the mesh is ready; how it then is."""
    from jobs.terminal import summary

    await launched.wait_ready(report.progress)
    return await asyncio.to_thread(summary.values, await launched.found())


def _stay(launched: Session, report: reporting.Report, announce: Callable[[], None]) -> str:
    """Say that the mesh is ready and watch it until it is over; why that is."""
    try:
        announce()  # from here on, a signal is how it is meant to end
        report.note("Ctrl-C ends it")
        interruption.run(_watch(launched, report))
    except interruption.Interrupted as interrupted:
        return f"{interrupted.signal.name}: ending"
    return "ended by `x0 down`"


async def _watch(launched: Session, report: reporting.Report) -> None:
    """Show the mesh until its record is gone.

    Raises:
        Unavailable: its cluster has ended by itself.
    """
    from rich.console import Group
    from rich.live import Live

    from actors.runtime.errors import Unavailable
    from jobs.terminal import summary

    down: Mapping[str, str] = {}
    with contextlib.ExitStack() as shown:
        live = None
        if report.live:
            live = shown.enter_context(Live(console=report.console, auto_refresh=False))
        while not await asyncio.to_thread(_ended, launched):
            try:
                async with asyncio.timeout(_ANSWER_S):
                    if live is None:
                        down = _told(down, (await launched.status()).down, report)
                    else:
                        values = await asyncio.to_thread(summary.values, await launched.found())
                        shown_now = Group(summary.mesh(values), *summary.shards(values))
                        live.update(shown_now, refresh=True)
            except TimeoutError:
                report.note(f"no status: no answer in {_ANSWER_S:g} s")
            except Unavailable as error:
                report.note(f"no status: {error}")
            await asyncio.sleep(_LOOK_S)


def _told(
    before: Mapping[str, str], down: Mapping[str, str], report: reporting.Report
) -> Mapping[str, str]:
    """Say which shards do not answer, if they are others than before; those of now."""
    if down != before:
        why = "; ".join(f"{name}: {text}" for name, text in down.items())
        report.note(f"down: {why}" if why else "all up")
    return down


def _ended(launched: Session) -> bool:
    """Whether `x0 down` has ended this mesh.

    Raises:
        Unavailable: its cluster has ended, and nobody asked for it.
    """
    from actors.runtime.errors import Unavailable
    from actors.runtime.state_files import exclusive_lock
    from cluster.local import KEPT_LOGS
    from jobs.launch.record import LOCK, MeshRecord

    state_dir = launched.settings.state_dir
    if MeshRecord.load(state_dir) != launched.record:
        return True
    if launched.cluster is None or launched.cluster.alive():
        return False
    with exclusive_lock(state_dir / LOCK, timeout_s=_DOWN_S):  # `x0 down` may be about it
        if MeshRecord.load(state_dir) != launched.record:
            return True
    raise Unavailable(
        "the mesh has ended",
        f"the processes of its cluster at {launched.record.address} are gone",
        "Start it again with `x0 up`; accepted messages are kept, and so are its logs, in"
        f" {state_dir / KEPT_LOGS}.",
        retry_after_s=5.0,
    )


if __name__ == "__main__":
    reporting.run(command)
