"""`x0 history`: what was measured of a node or a link, read from the history on disk."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from jobs.terminal import moments, network_options, reporting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import RenderableType

    from actors.history.archive import Archive
    from actors.history.series import Series
    from actors.runtime.errors import InvalidInput
    from actors.topology.provenance import Network

SINCE: Final = "24h"
_WIDTH: Final = 36  # steps of a line of blocks
_MOST: Final = 50_000  # steps
_SIGNIFICANT: Final = 4  # digits


@reporting.reported
def command(
    of: Annotated[
        list[str],
        typer.Argument(
            metavar="NODE | A,B",
            help="A node by name or id, or a link by its ends: A,B or A--B or A B.",
        ),
    ],
    since: Annotated[
        str, typer.Option(metavar=moments.METAVAR, help=f"Not before: {moments.HELP}.")
    ] = SINCE,
    until: Annotated[str, typer.Option(metavar=moments.METAVAR, help="Before this time.")] = "now",
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this figure. May be repeated."),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Means over so long: 1m, 15m, 1h, ..."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="observed|emulated", help="Of this network; else the one recorded last."
        ),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="One line a step, for a spreadsheet.")
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """Show what was measured of a node or link, minute by minute, as means over steps.

    Was this router overloaded last night?  x0 history tower-south --since "yesterday 18:00"

    How good was that link this week?  x0 history tower-south,n0042 --since 1w --metric quality_ab

    A blank is a time for which nothing is known.
    """
    from actors.history.archive import Archive
    from actors.history.errors import NoHistory
    from actors.history.series import MOST_STEPS
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    begin, end = moments.parsed(since), moments.parsed(until)
    if begin >= end:
        raise _refused("--since", f"it is not before --until, {moments.shown(end)}")
    archive = Archive.of(Settings.load())
    which, _ = archive.network(network_options.asked(network))
    most = MOST_STEPS if as_csv or as_json else _WIDTH
    found, lost = _series(archive, which, of, (begin, end), step, most)
    if not found:
        raise NoHistory(
            f"nothing is known of {' '.join(of)[:80]}",
            f"it was not in the {which.value} network from {moments.shown(begin)} on",
            "Give an earlier --since.",
        )
    chosen = [_with_metrics(one, metric) for one in found]
    for path in lost:
        report.note(f"{path} cannot be read: its minutes are missing")
    if as_csv and not as_json:
        report.result({}, _csv(chosen).rstrip("\r\n"))
        return 0
    values = {"network": which.value, "series": [one.as_dict() for one in chosen], "lost": lost}
    readable = [part for one in chosen for part in _readable(one, which, archive)]
    report.result(values, *readable)
    return 0


def _step(text: str | None, span_s: float, most: int) -> int:
    """Width of a step, s: as given, or so that there are at most `most`."""
    from actors.history.metric_store import MINUTE_S
    from actors.history.moments import duration_s
    from actors.history.series import step_for

    if text is None:
        return step_for(span_s, most)
    step = duration_s(text)
    if step is None or step < MINUTE_S or step % MINUTE_S:
        raise _refused(f"--step {text[:20]}", "it is no number of whole minutes", "--step 5m")
    if span_s / step > _MOST:
        raise _refused(f"--step {text[:20]}", f"that makes more than {_MOST:,} steps", "--step 1h")
    return step


def _series(
    archive: Archive,
    network: Network,
    of: Sequence[str],
    span: tuple[float, float],
    step: str | None,
    most: int,
) -> tuple[tuple[Series, ...], list[str]]:
    """The series of what is named from its first sample on, and files that cannot be read."""
    from actors.history.metric_store import LINKS, NODES
    from actors.history.series import series

    begin, end = span
    key = _named(archive, network, of, begin, end)
    kind = NODES if "id" in key else LINKS
    rows = archive.metrics.read(network, kind, since=begin, until=end, key=key)
    if not rows.table.num_rows:
        return (), list(rows.unreadable)
    begin = max(begin, rows.table["at"][0].as_py().timestamp())
    found = series(rows.table, kind, begin, end, _step(step, end - begin, most))
    return found, list(rows.unreadable)


def _named(
    archive: Archive, network: Network, of: Sequence[str], begin: float, end: float
) -> Mapping[str, str]:
    """The columns by which the node or the link is found that is meant."""
    from actors.runtime.errors import InvalidInput
    from actors.topology.errors import UnknownNode

    known = archive.naming(begin, end, networks=[network])
    if len(of) == 2:
        a, b = sorted(map(known.find, of))
        return {"a": a, "b": b}
    if len(of) > 2:
        raise _refused(" ".join(of), "more than two nodes are named", "x0 history A,B")
    try:
        return {"id": known.find(of[0])}
    except UnknownNode:
        try:
            a, b = known.find_link(of[0])
        except InvalidInput:
            pass
        else:
            return {"a": a, "b": b}
        raise


def _with_metrics(one: Series, names: Sequence[str] | None) -> Series:
    from dataclasses import replace

    from actors.runtime.errors import InvalidInput

    if not names:
        return one
    for name in names:
        if name not in one.figures:
            known = ", ".join(one.figures) or "none"
            raise InvalidInput(
                f"--metric {name[:40]} is refused", "it was not measured", f"Known are {known}."
            )
    return replace(one, figures={name: one.figures[name] for name in names})


def _csv(found: Sequence[Series]) -> str:
    from actors.runtime.clock import iso

    target = io.StringIO()
    names = sorted({name for one in found for name in one.figures})
    rows = csv.writer(target)
    rows.writerow(["at", *found[0].of, "samples", "state", *names])
    for one in found:
        none = (None,) * len(one.samples)
        columns = [one.figures.get(name, none) for name in names]
        times = [iso(at) for at in one.times]
        for at, *cells in zip(times, one.samples, one.states, *columns, strict=True):
            rows.writerow([at, *one.of.values(), *cells])  # csv writes None as nothing
    return target.getvalue()


def _readable(one: Series, network: Network, archive: Archive) -> list[RenderableType | str]:
    from actors.topology.naming import label, link_label
    from jobs.terminal.sparkline import sparkline

    end = one.begin + one.step_s * len(one.samples)
    known = archive.naming(end, networks=[network]).naming
    a = b = ""
    if "id" in one.of:
        name = f"node {label(one.of['id'], known.name_of(one.of['id']))}"
    else:
        a, b = (label(one.of[end], known.name_of(one.of[end])) for end in ("a", "b"))
        name = f"link {link_label(a, b)} ({one.of['kind']})"
    ways = [] if "id" in one.of else [f"ab is from {a} to {b}, ba is back"]
    span = f"{moments.short(one.begin)} to {moments.short(end)} {moments.zone()}"
    rows: list[list[object]] = [
        [name, *_figures(values), sparkline(values)] for name, values in one.figures.items()
    ]
    return [
        f"{name}, {network.value} network",
        *ways,
        f"{span}, in steps of {one.step_s // 60} min",
        f"state: {_states(one)}",
        reporting.table("", ["figure", "last", "least", "mean", "most", "over time"], rows)
        if rows
        else "No figures were measured.",
    ]


def _figures(values: Sequence[float | None]) -> list[str]:
    known = [value for value in values if value is not None]
    if not known:
        return ["", "", "", ""]
    return [_short(v) for v in (known[-1], min(known), sum(known) / len(known), max(known))]


def _short(value: float) -> str:
    """Four digits, with the prefixes of SI above a million: 0.9843, 1234, 5.21 M."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(value) >= limit:
            return f"{value / limit:.{_SIGNIFICANT - 1}g} {unit}"
    return f"{value:.{_SIGNIFICANT}g}"


def _states(one: Series) -> str:
    """Share of the known steps in each state, and the share that is not known."""
    known = Counter(state for state in one.states if state is not None)
    total = sum(known.values())
    shares = [f"{state} {count / total:.1%}" for state, count in known.most_common()]
    gaps = len(one.states) - total
    said = ", ".join(shares) or "never known"
    return said + (f" (not recorded: {gaps / len(one.states):.1%} of the time)" if gaps else "")


def _refused(what: str, why: str, instead: str = "") -> InvalidInput:
    from actors.runtime.errors import InvalidInput

    remedy = f"Write {instead}, say." if instead else "Correct it; see --help."
    return InvalidInput(f"{what} is refused", why, remedy)


if __name__ == "__main__":
    reporting.run(command)
