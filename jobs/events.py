"""`x0 events`: what has happened, read from the history on disk."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from jobs.terminal import moments, network_options, reporting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.history.archive import Archive
    from actors.history.event_store import EventQuery, StoredEvent
    from actors.topology.events import EventKind, EventSeverity

FOLLOW_S: Final = 0.5  # between two looks for new events
SINCE: Final = "24h"


@reporting.reported
def command(
    since: Annotated[
        str, typer.Option(metavar=moments.METAVAR, help=f"Not before: {moments.HELP}.")
    ] = SINCE,
    until: Annotated[
        str | None, typer.Option(metavar=moments.METAVAR, help="Before this time.")
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="About this node, by name or id. May be repeated."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Of this kind, such as split. May be repeated."),
    ] = None,
    severity: Annotated[
        str, typer.Option(metavar="LEAST", help="At least info, warning or critical.")
    ] = "info",
    network: Annotated[
        str | None, typer.Option(metavar="observed|emulated", help="Of this network alone.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="The last so many of them.")
    ] = 1_000,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Then wait for further ones, until Ctrl-C.")
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Show what has happened in the network: with a running session or without one.

    What happened last night?  x0 events --since "yesterday 22:00" --severity warning

    And since when does this router fail?  x0 events --since 30d --node tower-south

    With --follow, --json prints one object a line, each an event.
    """
    from actors.history.archive import Archive
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    archive = Archive.of(Settings.load())
    query = _query(archive, since, until, node, kind, severity, network, limit)
    if not follow:
        archive.check_events()
    newest = archive.events.ends()[1]  # before the search: what comes meanwhile is followed
    found = archive.events.find(query)
    shown = [one.as_dict() for one in found]
    if follow:
        _follow(archive, query, found, newest, report)
    report.result({"events": shown}, *_readable(found, query, limit))
    return 0


def _query(
    archive: Archive,
    since: str,
    until: str | None,
    nodes: Sequence[str] | None,
    kinds: Sequence[str] | None,
    severity: str,
    network: str | None,
    limit: int,
) -> EventQuery:
    from actors.history.event_store import EventQuery

    begin = moments.parsed(since)
    return EventQuery(
        since=begin,
        until=None if until is None else moments.parsed(until),
        kinds=[_kind(text) for text in kinds or ()],
        least=_severity(severity),
        nodes=_ids(archive, nodes or (), begin),
        network=network_options.asked(network),
        limit=limit,
        newest=True,
    )


def _ids(archive: Archive, texts: Sequence[str], since: float) -> list[str]:
    """The ids of nodes that people name; those of events alone have no names."""
    from actors.history.archive import KnownNodes
    from actors.topology.errors import UnknownNode

    if not texts:
        return []
    archive.check_events()
    now = time.time()
    known = archive.naming(since, now)
    in_events = KnownNodes.of(dict.fromkeys(archive.events.nodes(), ""))
    ids = []
    for text in texts:
        try:
            ids.append(known.find(text))
        except UnknownNode:
            ids.append(in_events.find(text))
    return ids


def _kind(text: str) -> EventKind:
    from actors.runtime.errors import InvalidInput
    from actors.topology.events import EventKind

    try:
        return EventKind(text.strip().lower().replace("-", "_"))
    except ValueError:
        known = ", ".join(kind.value for kind in EventKind)
        raise InvalidInput(
            f"--kind {text[:40]} is refused", "there is no such kind", f"Known are {known}."
        ) from None


def _severity(text: str) -> EventSeverity:
    from actors.runtime.errors import InvalidInput
    from actors.topology.events import EventSeverity

    try:
        return EventSeverity(text.strip().lower())
    except ValueError:
        raise InvalidInput(
            f"--severity {text[:40]} is refused",
            "there is no such severity",
            "Give info, warning or critical.",
        ) from None


def _follow(
    archive: Archive,
    query: EventQuery,
    found: Sequence[StoredEvent],
    last: int,
    report: reporting.Report,
) -> NoReturn:
    """Print events as they come, until interrupted."""
    from dataclasses import replace

    _print(found, report)
    last = max([last, *(one.id for one in found)])
    while True:
        time.sleep(FOLLOW_S)
        newest = archive.events.ends()[1]
        if newest > last:
            fresh = replace(query, after=last, since=None, newest=False, limit=newest - last)
            _print(archive.events.find(fresh), report)
            last = newest


def _print(found: Sequence[StoredEvent], report: reporting.Report) -> None:
    for one in found:
        report.result(one.as_dict(), _line(one))


def _line(one: StoredEvent) -> str:
    event = one.event
    return f"{moments.short(event.at)}  {event.severity.value:8}  {event.what}"


def _readable(found: Sequence[StoredEvent], query: EventQuery, limit: int) -> list[Any]:
    assert query.since is not None  # noqa: S101 - the option has a default
    if not found:
        return [f"Nothing that fits has happened since {moments.shown(query.since)}."]
    networks = sorted({one.network.value for one in found})
    lines = "\n".join(map(_line, found))
    said = f"{len(found)} of the {' and the '.join(networks)} network; times are {moments.zone()}."
    more = f" These are the last {limit}; --limit shows more." if len(found) == limit else ""
    return [lines, said + more]


if __name__ == "__main__":
    reporting.run(command)
