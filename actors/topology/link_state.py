"""The nodes' knowledge of their links, as one process sends it to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from actors.topology.model import Topology


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """The nodes and the possible links of a mesh.

    Attributes:
        revision: number of this state; link states with the same revision use its numbering.
        source: source of the map, without credentials.
        topology: node indices never change their meaning; nodes that left have no links.
        present: bool [n_nodes], False for nodes that left.
        shards: names of the actors that host nodes.
    """

    revision: int
    source: str
    topology: Topology
    present: NDArray[np.bool_]
    shards: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LinkState:
    """The links out of some nodes, by what those nodes advertise and measure themselves.

    Attributes:
        revision: revision of the roster that gives the numbering.
        digest: digest of the link-state database; another one after every change.
        link: int32 [k], directed links out of the nodes.
        cost: int32 [k], ETX times COST_UNIT as advertised; 0 where the link is down.
        heard: float64 [k], delivery quality measured the other way, from the neighbour, in [0, 1].
        incarnation: of the process that tells it; another one after each restart. 0: not told.
    """

    revision: int
    digest: int
    link: NDArray[np.int32]
    cost: NDArray[np.int32]
    heard: NDArray[np.float64]
    incarnation: int = 0
