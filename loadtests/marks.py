"""Sets of numbers as bits, for accounts of many millions of messages.

Numbers are dense from 0 (or 1), as sequence numbers are, so an array that says which are in the
set is smaller and far faster than any table of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST: Final = 1 << 20


@dataclass(slots=True)
class Marks:
    """A growing set of numbers, which also counts how often one was put in.

    Attributes:
        count: numbers put in, repetitions included.
    """

    count: int = 0
    _there: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(_FIRST, bool))

    def add(self, numbers: NDArray[np.int64]) -> None:
        """Put numbers in; negative ones are an error."""
        if not len(numbers):
            return
        top = int(numbers.max()) + 1
        if top > len(self._there):
            grown = np.zeros(max(top, 2 * len(self._there)), bool)
            grown[: len(self._there)] = self._there
            self._there = grown
        self._there[numbers] = True
        self.count += len(numbers)

    @property
    def distinct(self) -> int:
        """How many different numbers were put in."""
        return int(np.count_nonzero(self._there))

    def bits(self) -> NDArray[np.uint8]:
        """The set, eight numbers to a byte, as long as it must be."""
        last = np.flatnonzero(self._there)[-1:] if self.count else np.empty(0, np.intp)
        return np.packbits(self._there[: int(last[0]) + 1 if len(last) else 0])


def union(sets: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """All numbers that are in any of these sets of bits."""
    out = np.zeros(max(map(len, sets), default=0), np.uint8)
    for one in sets:
        out[: len(one)] |= one
    return out


def without(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The numbers of `one` that are not in `other`."""
    out = one.copy()
    shared = min(len(one), len(other))
    out[:shared] &= ~other[:shared]
    return out


def size(bits: NDArray[np.uint8]) -> int:
    """How many numbers a set has."""
    return int(np.bitwise_count(bits).sum())
