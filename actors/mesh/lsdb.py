"""The link-state database: a delta-state CRDT.

It is a map from origin to that origin's newest advertisement (Almeida et al., "Delta State
Replicated Data Types", 2018).

The join keeps, per origin, the advertisement with the greater (incarnation, sequence); only the
origin raises either, so the join is associative, commutative and idempotent, and databases that
have seen the same advertisements in any order and number are equal.

`version` is a scalar that grows with every advertisement merged and is equal for equal databases:
the sum of all stamps. Forwarding leans on it (see `router`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from actors.topology.advertisement import Lsa


class LinkStateDatabase:
    """A replica of the map from origin to newest advertisement."""

    def __init__(self) -> None:
        self._lsas: dict[int, Lsa] = {}
        self.version = 0
        self.digest = 0  # 64 bits, equal for databases with the same stamps whatever the order

    def __len__(self) -> int:
        return len(self._lsas)

    def __iter__(self) -> Iterator[Lsa]:
        return iter(self._lsas.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LinkStateDatabase) and self._lsas == other._lsas

    __hash__ = None  # type: ignore[assignment]  # a database changes

    def get(self, origin: int) -> Lsa | None:
        """The newest advertisement known of `origin`."""
        return self._lsas.get(origin)

    def join(self, lsa: Lsa) -> bool:
        """Merge one advertisement; whether it was news."""
        old = self._lsas.get(lsa.origin)
        if not lsa.supersedes(old):
            return False
        self._lsas[lsa.origin] = lsa
        if old is not None:
            self.version -= old.stamp
            self.digest ^= _mix(old)
        self.version += lsa.stamp
        self.digest ^= _mix(lsa)
        return True

    def merge(self, lsas: Iterable[Lsa]) -> list[Lsa]:
        """Merge many; those that were news."""
        return [lsa for lsa in lsas if self.join(lsa)]

    def stamps(self) -> dict[int, int]:
        """The summary that anti-entropy exchanges: origin → stamp."""
        return {origin: lsa.stamp for origin, lsa in self._lsas.items()}

    def newer_than(self, stamps: dict[int, int]) -> list[Lsa]:
        """The delta that a replica with `stamps` lacks."""
        return [lsa for origin, lsa in self._lsas.items() if lsa.stamp > stamps.get(origin, -1)]


def _mix(lsa: Lsa) -> int:
    """A 64-bit hash of (origin, stamp): splitmix64 (Steele et al., 2014) of the one, then both.

    The origin is mixed before the stamp joins it: of small numbers, the plain exclusive or of both
    is the same for many pairs, and equal hashes cancel out in the digest.
    """
    value = 0
    for word in (lsa.origin, lsa.stamp):
        value = (value ^ word) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        value = (value ^ value >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        value ^= value >> 31
    return value
