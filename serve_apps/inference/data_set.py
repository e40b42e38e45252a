"""Incident data sets: a folder with a topology, metrics over time and labelled incidents.

    topology.json          {"nodes": [id], "interfaces": {node: [name]}, "links": [{"id", "ends"}]}
    metrics/NAME.csv.gz    timestamp, then a column a series: NODE, NODE/INTERFACE, NODE/LINK
    incidents.csv          incident,start,end,kind,node,interface,minutes

Times are ISO 8601 with an offset. What cannot be used costs as little as it can: a bad cell is not
known, a bad row or column is left out, and so is an incident that says what the rest contradicts;
`DataSet.notes` says each. Only a folder in which nothing is left is an error.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import zlib
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from serve_apps.inference.errors import DataSetUnusable
from serve_apps.inference.telemetry import (
    LabelledIncident,
    Metric,
    NetworkGraph,
    Place,
    Telemetry,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TOPOLOGY: Final = "topology.json"
METRICS: Final = "metrics"
INCIDENTS: Final = "incidents.csv"
_SUFFIXES: Final = (".csv.gz", ".csv")
_FIELDS: Final = ("incident", "start", "end", "kind", "node", "interface", "minutes")
_MOST_BYTES: Final = 2**30  # of one file, unpacked
_MOST_ROWS: Final = 2_000_000
_LONGEST: Final = 200  # characters of an id or name


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """A data set as it was read.

    Attributes:
        name: of its folder.
        telemetry: with at least one row and one metric.
        incidents: by start.
        notes: what was left out, and why; a line each.
    """

    name: str
    telemetry: Telemetry
    incidents: tuple[LabelledIncident, ...]
    notes: tuple[str, ...]


def read(folder: Path, progress: Callable[[str], None] = lambda _: None) -> DataSet:
    """Read a data set.

    Raises:
        DataSetUnusable: it is none, or nothing of it can be used.
    """
    notes = _Notes()
    if not folder.is_dir():
        raise DataSetUnusable(str(folder), "", "it is no folder")
    graph, interfaces = _topology(folder, notes)
    tables = {}
    for path in sorted((folder / METRICS).glob("*")):
        name = _metric_name(path)
        if name is None:
            notes.add(f"{METRICS}/{path.name} is not *.csv.gz or *.csv: left out")
            continue
        progress(f"reading {METRICS}/{path.name}")
        table = _table(folder, path, notes)
        if table is not None:
            tables[name] = table
    telemetry = _telemetry(folder, graph, interfaces, tables, notes)
    incidents = tuple(sorted(_incidents(folder, telemetry, notes), key=lambda each: each.start))
    return DataSet(folder.name, telemetry, incidents, notes.lines())


def write(data_set: DataSet, folder: Path) -> None:
    """Write a data set; times are in UTC.

    Raises:
        OSError: it cannot be written, or the folder is there already.
    """
    telemetry, graph = data_set.telemetry, data_set.telemetry.graph
    (folder / METRICS).mkdir(parents=True)
    (folder / TOPOLOGY).write_text(json.dumps(_as_topology(telemetry), indent=1), encoding="utf-8")
    stamps = [_stamp(at) for at in telemetry.times]
    for name, metric in telemetry.metrics.items():
        with gzip.open(
            folder / METRICS / f"{name}.csv.gz", "wt", encoding="utf-8", newline=""
        ) as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("timestamp", *_columns(graph, metric)))
            for stamp, values in zip(stamps, metric.values.tolist(), strict=True):
                rows.writerow((stamp, *("" if math.isnan(each) else each for each in values)))
    with (folder / INCIDENTS).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(_FIELDS)
        for each in data_set.incidents:
            minutes = int(((each.start <= telemetry.times) & (telemetry.times <= each.end)).sum())
            times = (_stamp(each.start), _stamp(each.end))
            lines.writerow((each.name, *times, each.kind, each.node or "", each.interface, minutes))


class _Notes:
    """What was left out: the first of each sort, and how many more there are."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._count: Counter[str] = Counter()

    def add(self, note: str, sort: str = "") -> None:
        sort = sort or note
        self._first.setdefault(sort, note)
        self._count[sort] += 1

    def lines(self) -> tuple[str, ...]:
        return tuple(
            note + (f" (and {self._count[sort] - 1} more)" if self._count[sort] > 1 else "")
            for sort, note in self._first.items()
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """A metric as its file has it: rows by ascending time, each once."""

    columns: tuple[str, ...]
    times: NDArray[np.float64]
    values: NDArray[np.float64]


def _topology(folder: Path, notes: _Notes) -> tuple[NetworkGraph, dict[str, list[str]]]:
    try:
        told = json.loads(_text(folder, folder / TOPOLOGY))
    except ValueError as error:
        raise DataSetUnusable(str(folder), TOPOLOGY, f"it is not JSON ({error})") from error
    if not isinstance(told, dict):
        raise DataSetUnusable(str(folder), TOPOLOGY, "it is not a JSON object")
    nodes = tuple(dict.fromkeys(_names(told.get("nodes"))))
    if not nodes:
        raise DataSetUnusable(str(folder), TOPOLOGY, "it names no node")
    index = {node: at for at, node in enumerate(nodes)}
    links: dict[str, tuple[tuple[int, int], bool]] = {}
    for number, link in enumerate(_list(told.get("links"))):
        ends = _ends(link, index)
        if ends is None or link["id"] in links:
            notes.add(f"{TOPOLOGY}: links[{number}] has no id, no known end, or is there twice",
                      "links")  # fmt: skip
            continue
        links[link["id"]] = (ends, link.get("directed") is True)
    graph = NetworkGraph(
        nodes,
        tuple(links),
        np.array([ends for ends, _ in links.values()], np.int32).reshape(-1, 2),
        np.array([directed for _, directed in links.values()], np.bool_),
    )
    told_interfaces = told.get("interfaces")
    interfaces = told_interfaces if isinstance(told_interfaces, dict) else {}
    return graph, {node: _names(interfaces.get(node)) for node in nodes}


def _ends(link: Any, index: Mapping[str, int]) -> tuple[int, int] | None:  # noqa: ANN401 - JSON
    if not isinstance(link, dict) or not _names([link.get("id")]):
        return None
    ends = _names(link.get("ends"))
    if not 1 <= len(ends) <= 2 or any(end not in index for end in ends):
        return None
    return index[ends[0]], index[ends[1]] if len(ends) > 1 else -1


def _list(told: object) -> list[Any]:
    return told if isinstance(told, list) else []


def _names(told: object) -> list[str]:
    return [each for each in _list(told) if isinstance(each, str) and 0 < len(each) <= _LONGEST]


def _metric_name(path: Path) -> str | None:
    for suffix in _SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return path.name.removesuffix(suffix)
    return None


def _text(folder: Path, path: Path) -> str:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise DataSetUnusable(str(folder), path.name, f"it is over {_MOST_BYTES >> 30} GiB")
        return content.decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataSetUnusable(str(folder), path.name, why or "it is cut short") from error


def _table(folder: Path, path: Path, notes: _Notes) -> _Table | None:
    """A metric's file; None if nothing of it can be used."""
    name = f"{METRICS}/{path.name}"
    try:
        rows = csv.reader(_text(folder, path).splitlines())
        header = next(rows, [])
    except (DataSetUnusable, csv.Error) as error:
        notes.add(f"{name}: {error.why if isinstance(error, DataSetUnusable) else error}: left out")
        return None
    if not header or header[0] != "timestamp":
        notes.add(f"{name}: its first column is not timestamp: left out")
        return None
    found: dict[float, list[float]] = {}
    for number, row in enumerate(rows, 2):
        at = _time(row[0]) if row else None
        if at is None or len(row) != len(header) or len(found) >= _MOST_ROWS:
            notes.add(f"{name}: line {number} is not a time and a value for each column: left out",
                      name)  # fmt: skip
        elif at in found:
            notes.add(f"{name}: line {number} has the time of another: left out", name + "twice")
        else:
            found[at] = [_number(each) for each in row[1:]]
    if not found:
        notes.add(f"{name}: it has no row: left out")
        return None
    times = np.array(sorted(found))
    values = np.array([found[at] for at in times.tolist()]).reshape(len(times), -1)
    return _Table(tuple(header[1:]), times, values)


def _time(told: str) -> float | None:
    """Unix time, s; None unless it is ISO 8601 with an offset."""
    try:
        at = datetime.fromisoformat(told.strip())
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo is not None else None


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _number(told: str) -> float:
    """NaN unless it is a finite number."""
    try:
        value = float(told)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _telemetry(
    folder: Path,
    graph: NetworkGraph,
    interfaces: Mapping[str, Sequence[str]],
    tables: Mapping[str, _Table],
    notes: _Notes,
) -> Telemetry:
    places = _Places(graph, interfaces)
    if not tables:
        raise DataSetUnusable(str(folder), METRICS, "no metric of it can be used")
    times = np.unique(np.concatenate([table.times for table in tables.values()]))
    metrics = {}
    for name, table in tables.items():
        metric = places.metric(name, table, times, notes)
        if metric is not None:
            metrics[name] = metric
    if not metrics:
        raise DataSetUnusable(str(folder), METRICS, "no column of it names a node of the topology")
    return Telemetry(graph, times, metrics)


class _Places:
    """What the columns of metrics are of."""

    def __init__(self, graph: NetworkGraph, interfaces: Mapping[str, Sequence[str]]) -> None:
        self._nodes = {node: at for at, node in enumerate(graph.nodes)}
        self._half_links = {
            f"{graph.nodes[end]}/{graph.links[half // 2]}": half
            for half, end in enumerate(graph.ends.reshape(-1).tolist())
            if end >= 0
        }
        self._interfaces = {
            f"{node}/{name}": self._nodes[node] for node in interfaces for name in interfaces[node]
        }

    def metric(
        self, name: str, table: _Table, times: NDArray[np.float64], notes: _Notes
    ) -> Metric | None:
        """One metric over all times; of columns of different kinds those of the commonest stay."""
        placed = [self._place(column) for column in table.columns]
        commonest = Counter(place for place, _ in placed if place is not None).most_common(1)
        if not commonest:
            notes.add(f"{METRICS}/{name}: no column names a node of the topology: left out")
            return None
        place = commonest[0][0]
        kept: dict[tuple[int, str], int] = {}
        for column, (what, at) in enumerate(placed):
            series = table.columns[column]
            key = (at, series if place is Place.INTERFACE else "")
            if what is not place or key in kept:
                notes.add(f"{METRICS}/{name}: column {series!r} is of nothing known, of another "
                          f"kind than the others, or there twice: left out", name)  # fmt: skip
            else:
                kept[key] = column
        values = np.full((len(times), len(kept)), np.nan)
        values[np.searchsorted(times, table.times)] = table.values[:, list(kept.values())]
        names = tuple(series.split("/", 1)[1] for _, series in kept if series)
        return Metric(place, np.array([at for at, _ in kept], np.int32), values, names)

    def _place(self, column: str) -> tuple[Place | None, int]:
        if column in self._nodes:
            return Place.NODE, self._nodes[column]
        if column in self._half_links:
            return Place.HALF_LINK, self._half_links[column]
        if column in self._interfaces:
            return Place.INTERFACE, self._interfaces[column]
        return None, -1


def _incidents(folder: Path, telemetry: Telemetry, notes: _Notes) -> Iterator[LabelledIncident]:
    try:
        rows = list(csv.DictReader(_text(folder, folder / INCIDENTS).splitlines()))
    except csv.Error as error:
        raise DataSetUnusable(str(folder), INCIDENTS, str(error)) from error
    nodes = frozenset(telemetry.graph.nodes)
    seen: set[str] = set()
    for number, row in enumerate(rows, 2):
        incident, why = _incident(row, nodes)
        if incident is not None and incident.name in seen:
            why = "has the name of another"
        elif incident is not None and not _covered(telemetry.times, incident):
            why = "has no row of telemetry"
        if incident is None or why:
            notes.add(f"{INCIDENTS}: line {number} {why}: left out", why)
            continue
        seen.add(incident.name)
        yield incident


def _incident(
    row: Mapping[str, str | None], nodes: Iterable[str]
) -> tuple[LabelledIncident | None, str]:
    told = {field: (row.get(field) or "").strip() for field in _FIELDS}
    start, end = _time(told["start"]), _time(told["end"])
    if start is None or end is None or end < start:
        return None, "has no start, or no end after it, that is ISO 8601 with an offset"
    if not told["incident"] or not told["kind"]:
        return None, "has no name or no kind"
    if told["node"] and told["node"] not in nodes:
        return None, "names a node that the topology has not"
    node, interface = told["node"] or None, told["interface"]
    return LabelledIncident(told["incident"], start, end, told["kind"], node, interface), ""


def _covered(times: NDArray[np.float64], incident: LabelledIncident) -> bool:
    return bool(
        np.searchsorted(times, incident.end, "right") > np.searchsorted(times, incident.start)
    )


def _as_topology(telemetry: Telemetry) -> dict[str, Any]:
    graph = telemetry.graph
    interfaces: dict[str, list[str]] = {}
    for metric in telemetry.metrics.values():
        for at, name in zip(metric.at.tolist(), metric.names, strict=False):
            known = interfaces.setdefault(graph.nodes[at], [])
            if name not in known:
                known.append(name)
    links = [
        {"id": link, "ends": [graph.nodes[end] for end in ends if end >= 0]}
        | ({"directed": True} if directed else {})
        for link, ends, directed in zip(
            graph.links, graph.ends.tolist(), graph.directed.tolist(), strict=True
        )
    ]
    return {"nodes": list(graph.nodes), "interfaces": interfaces, "links": links}


def _columns(graph: NetworkGraph, metric: Metric) -> list[str]:
    if metric.place is Place.NODE:
        return [graph.nodes[at] for at in metric.at.tolist()]
    if metric.place is Place.INTERFACE:
        return [
            f"{graph.nodes[at]}/{name}"
            for at, name in zip(metric.at.tolist(), metric.names, strict=True)
        ]
    ends = graph.ends.reshape(-1)
    return [f"{graph.nodes[ends[at]]}/{graph.links[at // 2]}" for at in metric.at.tolist()]
