"""The mesh of the healing benchmark: a square grid of perfect links, as NetJSON publishes one.

Every pair of its nodes stays connected when the centre dies, and many shortest paths led through
it: so there is something to heal, and nothing that cannot be.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from actors.topology.model import Topology

if TYPE_CHECKING:
    from pathlib import Path


def grid(side: int) -> Topology:
    """The grid of side x side nodes, named `r0c0` by row and column, each linked to its neighbours.

    Raises:
        ValueError: `side` is even, so that there is no centre, or below 3.
    """
    if side < 3 or side % 2 == 0:
        raise ValueError(f"a grid with a centre has an odd side of at least 3, not {side}")
    ids = [f"r{row}c{column}" for row in range(side) for column in range(side)]
    across = [(at, at + 1) for at in range(side * side) if (at + 1) % side]
    down = [(at, at + side) for at in range(side * (side - 1))]
    return Topology.of(ids, across + down)


def centre(topology: Topology) -> int:
    """Index of the node in the middle of a grid."""
    return topology.n_nodes // 2


def write_netjson(topology: Topology, path: Path) -> None:
    """Publish a mesh of perfect links as a NetJSON NetworkGraph."""
    document = {
        "type": "NetworkGraph",
        "protocol": "static",
        "version": None,
        "metric": "ETX",
        "nodes": [{"id": name} for name in topology.ids],
        "links": [
            {"source": topology.ids[a], "target": topology.ids[b], "cost": 1.0}
            for a, b in topology.ends.tolist()
        ],
    }
    path.write_text(json.dumps(document))
