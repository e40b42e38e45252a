"""A small data set: four nodes, a line with a link that leaves it, loss, a dark node, and bgp."""

from __future__ import annotations

import numpy as np

from serve_apps.inference.data_set import DataSet
from serve_apps.inference.telemetry import (
    LabelledIncident,
    Metric,
    NetworkGraph,
    Place,
    Telemetry,
)

STEP_S = 60.0
START_S = 1_600_000_000.0
IDLE = 2  # the link that carries next to nothing


def made_data_set(seed: int = 0, n_incidents: int = 24, every: int = 12, rows: int = 2) -> DataSet:
    """Incidents of each kind in turn, `rows` rows long, one in each `every` rows.

    A link's loss is seen by the end that receives; interface `e0` of each node leads over its first
    link, `e1` over its second.
    """
    rng = np.random.default_rng(seed)
    nodes = ("a", "b", "c", "d")
    graph = NetworkGraph(
        nodes,
        ("ab", "bc", "cd", "out"),
        np.array([(0, 1), (1, 2), (2, 3), (3, -1)], np.int32),
        np.zeros(4, np.bool_),
    )
    n = n_incidents * every
    level = np.repeat([2000.0, 800.0, 0.1, 1500.0], 2)
    sent = rng.poisson(level * STEP_S, (n, 8)) / STEP_S
    received = rng.poisson(sent[:, np.arange(8) ^ 1] * STEP_S) / STEP_S
    cpu = rng.normal(50, 1, (n, 4))
    prefixes = np.full((n, 2), 700.0)
    owner = graph.ends.reshape(-1)
    incidents = []
    for number in range(n_incidents):
        at = slice(number * every + every - rows, number * every + every)
        times = (START_S + STEP_S * at.start, START_S + STEP_S * (at.stop - 1))
        half = (0, 1, 2, 3, 6)[number // 4 % 5]
        node, interface = nodes[owner[half]], _interface(graph, half)
        kind = ("link-loss", "node-down", "bgp-hijack", "link-delay")[number % 4]
        if kind == "link-loss":
            received[at, half] *= 0.5
        elif kind == "node-down":
            interface = ""
            cpu[at, owner[half]] = 0
        elif kind == "bgp-hijack":
            node, interface = None, ""
            prefixes[at] += 40
        else:
            half = 2 * IDLE
            node, interface = nodes[owner[half]], _interface(graph, half)
        incidents.append(LabelledIncident(f"i{number}", *times, kind, node, interface))
    every_half = np.array([0, 1, 2, 3, 4, 5, 6], np.int32)
    metrics = {
        "in_rate": Metric(Place.HALF_LINK, every_half, received[:, every_half]),
        "out_rate": Metric(Place.HALF_LINK, every_half, sent[:, every_half]),
        "cpu": Metric(Place.NODE, np.arange(4, dtype=np.int32), cpu),
        "prefixes": Metric(Place.INTERFACE, np.array([3, 3], np.int32), prefixes, ("e0", "e1")),
    }
    telemetry = Telemetry(graph, START_S + STEP_S * np.arange(n), metrics)
    return DataSet("made", telemetry, tuple(incidents), ())


def _interface(graph: NetworkGraph, half: int) -> str:
    node = graph.ends.reshape(-1)[half]
    return f"e{np.flatnonzero(graph.ends.reshape(-1) == node).tolist().index(half)}"
