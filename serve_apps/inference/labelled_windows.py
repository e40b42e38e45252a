"""A data set as examples: a window of time for each incident, and the windows without one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from serve_apps.inference.deviations import deviations
from serve_apps.inference.learning import Example, Truth, VertexGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.data_set import DataSet
    from serve_apps.inference.deviations import Deviations
    from serve_apps.inference.telemetry import LabelledIncident, NetworkGraph

QUIET_ROWS: Final = 2  # of a window without an incident, as short as the shortest incidents are
_LONGEST_STEP: Final = 1.5  # typical steps between rows that are in one window
_IDLE: Final = np.log(2.0)  # `level` of a link that carries one packet a second


@dataclass(frozen=True, slots=True, eq=False)
class LabelledWindow:
    """An example with what is known of it beside.

    Attributes:
        example: to be judged.
        start: Unix time, s.
        rows: of the telemetry.
        incident: None in a window without one.
        half_link: the end of a link that was at fault, where that is known; -1 elsewhere.
        visible: whether the fault can be seen in what was measured. A delay on a link that
            normally carries less than one packet a second cannot.
    """

    example: Example
    start: float
    rows: NDArray[np.intp]
    incident: LabelledIncident | None = None
    half_link: int = -1
    visible: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class LabelledWindows:
    """The windows of a data set, by start.

    Attributes:
        features: names of the columns of every example.
        incidents: windows with an incident.
        quiet: windows without one.
    """

    features: tuple[str, ...]
    incidents: tuple[LabelledWindow, ...]
    quiet: tuple[LabelledWindow, ...]

    def lacking(self) -> list[str]:
        """Features that are known of no vertex in any window."""
        known = np.zeros(len(self.features), np.bool_)
        for one in (*self.incidents, *self.quiet):
            known |= np.isfinite(one.example.x).any(axis=0)
        return [name for name, is_known in zip(self.features, known, strict=True) if not is_known]

    def span(self) -> tuple[float, float]:
        """Start of the first window, and a time after that of the last."""
        starts = [one.start for one in (*self.incidents, *self.quiet)]
        return min(starts), max(starts) + 1.0

    def between(self, start: float, end: float) -> LabelledWindows:
        """Those that begin at or after `start` and before `end`."""
        return self._where(lambda each: start <= each.start < end)

    def outside(self, start: float, end: float) -> LabelledWindows:
        """The others."""
        return self._where(lambda each: not start <= each.start < end)

    def _where(self, holds: Callable[[LabelledWindow], bool]) -> LabelledWindows:
        return LabelledWindows(
            self.features, tuple(filter(holds, self.incidents)), tuple(filter(holds, self.quiet))
        )


def labelled_windows(
    data_set: DataSet,
    features: Sequence[str] | None = None,
    reference_s: float | None = None,
) -> LabelledWindows:
    """The windows of a data set.

    Args:
        data_set: what was measured, with labels.
        features: those that a model needs, in its order; one that this data set does not give is
            not known anywhere. None: all that it gives.
        reference_s: as of `deviations`.
    """
    telemetry = data_set.telemetry
    graph = VertexGraph.of(telemetry.graph)
    moved = deviations(telemetry, reference_s)
    columns = _columns(moved.features, features)
    rows = [_rows(telemetry.times, each) for each in data_set.incidents]
    leads_over = links_of_interfaces(telemetry.graph, moved, data_set.incidents, rows)
    incidents = []
    for incident, at in zip(data_set.incidents, rows, strict=True):
        half_link = _half_link(telemetry.graph, leads_over, incident)
        x = moved.window(at)
        example = Example(
            graph,
            _chosen(x, columns),
            Truth.OUTSIDE if incident.node is None else Truth.INSIDE,
            _roots(telemetry.graph, incident, half_link),
        )
        visible = not ("delay" in incident.kind and _is_idle(moved, graph, x, half_link))
        incidents.append(
            LabelledWindow(example, float(telemetry.times[at[0]]), at, incident, half_link, visible)
        )
    nothing = np.zeros(len(graph.owner), np.bool_)
    quiet = tuple(
        LabelledWindow(
            Example(graph, _chosen(moved.window(at), columns), Truth.NORMAL, nothing),
            float(telemetry.times[at[0]]),
            at,
        )
        for at in quiet_rows(telemetry.times, rows)
    )
    names = moved.features if features is None else tuple(features)
    return LabelledWindows(names, tuple(incidents), quiet)


def quiet_rows(
    times: NDArray[np.float64], incidents: Sequence[NDArray[np.intp]]
) -> list[NDArray[np.intp]]:
    """Rows in no incident, `QUIET_ROWS` that follow each other at a time, none of them twice."""
    if len(times) < QUIET_ROWS:
        return []
    is_quiet = np.ones(len(times), np.bool_)
    for rows in incidents:
        is_quiet[rows] = False
    longest = _LONGEST_STEP * float(np.median(np.diff(times)))
    found, at = [], 0
    while at + QUIET_ROWS <= len(times):
        rows = np.arange(at, at + QUIET_ROWS)
        if is_quiet[rows].all() and (np.diff(times[rows]) <= longest).all():
            found.append(rows)
            at += QUIET_ROWS
        else:
            at += 1
    return found


def links_of_interfaces(
    graph: NetworkGraph,
    moved: Deviations,
    incidents: Sequence[LabelledIncident],
    rows: Sequence[NDArray[np.intp]],
) -> dict[tuple[str, str], int]:
    """Which half-link leads over which interface of a node.

    Incidents name interfaces, telemetry names links. Of each node's interfaces and half-links those
    belong together of which the one moves when there is an incident at the other.
    """
    n_nodes = len(graph.nodes)
    strength: dict[str, dict[str, list[NDArray[np.float64]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for incident, at in zip(incidents, rows, strict=True):
        if incident.node is not None and incident.interface:
            size = np.arcsinh(np.abs(np.nan_to_num(moved.moved[at, n_nodes:])))
            strength[incident.node][incident.interface].append(size.mean(axis=0).sum(axis=-1))
    every = [each for one in strength.values() for part in one.values() for each in part]
    usual = np.mean(every, axis=0) if every else np.zeros(0)
    found = {}
    for node, of_interface in strength.items():
        half_links = np.flatnonzero(graph.ends.reshape(-1) == graph.nodes.index(node))
        names = sorted(of_interface)
        means = np.array([np.mean(of_interface[name], axis=0)[half_links] for name in names])
        for one, other in zip(
            *linear_sum_assignment(means - usual[half_links], maximize=True), strict=True
        ):
            found[node, names[one]] = int(half_links[other])
    return found


def _rows(times: NDArray[np.float64], incident: LabelledIncident) -> NDArray[np.intp]:
    first, last = (
        np.searchsorted(times, incident.start),
        np.searchsorted(times, incident.end, "right"),
    )
    return np.arange(first, last)


def _half_link(
    graph: NetworkGraph, leads_over: Mapping[tuple[str, str], int], incident: LabelledIncident
) -> int:
    """The near end of the link that it names, or that leads over the interface that it names."""
    if incident.node is None or not incident.interface:
        return -1
    if incident.interface in graph.links:
        link = graph.links.index(incident.interface)
        at = np.flatnonzero(graph.ends[link] == graph.nodes.index(incident.node))
        return 2 * link + int(at[0]) if len(at) else -1
    return leads_over.get((incident.node, incident.interface), -1)


def _roots(graph: NetworkGraph, incident: LabelledIncident, half_link: int) -> NDArray[np.bool_]:
    roots = np.zeros(len(graph.nodes) + 2 * len(graph.links), np.bool_)
    if half_link >= 0:
        roots[len(graph.nodes) + half_link] = True
    elif incident.node is not None:
        node = graph.nodes.index(incident.node)
        roots[node] = True
        if incident.interface:  # one of its links, it is not known which
            roots[len(graph.nodes) :] = graph.ends.reshape(-1) == node
    return roots


def _is_idle(moved: Deviations, graph: VertexGraph, x: NDArray[np.float64], half_link: int) -> bool:
    levels = [at for at, name in enumerate(moved.features) if name.startswith("level.")]
    usual = x[graph.n_nodes + half_link, levels]
    return half_link >= 0 and bool(np.isfinite(usual).any()) and float(np.nanmax(usual)) < _IDLE


def _columns(given: tuple[str, ...], wanted: Sequence[str] | None) -> NDArray[np.intp] | None:
    if wanted is None:
        return None
    at = {name: number for number, name in enumerate(given)}
    return np.array([at.get(name, -1) for name in wanted], np.intp)


def _chosen(x: NDArray[np.float64], columns: NDArray[np.intp] | None) -> NDArray[np.float64]:
    if columns is None:
        return x
    return np.where(columns >= 0, x[:, columns], np.nan)
