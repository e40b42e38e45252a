"""`x0 diff`: what is not as it was, read from the history on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from jobs.terminal import moments, network_options, reporting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from actors.history.archive import Sampled
    from actors.history.differences import Difference

_LISTED: Final = 200  # most lines of nodes, and of links


@reporting.reported
def command(
    since: Annotated[
        str, typer.Argument(metavar=moments.METAVAR, help=f"The time before: {moments.HELP}.")
    ],
    to: Annotated[
        str, typer.Option(metavar=moments.METAVAR, help="Compare with this time.")
    ] = "now",
    quality: Annotated[
        float | None,
        typer.Option(
            min=0.001, max=1, help="Smallest change of a link's quality that counts. Default: 0.1."
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="observed|emulated", help="Of this network; else the one recorded last."
        ),
    ] = None,
    as_json: reporting.AsJson = False,
) -> int:
    """Show what has changed since the network worked: members, states, links and qualities.

    It worked last night. What is different?  x0 diff "yesterday 22:00"

    Both moments are answered by the newest sample of the 15 minutes before them; without a
    running session, compare with a time at which one ran: --to.
    """
    from actors.history.archive import LEAST_QUALITY, Archive
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    archive = Archive.of(Settings.load())
    before_at, now_at = moments.parsed(since), moments.parsed(to)
    which, _ = archive.network(network_options.asked(network))
    compared = archive.compared(
        which, before_at, now_at, least_quality=LEAST_QUALITY if quality is None else quality
    )
    before, now, found = compared.before, compared.now, compared.found
    head = (
        f"The {which.value} network at {moments.shown(before.at)} and at {moments.shown(now.at)}:"
    )
    parts: list[RenderableType | str] = [head, _counts(before, now)]
    parts += _table("nodes", found.nodes) + _table("links", found.links)
    if not found.nodes and not found.links:
        parts.append("No node, link, state or quality is different.")
    report.result(compared.as_dict(), *parts)
    return 0


def _counts(before: Sampled, now: Sampled) -> str:
    def up(sampled: Sampled) -> tuple[int, int, int, int]:
        nodes, links = sampled.nodes["state"].to_pylist(), sampled.links["state"].to_pylist()
        return len(nodes), nodes.count("up"), len(links), links.count("up")

    was, is_now = up(before), up(now)
    return (
        f"{was[0]} nodes, {was[1]} of them up, and {was[2]} links, {was[3]} of them up, became "
        f"{is_now[0]} nodes, {is_now[1]} up, and {is_now[2]} links, {is_now[3]} up."
    )


def _table(title: str, found: Sequence[Difference]) -> list[RenderableType | str]:
    if not found:
        return []
    rows = [[_name(one), one.what, _value(one.before), _value(one.now)] for one in found[:_LISTED]]
    parts: list[RenderableType | str] = [
        reporting.table(f"{title}: {len(found)}", [title[:-1], "what", "before", "now"], rows)
    ]
    if len(found) > _LISTED:
        parts.append(f"and {len(found) - _LISTED} more {title}; --json lists all")
    return parts


def _name(one: Difference) -> str:
    from actors.topology.naming import label, link_label

    if len(one.of) == 1:
        return label(one.of[0], one.names[0])
    a, b, kind = one.of
    return f"{link_label(label(a, one.names[0]), label(b, one.names[1]))} {kind}"


def _value(value: Any) -> str:  # noqa: ANN401 - a state, a name or qualities
    if value is None:
        return "-"
    if isinstance(value, list):
        return " / ".join("?" if one is None else f"{one:.2f}" for one in value)
    return str(value)


if __name__ == "__main__":
    reporting.run(command)
