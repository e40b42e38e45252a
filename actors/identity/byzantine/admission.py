"""Claims that wait for their signature to be checked; no flood of them delays an honest one.

- There is one place for each (sender, origin), and the newest claim of that sender stands there,
  with one more for a claim that contradicts it: a sender can crowd out nobody's claims but its own,
  and memory is bounded by nodes x senders.
- Checks go round the senders, one claim each in turn: with d senders, each has at least the d-th
  part of every budget, however much the others send.
- A sender that has passed on a bad signature is faulty, since honest nodes pass on only what
  they have checked: for `PENALTY_S` it comes after all others, and has an eighth of each budget.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.topology.advertisement import Lsa

PENALTY_S: Final = 30.0


class Turn(Enum):
    """What is to be done with a waiting claim now."""

    CHECK = "check"
    WAIT = "wait"
    DROP = "drop"


class Admission:
    """The waiting claims."""

    def __init__(self) -> None:
        # Sender → origin → newest claim; ~origin → another story with the same stamp.
        self._waiting: dict[int, dict[int, Lsa]] = {}
        self._order: deque[int] = deque()  # senders, the next first
        self._late_until: dict[int, float] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, sender: int, lsa: Lsa) -> None:
        """Let a claim of `sender` wait, in place of an older one of the same origin."""
        if sender not in self._waiting:
            self._waiting[sender] = {}
            self._order.append(sender)
        claims = self._waiting[sender]
        present = claims.get(lsa.origin)
        if present is None or present.stamp < lsa.stamp:
            claims[lsa.origin] = lsa
        elif present.stamp == lsa.stamp and present != lsa:
            claims[~lsa.origin] = lsa

    def strike(self, sender: int, now: float) -> None:
        """`sender` has passed on what no honest node passes on."""
        self._late_until[sender] = now + PENALTY_S

    def take(self, budget: int, turn: Callable[[Lsa], Turn], now: float) -> list[tuple[int, Lsa]]:
        """The next claims to check, `budget` at most, each with its sender."""
        late = {sender for sender, until in self._late_until.items() if now < until}
        self._late_until = {sender: self._late_until[sender] for sender in late}
        taken: list[tuple[int, Lsa]] = []
        for patient in (False, True):
            senders = [sender for sender in self._order if (sender in late) == patient]
            most = min(budget, len(taken) + max(1, budget // 8)) if patient else budget
            self._go_round(senders, taken, most, turn)
        self._waiting = {sender: claims for sender, claims in self._waiting.items() if claims}
        self._order.rotate(-1)
        self._order = deque(sender for sender in self._order if sender in self._waiting)
        return taken

    def _go_round(
        self,
        senders: list[int],
        taken: list[tuple[int, Lsa]],
        budget: int,
        turn: Callable[[Lsa], Turn],
    ) -> None:
        round_ = deque((sender, iter(list(self._waiting[sender].items()))) for sender in senders)
        while round_ and len(taken) < budget:
            sender, claims = round_.popleft()
            for place, lsa in claims:
                what = turn(lsa)
                if what is not Turn.WAIT:
                    del self._waiting[sender][place]
                if what is Turn.CHECK:
                    taken.append((sender, lsa))
                    round_.append((sender, claims))
                    break


class Pace:
    """How often the advertisements of one origin may change (OSPF's MinLSArrival, RFC 2328, 13).

    An origin that advertises without end would otherwise keep every database changing.

    Args:
        interval_s: time in which `per_interval` changes are allowed, s.
    """

    BURST: Final = 16
    PER_INTERVAL: Final = 4

    def __init__(self, interval_s: float) -> None:
        self._rate = self.PER_INTERVAL / interval_s
        self._left: dict[int, tuple[float, float]] = {}  # origin → (changes left, at that time)

    def _now_left(self, origin: int, now: float) -> float:
        left, at = self._left.get(origin, (float(self.BURST), now))
        return min(float(self.BURST), left + (now - at) * self._rate)

    def allows(self, origin: int, now: float) -> bool:
        """Whether a change of `origin` may be believed now."""
        return self._now_left(origin, now) >= 1.0

    def spend(self, origin: int, now: float) -> None:
        """A change of `origin` was believed."""
        self._left[origin] = self._now_left(origin, now) - 1.0, now
