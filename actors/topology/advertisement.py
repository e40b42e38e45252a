"""A node's link-state advertisement: what it says of itself, and what proves that it said so.

It is here, and not with the mesh, since those who vouch for nodes read and sign advertisements too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

_SEQUENCE_BITS = 32


@dataclass(frozen=True, slots=True)
class Lsa:
    """One node's link-state advertisement: the neighbours it hears both ways and their costs.

    Attributes:
        origin: node index.
        incarnation: raised each time the origin loses its state.
        sequence: raised with each advertisement of an incarnation.
        neighbours: node indices, ascending.
        costs: ETX times COST_UNIT, one for each neighbour.
        suspects: nodes that the origin calls unreliable, ascending; only where it signs.
        signature: evidence that the origin says so; empty where nothing is signed. It is no part
            of what is said: advertisements that differ in it alone are equal.
    """

    origin: int
    incarnation: int
    sequence: int
    neighbours: tuple[int, ...] = ()
    costs: tuple[int, ...] = ()
    suspects: tuple[int, ...] = ()
    signature: bytes = field(default=b"", compare=False, repr=False)

    @property
    def stamp(self) -> int:
        """(incarnation, sequence) as one integer that orders the same way."""
        return self.incarnation << _SEQUENCE_BITS | self.sequence

    def supersedes(self, other: Lsa | None) -> bool:
        """Whether the join of both advertisements is this one and not `other`.

        The contents break a tie that an honest origin never makes, so that the join stays a join.
        """
        if other is None:
            return True
        mine = (self.stamp, self.neighbours, self.costs, self.suspects)
        return mine > (other.stamp, other.neighbours, other.costs, other.suspects)
