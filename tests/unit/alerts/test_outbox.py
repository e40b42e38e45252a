"""What is known of alerts, on disk: nothing is lost, nothing is told twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr

from actors.alerts import schema
from actors.alerts.alert_thread import Acknowledgement, fingerprint
from actors.alerts.contract import SilenceRequest
from actors.alerts.deliveries import MOST_PENDING, OLDEST_S
from actors.alerts.notice import Change
from actors.alerts.outbox import Outbox
from actors.alerts.router import Rules
from actors.alerts.ways import ALERTMANAGER, Path, Ways
from actors.runtime.alerting import AlertName
from actors.runtime.database import Database
from tests.unit.alerts.routing_examples import NOON, fired, over, spooled

if TYPE_CHECKING:
    import pathlib

BOTH = Ways(alertmanager=True, direct=("telegram",))
DOWN = Ways(alertmanager=True, reached=False, direct=("telegram",))
TELEGRAM = Ways(direct=("telegram",))


@pytest.fixture
def database(tmp_path: pathlib.Path) -> Database:
    return Database(SecretStr(f"sqlite:///{tmp_path / 'alerts.db'}"), schema.TABLES)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


def keys(outbox: Outbox, channel: str) -> list[tuple[str, Change]]:
    """What a channel is handed, all at once."""
    return [
        (due.notice.alerts[0].key, due.notice.change)
        for due in outbox.deliveries.claim(channel, 10_000)
    ]


def test_the_migrations_make_the_tables_of_the_schema(database: Database) -> None:
    """A database that was migrated has what the code expects."""
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.TABLES.version_table}
        )
        differences = compare_metadata(context, schema.METADATA)
    assert [each for each in differences if each[0] != "remove_table"] == []


def test_an_alert_is_taken_once(outbox: Outbox) -> None:
    """One that is handed over twice is one; so it is told once."""
    assert len(outbox.take(spooled(fired()), NOON, Rules(), TELEGRAM).alerts) == 1
    assert outbox.take(spooled(fired()), NOON, Rules(), TELEGRAM).alerts == ()
    assert keys(outbox, "telegram") == [("a", Change.FIRED)]


def test_a_notice_waits_until_it_is_delivered(outbox: Outbox) -> None:
    """One that fails is handed out again, in its place; one that is delivered is not."""
    outbox.take(spooled(fired("a"), fired("b"), over("a")), NOON, Rules(), TELEGRAM)
    (first,) = outbox.deliveries.claim("telegram", 1)
    outbox.deliveries.failed([first.delivery], "refused", doubtful=False)
    everything = outbox.deliveries.claim("telegram", 10)
    assert [(due.notice.alerts[0].key, due.notice.change) for due in everything] == [
        ("a", Change.FIRED),
        ("b", Change.FIRED),
        ("a", Change.RESOLVED),
    ]
    assert not any(due.notice.repeated for due in everything)
    outbox.deliveries.delivered([due.delivery for due in everything], ["1", "2", "3"], NOON)
    assert outbox.deliveries.claim("telegram", 10) == []
    outbox.take(spooled(over("b"), first=9), NOON, Rules(), TELEGRAM)
    (last,) = outbox.deliveries.claim("telegram", 10)
    assert last.notice.receipt == "2"
    assert [alert.key for alert in last.notice.before] == ["b"]
    assert outbox.deliveries.backlog("telegram").delivered == NOON


def test_of_what_was_being_sent_the_fate_is_unknown_after_a_crash(outbox: Outbox) -> None:
    """It is sent again, and says so."""
    outbox.take(spooled(fired()), NOON, Rules(), TELEGRAM)
    assert len(outbox.deliveries.claim("telegram", 1)) == 1
    assert outbox.deliveries.claim("telegram", 1) == []
    outbox.recover(NOON, TELEGRAM)
    (again,) = outbox.deliveries.claim("telegram", 1)
    assert again.notice.repeated


def test_alertmanager_tells_or_the_others_never_both(outbox: Outbox) -> None:
    """While it cannot be reached others tell; a thread stays where it was first told."""
    outbox.take(spooled(fired("told"), fired("untold")), NOON, Rules(), BOTH)
    (told,) = outbox.deliveries.claim(ALERTMANAGER, 1)
    outbox.deliveries.delivered([told.delivery], [""], NOON)
    assert outbox.reroute(Path.ALERTMANAGER, DOWN, Path.DIRECT) == ()
    outbox.take(spooled(fired("later"), over("told"), first=9), NOON, Rules(), DOWN)
    assert keys(outbox, "telegram") == [("untold", Change.FIRED), ("later", Change.FIRED)]
    outbox.reroute(Path.DIRECT, BOTH, Path.ALERTMANAGER)  # they are being sent
    assert keys(outbox, ALERTMANAGER) == [("told", Change.RESOLVED)]


def test_what_no_direct_channel_has_sent_goes_back_to_alertmanager(outbox: Outbox) -> None:
    """Everything was down, and Alertmanager is back first."""
    outbox.take(spooled(fired(), over()), NOON, Rules(), DOWN)
    (due,) = outbox.deliveries.claim("telegram", 1)
    outbox.deliveries.failed([due.delivery], "no route", doubtful=False)
    outbox.reroute(Path.DIRECT, BOTH, Path.ALERTMANAGER)
    assert outbox.deliveries.claim("telegram", 9) == []
    assert keys(outbox, ALERTMANAGER) == [("a", Change.FIRED), ("a", Change.RESOLVED)]


def test_a_message_that_may_have_arrived_stays_on_its_path(outbox: Outbox) -> None:
    """Of what Telegram may have shown, Alertmanager is not told; what it may have is taken back."""
    outbox.take(spooled(fired()), NOON, Rules(), DOWN)
    (due,) = outbox.deliveries.claim("telegram", 1)
    outbox.deliveries.failed([due.delivery], "no answer", doubtful=True)
    outbox.reroute(Path.DIRECT, BOTH, Path.ALERTMANAGER)
    assert outbox.deliveries.claim(ALERTMANAGER, 9) == []
    outbox.take(spooled(fired("b"), first=9), NOON, Rules(), BOTH)
    (due,) = outbox.deliveries.claim(ALERTMANAGER, 1)
    outbox.deliveries.failed([due.delivery], "no answer", doubtful=True)
    (doubtful,) = outbox.reroute(Path.ALERTMANAGER, DOWN, Path.DIRECT)
    assert doubtful.alerts[0].key == "b"


def test_only_pagerduty_is_told_who_looks_after_an_alert(outbox: Outbox) -> None:
    """After it was paged, by whatever way; not where Alertmanager tells."""
    both = Ways(alertmanager=True, direct=("pagerduty", "telegram"))
    anna, ben = Acknowledgement("anna", NOON), Acknowledgement("ben", NOON)
    key = fingerprint(AlertName.NODE_OFFLINE, "a")
    assert outbox.acknowledge(key, anna, both) is None
    outbox.take(spooled(fired()), NOON, Rules(), both)
    assert outbox.acknowledge(key, anna, both) is anna
    assert outbox.acknowledge(key, ben, both) == anna
    outbox.reroute(Path.ALERTMANAGER, replace(both, reached=False), Path.DIRECT)
    assert keys(outbox, "telegram") == [("a", Change.FIRED)]
    outbox.reroute(Path.DIRECT, both, Path.ALERTMANAGER)  # it is being sent
    assert keys(outbox, "pagerduty") == [("a", Change.FIRED), ("a", Change.ACKNOWLEDGED)]
    assert keys(outbox, ALERTMANAGER) == []
    assert [each.thread.acknowledged for each in outbox.open()] == [anna]


def test_who_looks_after_what_is_silenced_is_told_once_it_is_told(outbox: Outbox) -> None:
    """PagerDuty knows no acknowledgement of what it was not paged about."""
    pagerduty = Ways(direct=("pagerduty",))
    kinds = frozenset([AlertName.NODE_OFFLINE])
    outbox.silences.add(SilenceRequest(NOON, NOON + 60, "", "me", names=kinds), NOON)
    outbox.take(spooled(fired()), NOON, Rules(), pagerduty)
    key = fingerprint(AlertName.NODE_OFFLINE, "a")
    assert outbox.acknowledge(key, Acknowledgement("anna", NOON), pagerduty) is not None
    assert keys(outbox, "pagerduty") == []
    outbox.decide(NOON + 61, Rules(), pagerduty)
    assert keys(outbox, "pagerduty") == [("a", Change.FIRED), ("a", Change.ACKNOWLEDGED)]


def test_what_only_the_log_knew_is_told_once_there_is_a_channel(outbox: Outbox) -> None:
    """Alerts of a time without channels are kept, and those that last are told later."""
    outbox.take(spooled(fired("lasts"), fired("passes"), over("passes")), NOON, Rules(), Ways())
    outbox.recover(NOON, TELEGRAM)
    outbox.decide(NOON + 1, Rules(), TELEGRAM)
    assert keys(outbox, "telegram") == [("lasts", Change.FIRED)]


@pytest.mark.parametrize("table", [schema.threads, schema.notices, schema.silences])
def test_one_damaged_row_costs_one_row(outbox: Outbox, database: Database, table: sa.Table) -> None:
    """The others are listed and told."""
    outbox.take(spooled(fired("a"), fired("b")), NOON, Rules(), TELEGRAM)
    with database.writing() as connection:
        first = connection.scalar(sa.select(table.c.id).order_by(table.c.id).limit(1))
        connection.execute(table.update().where(table.c.id == first).values(body="{"))
    assert len(outbox.open()) == (1 if table is schema.threads else 2)
    assert len(outbox.deliveries.claim("telegram", 9)) == (1 if table is schema.notices else 2)
    outbox.take(spooled(fired("a", summary="x"), fired("c"), first=9), NOON, Rules(), TELEGRAM)
    outbox.decide(NOON + 100, Rules(), TELEGRAM)
    assert "c" in [each.thread.worst_first()[0].alert.key for each in outbox.open()]


def test_what_waits_is_bounded_in_number_and_age(outbox: Outbox, database: Database) -> None:
    """The oldest are given up, and counted."""
    outbox.take(spooled(fired("old")), NOON, Rules(), TELEGRAM)
    later = NOON + OLDEST_S + 1
    outbox.take(spooled(fired("new"), first=9), later, Rules(), TELEGRAM)
    assert outbox.tidy(later, 30 * 86_400.0) == 1
    assert keys(outbox, "telegram") == [("new", Change.FIRED)]
    with database.writing() as connection:
        notice = connection.scalar(sa.select(sa.func.max(schema.notices.c.id)))
        rows = [
            {"notice": notice, "thread": 1, "channel": f"c{n % 2}", "state": "pending"}
            | {"doubtful": False, "why": "", "receipt": "", "done_ms": None}
            for n in range(1)
        ]
        connection.execute(schema.deliveries.insert(), rows)
    assert outbox.deliveries.backlog("c0").pending == 1 <= MOST_PENDING
    outbox.take(spooled(over("old"), over("new"), first=20), later, Rules(), Ways())
    outbox.tidy(later + 31 * 86_400.0, 30 * 86_400.0)
    assert outbox.since(0, 10) == []
