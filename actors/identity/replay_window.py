"""Which numbered messages of one sender are new: a bitmap over (epoch, sequence).

The window of RFC 4303 (section 3.4.3) with an epoch before the sequence: a sender that loses its
count begins a higher epoch, and everything of a lower one is old. `check` is cheap and goes before
a signature is verified; `admit` follows it, so that a forged number never moves the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WINDOW: Final = 64  # sequences below the highest that are still told apart


class Freshness(StrEnum):
    """What a window says of a number."""

    NEW = "new"
    REPLAYED = "replayed"
    TOO_OLD = "too_old"  # below the window: nobody knows whether it came
    OLD_EPOCH = "old_epoch"


@dataclass(slots=True)
class ReplayWindow:
    """The window of one sender.

    Attributes:
        epoch: the highest admitted; -1 before the first.
        highest: the highest sequence admitted in that epoch.
    """

    epoch: int = -1
    highest: int = -1
    _seen: int = 0  # bit i: sequence highest - i was admitted

    def check(self, epoch: int, sequence: int) -> Freshness:
        """Whether (epoch, sequence) is new; changes nothing."""
        if epoch != self.epoch:
            return Freshness.NEW if epoch > self.epoch else Freshness.OLD_EPOCH
        behind = self.highest - sequence
        if behind < 0:
            return Freshness.NEW
        if behind >= WINDOW:
            return Freshness.TOO_OLD
        return Freshness.REPLAYED if self._seen >> behind & 1 else Freshness.NEW

    def admit(self, epoch: int, sequence: int) -> Freshness:
        """Take in (epoch, sequence), whose sender is proven, if it is new; what it was."""
        freshness = self.check(epoch, sequence)
        if freshness is not Freshness.NEW:
            return freshness
        if epoch > self.epoch:
            self.epoch, self.highest, self._seen = epoch, sequence, 1
        elif sequence > self.highest:
            ahead = min(sequence - self.highest, WINDOW)
            self._seen = (self._seen << ahead | 1) & (1 << WINDOW) - 1
            self.highest = sequence
        else:
            self._seen |= 1 << self.highest - sequence
        return freshness
