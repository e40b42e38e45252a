"""Networks as requests describe them: checked, and as arrays."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.errors import InvalidInput, close_matches
from serve_apps.inference.node_graph import NodeGraph
from serve_apps.inference.telemetry import Metric, NetworkGraph, Place, Telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from serve_apps.inference.http.documents import LinkBody, TelemetryBody

_SOURCE: Final = "body"


def of_deviations(
    nodes: Mapping[str, Mapping[str, float | None]],
    links: Sequence[Sequence[str]],
    features: Sequence[str],
) -> NodeGraph:
    """The network of a request that gives deviations.

    Args:
        nodes: deviations by node and feature.
        links: the ids of both ends.
        features: in the order of the model.

    Raises:
        InvalidInput: there are no nodes, a feature is unknown, or a link has an end that is no
            node.
    """
    if not nodes:
        raise _empty()
    deviations = _deviations(nodes, features)
    index = {node: number for number, node in enumerate(nodes)}
    for number, link in enumerate(links):
        for node in link:
            if node not in index:
                raise _unknown_end(f"links.{number}", node, nodes)
    ends = np.array([[index[node] for node in link] for link in links], np.int64).reshape(-1, 2)
    unknown = np.full_like(deviations, np.nan)
    return NodeGraph(tuple(nodes), ends, deviations, unknown, unknown)


def _deviations(
    nodes: Mapping[str, Mapping[str, float | None]], features: Sequence[str]
) -> NDArray[np.float64]:
    column = {name: number for number, name in enumerate(features)}
    found = np.full((len(nodes), len(features)), np.nan)
    for row, (node, given) in enumerate(nodes.items()):
        for name, value in given.items():
            if name not in column:
                raise _unknown_feature(node, name, features)
            found[row, column[name]] = np.nan if value is None else value
    return found


def of_telemetry(body: TelemetryBody) -> Telemetry:
    """The telemetry of a request.

    Raises:
        InvalidInput: it contradicts itself; the error names the entry.
    """
    if not body.nodes:
        raise _empty()
    index = {node: number for number, node in enumerate(body.nodes)}
    if len(index) < len(body.nodes):
        raise _refused("telemetry.nodes", "an id is given twice", "Give each node once.")
    if not body.times or any(a >= b for a, b in itertools.pairwise(body.times)):
        raise _refused(
            "telemetry.times", "they are none, or do not ascend", "Give one time for each sample."
        )
    graph = _graph(body.links, index)
    metrics = {
        name: _metric(name, series, index, body.links, len(body.times))
        for name, series in body.metrics.items()
    }
    return Telemetry(graph, np.array(body.times), metrics)


def _graph(links: Sequence[LinkBody], index: Mapping[str, int]) -> NetworkGraph:
    ends = np.full((len(links), 2), -1, np.int32)
    for number, link in enumerate(links):
        for side, node in enumerate(link.ends):
            if node not in index:
                raise _unknown_end(f"telemetry.links.{number}.ends", node, index)
            ends[number, side] = index[node]
    ids = tuple(link.id for link in links)
    if len(set(ids)) < len(ids):
        raise _refused("telemetry.links", "an id is given twice", "Give each link once.")
    directed = np.array([link.directed for link in links], np.bool_)
    return NetworkGraph(tuple(index), ids, ends, directed)


def _metric(
    name: str,
    series: Mapping[str, Sequence[float | None]],
    index: Mapping[str, int],
    links: Sequence[LinkBody],
    n_times: int,
) -> Metric:
    """A metric; all its series are measured at the same kind of place."""
    half_links = {
        f"{node}/{link.id}": 2 * number + side
        for number, link in enumerate(links)
        for side, node in enumerate(link.ends)
    }
    at, names, places = [], [], set()
    for key, values in series.items():
        entry = f"telemetry.metrics.{name}.{key}"
        if len(values) != n_times:
            why = f"it has {len(values)} values, and there are {n_times} times"
            raise _refused(entry, why, "Give null where nothing was measured.")
        node, _, interface = key.partition("/")
        if key in index:
            place, where = Place.NODE, index[key]
        elif key in half_links:
            place, where = Place.HALF_LINK, half_links[key]
        elif node in index:
            place, where = Place.INTERFACE, index[node]
        else:
            raise _unknown_end(entry, node, index)
        at.append(where)
        names.append(interface if place is Place.INTERFACE else "")
        places.add(place)
    if len(places) > 1:
        raise _refused(
            f"telemetry.metrics.{name}",
            f"its series are of different places: {', '.join(sorted(places))}",
            "Give a metric of nodes and one of links different names.",
        )
    place = places.pop() if places else Place.NODE
    rows = np.array(list(series.values()), np.float64).reshape(len(series), n_times)
    named = tuple(names) if place is Place.INTERFACE else ()
    return Metric(place, np.array(at, np.int32), np.ascontiguousarray(rows.T), named)


def _empty() -> InvalidInput:
    return _refused("nodes", "the network has none", "Give at least one node.")


def _unknown_feature(node: str, name: str, features: Sequence[str]) -> InvalidInput:
    known = f"Known are {', '.join(features)}."
    return _refused(
        f"nodes.{node}.{name[:64]}",
        "there is no feature of that name",
        close_matches(name[:64], features) or known,
    )


def _unknown_end(entry: str, node: str, nodes: Mapping[str, object]) -> InvalidInput:
    remedy = close_matches(node, nodes) or "Give each node that has a link."
    return _refused(entry, f"{node} is none of the nodes", remedy)


def _refused(entry: str, why: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"{entry} is refused", why, remedy, source=_SOURCE, entry=entry)
