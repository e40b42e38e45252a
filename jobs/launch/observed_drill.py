"""A drill on a network that is observed, not emulated: predicted before, timed by the observer.

The twin is asked about the network as it is known before the fault. Then something breaks, by hand
or in a laboratory, and what the observer tells is followed until the network is what was predicted:
which nodes are silent, which of the others still reach each other, and over which links. Each
change of a state is one event of the observer, with its time; so the times are the observer's.

What else happens meanwhile is told apart: nodes and links that were not expected to fail, and
sources that fail. The prediction is then made again with these failures, to judge the rest.

Of who is cut off, some sources hear nothing any more: then silent is what was predicted, too.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

import numpy as np

from actors.observe.contract import LinkCondition, NodeState
from actors.runtime.errors import Conflict, InvalidInput
from actors.topology import naming
from actors.topology.events import EventKind
from actors.topology.model import Topology
from actors.topology.naming import Naming
from actors.topology.network import NetworkNode
from actors.topology.selection import node_table
from actors.twin.conditions import Conditions
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.internet import Internet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from actors.observe.contract import ObservedNetwork
    from actors.topology.events import EventPage, NetworkEvent

PAGE: Final = 1_000  # events asked for at once
_HEARD: Final = frozenset({NodeState.UP, NodeState.CUT_OFF})
_AWAY: Final = frozenset({NodeState.SILENT, NodeState.GONE})
_CARRYING: Final = frozenset({LinkCondition.UP, LinkCondition.DEGRADED})
_OF_NODES: Final = frozenset(
    {
        EventKind.NODE_JOINED,
        EventKind.NODE_SILENT,
        EventKind.NODE_GONE,
        EventKind.NODE_BACK,
        EventKind.NODE_RETIRED,
    }
)
_OF_LINKS: Final = frozenset(
    {EventKind.LINK_ADDED, EventKind.LINK_UP, EventKind.LINK_DOWN, EventKind.LINK_RETIRED}
)
_OF_SOURCES: Final = frozenset(
    {EventKind.SOURCE_FAILED, EventKind.MAP_HELD, EventKind.MAP_STALE, EventKind.EVENTS_MISSED}
)


class Watching(Protocol):
    """What a drill asks the observer; `ObserverContract` has it."""

    async def network(self) -> ObservedNetwork:
        """All that is known."""
        ...

    async def events(self, after: int, most: int) -> EventPage:
        """The events after a number."""
        ...


Pair = frozenset[str]  # the two ends of a link


class Standing(NamedTuple):
    """Who is silent, the others by the part that they are in, and the pairs that links join."""

    silent: frozenset[str]
    parts: frozenset[frozenset[str]]
    links: frozenset[Pair]

    def among(self, before: Standing) -> Standing:
        """The same of those nodes and links alone that there were before."""
        known = before.silent.union(*before.parts)
        kept = (part & known for part in self.parts)
        links = frozenset(link for link in self.links if link <= known)
        return Standing(self.silent & known, frozenset(part for part in kept if part), links)

    def hiding(self, nodes: frozenset[str]) -> Standing:
        """The same, were these nodes silent."""
        kept = (part - nodes for part in self.parts)
        links = frozenset(link for link in self.links if not link & nodes)
        return Standing(self.silent | nodes, frozenset(part for part in kept if part), links)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the twin says before the fault.

    Attributes:
        standing: how the network will be.
        pairs_lost: pairs of survivors that will have no path any more.
        cut_off: ids of the survivors outside of the largest part.
        without_gateway: how many survivors will have lost every gateway; None: none is known.
        clients: their clients; None: not known.
    """

    standing: Standing
    pairs_lost: int
    cut_off: tuple[str, ...]
    without_gateway: int | None = None
    clients: int | None = None

    def seen_by(self, now: Standing) -> Standing:
        """How a source shows what is predicted that hears who is cut off as little as `now`."""
        return self.standing.hiding(now.silent & {*self.cut_off})

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "silent": sorted(self.standing.silent),
            "cut_off": list(self.cut_off),
            "parts": sorted((len(part) for part in self.standing.parts), reverse=True),
            "pairs_lost": self.pairs_lost,
            "without_gateway": self.without_gateway,
            "clients_without_gateway": self.clients,
        }


