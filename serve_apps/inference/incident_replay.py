"""Incidents in telemetry of the past: judged row by row, exactly as a running network is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.errors import InvalidInput
from serve_apps.inference.disturbances import Usual
from serve_apps.inference.incidents import Incidents
from serve_apps.inference.live_telemetry import COST, LINK_UP, NODE_UP, QUALITY, Row
from serve_apps.inference.telemetry import NetworkGraph, Place, Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from serve_apps.inference.incidents import Incident
    from serve_apps.inference.live_root_cause import RootCauseRanker

JUDGED: Final = (NODE_UP, LINK_UP, QUALITY)  # metrics without any of which nothing is seen
_ALL: Final = (*JUDGED, COST)


def replay(telemetry: Telemetry, ranker: RootCauseRanker) -> tuple[Incident, ...]:
    """All incidents of some telemetry, the oldest first, as they are at its end.

    Args:
        telemetry: a row for each interval. Links that leave the network are left out.
        ranker: says what they come from.

    Raises:
        InvalidInput: it has no metric by which incidents are seen.
    """
    if not any(name in telemetry.metrics for name in JUDGED):
        raise InvalidInput(
            "the telemetry is refused",
            f"it has none of the metrics {', '.join(JUDGED)}, so that nothing can be judged",
            "Give at least one of them, as shares from 0 to 1.",
            source="body",
            entry="telemetry.metrics",
        )
    graph, kept = _inner(telemetry.graph)
    usual, incidents = Usual(), Incidents(ranker)
    found: dict[str, Incident] = {}
    for number, row in enumerate(_rows(telemetry, graph, kept)):
        upto = number + 1

        def so_far(upto: int = upto) -> Telemetry:
            return _until(telemetry, upto)

        for change in incidents.step(usual.step(graph, row), so_far):
            found.setdefault(change.incident.id, change.incident)
    return tuple(sorted(found.values(), key=lambda one: one.opened_at))


def _inner(graph: NetworkGraph) -> tuple[NetworkGraph, NDArray[np.intp]]:
    """The network without links that leave it; and the place of each half-link in it, or -1."""
    inside = (graph.ends >= 0).all(axis=1)
    place = np.where(inside, np.cumsum(inside) - 1, -1)
    halves = np.repeat(2 * place, 2) + np.tile([0, 1], len(place))
    links = tuple(np.array(graph.links, object)[inside])
    kept = NetworkGraph(graph.nodes, links, graph.ends[inside], graph.directed[inside])
    return kept, np.where(np.repeat(inside, 2), halves, -1)


def _rows(telemetry: Telemetry, graph: NetworkGraph, kept: NDArray[np.intp]) -> Iterator[Row]:
    known = {name: telemetry.metrics[name] for name in _ALL if name in telemetry.metrics}
    for number, at in enumerate(telemetry.times.tolist()):
        nodes: dict[str, NDArray[np.float64]] = {}
        halves: dict[str, NDArray[np.float64]] = {}
        for name, metric in known.items():
            if metric.place is Place.NODE:
                nodes[name] = _spread(len(graph.nodes), metric.at, metric.values[number])
            elif metric.place is Place.HALF_LINK:
                at_half = kept[metric.at]
                inside = at_half >= 0
                halves[name] = _spread(
                    2 * len(graph.links), at_half[inside], metric.values[number, inside]
                )
        halves[LINK_UP] = _up(halves, 2 * len(graph.links))
        yield Row(at, nodes, halves)


def _up(halves: Mapping[str, NDArray[np.float64]], size: int) -> NDArray[np.float64]:
    """Whether links carry, at both ends alike.

    A link is up as far as both of its ends say; where neither does, it is if an end hears the
    other.
    """
    unknown = np.full(size, np.nan)
    said = halves.get(LINK_UP, unknown).reshape(-1, 2)
    hears = halves.get(QUALITY, unknown).reshape(-1, 2)
    lowest = np.fmin(said[:, 0], said[:, 1])
    best = np.fmax(hears[:, 0], hears[:, 1])
    guessed = np.where(np.isnan(best), np.nan, best > 0)
    return np.repeat(np.where(np.isnan(lowest), guessed, lowest), 2)


def _spread(size: int, at: NDArray[np.integer], values: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.full(size, np.nan)
    found[at] = values
    return found


def _until(telemetry: Telemetry, rows: int) -> Telemetry:
    metrics = {
        name: replace(metric, values=metric.values[:rows])
        for name, metric in telemetry.metrics.items()
    }
    return replace(telemetry, times=telemetry.times[:rows], metrics=metrics)
