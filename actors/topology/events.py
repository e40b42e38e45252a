"""What happens in a network, told the same way by whoever notices it.

Whoever notices events numbers them from 1 within its incarnation and keeps the newest; who collects
them asks for those after the last number it has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.topology.provenance import Network


MESH: Final = "mesh"  # the source of the events of an emulated mesh; its incarnation is the session


class EventKind(StrEnum):
    """The kinds of event, named by their subject and what became of it."""

    NODE_JOINED = "node_joined"  # first seen
    NODE_SILENT = "node_silent"  # no source has heard of it for the stated time
    NODE_GONE = "node_gone"  # no source lists it any more
    NODE_CUT_OFF = "node_cut_off"  # it works, and no path leads to it
    NODE_BACK = "node_back"
    NODE_RENAMED = "node_renamed"
    NODE_RETIRED = "node_retired"  # no member any more
    LINK_ADDED = "link_added"
    LINK_UP = "link_up"
    LINK_DOWN = "link_down"
    LINK_DEGRADED = "link_degraded"
    LINK_RECOVERED = "link_recovered"
    LINK_RETIRED = "link_retired"  # no link of the network any more
    SPLIT = "split"  # one part of the network has become several
    REJOINED = "rejoined"
    GATEWAY_LOST = "gateway_lost"  # nodes have lost their last gateway
    GATEWAY_BACK = "gateway_back"
    ROUTE_CHANGED = "route_changed"
    MAP_STALE = "map_stale"  # what a source says is older than the stated age
    MAP_FRESH = "map_fresh"
    MAP_HELD = "map_held"  # an answer was not taken over: too much of it is missing or faulty
    MAP_ACCEPTED = "map_accepted"  # after one that was held, an answer is taken over
    SOURCE_FAILED = "source_failed"
    SOURCE_BACK = "source_back"
    SHARD_DOWN = "shard_down"
    SHARD_BACK = "shard_back"  # the process that was silent answers again
    SHARD_RESTARTED = "shard_restarted"  # another process answers
    INCIDENT_OPENED = "incident_opened"  # something is wrong, with what it probably comes from
    INCIDENT_CHANGED = "incident_changed"  # it comes from something else, or has grown much
    INCIDENT_CLOSED = "incident_closed"
    DRILL = "drill"
    EVENTS_MISSED = "events_missed"  # a source no longer had what followed the last event read


class EventSeverity(StrEnum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class NetworkEvent:
    """Something that happened.

    Attributes:
        number: from 1, without gaps, within one incarnation of its source.
        at: Unix time, s.
        kind: what happened.
        severity: how soon somebody should look.
        nodes: ids of the nodes concerned.
        link: ids of the two ends of the link concerned; None if it is no link's event.
        what: one sentence, with names.
        data: figures of this kind of event, as JSON.
    """

    number: int
    at: float
    kind: EventKind
    severity: EventSeverity
    nodes: tuple[str, ...]
    link: tuple[str, str] | None
    what: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events of one source.

    Attributes:
        incarnation: of the source; in another one, numbers start again.
        missed: number of events that were asked for and are no longer kept.
        events: in the order of their numbers.
    """

    incarnation: int
    missed: int
    events: tuple[NetworkEvent, ...]


class EventSource(Protocol):
    """Whoever notices events."""

    async def events(self, after: int, most: int) -> EventPage:
        """At most `most` events with numbers above `after`.

        Raises:
            X0Error: there is no answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event of the history.

    Attributes:
        id: its place in the history, from 1, ascending.
        source: who noticed it.
        network: which network it is of.
        event: the event; its number is that of its source.
        incarnation: of its source.
    """

    id: int
    source: str
    network: Network
    event: NetworkEvent
    incarnation: int


@dataclass(frozen=True, slots=True)
class RecordedPage:
    """What the history has after an event.

    Attributes:
        newest: id of the newest event that it has; 0: none. Less than the id that was asked for:
            the history was begun anew.
        events: in the order in which they were stored.
        session: number of the session whose emulated mesh is recorded; 0: none is.
    """

    newest: int
    events: tuple[RecordedEvent, ...]
    session: int = 0


class RecordedEvents(Protocol):
    """The events of all sources, in one order."""

    async def events(self, after: int, most: int, wait_s: float) -> RecordedPage:
        """At most `most` events with ids above `after`; waits up to `wait_s` until there is one.

        Raises:
            X0Error: there is no answer.
        """
        ...
