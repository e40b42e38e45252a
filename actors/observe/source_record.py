"""What one source has said: the last answer that was taken over, and how the source is.

An answer is held, which means that the last good one stays, if too much of it is odd or missing
(`ObserverRules`). A map that shrank is taken over after some answers that say the same: then it is
true. One whose records are odd never is.

The age of a map is that of its own time: of `made_at`, or of the newest `seen_at`, or of the answer
itself where it tells no time. A map that goes on advancing is as young as it was, whatever the wall
clock does; one that does not advance grows old by the steady clock.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from actors.observe.contract import LEFT_OUT_KEPT, LEFT_OUT_SHOWN, MAX_LINKS, MAX_NODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.observe.contract import ObserverRules
    from actors.observe.moment import Moment
    from actors.topology.network import LeftOut, NetworkLink, NetworkNode, Reading

SAID: Final = ("name", "gateway", "model", "role", "firmware", "domain", "location", "nexthop")
"""Fields of a node on which sources may disagree: the one that was said last counts."""

ABSENT: Final = (None, "")


@dataclass(frozen=True, slots=True)
class Account:
    """How an answer was read, whether it was taken over or not; see `SourceState`."""

    format: str = ""
    records: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    altered: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, reading: Reading) -> Account:
        """The account of a reading."""
        return cls(
            reading.format,
            reading.records,
            Counter(one.reason for one in reading.left_out),
            Counter(one.reason for one in reading.altered),
            (reading.left_out + reading.altered)[:LEFT_OUT_SHOWN],
            reading.notes[:LEFT_OUT_SHOWN],
        )


@dataclass(slots=True, eq=False)
class SourceRecord:
    """One source. Times without another word are of the steady clock.

    Attributes:
        name: its name.
        kind: its kind.
        pushes: whether it sends its readings by itself.
        interval_s: least time between two of its answers; it is not stale before twice that.
        nodes: what it says of nodes, by the ids that it uses.
        links: what it says of links.
        ages: how long ago it had heard each node when it said so, s.
        heard: ids of the nodes that it hears.
        listed_at: when it first listed each node.
        said_at: when it first said what it says of a field, where that is later: {id: {field: t}}.
        content_at: the moment that its words describe; None: it has said nothing.
        own_time: that moment by its own clock, Unix time, s; None: it does not tell.
        partial: whether its readings are about some of its nodes only.
        tells_links: whether it tells links at all.
        good_at: Unix time of the last answer that was taken over, s.
        account: how its last answer was read.
        left_out: the first `LEFT_OUT_KEPT` records that were left out of it; not stored.
        altered: the same of those that were used otherwise than they stand.
        tried: whether it has answered or failed since this process began.
        failed: why the last poll failed; empty if it did not.
        held: why its last answer was not taken over; empty if it was.
        stale: whether its words are too old.
        since: Unix time of each of the three, s.
        waiting: the answer that is held.
        insisted: how many answers in a row said the same as the one that is held.
    """

    name: str
    kind: str
    pushes: bool = False
    interval_s: float = 0.0
    nodes: dict[str, NetworkNode] = field(default_factory=dict)
    links: tuple[NetworkLink, ...] = ()
    ages: dict[str, float] = field(default_factory=dict)
    heard: set[str] = field(default_factory=set)
    listed_at: dict[str, float] = field(default_factory=dict)
    said_at: dict[str, dict[str, float]] = field(default_factory=dict)
    content_at: float | None = None
    own_time: float | None = None
    partial: bool = False
    tells_links: bool = False
    good_at: float | None = None
    account: Account = field(default_factory=Account)
    left_out: tuple[LeftOut, ...] = ()
    altered: tuple[LeftOut, ...] = ()
    tried: bool = False
    failed: str = ""
    held: str = ""
    stale: bool = False
    since: dict[str, float] = field(default_factory=dict)
    waiting: Reading | None = None
    insisted: int = 0

    # -- what comes in ---------------------------------------------------------------------------

    def answer(self, reading: Reading, now: Moment, rules: ObserverRules, *, whole: bool) -> None:
        """Take an answer over, or hold it."""
        self.tried, self.failed = True, ""
        self.account = Account.of(reading)
        self.left_out = reading.left_out[:LEFT_OUT_KEPT]
        self.altered = reading.altered[:LEFT_OUT_KEPT]
        why = _too_odd(reading, rules) or ("" if not whole else self._lost(reading, rules))
        self.insisted = self.insisted + 1 if why and self._says_same(reading, rules) else 1
        if why and (_too_odd(reading, rules) or self.insisted < rules.accept_after):
            self.held, self.waiting = why, reading
            return
        self._take_over(reading, now, rules, whole=whole)

    def unchanged(self, now: Moment, rules: ObserverRules) -> None:
        """The source says what it said last."""
        self.tried, self.failed = True, ""
        if self.waiting is None or _too_odd(self.waiting, rules):
            return
        self.insisted += 1
        if self.insisted >= rules.accept_after:
            self._take_over(self.waiting, now, rules, whole=True)

    def fail(self, why: str) -> None:
        """The source does not answer."""
        self.tried, self.failed = True, why

    def grow_old(self, now: Moment, rules: ObserverRules) -> None:
        """Judge whether its words are too old; before it was tried they stay what they were."""
        if self.tried or self.pushes:
            limit_s = max(rules.stale_s, 2 * self.interval_s)
            self.stale = self.content_at is not None and self.age(now) > limit_s

    def age(self, now: Moment) -> float:
        """Age of its words, s; infinite if there are none."""
        return float("inf") if self.content_at is None else max(0.0, now.steady - self.content_at)

    def said(self, node: str, name: str) -> float:
        """When it first said what it says of a field of a node."""
        return self.said_at.get(node, {}).get(name, self.listed_at[node])

    def word_at(self, node: str) -> float:
        """The moment that its words about a node describe."""
        return (self.content_at or 0.0) - self.ages[node]

    # -- taking over -----------------------------------------------------------------------------

    def _take_over(
        self, reading: Reading, now: Moment, rules: ObserverRules, *, whole: bool
    ) -> None:
        self.held, self.waiting, self.insisted = "", None, 0
        self.good_at = now.at
        self.partial = not whole
        if whole:
            ages = _ages(reading.nodes, _own_time(reading))
            self._date(reading, now)
            links: Iterable[NetworkLink] = reading.links
        else:
            passed = self.age(now) if self.ages else 0.0
            ages = {name: age + passed for name, age in self.ages.items()}
            ages |= {node.id: 0.0 for node in reading.nodes}
            self.content_at, self.own_time = now.steady, None
            told = {node.id for node in reading.nodes}
            links = (*(link for link in self.links if link.a not in told), *reading.links)
        nodes = {node.id: node for node in reading.nodes}
        self._note_words(nodes, whole=whole)
        self.nodes = nodes if whole else self.nodes | nodes
        self.links = tuple(links)
        self.tells_links = bool(self.links)
        self.ages = ages
        self.heard = {
            name for name, node in self.nodes.items() if self._hears(node, ages[name], rules)
        }

    def _hears(self, node: NetworkNode, age: float, rules: ObserverRules) -> bool:
        if node.online is None or (node.online and self.partial):
            return age <= rules.silent_s
        return node.online

    def _date(self, reading: Reading, now: Moment) -> None:
        """Set the moment that a whole answer describes; see the module."""
        own, before, last = _own_time(reading), self.own_time, self.content_at
        self.own_time = own
        if own is None:
            self.content_at = now.steady
            return
        by_wall = now.steady - max(0.0, now.at - own)
        if last is None or before is None:
            self.content_at = by_wall
        elif own > before:
            self.content_at = min(now.steady, max(by_wall, last + own - before))
        elif own < before:  # its clock was set back
            self.content_at = max(by_wall, last)

    def _note_words(self, nodes: Mapping[str, NetworkNode], *, whole: bool) -> None:
        """Note when each word was first said."""
        moment = self.content_at or 0.0
        for name, node in nodes.items():
            before = self.nodes.get(name)
            if before is None:
                self.listed_at[name] = moment
                continue
            changed = {
                each: moment for each in SAID if getattr(node, each) != getattr(before, each)
            }
            if changed:
                self.said_at[name] = self.said_at.get(name, {}) | changed
        if whole:
            for name in self.nodes.keys() - nodes.keys():
                self.listed_at.pop(name, None)
                self.said_at.pop(name, None)

    # -- holding ---------------------------------------------------------------------------------

    def _lost(self, reading: Reading, rules: ObserverRules) -> str:
        """Why an answer lacks too much beside the last good one; empty if it does not."""
        if self.content_at is None or self.partial:
            return ""
        heard = _heard(reading, rules)
        lost, had = len(self.heard - heard), len(self.heard)
        much = lost > rules.lost_share * had and (
            lost >= rules.lost_least or (not heard and had > 1)
        )
        if much:
            return f"{lost} of the {had} nodes that it heard are missing"
        if not reading.links and len(self.links) >= rules.lost_least:
            return f"all of its {len(self.links)} links are missing"
        return ""

    def _says_same(self, reading: Reading, rules: ObserverRules) -> bool:
        """Whether an answer says about the same as the one that is held."""
        if self.waiting is None:
            return False
        one, other = _heard(self.waiting, rules), _heard(reading, rules)
        return len(one ^ other) <= rules.lost_share * max(len(one), len(other), 1)


def _too_odd(reading: Reading, rules: ObserverRules) -> str:
    """Why an answer cannot be taken over, however often it is said; empty if it can."""
    if len(reading.nodes) > MAX_NODES or len(reading.links) > MAX_LINKS:
        return (
            f"it has {len(reading.nodes)} nodes and {len(reading.links)} links; at most "
            f"{MAX_NODES} and {MAX_LINKS} are read"
        )
    share = reading.share_left_out
    if share <= rules.odd_share:
        return ""
    common = Counter(one.reason for one in reading.left_out).most_common(3)
    reasons = ", ".join(f"{count} {reason}" for reason, count in common)
    return f"{share:.0%} of its {reading.records} records are odd ({reasons})"


def _own_time(reading: Reading) -> float | None:
    """Unix time of an answer by its source's own clock, s; None if it does not tell."""
    if reading.made_at is not None:
        return reading.made_at
    return max((node.seen_at for node in reading.nodes if node.seen_at is not None), default=None)


def _ages(nodes: Iterable[NetworkNode], own: float | None) -> dict[str, float]:
    """How long before `own` each node was heard, s; 0 where it is not told."""
    if own is None:
        return {node.id: 0.0 for node in nodes}
    return {
        node.id: 0.0 if node.seen_at is None else max(0.0, own - node.seen_at) for node in nodes
    }


def _heard(reading: Reading, rules: ObserverRules) -> set[str]:
    """Ids of the nodes that a whole answer says are heard."""
    ages = _ages(reading.nodes, _own_time(reading))
    return {
        node.id
        for node in reading.nodes
        if (ages[node.id] <= rules.silent_s if node.online is None else node.online)
    }
