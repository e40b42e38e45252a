"""Incidents: one for each connected disturbance of a network, from its opening to its close.

Disturbed links and dark nodes that touch each other are one incident; what touches one that lasts
joins it, and those that come to touch become the oldest of them. An incident is closed when nothing
of it has been disturbed for some intervals, more for one that keeps coming back: so a flapping link
is one incident. Meanwhile only what was disturbed before belongs to it. What was disturbed counts
less with each interval in which it is not.

Where nothing is known any more of what is disturbed, it is not taken for well.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from serve_apps.inference.live_root_cause import Situation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from serve_apps.inference.disturbances import Disturbances
    from serve_apps.inference.live_root_cause import RootCause, RootCauseRanker
    from serve_apps.inference.telemetry import Telemetry

CALM: Final = 3  # intervals without disturbance that close an incident,
MOST_CALM: Final = 12  # however often it has come back
UNSEEN: Final = 60  # intervals without any knowledge that close it
FADING: Final = 0.5  # what is not disturbed any more counts so much less with each interval
FADED: Final = 0.1  # strength below which it is forgotten
GROWN: Final = 2.0  # growth that is told


class Phase(StrEnum):
    """How far an incident is."""

    OPENED = "opened"
    GROWING = "growing"  # more was disturbed in the last interval
    SETTLED = "settled"
    CLOSED = "closed"


class HalfLink(NamedTuple):
    """What the end `end` (0 or 1) of a link hears."""

    link: str
    end: int


@dataclass(slots=True)
class Trace:
    """How disturbed one direction of a link has been.

    Attributes:
        since: Unix time of the first interval in which it was, s.
        strength: 0 to 1, fading.
        peak: the greatest it was.
        usual: quality that is usual; None if none is known.
        now: quality when it was last known; None likewise.
        missing: share of what usually arrives that did not; None where no host counts it.
    """

    since: float
    strength: float = 0.0
    peak: float = 0.0
    usual: float | None = None
    now: float | None = None
    missing: float | None = None


@dataclass(slots=True)
class Incident:
    """One incident.

    Attributes:
        id: names it, for ever.
        opened_at: Unix time, s.
        phase: how far it is.
        halves: what is disturbed, by half-link.
        ends: ids of the ends of the links of these, by link.
        dark: Unix time since when each silent node is so, s, by id.
        was_dark: ids of all nodes that have been silent in it.
        root: what it comes from; None: it has not been ranked yet.
        returns: how often it came back after it had been calm.
        seen_at: Unix time at which it was last disturbed, s.
        known: names of the metrics that were there to judge by.
        why_closed: "" while it is open.
    """

    id: str
    opened_at: float
    phase: Phase = Phase.OPENED
    halves: dict[HalfLink, Trace] = field(default_factory=dict)
    ends: dict[str, tuple[str, str]] = field(default_factory=dict)
    dark: dict[str, float] = field(default_factory=dict)
    was_dark: set[str] = field(default_factory=set)
    root: RootCause | None = None
    returns: int = 0
    seen_at: float = 0.0
    known: tuple[str, ...] = ()
    why_closed: str = ""
    calm: int = 0
    unseen: int = 0
    told_size: int = 0

    @property
    def size(self) -> int:
        """How many links and nodes are disturbed."""
        return len({half.link for half in self.halves}) + len(self.dark)

    @property
    def nodes(self) -> set[str]:
        """All nodes that it touches."""
        return {end for ends in self.ends.values() for end in ends} | self.dark.keys()


class ChangeKind(StrEnum):
    """What has become of an incident."""

    OPENED = "opened"
    CHANGED = "changed"
    CLOSED = "closed"


class Change(NamedTuple):
    """What has become of an incident in an interval."""

    kind: ChangeKind
    incident: Incident


class Incidents:
    """All open incidents of one network.

    Args:
        ranker: says what they come from.

    Attributes:
        open: they, the oldest first.
    """

    def __init__(self, ranker: RootCauseRanker) -> None:
        self.open: list[Incident] = []
        self._ranker = ranker

    def step(self, now: Disturbances, telemetry: Callable[[], Telemetry]) -> list[Change]:
        """Take in an interval.

        Args:
            now: the network in it.
            telemetry: gives what was measured, for the ranker.

        Returns:
            What has changed, closed incidents last.
        """
        place = _Place(now)
        changes: list[Change] = []
        news: dict[str, list[_Part]] = {}
        fresh: set[str] = set()
        for part in _parts(now):
            incident, merged = self._home(part, place)
            changes += [Change(ChangeKind.CLOSED, one) for one in merged]
            if incident is None:
                incident = Incident(uuid.uuid4().hex[:12], now.at)
                self.open.append(incident)
                fresh.add(incident.id)
            news.setdefault(incident.id, []).append(part)
        told: list[Change] = []
        for incident in self.open:
            incident.known = now.known
            if incident.id not in news:
                _rest(incident, place)
            elif _take(incident, _joined(news[incident.id]), now) or incident.root is None:
                incident.root, before = (
                    self._ranker.rank(place.situation(incident, telemetry)),
                    incident.root,
                )
                told += _told(incident, before, fresh=incident.id in fresh)
            if incident.phase is Phase.CLOSED:
                changes.append(Change(ChangeKind.CLOSED, incident))
        self.open = [one for one in self.open if one.phase is not Phase.CLOSED]
        return [*told, *changes]

    def _home(self, part: _Part, place: _Place) -> tuple[Incident | None, list[Incident]]:
        """The open incident that a disturbance belongs to, and others that become part of it."""
        touching = [one for one in self.open if place.belongs(part, one)]
        if not touching:
            return None, []
        oldest, *others = touching
        for other in others:
            _absorb(oldest, other)
        self.open = [one for one in self.open if one not in others]
        return oldest, others


def _told(incident: Incident, before: RootCause | None, *, fresh: bool) -> Iterator[Change]:
    """What is to be told of an incident that has just been ranked."""
    if fresh:
        incident.told_size = incident.size
        yield Change(ChangeKind.OPENED, incident)
    elif incident.size >= GROWN * incident.told_size or _says(before) != _says(incident.root):
        incident.told_size = incident.size
        yield Change(ChangeKind.CHANGED, incident)


def _says(root: RootCause | None) -> tuple[object, ...]:
    """What a person is told of a root cause."""
    if root is None:
        return ()
    if root.link is not None:
        return root.cause, frozenset(root.link)
    return root.cause, root.nodes[0].node if root.nodes else ""


# -- one interval ----------------------------------------------------------------------------------


class _Part(NamedTuple):
    """A connected disturbance: indices of nodes, of disturbed half-links, of dark nodes."""

    nodes: NDArray[np.intp]
    halves: NDArray[np.intp]
    dark: NDArray[np.intp]


def _parts(now: Disturbances) -> Iterator[_Part]:
    graph = now.graph
    disturbed = np.flatnonzero(now.strength.reshape(-1, 2).max(axis=1) > 0)
    dark = np.flatnonzero(now.dark)
    if not len(disturbed) and not len(dark):
        return
    # Dark nodes hang together also by links of which nothing is known.
    between = np.flatnonzero(now.was_up & now.dark[graph.ends].all(axis=1))
    ends = graph.ends[np.union1d(disturbed, between)]
    n = len(graph.nodes)
    joined = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, labels = connected_components(joined, directed=False)
    nodes = np.union1d(graph.ends[disturbed], dark)
    halves = np.flatnonzero(now.strength > 0)
    of_half = labels[graph.ends[halves >> 1, 0]]
    for label in np.unique(labels[nodes]).tolist():
        yield _Part(
            nodes[labels[nodes] == label],
            halves[of_half == label],
            dark[labels[dark] == label],
        )


def _joined(parts: list[_Part]) -> _Part:
    return _Part(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _take(incident: Incident, part: _Part, now: Disturbances) -> bool:
    """Make a disturbance part of an incident; whether there is more evidence than before."""
    graph = now.graph
    size = incident.size
    if incident.calm:
        incident.returns += 1
    incident.calm = incident.unseen = 0
    incident.seen_at = now.at
    _fade(incident)
    more = False
    for half in part.halves.tolist():
        link, strength = half >> 1, float(now.strength[half])
        a, b = graph.ends[link].tolist()
        name = graph.links[link]
        incident.ends[name] = graph.nodes[a], graph.nodes[b]
        trace = incident.halves.setdefault(HalfLink(name, half & 1), Trace(now.at))
        more |= strength > trace.peak
        trace.peak = max(trace.peak, strength)
        trace.strength = max(trace.strength, strength)
        trace.usual, trace.now = _figure(now.usual[half]), _figure(now.now[half])
        trace.missing = _figure(now.missing[half])
    names = {graph.nodes[node] for node in part.dark.tolist()}
    more |= not names <= incident.dark.keys()
    kept = {node: since for node, since in incident.dark.items() if node in names}
    incident.dark = dict.fromkeys(names, now.at) | kept
    incident.was_dark |= names
    if incident.told_size:
        incident.phase = Phase.GROWING if incident.size > size else Phase.SETTLED
    return more


def _figure(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def _fade(incident: Incident) -> None:
    """Have all that is disturbed count less, until it is seen again."""
    for half, trace in [*incident.halves.items()]:
        trace.strength *= FADING
        if trace.strength < FADED:
            del incident.halves[half]
    links = {half.link for half in incident.halves}
    for link in [*incident.ends]:
        if link not in links:
            del incident.ends[link]


def _rest(incident: Incident, place: _Place) -> None:
    """An interval in which nothing of an incident was disturbed, as far as is known."""
    if place.is_unseen(incident):
        incident.unseen += 1
        if incident.unseen >= UNSEEN:
            incident.phase, incident.why_closed = Phase.CLOSED, "nothing is known of it any more"
        return
    incident.phase = Phase.SETTLED
    incident.calm += 1
    if incident.calm >= min(MOST_CALM, CALM * (1 + incident.returns)):
        incident.phase, incident.why_closed = Phase.CLOSED, "all is as usual again"


def _absorb(oldest: Incident, other: Incident) -> None:
    for half, trace in other.halves.items():
        oldest.halves.setdefault(half, trace)
    for link, ends in other.ends.items():
        oldest.ends.setdefault(link, ends)
    for node, since in other.dark.items():
        oldest.dark.setdefault(node, since)
    other.phase, other.why_closed = Phase.CLOSED, f"it is part of incident {oldest.id}"


class _Place:
    """Where the parts of incidents are in the network of an interval.

    Args:
        now: the network.
    """

    def __init__(self, now: Disturbances) -> None:
        self._now = now
        self._link = {name: at for at, name in enumerate(now.graph.links)}
        self._node = {name: at for at, name in enumerate(now.graph.nodes)}

    def belongs(self, part: _Part, incident: Incident) -> bool:
        """Whether a disturbance belongs to an incident."""
        graph = self._now.graph
        if incident.calm:
            links = {graph.links[half >> 1] for half in part.halves.tolist()}
            dark = {graph.nodes[node] for node in part.dark.tolist()}
            return not (links.isdisjoint(incident.ends) and dark.isdisjoint(incident.was_dark))
        nodes = {graph.nodes[node] for node in part.nodes.tolist()}
        return not nodes.isdisjoint(incident.nodes)

    def is_unseen(self, incident: Incident) -> bool:
        """Whether nothing is known of a part of an incident."""
        now = self._now
        links = {half.link for half in incident.halves}
        nodes = [self._node[one] for one in incident.dark if one in self._node]
        return any(now.unknown[self._link[one]] for one in links if one in self._link) or any(
            not now.lit[node] and not now.dark[node] for node in nodes
        )

    def situation(self, incident: Incident, telemetry: Callable[[], Telemetry]) -> Situation:
        """An incident in the columns of the network."""
        now = self._now
        strength = np.zeros_like(now.strength)
        for half, trace in incident.halves.items():
            if half.link in self._link:
                strength[2 * self._link[half.link] + half.end] = trace.strength
        dark = np.zeros_like(now.dark)
        dark[[self._node[one] for one in incident.dark if one in self._node]] = True
        return Situation(now, strength, dark, incident.opened_at, telemetry)
