"""A seeded mesh in the plane with as many links as a route benchmark asks for.

Denser than the made-up radio meshes of `actors.topology.radio`, which have two links a node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.spatial import Delaunay, cKDTree

from actors.topology.etx import COST_UNIT
from actors.topology.model import Topology

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Costs = NDArray[np.int32]

LINKS_PER_NODE: Final = 4
_POOREST: Final = 4 * COST_UNIT  # cost of the poorest link
_NEAR: Final = 16  # nearest places among which links beyond the triangulation are sought


def graph(nodes: int, seed: int) -> tuple[Topology, Costs]:
    """A plane mesh of 4 links a node, and the cost of each directed link.

    Raises:
        ValueError: there are too few nodes for so many links.
    """
    draw = np.random.default_rng(seed)
    places = draw.random((nodes, 2))
    corners = Delaunay(places).simplices.astype(np.int64)
    joined = np.unique(
        np.sort(np.vstack([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]]), axis=1),
        axis=0,
    )
    _, near = map(np.asarray, cKDTree(places).query(places, k=_NEAR))
    around = np.stack([np.repeat(np.arange(nodes), _NEAR - 1), near[:, 1:].ravel()], axis=1)
    others = np.unique(np.sort(around, axis=1), axis=0)
    keys = others[:, 0] * nodes + others[:, 1]
    others = others[~np.isin(keys, joined[:, 0] * nodes + joined[:, 1])]
    wanted = LINKS_PER_NODE * nodes - len(joined)
    if not 0 <= wanted <= len(others):
        raise ValueError(f"{nodes} nodes cannot have {LINKS_PER_NODE} links each here")
    length = np.linalg.norm(places[others[:, 0]] - places[others[:, 1]], axis=1)
    chosen = others[np.argsort(length, kind="stable")[:wanted]]
    topology = Topology.of([f"n{at}" for at in range(nodes)], np.vstack([joined, chosen]))
    cost = draw.integers(COST_UNIT, _POOREST, 2 * topology.n_links, dtype=np.int32)
    return topology, cost
