"""`x0 up`: start a mesh, then stay with it or leave it running."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.launch import interruption
from jobs.terminal import map_options, reporting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jobs.launch.session import Session


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
    no_vpn: map_options.NoVpn = False,
    all_components: map_options.AllComponents = False,
    quality: map_options.Quality = None,
    from_observed: Annotated[
        bool,
        typer.Option(
            "--from-observed",
            help="Emulate a real network as it is observed, instead of a topology.",
        ),
    ] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:WHERE",
            help="What to observe, as for `x0 watch`. May be repeated.",
        ),
    ] = None,
    sources: map_options.SourcesFile = None,
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
    """Start an emulated mesh and stay with it until Ctrl-C, which ends it; or leave it running.

    Starts a Ray cluster for it, unless RAY_ADDRESS (host:port) names one, as in a Ray job.

    A laboratory like the real network:  x0 up --from-observed --source URL
    """
    began = time.monotonic()
    from actors.runtime import log
    from actors.runtime.flags import Flags
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    _check_given(topology, source or (), sources, from_observed=from_observed)
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
    from jobs.launch import sources as listed
    from jobs.terminal import foreground, summary

    observed = listed.given(source or (), sources) if from_observed else ()
    launched = session.launch(
        settings, flags, progress=report.progress, beside=True, observe=observed
    )
    with foreground.ended_on_failure(launched):
        found = interruption.run(_ready(launched, report))
        ready_s = time.monotonic() - began
        announce = functools.partial(
            report.result,
            {**found, "ready_s": round(ready_s, 2)},
            *summary.networks(found),
            summary.where(found),
            f"ready after {ready_s:.1f} s",
        )
        foreground.leave_or_stay(launched, report, announce, detach=detach)
    return 0


def _check_given(
    topology: str | None, source: Sequence[str], sources: Path | None, *, from_observed: bool
) -> None:
    """Refuse options that contradict each other.

    Raises:
        InvalidInput: they do.
    """
    from actors.runtime.errors import InvalidInput

    if from_observed and topology is not None:
        raise InvalidInput(
            "cannot use --topology and --from-observed",
            "the mesh is to be like two networks",
            "Give one of them.",
        )
    if (source or sources is not None) and not from_observed:
        raise InvalidInput(
            "cannot use --source and --sources alone",
            "they say what is observed, and nothing is to be",
            "Add --from-observed; or `x0 watch` them, which emulates nothing.",
        )


async def _ready(launched: Session, report: reporting.Report) -> dict[str, Any]:
    """Wait until the mesh is ready; how it then is."""
    from jobs.terminal import summary

    await launched.wait_ready(report.progress)
    return await asyncio.to_thread(summary.values, await launched.found())


if __name__ == "__main__":
    reporting.run(command)
