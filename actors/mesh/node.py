"""A mesh node's own part of the protocol: its advertisement.

What recurs for every node and neighbour (Hello, IHU, ETX) is array arithmetic in `neighbours`; the
node itself acts only when that found a change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from actors.topology.advertisement import Lsa

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MeshNode:
    """A hosted node's own advertisement: the only part of the database it may change.

    Args:
        index: the node's index.
        incarnation: greater than in any earlier incarnation of the node.
    """

    __slots__ = ("advertised", "incarnation", "index", "sequence")

    def __init__(self, index: int, incarnation: int) -> None:
        self.index = index
        self.incarnation = incarnation
        self.sequence = 0
        self.advertised: Lsa | None = None

    def advertise(self, neighbours: NDArray[np.int32], costs: NDArray[np.int32]) -> Lsa:
        """The next advertisement, listing these neighbours."""
        order = np.argsort(neighbours)
        self.sequence += 1
        self.advertised = Lsa(
            self.index,
            self.incarnation,
            self.sequence,
            tuple(neighbours[order].tolist()),
            tuple(costs[order].tolist()),
        )
        return self.advertised

    def outlive(self, heard: Lsa) -> bool:
        """React to an advertisement of ours from an earlier incarnation, or replayed by others.

        Returns:
            Whether the node must advertise again, above what was heard (OLSRv2, RFC 7181, 17.3).
        """
        current = (self.incarnation, self.sequence)
        if heard == self.advertised or (heard.incarnation, heard.sequence) < current:
            return False
        self.incarnation = heard.incarnation + 1
        self.sequence = 0
        return True
