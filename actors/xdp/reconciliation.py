"""What an owner does about one interface: pure decisions from what is wished, held and seen.

Each look decides from the present state alone, so that no lost or late message does harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.xdp.contract import Interface, Mode, Occupant, Rules


class Step(StrEnum):
    """What to do."""

    KEEP = "keep"  # all is as it should be
    WAIT = "wait"  # there is no such interface
    ATTACH = "attach"
    ADOPT = "adopt"  # a pinned program of this project
    RENEW = "renew"  # another process replaced the program of our link
    LET_GO = "let go"  # the interface is gone, or made anew under its old name
    YIELD = "yield"  # it was detached by somebody: that was meant
    REFUSE = "refuse"  # somebody else is there


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be attached to an interface.

    Attributes:
        mode, pin: how.
        rules: what it drops from the first packet on, unless it goes on with tables that are there;
            None: nothing.
    """

    mode: Mode
    pin: bool
    rules: Rules | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds."""

    ifindex: int
    program_id: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of one interface.

    Attributes:
        interface: None: there is none.
        occupant: the program that is attached, if any.
        pinned: whether it is pinned where this project pins.
    """

    interface: Interface | None
    occupant: Occupant | None = None
    pinned: bool = False


def decide(sight: Sight, held: Held | None, yielded: int | None) -> Step:
    """What to do about an interface on which the program is wished.

    Args:
        sight: what is seen.
        held: what this process holds there, if anything.
        yielded: index of the interface from which somebody detached the program, if so.
    """
    if sight.interface is None:
        return Step.WAIT if held is None else Step.LET_GO
    if held is None:
        return _unheld(sight, sight.interface.index == yielded)
    if held.ifindex != sight.interface.index:
        return Step.LET_GO
    if sight.occupant is None:
        return Step.YIELD
    if sight.occupant.program_id == held.program_id:
        return Step.KEEP
    return Step.RENEW if sight.occupant.ours else Step.REFUSE


def _unheld(sight: Sight, yielded: bool) -> Step:  # noqa: FBT001 - one caller
    if sight.occupant is None:
        return Step.YIELD if yielded else Step.ATTACH
    return Step.ADOPT if sight.occupant.ours and sight.pinned else Step.REFUSE
