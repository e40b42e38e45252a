"""Which two nodes a new link could join, and which of those pairs is the best.

A link bridges so many kilometres: a radio `MAX_KM["wifi"]` unless told otherwise, a cable
`MAX_KM["other"]`. Distances are great circles. Nodes without a known place, and those that only
tunnels lead to (servers in a data centre, mostly), are left out unless they are asked for; where no
node has a place, nobody is left out for it, and no distance is told.

All pairs that remain are tried, some rows at a time, so the best of them is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import numpy as np

from actors.topology.link_kinds import VPN
from actors.twin import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from actors.topology.model import Topology

    Gain = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.int64]]

# Longest new link by kind, km: what directed radios bridge in sight of each other; a copper cable
# of IEEE 802.3.
MAX_KM: Final = {"wifi": 10.0, "other": 0.1}
_EARTH_KM: Final = 6371.0088  # mean radius (IUGG)
_CELLS: Final = 400_000  # pairs handled in one go


class BestPair(NamedTuple):
    """The best pair to join.

    Attributes:
        gain: what it gains.
        a, b: its nodes; of equals the nearest, then the first.
        alternatives: number of pairs that gain as much, itself included.
    """

    gain: int
    a: int
    b: int
    alternatives: int


# No generated __eq__: the fields are arrays.
@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """The pairs that a link may join.

    Attributes:
        nodes: int64, the nodes that may get a link, ascending.
        topology: the mesh.
        max_km: length of the longest link.
        unplaced: number of nodes left out because their place is not known.
        tunnel_ends: number of nodes left out because only tunnels lead to them.
    """

    nodes: NDArray[np.int64]
    topology: Topology
    max_km: float
    unplaced: int
    tunnel_ends: int

    @classmethod
    def of(cls, topology: Topology, max_km: float, *, anywhere: bool = False) -> Self:
        """The pairs of a mesh; `anywhere`: of all its nodes."""
        placed = np.isfinite(topology.nodes.location).all(axis=1)
        tunnels = _tunnel_ends(topology)
        may = np.ones(topology.n_nodes, np.bool_)
        if not anywhere:
            may &= ~tunnels
            if placed.any():
                may &= placed
        lacking = ~may & ~tunnels
        return cls(
            np.flatnonzero(may), topology, max_km, int(lacking.sum()), int((~may & tunnels).sum())
        )

    def best(self, gain: Gain) -> BestPair | None:
        """The pair of greatest gain, None if none gains anything.

        Args:
            gain: of arrays of nodes, what joining each of the one to that of the other gains.
        """
        best: BestPair | None = None
        nearest = np.inf
        for a, b, km in self._pairs():
            gains = gain(a, b)
            most = int(gains.max(initial=0))
            if most == 0 or (best is not None and most < best.gain):
                continue
            equal = np.flatnonzero(gains == most)
            before = best.alternatives if best is not None and best.gain == most else 0
            first = equal[np.argmin(km[equal])]
            if not before or km[first] < nearest:
                nearest = float(km[first])
                best = BestPair(most, int(a[first]), int(b[first]), before + len(equal))
            elif best is not None:
                best = best._replace(alternatives=before + len(equal))
        return best

    def _pairs(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
        """Every pair within reach and its distance; infinite where it is not known."""
        count = len(self.nodes)
        rows = max(1, _CELLS // max(count, 1))
        for start in range(0, count, rows):
            progress.step("links to add")
            some = np.arange(start, min(start + rows, count))
            km = distances(self.topology, self.nodes[some, None], self.nodes[None])
            # What is not known forbids nothing: those nodes are here because they were asked for.
            near = ~(km > self.max_km) & (np.arange(count) > some[:, None])
            one, other = np.nonzero(near)
            distance = np.nan_to_num(km[one, other], nan=np.inf)
            yield self.nodes[some[one]], self.nodes[other], distance


def distances(
    topology: Topology, a: NDArray[np.int64], b: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Great circles between nodes, km, float64 as `a` and `b` broadcast; NaN: a place unknown."""
    latitude, longitude = np.radians(topology.nodes.location.T)
    north, east = latitude[a] - latitude[b], longitude[a] - longitude[b]
    # The haversine formula.
    chord = (
        np.sin(north / 2) ** 2 + np.cos(latitude[a]) * np.cos(latitude[b]) * np.sin(east / 2) ** 2
    )
    return np.asarray(2 * _EARTH_KM * np.arcsin(np.sqrt(np.minimum(chord, 1.0))))


def _tunnel_ends(topology: Topology) -> NDArray[np.bool_]:
    """Nodes that have links, all of them tunnels, bool [n_nodes]."""
    n = topology.n_nodes
    tunnel = np.zeros(topology.n_links, np.bool_)
    if VPN in topology.kinds:
        tunnel = topology.kind == topology.kinds.index(VPN)
    tunnels = np.bincount(topology.ends[tunnel].reshape(-1), minlength=n)
    return np.asarray((tunnels > 0) & (tunnels == topology.degree))
