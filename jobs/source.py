"""`x0 source`: what can be watched of a real network, and what one source says right now."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs.launch import interruption
from jobs.terminal import exit_codes, map_options, reporting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from actors.observe.contract import ReadingSource
    from actors.observe.sources.source_spec import SourceSpec
    from actors.runtime.errors import X0Error
    from actors.topology.network import Reading

TICK_S: Final = 1.0  # between two lines of progress

app = typer.Typer(
    no_args_is_help=True,
    context_settings=dict(reporting.HELP),
    help="Sources of a real network: maps, routers, commands. They are only read.",
)


@app.command("kinds")
@reporting.reported
def kinds(as_json: reporting.AsJson = False) -> int:
    """List the kinds of source, and what stands behind the colon of each."""
    from actors.observe.sources.source_kinds import KINDS
    from jobs.terminal import readings

    values = [
        {
            "kind": kind.name,
            "where": kind.where,
            "reads": kind.reads,
            "example": kind.example,
            "options": sorted(kind.options),
        }
        for kind in KINDS
    ]
    reporting.Report(as_json).result({"kinds": values}, *readings.kinds(KINDS))
    return exit_codes.OK


@app.command("test")
@reporting.reported
def read_once(
    source: Annotated[
        list[str] | None,
        typer.Argument(metavar="KIND:WHERE...", help="Sources; `x0 source kinds` lists the kinds."),
    ] = None,
    sources: map_options.SourcesFile = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="S", min=1, max=600, help="Seconds for each, instead of its own."),
    ] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            metavar="Q", help="What the qualities of a map are: auto, tq, babel, throughput."
        ),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Read sources once, and say what is in them and what is left out. Nothing is started.

    Does our map tell everything?  x0 source test https://map.example.org/meshviewer.json

    Do the routers answer us?  x0 source test respondd:bat0

    Exit code 3: a source was read, and so much of it is odd that a watch would hold it.
    """
    from actors.observe.sources import opening

    report = reporting.Report(as_json)
    specs = _specs(source or (), sources, timeout, quality)
    opened = opening.open_sources(specs)
    if len(opened) == 1:  # its error is that of the command
        return _tell(opened, [interruption.run(_read(opened[0], report))], report)
    return _tell(opened, interruption.run(_read_all(opened, report)), report)


def _specs(
    texts: Sequence[str], file: Path | None, timeout: float | None, quality: str | None
) -> tuple[SourceSpec, ...]:
    """The sources that are asked for.

    Raises:
        InvalidInput: there is none, or one of them is wrong.
    """
    from actors.observe.sources import source_spec, sources_file
    from actors.runtime.errors import InvalidInput
    from actors.topology.formats.metrics import QUALITIES

    if quality is not None and quality not in QUALITIES:
        what = f"cannot use --quality {quality[:40]}"
        raise InvalidInput(what, "there is no such", f"Give one of {', '.join(QUALITIES)}.")
    specs = [source_spec.parse(text) for text in texts]
    specs += sources_file.read(file) if file is not None else ()
    if not specs:
        remedy = "Give KIND:WHERE or --sources FILE; `x0 source kinds` lists the kinds."
        raise InvalidInput("nothing was read", "no source is given", remedy)
    changes: dict[str, Any] = {"timeout_s": timeout, "quality": quality}
    given = {name: value for name, value in changes.items() if value is not None}
    return tuple(replace(spec, **given) for spec in specs)


async def _read(source: ReadingSource, report: reporting.Report) -> tuple[Reading, float]:
    """Read one source; also the seconds that it took.

    Raises:
        X0Error: there is no answer, or it cannot be read.
    """
    began = time.monotonic()
    reading = asyncio.ensure_future(source.poll())
    try:
        while not (await asyncio.wait({reading}, timeout=TICK_S))[0]:
            report.progress(f"reading {source.name}: {time.monotonic() - began:.0f} s")
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)  # its clean-up
    found = reading.result()
    if found is None:
        raise AssertionError("a source that was never asked has nothing to repeat")
    return found, time.monotonic() - began


async def _read_all(
    sources: Sequence[ReadingSource], report: reporting.Report
) -> list[tuple[Reading, float] | X0Error]:
    """Read several, one after the other; errors stand in the place of readings."""
    from actors.runtime.errors import X0Error

    found: list[tuple[Reading, float] | X0Error] = []
    for source in sources:
        try:
            found.append(await _read(source, report))
        except X0Error as error:
            found.append(error)
    return found


def _tell(
    sources: Sequence[ReadingSource],
    found: Sequence[tuple[Reading, float] | X0Error],
    report: reporting.Report,
) -> int:
    """Give the result; the exit code."""
    from actors.observe.contract import ObserverRules
    from jobs.terminal import readings

    held_above = ObserverRules().odd_share
    values: list[dict[str, object]] = []
    shown: list[Any] = []
    codes = {exit_codes.OK}
    for source, outcome in zip(sources, found, strict=True):
        if isinstance(outcome, tuple):
            reading, took_s = outcome
            summary = readings.summary(source.kind, reading, took_s, time.time(), held_above)
            values.append(summary)
            shown += readings.readable(summary)
            codes.add(exit_codes.NOT_WELL if summary["would_be_held"] else exit_codes.OK)
        else:
            values.append(readings.failed(source.name, source.kind, outcome))
            shown.append(f"{source.name}: {outcome}")
            codes.add(exit_codes.of(outcome))
    report.result({"sources": values}, *shown)
    return max(codes)
