"""`x0 watch`: observe a real network, and ask its twin. Nothing is emulated, nothing changed."""

from __future__ import annotations

import functools
import time
from typing import Annotated

import typer

from jobs.launch import interruption
from jobs.terminal import map_options, reporting


@reporting.reported
def command(
    source: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="What to observe: a URL, a path or KIND:WHERE, see `x0 source kinds`.",
            show_default=False,
        ),
    ] = None,
    sources: map_options.SourcesFile = None,
    poll: Annotated[
        float | None,
        typer.Option(metavar="S", help="Seconds between two polls of a source. Default: 60."),
    ] = None,
    hello: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Seconds between two Hellos of the routers, for what the twin says of times."
            " Default: 1.",
        ),
    ] = None,
    detach: Annotated[
        bool,
        typer.Option("--detach", help="Return once the twin can be asked; `x0 down` ends it."),
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Observe a real network until Ctrl-C; or leave it observed.

    Starts the observer and the twin, and then the historian and the gateway: no mesh is emulated.
    Routers are sent the read requests of the sources, and nothing else. Ready is when the twin can
    be asked; the other two follow within seconds, and `x0 status` says how they are.

    x0 watch https://map.example.org/data/meshviewer.json --detach

    x0 what-if --fail some-router
    """
    began = time.monotonic()
    from actors.runtime import log
    from actors.runtime.flags import Flags
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    settings = Settings.load(observe_poll_s=poll, hello_s=hello)
    flags = Flags.from_env()
    log.configure(settings.log_level)
    report.progress("loading Ray")
    from jobs.launch import session
    from jobs.launch import sources as listed
    from jobs.terminal import foreground, summary

    launched = session.launch(
        settings,
        flags,
        progress=report.progress,
        beside=True,
        emulate=False,
        observe=listed.given(source or (), sources),
    )
    with foreground.ended_on_failure(launched):
        found = summary.values(interruption.run(launched.found()))
        ready_s = time.monotonic() - began
        announce = functools.partial(
            report.result,
            {**found, "ready_s": round(ready_s, 2)},
            *summary.networks(found),
            summary.where(found),
            f"ready after {ready_s:.1f} s",
        )
        launched = launched.follow()
        foreground.leave_or_stay(launched, report, announce, detach=detach)
    return 0


if __name__ == "__main__":
    reporting.run(command)
