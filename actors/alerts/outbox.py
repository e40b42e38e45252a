"""What is known of alerts, on disk: threads, what is to be told of them, and by which way.

Synchronous; call it from a thread. A change of a thread and the notice that it causes are one
transaction, so nothing that was taken over is forgotten, and nothing is told that is not known.
A thread has one path, Alertmanager or the direct channels, and keeps it once people have been told
by it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from actors.alerts import deliveries, records, schema, silence_book, thread_rows
from actors.alerts.alert_thread import fingerprint, with_alert
from actors.alerts.deliveries import ACKNOWLEDGES, Deliveries
from actors.alerts.notice import Change, Notice
from actors.alerts.router import Decision, decided
from actors.alerts.silence_book import SilenceBook
from actors.alerts.ways import ALERTMANAGER, Path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection

    from actors.alerts.alert_thread import Acknowledgement
    from actors.alerts.router import Rules
    from actors.alerts.thread_rows import Kept
    from actors.alerts.ways import Ways
    from actors.runtime.alert_spool import SpooledAlert
    from actors.runtime.alerting import Alert
    from actors.runtime.database import Database

MOST_BY: Final = 100  # characters of who acknowledges
_DECIDED: Final = 500  # most threads of one transaction
_THREADS: Final = schema.threads


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of taking alerts over.

    Attributes:
        alerts: those that are new.
        notices: what is to be told.
    """

    alerts: tuple[Alert, ...]
    notices: tuple[Notice, ...]