@dataclass(frozen=True, slots=True)
class Fault:
    """What is to fail: ids of nodes, and the ends of links."""

    nodes: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    @property
    def pairs(self) -> frozenset[Pair]:
        """The links, without a direction."""
        return frozenset(map(frozenset, self.links))


class Before:
    """The network before a drill.

    Args:
        network: as it is observed.

    Attributes:
        standing: how it is.
        event: number of the last event that it includes.
        topology: the nodes that are heard, and the links between them that carry something.
    """

    def __init__(self, network: ObservedNetwork) -> None:
        self.standing = standing(network)
        self.event = network.event
        self.topology = _topology(network)
        self._names = {node.id: node.name for node in network.nodes}

    def naming(self) -> Naming:
        """Finds its members by what people call them."""
        index = {name: row for row, name in enumerate(self._names)}
        return Naming(index, tuple(self._names.values()))

    def label(self, node: str) -> str:
        """A node as people know it."""
        return naming.label(node, self._names.get(node))

    def link_label(self, link: Iterable[str]) -> str:
        """A link as people know it."""
        a, b = sorted(link)
        return naming.link_label(self.label(a), self.label(b))

    def names(self, nodes: Iterable[str]) -> dict[str, str]:
        """The names of those nodes that have one, by id."""
        return {node: name for node in sorted(set(nodes)) if (name := self._names.get(node))}

    def fault(self, wanted: Sequence[Sequence[str]]) -> Fault:
        """What people mean: one name is a node, two are the ends of a link.

        Raises:
            UnknownNode: a name is of no member.
            AmbiguousNode: it is of several.
            InvalidInput: two ends are not neighbours, or these are no one or two names.
            Conflict: it has failed already.
        """
        found, ids = self.naming(), tuple(self._names)
        nodes: list[str] = []
        links: list[tuple[str, str]] = []
        for names in wanted:
            if len(names) not in (1, 2):
                raise InvalidInput(
                    f"{','.join(names) or 'nothing'} cannot fail",
                    f"{len(names)} names are neither a node nor a link",
                    "Give a node, or the two ends A,B of a link.",
                )
            meant = [ids[found.find(name)] for name in names]
            for node in meant:
                if node not in self.topology:
                    raise Conflict(
                        f"{self.label(node)} cannot fail",
                        "it is not heard as it is",
                        "Choose one that works; see `x0 nodes`.",
                    )
            if len(meant) == 1:
                nodes.append(meant[0])
            else:
                a, b = meant
                self.topology.link_between(a, b)
                links.append((a, b))
        return Fault(tuple(nodes), tuple(links))

    def predict(self, fault: Fault) -> Prediction:
        """What the twin says would follow.

        Raises:
            UnknownNode: a node is not heard before.
            InvalidInput: two ends are not neighbours.
        """
        topology = self.topology
        failure = Failure.named(topology, fault.nodes, fault.links)
        internet = Internet.of(topology)
        found = impact(Intact(topology, Conditions()), failure, internet=internet)
        alive = np.flatnonzero(failure.survivors(topology).link_alive)
        sides = sorted((frozenset(part.nodes) for part in found.components), key=len, reverse=True)
        after = Standing(
            self.standing.silent | {*found.failed_nodes},
            frozenset(sides),
            _pairs(topology, alive.tolist()),
        )
        return Prediction(
            after,
            found.pairs_lost,
            tuple(sorted(node for side in sides[1:] for node in side)),
            found.cut_off.nodes if found.cut_off else None,
            found.cut_off.clients if found.cut_off else None,
        )


class Verdict(StrEnum):
    """What a drill has shown."""

    AS_PREDICTED = "as_predicted"
    OTHERWISE = "not_as_predicted"
    CHANGED = "network_changed"  # what was not expected to changed too
    UNSEEN = "nothing_seen"


