"""The canonical bytes of an advertisement, which its origin signs, and the form it must have.

    domain, length and name of the mesh, origin, incarnation, sequence, three counts,
    neighbours, costs, suspects                                    (big-endian, unsigned)

An advertisement has exactly one encoding, and `decoded` accepts no other.

Incarnations are divided, so that stamps stay in order and their sum in 63 bits: the upper bits are
the generation of the origin's key, which an operator alone raises; the lower twelve count restarts
under that key. The last of them is no incarnation but the quarantine: it is above all that the
origin can ever say under that key, and below all that it says under the next.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from actors.topology.advertisement import Lsa
from actors.topology.etx import MAX_COST

if TYPE_CHECKING:
    from actors.topology.model import Topology

_DOMAIN: Final = b"x0tta6bl4 advertisement 1\0"
_HEAD: Final = struct.Struct(">IIIHHH")
_NUMBER_BITS: Final = 32  # of node indices, costs and sequence numbers

RESTART_BITS: Final = 12
QUARANTINE: Final = (1 << RESTART_BITS) - 1  # the place of the quarantine in a generation
MAX_RESTARTS: Final = QUARANTINE - 1
MAX_GENERATION: Final = (1 << 5) - 1
MAX_NODES: Final = 1 << 14  # times stamps of 49 bits: the version of a database stays in 63


def incarnation(generation: int, restarts: int) -> int:
    """The incarnation of a node under the key `generation` after so many restarts."""
    return generation << RESTART_BITS | restarts


def generation_of(lsa: Lsa) -> int:
    """The generation of the key that an advertisement must be signed with."""
    return lsa.incarnation >> RESTART_BITS


def is_quarantine(lsa: Lsa) -> bool:
    """Whether this is no advertisement but the proof that its origin told two stories."""
    return lsa.incarnation & QUARANTINE == QUARANTINE


def encoded(lsa: Lsa, mesh: bytes) -> bytes:
    """What the origin signs. `mesh` names the mesh, so that nothing is taken from one to another.

    Raises:
        struct.error: a number does not fit.
    """
    counts = len(lsa.neighbours), len(lsa.costs), len(lsa.suspects)
    numbers = (*lsa.neighbours, *lsa.costs, *lsa.suspects)
    return b"".join(
        (
            _DOMAIN,
            struct.pack(">H", len(mesh)),
            mesh,
            _HEAD.pack(lsa.origin, lsa.incarnation, lsa.sequence, *counts),
            struct.pack(f">{len(numbers)}I", *numbers),
        )
    )


def decoded(data: bytes, mesh: bytes) -> Lsa | None:
    """The advertisement, unsigned, that `encoded` makes these bytes of; None if there is none."""
    prefix = _DOMAIN + struct.pack(">H", len(mesh)) + mesh
    if not data.startswith(prefix) or len(data) < len(prefix) + _HEAD.size:
        return None
    origin, first, sequence, *counts = _HEAD.unpack_from(data, len(prefix))
    body = data[len(prefix) + _HEAD.size :]
    if len(body) != 4 * sum(counts):
        return None
    numbers = struct.unpack(f">{sum(counts)}I", body)
    second, third = counts[0], counts[0] + counts[1]
    return Lsa(origin, first, sequence, numbers[:second], numbers[second:third], numbers[third:])


class Form:
    """What an advertisement of one map may look like: anything else comes from a liar.

    Args:
        topology: the map; nobody has more neighbours than it says.
    """

    def __init__(self, topology: Topology) -> None:
        indptr, links = topology.out_links
        targets = topology.link_target[links].tolist()
        bounds = zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True)
        self._around = [frozenset(targets[start:stop]) for start, stop in bounds]

    def neighbours_of(self, node: int) -> frozenset[int]:
        """The nodes that the map joins to `node`."""
        return self._around[node] if 0 <= node < len(self._around) else frozenset()

    def __contains__(self, lsa: Lsa) -> bool:
        if not 0 <= lsa.origin < len(self._around) or not 0 <= lsa.sequence >> _NUMBER_BITS < 1:
            return False
        if not 0 <= generation_of(lsa) <= MAX_GENERATION:
            return False
        if is_quarantine(lsa):
            return not (lsa.sequence or lsa.neighbours or lsa.costs or lsa.suspects)
        around = self._around[lsa.origin]
        return (
            len(lsa.costs) == len(lsa.neighbours)
            and _ascending(lsa.neighbours, around)
            and _ascending(lsa.suspects, around)
            and all(0 < cost <= MAX_COST for cost in lsa.costs)
        )


def _ascending(nodes: tuple[int, ...], allowed: frozenset[int]) -> bool:
    return (
        len(nodes) <= len(allowed)
        and allowed.issuperset(nodes)
        and sorted(set(nodes)) == list(nodes)
    )
