"""What the nodes of a mesh know of their links, as one process tells it to another."""

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
        revision: names this state; link states that carry it follow its numbering.
        source: of the map, without credentials.
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
        revision: of the roster whose numbering this follows.
        digest: of the link-state database behind it; another one after every change.
        link: int32 [k], directed links out of the nodes.
        cost: int32 [k], ETX times COST_UNIT as advertised; 0 where the link is down.
        heard: float64 [k], delivery quality measured the other way, from the neighbour, in [0, 1].
    """

    revision: int
    digest: int
    link: NDArray[np.int32]
    cost: NDArray[np.int32]
    heard: NDArray[np.float64]