SENTENCES: Final[Mapping[Verdict, str]] = {
    Verdict.AS_PREDICTED: "What was observed is what the twin predicted.",
    Verdict.OTHERWISE: "What was observed is NOT what the twin predicted.",
    Verdict.CHANGED: "The network changed during the drill, besides what was expected.",
    Verdict.UNSEEN: "Nothing of it was observed in time.",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """What followed a fault, or its mending.

    Attributes:
        since: the moment from which times count, Unix time, s: that of the fault where it is
            known, else of the first event.
        timeline: the events.
        now: how the network was at the end.
        agrees: whether that was what was expected.
    """

    since: float | None
    timeline: tuple[NetworkEvent, ...]
    now: Standing
    agrees: bool

    def after_s(self, event: NetworkEvent) -> float:
        """When an event was, s after `since`."""
        return round(event.at - (event.at if self.since is None else self.since), 2)

    @property
    def seen_s(self) -> float | None:
        """Until the first event, s; None: there was none."""
        return self.after_s(self.timeline[0]) if self.timeline else None

    @property
    def agreed_s(self) -> float | None:
        """Until the event that made the network what was expected, s; None: it never was."""
        return self.after_s(self.timeline[-1]) if self.agrees and self.timeline else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "since": self.since,
            "seen_s": self.seen_s,
            "agreed_s": self.agreed_s,
            "timeline": [
                {
                    "at": event.at,
                    "after_s": self.after_s(event),
                    "kind": str(event.kind),
                    "nodes": list(event.nodes),
                    "what": event.what,
                }
                for event in self.timeline
            ],
        }


class Follower:
    """Follows what an observer tells.

    Args:
        observer: the observer.
        look_s: time between two questions, s.
    """

    def __init__(self, observer: Watching, look_s: float) -> None:
        self._observer = observer
        self._look_s = look_s

    async def before(self) -> Before:
        """The network as it is now."""
        return Before(await self._observer.network())

    async def follow(
        self,
        after: int,
        is_met: Callable[[Standing], bool],
        timeout_s: float,
        *,
        since: float | None = None,
        tell: Callable[[Sequence[NetworkEvent], float], None] | None = None,
    ) -> Turn:
        """Take in events until the network is as expected, or time is up.

        Args:
            after: number of the last event that is known.
            is_met: whether a standing is the expected one.
            timeout_s: how long to wait at most.
            since: the moment from which times count; None: that of the first event.
            tell: is given the events so far and the time waited, s, after each look.
        """
        began = time.monotonic()
        timeline: list[NetworkEvent] = []
        judged, now, agrees = -1, Standing(frozenset(), frozenset(), frozenset()), False
        while True:
            page = await self._observer.events(after, PAGE)
            timeline += page.events
            after = timeline[-1].number if timeline else after
            if judged < after:  # a state changes with an event only
                network = await self._observer.network()
                judged, now = network.event, standing(network)
                agrees = await asyncio.to_thread(is_met, now)
            waited_s = time.monotonic() - began
            if tell is not None:
                tell(timeline, waited_s)
            if (agrees and judged <= after) or waited_s > timeout_s:
                break
            await asyncio.sleep(self._look_s)
        start = timeline[0].at if since is None and timeline else since
        return Turn(start, tuple(timeline), now, agrees)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a turn shows, beside what was predicted.

    Attributes:
        verdict: in a word.
        changes: sentences about what changed besides.
        differences: sentences about what differs from the prediction.
    """

    verdict: Verdict
    changes: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "verdict": str(self.verdict),
            "changes": list(self.changes),
            "differences": list(self.differences),
        }


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a drill.

    Attributes:
        before: the network before.
        fault: what is to fail.
        predicted: what the twin says would follow.
    """

    before: Before
    fault: Fault
    predicted: Prediction

    @classmethod
    def of(cls, before: Before, fault: Fault) -> Self:
        """Ask the twin.

        Raises:
            UnknownNode: a node is not heard before.
            InvalidInput: two ends are not neighbours.
        """
        return cls(before, fault, before.predict(fault))

    def is_met(self, now: Standing) -> bool:
        """Whether the network is as the fault, and what failed besides, would have it."""
        fault = self.fault
        if not set(fault.nodes) <= now.silent or fault.pairs & now.links:
            return False
        more, predicted = self._besides(now), self.predicted
        if more.nodes or more.links:
            both = Fault(fault.nodes + more.nodes, fault.links + more.links)
            predicted = self.before.predict(both)
        return now.among(self.before.standing) == predicted.seen_by(now)

    def is_over(self, now: Standing) -> bool:
        """Whether the network is as it was before."""
        return now.among(self.before.standing) == self.before.standing

    def _besides(self, now: Standing) -> Fault:
        """What has failed, and was not expected to."""
        known = {*self.before.topology.ids}
        silent = now.silent & known - {*self.fault.nodes} - {*self.predicted.cut_off}
        lost = self.before.standing.links - now.links - self.fault.pairs
        told = now.silent | {*self.fault.nodes}  # their links tell nothing besides
        down = sorted(sorted(link) for link in lost if not link & told)
        return Fault(tuple(sorted(silent)), tuple((a, b) for a, b in down))

    def judge(self, turn: Turn, *, back: bool = False) -> Judgement:
        """Compare what happened after the fault, or after its mending (`back`), with this."""
        concerned = {*self.fault.nodes, *self.predicted.cut_off}
        expected = self.before.standing if back else self.predicted.seen_by(turn.now)
        told = {*self.fault.nodes} | (turn.now.silent & concerned)
        changes = tuple(
            event.what for event in turn.timeline if self._is_besides(event, concerned, told)
        )
        as_expected = turn.now.among(self.before.standing) == expected
        differences = () if as_expected else tuple(_differences(self.before, expected, turn.now))
        if changes:
            verdict = Verdict.CHANGED
        elif as_expected:
            verdict = Verdict.AS_PREDICTED
        else:
            verdict = Verdict.OTHERWISE if turn.timeline else Verdict.UNSEEN
        return Judgement(verdict, changes, differences)

    def _is_besides(self, event: NetworkEvent, concerned: set[str], told: set[str]) -> bool:
        """Whether an event is about what was not expected to change, and no consequence of it.

        Args:
            event: the event.
            concerned: ids of nodes that fail or are cut off.
            told: ids of nodes whose links tell nothing besides.
        """
        if event.kind in _OF_NODES:
            return not concerned.issuperset(event.nodes)
        if event.kind in _OF_LINKS:
            links = [frozenset(link[:2]) for some in event.data["links"].values() for link in some]
            return any(link not in self.fault.pairs and not link & told for link in links)
        return event.kind in _OF_SOURCES