class Outbox:
    """Alerts, and what is to be told of them, in a database.

    Args:
        database: a database with the tables of `schema`.

    Attributes:
        deliveries: what each channel is to tell.
        silences: what people do not want to be told.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.deliveries = Deliveries(database)
        self.silences = SilenceBook(database)

    def take(
        self,
        batch: Iterable[SpooledAlert],
        now: float,
        rules: Rules,
        ways: Ways,
        *,
        cursor: tuple[str, int, bytes | None] | None = None,
    ) -> Taken:
        """Take alerts over, decide what is to be told, and remember how far a source was read.

        Args:
            batch: the alerts, in their order.
            now: Unix time, s.
            rules: what holds notices back; silences are those on disk.
            ways: the channels.
            cursor: name of a source of events, id of its last event that is in the batch, and what
                its next alerts are made from.
        """
        alerts: list[Alert] = []
        notices: list[Notice] = []
        with self._database.writing() as connection:
            rules = replace(rules, silences=silence_book.lasting(connection, now))
            for spooled in batch:
                if not _is_new(connection, spooled.id, now):
                    continue
                alerts.append(spooled.alert)
                notices.extend(_raised(connection, spooled.alert, now, rules, ways))
            if cursor is not None:
                _advance(connection, *cursor)
        return Taken(tuple(alerts), tuple(notices))

    def decide(self, now: float, rules: Rules, ways: Ways) -> tuple[Notice, ...]:
        """Decide about the threads that are due."""
        notices: list[Notice] = []
        with self._database.writing() as connection:
            rules = replace(rules, silences=silence_book.lasting(connection, now))
            due = sa.select(_THREADS).where(_THREADS.c.due_ms <= schema.ms(now))
            for row in connection.execute(due.order_by(_THREADS.c.due_ms).limit(_DECIDED)).all():
                kept = thread_rows.kept_of(row)
                if kept is None:
                    thread_rows.set_aside(connection, row.id)
                else:
                    notices.extend(_settled(connection, kept, now, rules, ways))
        return tuple(notices)

    def next_due(self) -> float | None:
        """Unix time at which something is to be decided next, s; None: nothing is."""
        with self._database.reading() as connection:
            return schema.seconds(connection.scalar(sa.select(sa.func.min(_THREADS.c.due_ms))))

    def cursor(self, source: str) -> tuple[int, bytes | None]:
        """How far a source of events was read, and what its next alerts are made from."""
        asked = sa.select(schema.cursors).where(schema.cursors.c.source == source)
        with self._database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        return (0, None) if row is None else (row.after, row.view)

    def recover(self, now: float, ways: Ways) -> None:
        """After a start: what was being sent is sent again, and what only the log knew is told."""
        with self._database.writing() as connection:
            channels = [ALERTMANAGER] * ways.alertmanager + list(ways.direct)
            deliveries.recover(connection, channels)
            if ways.path() is Path.LOG:
                return
            untold = sa.select(_THREADS).where(
                sa.not_(_THREADS.c.closed),
                sa.or_(
                    _THREADS.c.path == Path.LOG,
                    sa.and_(_THREADS.c.path != Path.NONE, sa.not_(deliveries.is_told())),
                ),
            )
            for row in connection.execute(untold).all():
                kept = thread_rows.kept_of(row)
                if kept is not None:
                    thread = replace(kept.thread, told=None)
                    thread_rows.store(connection, kept.id, Decision(thread, due=now), Path.NONE)

    def reroute(self, before: Path, ways: Ways, after: Path) -> tuple[Notice, ...]:
        """Tell by another way what nobody has been told yet.

        Args:
            before: the way that it is on.
            ways: the channels.
            after: the way by which it is told.

        Returns:
            What may have arrived by the first way all the same.
        """
        with self._database.writing() as connection:
            threads = deliveries.untold(connection, before)
            doubtful = deliveries.doubtful_of(connection, threads)
            for thread in threads:
                deliveries.hand_anew(connection, thread, ways.names(after))
                connection.execute(
                    _THREADS.update().where(_THREADS.c.id == thread).values(path=after)
                )
        return doubtful

    def open(self) -> list[Kept]:
        """The threads that are not over, the one that was raised last first."""
        return self._read(sa.select(_THREADS).where(sa.not_(_THREADS.c.closed)))

    def since(self, at: float, most: int) -> list[Kept]:
        """The threads of which something was raised since a Unix time, s; the newest first."""
        return self._read(sa.select(_THREADS).where(_THREADS.c.last_ms >= schema.ms(at)), most)

    def _read(self, asked: sa.Select[Any], most: int = thread_rows.MOST_OPEN) -> list[Kept]:
        ordered = asked.order_by(_THREADS.c.last_ms.desc(), _THREADS.c.id.desc()).limit(most)
        with self._database.reading() as connection:
            rows = connection.execute(ordered).all()
        return [kept for kept in map(thread_rows.kept_of, rows) if kept is not None]

    def acknowledge(self, key: str, given: Acknowledgement, ways: Ways) -> Acknowledgement | None:
        """Note that somebody looks after a thread, and have the channels that know of this told.

        Args:
            key: fingerprint of an alert of the thread.
            given: who looks after it, and since when.
            ways: the channels.

        Returns:
            Who looks after it: `given`, or who was first. None: it is not open.
        """
        with self._database.writing() as connection:
            kept = thread_rows.first(connection, thread_rows.open_with(key))
            if kept is None:
                return None
            if kept.thread.acknowledged is not None:
                return kept.thread.acknowledged
            kept = replace(kept, thread=replace(kept.thread, acknowledged=given))
            connection.execute(
                _THREADS.update()
                .where(_THREADS.c.id == kept.id)
                .values(body=records.thread_text(kept.thread))
            )
            if kept.thread.told is not None:
                _acknowledge(connection, kept, kept.path, ways)
        return given

    def tidy(self, now: float, keep_s: float) -> int:
        """Delete what is old, and give up what could not be told for too long; how many notices."""
        with self._database.writing() as connection:
            given_up = deliveries.give_up(connection, now)
            old = schema.ms(now - keep_s)
            connection.execute(_THREADS.delete().where(_THREADS.c.closed, _THREADS.c.last_ms < old))
            connection.execute(schema.taken.delete().where(schema.taken.c.at_ms < old))
            connection.execute(
                schema.silences.delete().where(schema.silences.c.ends_ms < schema.ms(now))
            )
        return given_up


def _is_new(connection: Connection, id_: str, now: float) -> bool:
    known = sa.select(schema.taken.c.id).where(schema.taken.c.id == id_)
    if connection.scalar(known) is not None:
        return False
    connection.execute(schema.taken.insert().values(id=id_, at_ms=schema.ms(now)))
    return True


def _raised(
    connection: Connection, alert: Alert, now: float, rules: Rules, ways: Ways
) -> tuple[Notice, ...]:
    kept = thread_rows.thread_of(connection, alert, now)
    thread = with_alert(None if kept is None else kept.thread, alert, now, secrets.token_hex(16))
    if thread is None:
        return ()
    if kept is None:
        kept = thread_rows.added(connection, thread, now)
        if kept is None:
            return ()
    thread_rows.belongs(connection, fingerprint(alert.name, alert.key), kept.id)
    return _settled(connection, replace(kept, thread=thread), now, rules, ways)


def _settled(
    connection: Connection, kept: Kept, now: float, rules: Rules, ways: Ways
) -> tuple[Notice, ...]:
    """Decide about a thread, and keep what was decided."""
    begun = thread_rows.begun_at(connection, kept.thread.faults)
    decision = decided(kept.thread, now, rules, begun)
    path = kept.path
    if decision.notice is not None and path in {Path.NONE, Path.LOG}:
        path = ways.path()
    thread_rows.store(connection, kept.id, decision, path)
    thread_rows.have_begun(connection, decision.began, begun, now)
    if decision.notice is None:
        return ()
    deliveries.hand_notice(connection, kept.id, decision.notice, now, ways.names(path))
    if decision.notice.change is Change.FIRED and decision.thread.acknowledged is not None:
        _acknowledge(connection, replace(kept, thread=decision.thread), path, ways)
    return (decision.notice,)


def _acknowledge(connection: Connection, kept: Kept, path: Path, ways: Ways) -> None:
    """Keep a notice of who looks after a thread, and hand it to those who know of this."""
    thread = kept.thread
    if thread.told is None or thread.acknowledged is None:
        return
    notice = Notice(
        f"{thread.episode}-acknowledged",
        thread.name,
        Change.ACKNOWLEDGED,
        thread.told.severity,
        tuple(
            each.alert for each in thread.worst_first() if each.fingerprint in thread.told.faults
        ),
        thread.acknowledged.at,
    )
    told = ACKNOWLEDGES.intersection(ways.names(path))
    deliveries.hand_notice(connection, kept.id, notice, thread.acknowledged.at, told)


def _advance(connection: Connection, source: str, after: int, view: bytes | None) -> None:
    cursors = schema.cursors
    values = {"after": after, "view": view}
    changed = connection.execute(cursors.update().where(cursors.c.source == source).values(values))
    if not changed.rowcount:
        connection.execute(cursors.insert().values(source=source, **values))
