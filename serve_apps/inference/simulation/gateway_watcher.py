"""What somebody at the gateways knows of a mesh: of nodes that no path leads to, nothing.

Whoever watches a network over itself has no new samples of nodes that are cut off, though they
work: all that they measure is missing, not zero, at their own ends of links too. What their
neighbours on this side measure of them still arrives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from serve_apps.inference.mesh_series import link_up
from serve_apps.inference.telemetry import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_apps.inference.telemetry import NetworkGraph, Telemetry


def seen_at_gateways(telemetry: Telemetry, gateways: NDArray[np.intp]) -> Telemetry:
    """The same without what nodes measure while no path leads from them to a gateway.

    Args:
        telemetry: what all nodes measure, with `link_up` of half-links. A path may lead over links
            of whose state nothing is known.
        gateways: indices of nodes.
    """
    graph = telemetry.graph
    carries = ~(link_up(telemetry)[:, ::2] <= 0)
    hidden = np.stack([~_reached(graph, row, gateways) for row in carries])
    owner = graph.ends.reshape(-1)
    metrics = {}
    for name, metric in telemetry.metrics.items():
        of_node = owner[metric.at] if metric.place is Place.HALF_LINK else metric.at
        values = np.where(hidden[:, of_node], np.nan, metric.values)
        metrics[name] = replace(metric, values=values)
    return replace(telemetry, metrics=metrics)


def _reached(
    graph: NetworkGraph, carries: NDArray[np.bool_], gateways: NDArray[np.intp]
) -> NDArray[np.bool_]:
    n_nodes = len(graph.nodes)
    a, b = graph.ends[carries].T
    between = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(n_nodes, n_nodes))
    part = connected_components(between, directed=False)[1]
    return np.isin(part, part[gateways])