def _differences(before: Before, expected: Standing, now: Standing) -> Iterable[str]:
    now = now.among(before.standing)
    yield from _each(map(before.label, expected.silent - now.silent), "still heard")
    yield from _each(map(before.label, now.silent - expected.silent), "silent")
    silent = now.silent | expected.silent

    def links(some: frozenset[Pair]) -> Iterable[str]:
        return (before.link_label(link) for link in some if not link & silent)

    yield from _each(links(now.links - expected.links), "still up")
    yield from _each(links(expected.links - now.links), "down")
    yield from _each(map(before.label, _apart(now) - _apart(expected)), "cut off")
    yield from _each(map(before.label, _apart(expected) - _apart(now)), "not cut off")


def _each(names: Iterable[str], what: str) -> Iterable[str]:
    return (f"{name} is {what}" for name in sorted(names))


def _apart(some: Standing) -> frozenset[str]:
    """Who is outside of the largest part."""
    sides = sorted(some.parts, key=lambda part: (-len(part), sorted(part)))
    return frozenset().union(*sides[1:])


# -- the network as it is observed ---------------------------------------------------------------


def standing(network: ObservedNetwork) -> Standing:
    """How a network is."""
    topology = _topology(network)
    parts: dict[int, set[str]] = {}
    for name, part in zip(topology.ids, topology.components().tolist(), strict=True):
        parts.setdefault(part, set()).add(name)
    return Standing(
        frozenset(node.id for node in network.nodes if node.state in _AWAY),
        frozenset(frozenset(part) for part in parts.values()),
        _pairs(topology, range(topology.n_links)),
    )


def _topology(network: ObservedNetwork) -> Topology:
    heard = [node for node in network.nodes if node.state in _HEARD]
    place = {node.id: row for row, node in enumerate(heard)}
    pairs = {
        (place[link.a], place[link.b])
        for link in network.links
        if link.state in _CARRYING and link.a in place and link.b in place
    }
    table = node_table(
        [
            NetworkNode(node.id, name=node.name, gateway=node.gateway, clients=node.clients)
            for node in heard
        ]
    )
    return Topology.of([node.id for node in heard], sorted(pairs), nodes=table)


def _pairs(topology: Topology, links: Iterable[int]) -> frozenset[Pair]:
    ends, ids = topology.ends.tolist(), topology.ids
    return frozenset(frozenset(ids[end] for end in ends[link]) for link in links)
