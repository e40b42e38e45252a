"""Events in the project's database: written by one, read by anybody.

Events, how far their source was read, and what its next events are made from are one transaction.
So a writer that is killed at any moment loses nothing that its source still has, and stores
nothing twice.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from actors.history import schema
from actors.runtime.clock import iso
from actors.topology.events import EventKind, EventSeverity, NetworkEvent, RecordedEvent
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy.engine import Connection

    from actors.runtime.database import Database

MOST_NODES: Final = 2_000  # most nodes by which one event is found
_DELETED: Final = 5_000  # most events of one deletion, during which others cannot write
_EVENTS: Final = schema.events
_NODES: Final = schema.event_nodes
_SOURCES: Final = schema.sources
SEVERITIES: Final = tuple(EventSeverity)  # ascending


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source was read.

    Attributes:
        incarnation: of the source; 0 before the first event.
        number: of its last event that is stored.
        view: what its next events are made from; None if the source makes them itself.
    """

    incarnation: int = 0
    number: int = 0
    view: bytes | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent(RecordedEvent):
    """An event of the history, as it is shown."""

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON tells it."""
        event = self.event
        return {
            "id": self.id,
            "at": iso(event.at),
            "network": self.network.value,
            "kind": event.kind.value,
            "severity": event.severity.value,
            "nodes": list(event.nodes),
            "link": list(event.link) if event.link else None,
            "what": event.what,
            "data": dict(event.data),
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events are asked for.

    Attributes:
        since: not before, Unix time, s; None: from the first one on.
        until: before, Unix time, s; None: up to the last one.
        after: only those whose id is greater.
        kinds: only of these kinds; empty: of all.
        least: of at least this severity.
        nodes: only those about one of these nodes; empty: about any.
        network: only of this network; None: of both.
        limit: most events.
        newest: the last ones that fit, instead of the first ones. Both come in ascending order.
    """

    since: float | None = None
    until: float | None = None
    after: int = 0
    kinds: Collection[EventKind] = ()
    least: EventSeverity = EventSeverity.INFO
    nodes: Collection[str] = ()
    network: Network | None = None
    limit: int = 1_000
    newest: bool = False


