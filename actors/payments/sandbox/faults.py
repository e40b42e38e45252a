"""How APIs misbehave: which of their answers is spoilt, and how.

A plan gives each fault a share of the requests, drawn with a seed, and may name faults for the very
next requests. Beside it stands the limit that a public API enforces: over it, TRON's suspends the
caller for half a minute, and TON's answers 429. All of this is pure.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from actors.payments.chains.money import Network
from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

SUSPENDED_S: Final = 30.0
MAX_NEXT: Final = 10_000  # requests that a plan may name faults for
MAX_SLOW_S: Final = 60.0
_EXTENT: Final = re.compile(r"x(?P<count>[0-9]{1,9})|(?P<share>[0-9]{1,3}(\.[0-9]{1,9})?)")


class Fault(StrEnum):
    """What becomes of an answer."""

    RESET = "reset"  # the connection breaks before it
    CUT = "cut"  # the connection ends in it
    TRUNCATED = "truncated"  # its JSON ends early, though the HTTP is whole
    SUSPENDED = "403"  # with a body that names a suspension
    LIMITED = "429"
    BROKEN = "5xx"
    SLOW = "slow"
    REORDERED = "reordered"  # its rows, or its pages, come in another order
    UNFILTERED = "unfiltered"  # it holds what was not asked for
    ODD = "odd"  # a field of each row of TRON's index is missing, or written in another way
    UNMARKED = "unmarked"  # a page of TRON's index does not say that it goes on
    NEWEST = "newest"  # tonapi lists the newest transactions alone, whatever was asked for


@dataclass(frozen=True, slots=True)
class Spoilt:
    """An answer in place of the right one."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Of one network's API.

    Attributes:
        shares: share of all requests by fault, each above 0, together at most 1.
        next: faults of the next requests, one each; before `shares`.
        slow_s: duration of a slow answer, s.
    """

    shares: Mapping[Fault, float] = field(default_factory=dict)
    next: tuple[Fault, ...] = ()
    slow_s: float = 1.0

    def __post_init__(self) -> None:
        if any(share <= 0 for share in self.shares.values()) or sum(self.shares.values()) > 1:
            raise ValueError("shares of faults must be above 0, and together at most 1")
        if len(self.next) > MAX_NEXT:
            raise ValueError(f"faults for at most {MAX_NEXT} requests can be named")
        if not 0 < self.slow_s <= MAX_SLOW_S:
            raise ValueError(f"an answer can take at most {MAX_SLOW_S:.0f} s")


def parse(texts: Iterable[str], *, slow_s: float = 1.0) -> FaultPlan:
    """The plan that people write as `429=0.1 reset=x3`: shares, and counts of the next requests.

    Raises:
        InvalidInput: it is not a plan of faults.
    """
    shares: dict[Fault, float] = {}
    coming: list[Fault] = []
    for text in texts:
        name, _, extent = text.partition("=")
        found = _EXTENT.fullmatch(extent)
        if name not in set(Fault) or found is None:
            raise InvalidInput(
                f"no fault {text[:40]!r}",
                "a fault is a name, =, and its share of all requests or xN for the next N",
                f"Write such as 429=0.1 or reset=x3; there are {', '.join(Fault)}.",
            )
        if found["count"] is None:
            shares[Fault(name)] = float(found["share"])
        else:
            coming += [Fault(name)] * min(int(found["count"]), MAX_NEXT + 1)
    try:
        return FaultPlan(shares, tuple(coming), slow_s)
    except ValueError as error:
        raise InvalidInput("these faults are refused", str(error), "Correct them.") from None


class ApiFaults:
    """Draws the faults of one network's API.

    Args:
        plan: the faults at the start.
        rng: draws which request gets which fault.
    """

    def __init__(self, plan: FaultPlan, rng: random.Random) -> None:
        self._rng = rng
        self.follow(plan)

    def follow(self, plan: FaultPlan) -> None:
        """Follow another plan from now on."""
        self.plan = plan
        self._next = deque(plan.next)

    @property
    def coming(self) -> Mapping[Fault, int]:
        """How many of the next requests get which fault."""
        return Counter(self._next)

    def draw(self) -> Fault | None:
        """The fault of the next request; None for none."""
        if self._next:
            return self._next.popleft()
        point = self._rng.random()
        for fault, share in self.plan.shares.items():
            if point < share:
                return fault
            point -= share
        return None

    def spoilt(self, fault: Fault, network: Network) -> Spoilt | None:
        """The answer in place of the right one; None if the right one is needed."""
        if fault is Fault.BROKEN:
            status = self._rng.choice((500, 502, 503, 504))
            return Spoilt(status, {"error": "the server has a problem"})
        if fault is Fault.LIMITED:
            return limited(network)
        return suspended(network) if fault is Fault.SUSPENDED else None


def limited(network: Network) -> Spoilt:
    """What an API says to a request too many."""
    if network is Network.TON:
        return Spoilt(429, {"ok": False, "result": "Ratelimit exceed", "code": 429})
    return Spoilt(429, {"Success": False, "Error": "too many requests"}, {"Retry-After": "1"})


def suspended(network: Network, *, limit: int = 15, left_s: float = SUSPENDED_S) -> Spoilt:
    """What TRON's API says to one who asks too often; TON's knows no suspension."""
    if network is Network.TON:
        return limited(network)
    why = f"The key exceeds the frequency limit({limit}), and the query server is suspended for "
    return Spoilt(403, {"Success": False, "Error": f"{why}{max(1, round(left_s))}s"})


class Limit:
    """A limit on requests in any one second.

    Attributes:
        busiest: requests in the busiest second so far.
        exceeded: requests that were over the limit.

    Args:
        network: the network whose API it is.
        per_second: number of requests a second that it takes.
    """

    def __init__(self, network: Network, per_second: int) -> None:
        self.per_second = per_second
        self.busiest = 0
        self.exceeded = 0
        self._network = network
        self._times: deque[float] = deque()  # of the last second
        self._until_s = 0.0

    def ask(self, now_s: float) -> Spoilt | None:
        """What is said to a request at `now_s`, on a clock that does not go back; None: welcome."""
        while self._times and now_s - self._times[0] >= 1.0:
            self._times.popleft()
        self._times.append(now_s)
        self.busiest = max(self.busiest, len(self._times))
        if len(self._times) > self.per_second:
            self.exceeded += 1
            if self._network is Network.TON:
                return limited(self._network)
            self._until_s = now_s + SUSPENDED_S
        if now_s < self._until_s:
            left_s = self._until_s - now_s
            return suspended(self._network, limit=self.per_second, left_s=left_s)
        return None
