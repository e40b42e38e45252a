"""What the two processes of a forwarding chain are told, and when they begin and end."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.chain import Chain

Transport = Literal["pyzmq", "asyncio"]
_DRAIN_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """One run of a chain.

    Attributes:
        transport: of every hop.
        merged: whether a process has one socket for all of its nodes; else each node has its own.
        batch: messages made at once, and most in a frame.
        window: messages of each process under way.
        seconds: measured, after as much as `warm_s`.
    """

    transport: Transport
    merged: bool
    batch: int
    window: int
    seconds: float
    warm_s: float

    def write(self, directory: Path) -> None:
        """Leave it for the processes."""
        (directory / "plan.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, directory: Path) -> Self:
        """What `write` left."""
        return cls(**json.loads((directory / "plan.json").read_text()))


@dataclass(frozen=True, slots=True)
class Span:
    """When a chain makes messages, s on the monotonic clock."""

    begin: float
    end: float

    @classmethod
    def agreed(cls, plan: ChainPlan) -> Span:
        """Tell the parent that this process is ready, and hear when to begin."""
        print("ready", flush=True)  # noqa: T201 - the parent reads it
        begin = float(sys.stdin.readline())
        return cls(begin, begin + plan.warm_s + plan.seconds)

    def over(self, chain: Chain, now: float) -> bool:
        """Whether all has been made and has arrived, or is not going to."""
        return now > self.end and (chain.counters.unresolved == 0 or now > self.end + _DRAIN_S)