class EventStore:
    """The events of a database. Synchronous; call it from a thread.

    Args:
        database: a database with the tables of history.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def alone(self, timeout_s: float) -> AbstractContextManager[None]:
        """Be the one writer of all processes, for the block.

        Raises:
            Conflict: another one is, still after `timeout_s` seconds.
        """
        return self._database.alone("history", timeout_s=timeout_s)

    # -- writing ---------------------------------------------------------------------------------

    def progress(self, source: str) -> Progress:
        """How far a source was read."""
        asked = sa.select(_SOURCES).where(_SOURCES.c.source == source)
        with self._database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        return Progress() if row is None else Progress(row.incarnation, row.number, row.view)

    def record(
        self,
        source: str,
        network: Network,
        incarnation: int,
        events: Sequence[NetworkEvent],
        view: bytes | None = None,
    ) -> list[StoredEvent]:
        """Store events that are not stored yet, and that the source was read so far.

        Args:
            source: who noticed them.
            network: which network they are of.
            incarnation: of the source.
            events: in the order of their numbers.
            view: what the source's next events are made from.

        Returns:
            Those that are new.
        """
        with self._database.writing() as connection:
            known = self._known(connection, source, incarnation, events)
            last = connection.scalar(sa.select(sa.func.max(_EVENTS.c.id))) or 0
            fresh = [event for event in events if event.number not in known]
            stored = [
                StoredEvent(last + place, source, network, _clean(event), incarnation)
                for place, event in enumerate(fresh, 1)
            ]
            _insert(connection, _EVENTS, [_row(one) for one in stored])
            found_by = ((node, one.id) for one in stored for node in _about(one.event))
            _insert(connection, _NODES, [{"node": n, "event_id": id_} for n, id_ in found_by])
            if events or view is not None:
                number = max((event.number for event in events), default=0)
                self._advance(connection, source, Progress(incarnation, number, view))
        return stored

    def _known(
        self,
        connection: Connection,
        source: str,
        incarnation: int,
        events: Sequence[NetworkEvent],
    ) -> set[int]:
        if not events:
            return set()
        asked = sa.select(_EVENTS.c.number).where(
            _EVENTS.c.source == source,
            _EVENTS.c.incarnation == incarnation,
            _EVENTS.c.number >= min(event.number for event in events),
        )
        known = set(connection.scalars(asked))
        before = self._progress_in(connection, source)
        if before.incarnation == incarnation:  # what retention has deleted is not new either
            known |= {event.number for event in events if event.number <= before.number}
        return known

    def _progress_in(self, connection: Connection, source: str) -> Progress:
        row = connection.execute(
            sa.select(_SOURCES).where(_SOURCES.c.source == source)
        ).one_or_none()
        return Progress() if row is None else Progress(row.incarnation, row.number, row.view)

    def _advance(self, connection: Connection, source: str, to: Progress) -> None:
        before = self._progress_in(connection, source)
        number = to.number
        if before.incarnation == to.incarnation:
            number = max(number, before.number)
        values = {"incarnation": to.incarnation, "number": number, "view": to.view}
        changed = connection.execute(
            _SOURCES.update().where(_SOURCES.c.source == source).values(values)
        )
        if not changed.rowcount:
            connection.execute(_SOURCES.insert().values(source=source, **values))

    def expire(self, before: float) -> int:
        """Delete events of before a Unix time, s; how many. The newest one stays in any case.

        Others may write between the parts of a large deletion.
        """
        total = 0
        while True:
            with self._database.writing() as connection:
                last = connection.scalar(sa.select(sa.func.max(_EVENTS.c.id))) or 0
                old = (
                    sa.select(_EVENTS.c.id)
                    .where(_EVENTS.c.at_ms < _ms(before), _EVENTS.c.id < last)
                    .order_by(_EVENTS.c.at_ms)
                    .limit(_DELETED)
                )
                ids = list(connection.scalars(old))
                connection.execute(_NODES.delete().where(_NODES.c.event_id.in_(ids)))
                connection.execute(_EVENTS.delete().where(_EVENTS.c.id.in_(ids)))
            total += len(ids)
            if len(ids) < _DELETED:
                return total

    # -- reading ---------------------------------------------------------------------------------

    def ends(self) -> tuple[int, int]:
        """Ids of the oldest event that is kept, and of the newest; 0 and 0 without any."""
        asked = sa.select(sa.func.min(_EVENTS.c.id), sa.func.max(_EVENTS.c.id))
        with self._database.reading() as connection:
            oldest, newest = connection.execute(asked).one()
        return oldest or 0, newest or 0

    def find(self, query: EventQuery) -> list[StoredEvent]:
        """The events of a query, in the order in which they were stored."""
        asked = sa.select(_EVENTS).where(*_conditions(query))
        order = _EVENTS.c.id.desc() if query.newest else _EVENTS.c.id
        with self._database.reading() as connection:
            rows = connection.execute(asked.order_by(order).limit(query.limit)).all()
        found = [_stored(row) for row in rows]
        return found[::-1] if query.newest else found

    def nodes(self) -> list[str]:
        """Ids of all nodes that any event is about."""
        with self._database.reading() as connection:
            return list(connection.scalars(sa.select(_NODES.c.node).distinct()))


def _insert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def _conditions(query: EventQuery) -> Iterable[sa.ColumnElement[bool]]:
    if query.after:
        yield _EVENTS.c.id > query.after
    if query.since is not None:
        yield _EVENTS.c.at_ms >= _ms(query.since)
    if query.until is not None:
        yield _EVENTS.c.at_ms < _ms(query.until)
    if query.kinds:
        yield _EVENTS.c.kind.in_([kind.value for kind in query.kinds])
    if query.least is not SEVERITIES[0]:
        enough = SEVERITIES[SEVERITIES.index(query.least) :]
        yield _EVENTS.c.severity.in_([one.value for one in enough])
    if query.nodes:
        about = sa.select(_NODES.c.event_id).where(_NODES.c.node.in_(list(query.nodes)))
        yield _EVENTS.c.id.in_(about)
    if query.network is not None:
        yield _EVENTS.c.network == query.network.value


def _ms(at: float) -> int:
    return round(at * 1000)


def _text(value: str) -> str:
    """A text that every database takes: PostgreSQL has no NUL, and UTF-8 no surrogates."""
    return value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _clean(event: NetworkEvent) -> NetworkEvent:
    return NetworkEvent(
        number=event.number,
        at=event.at,
        kind=event.kind,
        severity=event.severity,
        nodes=tuple(map(_text, event.nodes)),
        link=None if event.link is None else (_text(event.link[0]), _text(event.link[1])),
        what=_text(event.what),
        data=_plain(dict(event.data)),
    )


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON is anything
    """A value as JSON has it: no NaN, no NUL, nothing but its own types."""
    if isinstance(value, dict):
        return {_text(str(name)): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else _text(str(value))


def _about(event: NetworkEvent) -> list[str]:
    """The nodes by which an event is found, each once."""
    return list(dict.fromkeys((*(event.link or ()), *event.nodes)))[:MOST_NODES]


def _row(stored: StoredEvent) -> dict[str, Any]:
    event = stored.event
    a, b = event.link or (None, None)
    return {
        "id": stored.id,
        "source": stored.source,
        "incarnation": stored.incarnation,
        "number": event.number,
        "network": stored.network.value,
        "at_ms": _ms(event.at),
        "kind": event.kind.value,
        "severity": event.severity.value,
        "nodes": json.dumps(event.nodes),
        "link_a": a,
        "link_b": b,
        "what": event.what,
        "data": json.dumps(event.data),
    }


def _stored(row: Any) -> StoredEvent:  # noqa: ANN401 - a row of SQLAlchemy
    return StoredEvent(
        id=row.id,
        source=row.source,
        network=Network(row.network),
        incarnation=row.incarnation,
        event=NetworkEvent(
            number=row.number,
            at=row.at_ms / 1000,
            kind=EventKind(row.kind),
            severity=EventSeverity(row.severity),
            nodes=tuple(json.loads(row.nodes)),
            link=None if row.link_a is None else (row.link_a, row.link_b),
            what=row.what,
            data=json.loads(row.data),
        ),
    )
