"""The mesh as its nodes know it, put together from what each shard tells of the nodes it hosts.

The newest advertisement of a node is the one that its own shard holds, so the shards' parts
together are the join of all their link-state databases. A link is there while both ends advertise
it; its quality in each direction is the one that the receiving end measures. Nodes without such a
link (silent ones, say) belong to the mesh all the same, cut off from it.

A shard that does not answer keeps its last part: nothing is known against its nodes, and the
neighbours of those that have failed withdraw them by themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from actors.topology.model import Topology

if TYPE_CHECKING:
    from actors.topology.link_state import LinkState, Roll

_LEAST: Final = 1e-6  # quality; a link that is up has been heard


class LiveMesh:
    """What is known of the mesh.

    Args:
        roll: its nodes and possible links.

    Attributes:
        changes: grows with each part that is taken.
    """

    def __init__(self, roll: Roll) -> None:
        self.roll = roll
        self.changes = 0
        self._parts: dict[str, LinkState] = {}

    def known(self, shard: str) -> tuple[int, int] | None:
        """Revision and digest of the part that a shard has told; None if it is to be told again."""
        part = self._parts.get(shard)
        return None if part is None else (part.revision, part.digest)

    def learn(self, shard: str, part: LinkState) -> bool:
        """Take a shard's part; False if it follows another roll, which is then to be fetched."""
        if part.revision != self.roll.revision:
            return False
        self._parts[shard] = part
        self.changes += 1
        return True

    def topology(self) -> Topology:
        """The nodes that are present, and the links that are up."""
        whole = self.roll.topology
        cost = np.zeros(2 * whole.n_links, np.int32)
        quality = np.zeros(2 * whole.n_links)
        for part in self._parts.values():
            cost[part.link] = part.cost
            quality[part.link ^ 1] = part.heard
        up = (cost.reshape(-1, 2) > 0).all(axis=1)
        both = np.clip(quality.reshape(-1, 2)[up], _LEAST, 1.0)
        links = Topology(whole.ids, whole.ends[up], both, whole.kind[up], whole.kinds)
        return links.subgraph(self.roll.present)
