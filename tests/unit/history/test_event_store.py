"""Events in either database: each once, in order, found by what they are about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from pydantic import SecretStr

from actors.history import schema
from actors.history.event_store import EventQuery, EventStore, Progress
from actors.payments.ledger.ledger import Ledger
from actors.runtime.database import Database
from actors.runtime.errors import ConfigurationError, Conflict
from actors.topology.events import EventKind, EventSeverity
from actors.topology.provenance import Network
from tests.unit.history.happenings import HOUR, event

if TYPE_CHECKING:
    from actors.topology.events import NetworkEvent

REAL, LAB = Network.OBSERVED, Network.EMULATED


def record(store: EventStore, *events: NetworkEvent, incarnation: int = 7) -> list[int]:
    return [one.id for one in store.record("observer", REAL, incarnation, events)]


def ids(store: EventStore, **asked: object) -> list[int]:
    return [one.id for one in store.find(EventQuery(**asked))]  # type: ignore[arg-type]


def test_the_migrations_make_the_tables_of_the_schema(database: Database) -> None:
    """Nothing is in one and not in the other, on either database."""
    options = {"compare_type": True, "version_table": schema.TABLES.version_table}
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.METADATA) == []


def test_two_kinds_share_a_database(database_url: str) -> None:
    """Payments and history migrate by tables of versions of their own, in any order, again too."""
    url = SecretStr(database_url)
    Ledger(url).close()
    first = Database(url, schema.TABLES)
    store = EventStore(first)
    record(store, event(1))
    first.close()
    with Ledger(url) as ledger, ledger.database.reading() as connection:
        names = set(sa.inspect(connection).get_table_names())
        assert {"alembic_version", "history_alembic_version", "orders"} <= names
    again = Database(url, schema.TABLES)
    assert ids(EventStore(again)) == [1]
    again.close()


def test_a_history_of_a_newer_program_is_not_touched(database_url: str, store: EventStore) -> None:
    """The error says so; what another kind keeps in the same database is used all the same."""
    with store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE history_alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match=r"history's database .* newer program"):
        Database(SecretStr(database_url), schema.TABLES)
    Ledger(SecretStr(database_url)).close()


def test_an_event_comes_back_as_it_was(store: EventStore) -> None:
    """With its time to the millisecond, its ends and its figures."""
    given = event(
        3,
        HOUR + 0.125,
        EventKind.LINK_DOWN,
        EventSeverity.CRITICAL,
        ("a", "b"),
        ("a", "b"),
        "link Türme (a)--b is down",
        share=0.5,
        sides=[{"n": 1}],
    )
    record(store, given)
    (found,) = store.find(EventQuery())
    assert (found.event, found.network, found.source) == (given, REAL, "observer")
    assert found.as_dict() == {
        "id": 1,
        "at": "2025-11-24T16:00:00.125Z",
        "network": "observed",
        "kind": "link_down",
        "severity": "critical",
        "nodes": ["a", "b"],
        "link": ["a", "b"],
        "what": "link Türme (a)--b is down",
        "data": {"share": 0.5, "sides": [{"n": 1}]},
        "source": "observer",
    }


def test_an_odd_event_costs_nothing_else(store: EventStore) -> None:
    """NUL, surrogates and NaN, which some databases or JSON do not take, are replaced."""
    odd = event(1, nodes=("a\0b",), what="\ud800 \0", worst=math.nan, kind_=EventKind.SPLIT)
    record(store, odd, event(2))
    first, second = store.find(EventQuery())
    assert first.event.nodes == ("a\N{REPLACEMENT CHARACTER}b",)
    assert first.event.data == {"worst": None, "kind_": "split"}
    assert second.event == event(2)


def test_an_event_is_stored_once(store: EventStore) -> None:
    """By incarnation and number, also when parts overlap; a new incarnation begins anew."""
    assert record(store, event(1), event(2)) == [1, 2]
    assert record(store, event(1), event(2), event(3)) == [3]
    assert store.progress("observer") == Progress(7, 3, None)
    assert record(store, event(1), incarnation=8) == [4]
    assert store.progress("observer") == Progress(8, 1, None)
    assert record(store, event(3), incarnation=7) == []  # told late, and known
    assert store.progress("other") == Progress()


def test_what_was_deleted_does_not_come_back(store: EventStore) -> None:
    """A source that tells everything again tells nothing new."""
    record(store, event(1, HOUR), event(2, HOUR + 100))
    assert store.expire(HOUR + 50) == 1
    assert record(store, event(1, HOUR), event(2, HOUR + 100)) == []
    assert ids(store) == [2]


def test_no_number_is_given_twice(store: EventStore) -> None:
    """The newest event outlives any retention, so that readers can go on from it."""
    record(store, event(1), event(2), event(3))
    assert store.expire(HOUR + 10**6) == 2
    assert store.ends() == (3, 3)
    assert record(store, event(4)) == [4]
    with store._database.reading() as connection:
        rows = connection.scalar(sa.select(sa.func.count()).select_from(schema.event_nodes))
    assert rows == 2  # of the two that are left


def test_events_are_found_by_what_they_are_about(store: EventStore) -> None:
    """Time, kind, severity, nodes (ends of links too), network, place and number."""
    record(
        store,
        event(1, HOUR, EventKind.NODE_SILENT, EventSeverity.WARNING, ("a",)),
        event(2, HOUR + 60, EventKind.SPLIT, EventSeverity.CRITICAL, ("b", "c")),
        event(3, HOUR + 120, EventKind.LINK_UP, EventSeverity.INFO, (), ("a", "d")),
    )
    store.record("mesh", LAB, 1, [event(1, HOUR + 180)])
    assert ids(store) == [1, 2, 3, 4]
    assert ids(store, since=HOUR + 60, until=HOUR + 180) == [2, 3]
    assert ids(store, kinds=[EventKind.SPLIT, EventKind.LINK_UP]) == [2, 3]
    assert ids(store, least=EventSeverity.WARNING) == [1, 2, 4]
    assert ids(store, least=EventSeverity.CRITICAL) == [2]
    assert ids(store, nodes=["a"]) == [1, 3, 4]
    assert ids(store, nodes=["c", "d"]) == [2, 3]
    assert ids(store, network=LAB) == [4]
    assert ids(store, after=2) == [3, 4]
    assert ids(store, limit=2) == [1, 2]
    assert ids(store, limit=2, newest=True) == [3, 4]
    assert sorted(store.nodes()) == ["a", "b", "c", "d"]


def test_there_is_one_writer(store: EventStore) -> None:
    """A second historian on the same database is told, not served."""
    with store.alone(0), pytest.raises(Conflict, match="history"), store.alone(0.2):
        pass
    with store.alone(0):
        pass
