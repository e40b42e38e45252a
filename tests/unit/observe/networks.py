"""Readings for tests, and the fold of events that every test may compare states with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.observe.contract import ObserverRules
from actors.observe.event_ring import EventRing
from actors.observe.moment import Moment
from actors.observe.observation import Observation
from actors.observe.source_record import SourceRecord
from actors.topology.network import NetworkLink, NetworkNode, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from actors.topology.events import NetworkEvent

RULES = ObserverRules(
    silent_s=100, stale_s=300, retire_s=1000, lost_share=0.4, lost_least=3, accept_after=2
)


def link(a: str, b: str, quality: Any = 1.0, kind: str = "wifi", **fields: Any) -> NetworkLink:
    """A link with one quality for both directions, or a pair of them."""
    both = quality if isinstance(quality, tuple) else (quality, quality)
    return NetworkLink(a, b, both, kind, **fields)


def reading(
    nodes: Iterable[str | NetworkNode],
    links: Iterable[NetworkLink | str] = (),
    made_at: float | None = None,
    source: str = "map",
    **fields: Any,
) -> Reading:
    """A reading; a node by its id is online, a link by two letters is perfect."""
    all_nodes = tuple(
        node if isinstance(node, NetworkNode) else NetworkNode(node, online=True) for node in nodes
    )
    all_links = tuple(
        each if isinstance(each, NetworkLink) else link(each[0], each[1]) for each in links
    )
    records = fields.pop("records", len(all_nodes) + len(all_links))
    return Reading(source, "test", all_nodes, all_links, records, made_at=made_at, **fields)


class Run:
    """An observation with a clock of its own, which each input moves on by a minute."""

    def __init__(self, *sources: str, rules: ObserverRules = RULES) -> None:
        self.world = Observation(
            rules, [SourceRecord(name, "test") for name in sources or ("map",)], EventRing(1)
        )
        self.at, self.steady = 1_000_000.0, 50.0

    @property
    def now(self) -> Moment:
        """The moment."""
        return Moment(self.at, self.steady)

    def later(self, seconds: float = 60.0) -> list[NetworkEvent]:
        """Let time pass; the events that follow from that alone."""
        self.at += seconds
        self.steady += seconds
        last = self.world.ring.last
        self.world.tick(self.now)
        return self.since(last)

    def since(self, last: int) -> list[NetworkEvent]:
        """The events after the one of this number."""
        return list(self.world.ring.page(last, 10_000).events)

    def answer(self, answer: Reading | None, source: str = "map") -> list[NetworkEvent]:
        """A source answers after a minute; the events of it."""
        self.at += 60
        self.steady += 60
        last = self.world.ring.last
        self.world.answered(source, answer, self.now)
        return self.since(last)

    def fail(self, source: str = "map") -> list[NetworkEvent]:
        """A source does not answer."""
        self.at += 60
        self.steady += 60
        last = self.world.ring.last
        self.world.failed(source, "no connection", self.now)
        return self.since(last)

    def push(self, pushed: Reading, *, whole: bool = True) -> list[NetworkEvent]:
        """A source sends."""
        last = self.world.ring.last
        self.world.pushed(pushed, self.now, whole=whole)
        return self.since(last)

    def states(self) -> dict[str, str]:
        """The state of each member."""
        return {name: member.state.value for name, member in self.world.members.items()}

    def conditions(self) -> dict[str, str]:
        """The state of each link by its ends and kind."""
        return {" ".join(key): one.condition.value for key, one in self.world.links.items()}


def kinds(events: Sequence[NetworkEvent]) -> list[str]:
    """The kinds of events."""
    return [event.kind.value for event in events]


class Fold:
    """The states that events lead to, made of nothing else."""

    def __init__(self) -> None:
        self.number = 0
        self.nodes: dict[str, str] = {}
        self.links: dict[tuple[str, ...], str] = {}
        self.no_gateway: set[str] = set()
        self.sources: dict[str, set[str]] = {"failed": set(), "held": set(), "stale": set()}

    def take(self, events: Iterable[NetworkEvent]) -> None:
        """Fold the events of one step: a state changes once in it, and really changes."""
        changed: set[object] = set()
        for event in events:
            assert event.number == self.number + 1
            self.number = event.number
            for state, names in event.data.get("states", {}).items():
                for name in names:
                    assert name in event.nodes, event
                    self._set(self.nodes, name, state, changed)
            for state, keys in event.data.get("links", {}).items():
                for key in keys:
                    self._set(self.links, tuple(key), state, changed)
            self._gateways(event)
            self._sources(event)

    def _set(self, states: dict[Any, str], key: Any, state: str, changed: set[object]) -> None:
        assert key not in changed, f"{key} changes twice in one step"
        changed.add(key)
        assert states.get(key) != state, f"{key} was {state} before"
        if state == "retired":
            del states[key]
            self.no_gateway.discard(key)
        else:
            states[key] = state

    def _gateways(self, event: NetworkEvent) -> None:
        if event.kind == "gateway_lost":
            assert self.no_gateway.isdisjoint(event.nodes)
            self.no_gateway |= set(event.nodes)
        elif event.kind == "gateway_back":
            assert self.no_gateway.issuperset(event.nodes)
            self.no_gateway -= set(event.nodes)

    def _sources(self, event: NetworkEvent) -> None:
        begins = {"source_failed": "failed", "map_held": "held", "map_stale": "stale"}
        ends = {"source_back": "failed", "map_accepted": "held", "map_fresh": "stale"}
        if event.kind in begins:
            self.sources[begins[event.kind]].add(event.data["source"])
        elif event.kind in ends:
            self.sources[ends[event.kind]].remove(event.data["source"])
