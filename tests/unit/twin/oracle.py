"""Losses and loads by plain enumeration of routes with networkx, for the twin's tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import networkx as nx

from actors.topology.etx import etx_costs

if TYPE_CHECKING:
    from actors.topology.model import Topology
    from tests.unit.twin.meshes import World

Path = tuple[int, ...]


def weighted(world: World) -> nx.Graph:
    """The graph with ETX costs."""
    graph = world.graph.copy()
    cost = etx_costs(world.topology)
    for link, (a, b) in enumerate(world.topology.ends.tolist()):
        graph.edges[a, b]["cost"] = int(cost[2 * link])
    return graph


def paths(graph: nx.Graph, source: int, destination: int) -> list[Path]:
    """All cheapest paths; none if there is none."""
    if source not in graph or destination not in graph:
        return []
    if not nx.has_path(graph, source, destination):
        return []
    return [tuple(path) for path in nx.all_shortest_paths(graph, source, destination, "cost")]


def hop(topology: Topology, a: int, b: int, retries: int) -> float:
    """Chance that a frame gets from a to b."""
    quality = float(topology.link_quality[topology.directed_link(a, b)])
    return 1 - (1 - quality) ** (retries + 1)


def loss(topology: Topology, path: Path, retries: int, alive: nx.Graph | None = None) -> float:
    """Share lost on a path, of which only links in `alive` work."""
    if alive is not None and any(not alive.has_edge(a, b) for a, b in nx.utils.pairwise(path)):
        return 1.0
    return 1 - math.prod(hop(topology, a, b, retries) for a, b in nx.utils.pairwise(path))
