"""The state of the observed network, and how answers of sources change it.

Pure: what happens is called as a method with the moment at which it happens, and the events that it
causes are in `ring` afterwards. At the very first, nothing is judged before each source was tried
once, since what one source alone says looks like a small network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.observe.contract import MAX_PUSHING
from actors.observe.identity import Identities
from actors.observe.judging import Judging
from actors.observe.merging import Picture
from actors.observe.parts import Parts
from actors.observe.source_record import SourceRecord
from actors.observe.step import SourceChange, Step
from actors.observe.telling import tell
from actors.runtime.errors import Conflict
from actors.topology.errors import UnknownNode
from actors.topology.events import EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actors.observe.contract import ObserverRules
    from actors.observe.event_ring import EventRing
    from actors.observe.member import KnownLink, Member
    from actors.observe.merging import LinkKey
    from actors.observe.moment import Moment
    from actors.topology.network import NetworkNode, Reading

_TURNS = (
    ("failed", EventKind.SOURCE_FAILED, EventKind.SOURCE_BACK),
    ("held", EventKind.MAP_HELD, EventKind.MAP_ACCEPTED),
    ("stale", EventKind.MAP_STALE, EventKind.MAP_FRESH),
)


_STALENESS = frozenset({EventKind.MAP_STALE, EventKind.MAP_FRESH})


class Observation:
    """The network as it is known.

    Args:
        rules: by which figures to judge.
        sources: new records of the sources that are polled, in their order.
        ring: the events so far.

    Attributes:
        records: what each source has said, by its name.
        members: the nodes, by id, in the order in which they joined.
        links: the links.
        parts: the parts of the network.
        identities: which ids are of one node.
        order: ids of all nodes that ever were members, in a stable order.
        retired: ids of nodes that were retired and that a source may still list.
        ring: the events.
        at: Unix time of the last input, s.
        picture: what sources said when it was last judged.
        judged_at: when that was, by the steady clock; None: not since this process began.
    """

    def __init__(
        self, rules: ObserverRules, sources: Sequence[SourceRecord], ring: EventRing
    ) -> None:
        self.rules = rules
        self.records = {record.name: record for record in sources}
        self.members: dict[str, Member] = {}
        self.links: dict[LinkKey, KnownLink] = {}
        self.parts = Parts()
        self.identities = Identities()
        self.order: dict[str, None] = {}
        self.retired: set[str] = set()
        self.ring = ring
        self.at = 0.0
        self.picture = Picture()
        self.judged_at: float | None = None
        self._steady: float | None = None
        self._away: list[Member] = []
        self._down: list[KnownLink] = []
        self._before: dict[str, tuple[str, str, bool]] = {}

    # -- inputs ----------------------------------------------------------------------------------

    def answered(self, source: str, reading: Reading | None, now: Moment) -> None:
        """A source was polled and has answered; None: with what it said last."""
        self._begin(now)
        record = self.records[source]
        held = record.held
        if reading is None:
            record.unchanged(now, self.rules)
        else:
            record.answer(reading, now, self.rules, whole=True)
        taken = not record.held and (reading is not None or bool(held))
        self._end(now, judge=taken or self.judged_at is None)

    def failed(self, source: str, why: str, now: Moment) -> None:
        """A source was polled and has not answered."""
        self._begin(now)
        self.records[source].fail(why)
        self._end(now, judge=self.judged_at is None)

    def pushed(self, reading: Reading, now: Moment, *, whole: bool) -> None:
        """A source has sent a reading by itself.

        Raises:
            Conflict: it is one that is polled, too many push, or the reading is held.
        """
        record = self.records.get(reading.source)
        pushing = [one for one in self.records.values() if one.pushes]
        if record is None and len(pushing) >= MAX_PUSHING:
            raise Conflict(
                f"what {reading.source} sends is refused",
                f"{MAX_PUSHING} sources send by themselves already",
                "Send under the name of one of them.",
            )
        if record is not None and not record.pushes:
            raise Conflict(
                f"what {reading.source} sends is refused",
                "a source of this name is polled",
                "Send under another name.",
            )
        self._begin(now)
        if record is None:
            record = SourceRecord(reading.source, reading.format, pushes=True)
            self.records[reading.source] = record
        record.answer(reading, now, self.rules, whole=whole)
        self._end(now, judge=not record.held)
        if record.held:
            raise Conflict(
                f"what {reading.source} sends is held, the last good state stays",
                record.held,
                "Correct the odd records, or send the same again if it is true.",
            )

    def tick(self, now: Moment) -> None:
        """Time has passed."""
        self._begin(now)
        self._end(now, judge=False)

    def retire(self, node: str, now: Moment) -> None:
        """End the membership of a node that is silent or gone.

        Raises:
            UnknownNode: no member has that id.
            Conflict: it is neither silent nor gone.
        """
        member = self.members.get(node)
        if member is None:
            raise UnknownNode(node, known=self.members)
        if member.is_heard:
            raise Conflict(
                f"{self.shown(node)} is not retired",
                f"it is {member.state.replace('_', ' ')}, and would join again at once",
                "Switch it off first, or leave it out at its source.",
            )
        self._begin(now)
        self._end(now, judge=True, retire={node: "by hand"})

    # -- a step ----------------------------------------------------------------------------------

    def _begin(self, now: Moment) -> None:
        """Let time pass, and note how sources are before the input."""
        passed = 0.0 if self._steady is None else max(0.0, now.steady - self._steady)
        self._steady, self.at = now.steady, now.at
        self._before = {name: _flags(record) for name, record in self.records.items()}
        for member in self._away:
            member.away_s += passed
        for link in self._down:
            link.away_s += passed

    def _end(self, now: Moment, *, judge: bool, retire: dict[str, str] | None = None) -> None:
        """Judge what follows from the input."""
        for record in self.records.values():
            record.grow_old(now, self.rules)
        step = Step(self.shown, self._clients, self._facts)
        step.sources = self._turns(now)
        due = self._due() | (retire or {})
        turned = any(change.kind in _STALENESS for change in step.sources)
        if (judge or due or turned or self._links_due()) and self._is_begun():
            Judging(self, step, now).judge(due)
            self.note_away()
        step.links_known = len(self.links)
        self.ring.add(tell(step), now.at)

    def _is_begun(self) -> bool:
        return bool(self.members) or all(
            record.tried for record in self.records.values() if not record.pushes
        )

    def _turns(self, now: Moment) -> list[SourceChange]:
        """What became of the sources by the input."""
        changes = []
        for name, record in self.records.items():
            before = self._before.get(name, ("", "", False))
            for (flag, begin, end), was, is_ in zip(_TURNS, before, _flags(record), strict=True):
                if bool(was) == bool(is_):
                    continue
                record.since[flag] = now.at
                why = self._why(record, flag, now) if is_ else ""
                changes.append(SourceChange(begin if is_ else end, name, why))
        return changes

    def _why(self, record: SourceRecord, flag: str, now: Moment) -> str:
        if flag == "stale":
            return f"it is {_span(record.age(now))} old"
        return str(getattr(record, flag))

    def _due(self) -> dict[str, str]:
        """Nodes that have been away for too long."""
        limit = self.rules.retire_s
        if not limit:
            return {}
        return {
            member.facts.id: f"it has been away for {_span(limit)}"
            for member in self._away
            if member.known and member.away_s >= limit
        }

    def _links_due(self) -> bool:
        limit = self.rules.retire_s
        return bool(limit) and any(link.away_s >= limit for link in self._down)

    def note_away(self) -> None:
        """Note whose time away is counted; to be called whenever members or links changed."""
        self._away = [member for member in self.members.values() if not member.is_heard]
        self._down = [link for link in self.links.values() if not link.is_up]

    # -- words and sums --------------------------------------------------------------------------

    def shown(self, name: str) -> str:
        """A node as people read it: `name (id)`."""
        member = self.members.get(name)
        label = "" if member is None else member.facts.name
        return f"{label} ({name})" if label and label != name else name

    def parts_with_gateway(self) -> set[int]:
        """Numbers of the parts in which a gateway is heard."""
        of = self.parts.of
        return {
            of[name]
            for name, member in self.members.items()
            if member.facts.gateway and member.is_heard and name in of
        }

    def _facts(self, name: str) -> NetworkNode | None:
        member = self.members.get(name)
        return None if member is None else member.facts

    def _clients(self, names: Iterable[str]) -> int:
        found = (self.members[name].facts.clients for name in names if name in self.members)
        return sum(clients for clients in found if clients)


def _flags(record: SourceRecord) -> tuple[str, str, bool]:
    return record.failed, record.held, record.stale


def _span(seconds: float) -> str:
    """A span of time in words."""
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"
