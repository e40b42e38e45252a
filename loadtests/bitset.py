"""Sets of numbers as bits, for accounts of many millions of messages.

The numbers are dense from 0 (or 1), as sequence numbers are, so an array with one element for each
possible number is smaller and much faster than a hash table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST: Final = 1 << 20


@dataclass(slots=True)
class Bitset:
    """A growing set of numbers, which also counts how many were added.

    Attributes:
        count: numbers added, repetitions included.
    """

    count: int = 0
    _present: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(_FIRST, bool))

    def add(self, numbers: NDArray[np.int64]) -> None:
        """Add numbers; negative numbers are not allowed."""
        if not len(numbers):
            return
        top = int(numbers.max()) + 1
        if top > len(self._present):
            grown = np.zeros(max(top, 2 * len(self._present)), bool)
            grown[: len(self._present)] = self._present
            self._present = grown
        self._present[numbers] = True
        self.count += len(numbers)

    @property
    def distinct(self) -> int:
        """How many different numbers were added."""
        return int(np.count_nonzero(self._present))

    def bits(self) -> NDArray[np.uint8]:
        """The set with eight numbers in a byte, without trailing empty bytes."""
        last = np.flatnonzero(self._present)[-1:] if self.count else np.empty(0, np.intp)
        return np.packbits(self._present[: int(last[0]) + 1 if len(last) else 0])


def union(sets: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """The numbers that are in any of these packed sets."""
    out = np.zeros(max(map(len, sets), default=0), np.uint8)
    for one in sets:
        out[: len(one)] |= one
    return out


def without(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The numbers of `one` that are not in `other`; both are packed."""
    out = one.copy()
    shared = min(len(one), len(other))
    out[:shared] &= ~other[:shared]
    return out


def size(bits: NDArray[np.uint8]) -> int:
    """How many numbers a packed set has."""
    return int(np.bitwise_count(bits).sum())
