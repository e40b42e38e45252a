"""What the network owns: its nodes and links, remembered until they are retired."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from actors.observe.contract import LinkCondition, NodeState

if TYPE_CHECKING:
    from actors.observe.contract import ObserverRules
    from actors.observe.merging import LinkKey, SeenLink
    from actors.topology.network import NetworkNode

RISE_S: Final = 600.0  # in this time a better quality becomes usual
FALL_S: Final = 86_400.0  # and in this one a worse one


class Presence(StrEnum):
    """Whether a node is heard, by the last word that was not stale."""

    HEARD = "heard"
    SILENT = "silent"
    GONE = "gone"


@dataclass(slots=True, eq=False)
class Member:
    """One node of the network.

    Attributes:
        facts: what is known of it.
        state: what is known of it, as the last event about it said.
        since: Unix time of that state, s.
        joined_at: Unix time when it was first seen, s.
        presence: whether it is heard.
        known: False while each source that lists it is stale.
        before: its state before nothing was known of it any more; None: it is known.
        away_s: how long it has been silent or gone, while it was observed, s.
        by: names of the sources that listed it when it was last judged.
        part: number of the part that it is or last was in; 0: none.
        had_gateway: whether it ever reached a gateway.
        lost_gateway: whether it does so no more, as the last event about it said.
    """

    facts: NetworkNode
    state: NodeState
    since: float
    joined_at: float
    presence: Presence = Presence.SILENT
    known: bool = True
    before: NodeState | None = None
    away_s: float = 0.0
    by: tuple[str, ...] = ()
    part: int = 0
    had_gateway: bool = False
    lost_gateway: bool = False

    @property
    def is_heard(self) -> bool:
        """Whether it is heard, or was when something was last known of it."""
        return self.presence is Presence.HEARD


@dataclass(slots=True, eq=False)
class KnownLink:
    """One link of the network.

    Attributes:
        key: its ends and its kind.
        seen: what was last said of it.
        condition: its state, as the last event about it said.
        since: Unix time of that state, s.
        usual: usual quality of its worse direction; None: none was ever known.
        away_s: how long it has been down, while it was observed, s.
    """

    key: LinkKey
    seen: SeenLink
    condition: LinkCondition
    since: float
    usual: float | None = None
    away_s: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether it carries anything."""
        return self.condition is not LinkCondition.DOWN

    def judge(self, rules: ObserverRules) -> LinkCondition:
        """Whether a link that is up is as usual; between the two bounds it stays what it was."""
        worse = worse_quality(self.seen)
        was = LinkCondition.UP if self.condition is LinkCondition.DOWN else self.condition
        if worse is None or self.usual is None:
            return was if worse is None else LinkCondition.UP
        lost = self.usual - worse
        if worse < rules.degraded_share * self.usual and lost >= rules.degraded_least:
            return LinkCondition.DEGRADED
        if worse >= rules.recovered_share * self.usual or lost < rules.degraded_least / 2:
            return LinkCondition.UP
        return was

    def become_usual(self, passed_s: float) -> None:
        """Let its quality become usual, as time goes by; that of a degraded link does not."""
        worse = worse_quality(self.seen)
        if worse is None or not self.is_up:
            return
        if self.usual is None:
            self.usual = worse
        elif worse > self.usual or self.condition is not LinkCondition.DEGRADED:
            settle_s = RISE_S if worse > self.usual else FALL_S
            self.usual += (worse - self.usual) * min(1.0, passed_s / settle_s)


def worse_quality(seen: SeenLink) -> float | None:
    """Quality of the worse direction of which it is known."""
    there, back = seen.quality
    if there is None or back is None:
        return back if there is None else there
    return min(there, back)
