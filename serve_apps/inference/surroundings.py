"""The part of a network that lies around some of its nodes, with what was measured there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from serve_apps.inference.telemetry import Metric, NetworkGraph, Place, Telemetry

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """A part of a network.

    Attributes:
        nodes: int [n], the place of each of its nodes in the whole.
        telemetry: of these nodes, and of the links between them.
    """

    nodes: NDArray[np.intp]
    telemetry: Telemetry


def around(whole: Telemetry, nodes: NDArray[np.bool_], hops: int) -> Surroundings:
    """The nodes that are at most so many hops from given ones, and the links between them.

    Args:
        whole: of the whole network.
        nodes: bool [n_nodes], the given ones.
        hops: number of hops.
    """
    graph = whole.graph
    ends = graph.ends
    first, second = ends.T  # far quicker column by column than along the pairs
    inner = (first >= 0) & (second >= 0)
    near = nodes.copy()
    for _ in range(hops):
        reached = ends[inner & (near[first] | near[second])]
        near[reached.reshape(-1)] = True
    links = np.flatnonzero(inner & near[first] & near[second])
    kept = np.flatnonzero(near)
    node_at, half_at = np.full(len(near), -1, np.int32), np.full(2 * len(ends), -1, np.int32)
    node_at[kept] = np.arange(len(kept))
    halves = np.stack([2 * links, 2 * links + 1], axis=1).reshape(-1)
    half_at[halves] = np.arange(len(halves))
    part = NetworkGraph(
        tuple(graph.nodes[node] for node in kept.tolist()),
        tuple(graph.links[link] for link in links.tolist()),
        node_at[ends[links]],
        graph.directed[links],
    )
    metrics = {
        name: _part(metric, half_at if metric.place is Place.HALF_LINK else node_at)
        for name, metric in whole.metrics.items()
    }
    return Surroundings(kept, Telemetry(part, whole.times, metrics))


def _part(metric: Metric, place: NDArray[np.int32]) -> Metric:
    """The series of a metric that are measured in the part, at their places there."""
    inside = np.flatnonzero(place[metric.at] >= 0)
    names = tuple(metric.names[each] for each in inside.tolist()) if metric.names else ()
    return replace(
        metric, at=place[metric.at[inside]], values=metric.values[:, inside], names=names
    )
