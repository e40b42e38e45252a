"""The same network with other names, its nodes, links and ends of links in another order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serve_apps.inference.telemetry import Metric, NetworkGraph, Place, Telemetry


@dataclass(frozen=True)
class Shuffled:
    """Telemetry in another order; node v of the original is node `node[v]` of it."""

    telemetry: Telemetry
    node: NDArray[np.intp]


def shuffled(telemetry: Telemetry, rng: np.random.Generator) -> Shuffled:
    graph = telemetry.graph
    n_nodes, n_links = len(graph.nodes), len(graph.links)
    node, link = rng.permutation(n_nodes), rng.permutation(n_links)
    flip = rng.integers(0, 2, n_links)
    half = (2 * link[:, None] + (np.arange(2)[None, :] ^ flip[:, None])).reshape(-1)
    ends = np.empty(2 * n_links, np.int32)
    ends[half] = node[graph.ends.reshape(-1)]
    places = {Place.NODE: node, Place.HALF_LINK: half}
    renamed = NetworkGraph(
        tuple(f"x{at}" for at in range(n_nodes)),
        tuple(f"y{at}" for at in range(n_links)),
        ends.reshape(-1, 2),
        np.zeros(n_links, bool),
    )
    metrics = {
        name: Metric(metric.place, places[metric.place][metric.at].astype(np.int32), metric.values)
        for name, metric in telemetry.metrics.items()
    }
    return Shuffled(Telemetry(renamed, telemetry.times, metrics), node)
