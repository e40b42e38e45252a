"""What is known of alerts, on disk: threads, what is to be told of them, and who has been told.

Synchronous; call it from a thread. A change of a thread and the notice that it causes are one
transaction, so nothing that was taken over is forgotten, and nothing is told that is not known.
A delivery is marked before it is sent and after it was answered: of one that is only marked, after
a crash, it is not known whether it arrived.

Each channel is handed its notices in the order in which they were made; so those of one fault
arrive in order. A thread has one path, Alertmanager or the direct channels, and keeps it once
people have been told by it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from actors.alerts import records, schema
from actors.alerts.alert_thread import AlertThread, fingerprint, thread_name, with_alert
from actors.alerts.contract import MOST_SILENCES, Silence
from actors.alerts.errors import UnknownSilence
from actors.alerts.notice import Change, Notice
from actors.alerts.router import FIRES, Decision, decided
from actors.runtime import log
from actors.runtime.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection, Row

    from actors.alerts.alert_thread import Acknowledgement
    from actors.alerts.contract import SilenceRequest
    from actors.alerts.router import Rules
    from actors.runtime.alert_spool import SpooledAlert
    from actors.runtime.alerting import Alert
    from actors.runtime.database import Database

ALERTMANAGER: Final = "alertmanager"  # name of the channel of the normal path
ACKNOWLEDGES: Final = frozenset({"pagerduty"})  # names of the channels that know acknowledgements
MOST_BY: Final = 100  # characters of who acknowledges
MOST_PENDING: Final = 10_000  # notices that wait for one channel; the oldest go first
MOST_RECEIPT: Final = 1_000  # characters
OLDEST_S: Final = 7 * 86_400.0  # a notice that could not be delivered for so long is given up
MOST_OPEN: Final = 10_000  # open threads; further alerts are refused
_DECIDED: Final = 500  # most threads of one transaction
_THREADS: Final = schema.threads
_FAULTS: Final = schema.faults
_NOTICES: Final = schema.notices
_DELIVERIES: Final = schema.deliveries
_log = log.get(__name__)


class Path(StrEnum):
    """By which way people are told of a thread."""

    NONE = ""  # nothing is to be told yet
    ALERTMANAGER = "alertmanager"
    DIRECT = "direct"
    LOG = "log"  # no channel is configured


class Fate(StrEnum):
    """What has become of a delivery."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Ways:
    """The channels that there are now.

    Attributes:
        alertmanager: whether Alertmanager is configured.
        reached: whether it answers, as far as is known.
        direct: names of the direct channels.
    """

    alertmanager: bool = False
    reached: bool = True
    direct: tuple[str, ...] = ()

    def path(self) -> Path:
        """By which way a thread is told that was not told before."""
        if self.alertmanager and (self.reached or not self.direct):
            return Path.ALERTMANAGER
        return Path.DIRECT if self.direct else Path.LOG

    def names(self, path: Path) -> tuple[str, ...]:
        """The channels of a way."""
        if path is Path.ALERTMANAGER:
            return (ALERTMANAGER,)
        return self.direct if path is Path.DIRECT else ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A thread on disk.

    Attributes:
        id: of its row.
        path: by which way people are told of it.
        thread: the thread.
    """

    id: int
    path: Path
    thread: AlertThread


@dataclass(frozen=True, slots=True)
class Due:
    """A notice that a channel is to deliver.

    Attributes:
        delivery: id of the delivery.
        notice: the notice.
    """

    delivery: int
    notice: Notice


@dataclass(frozen=True, slots=True)
class _Before:
    """What a channel has told of a thread: the alerts of the last notice, the first receipt."""

    alerts: tuple[Alert, ...] = ()
    receipt: str = ""

    def followed_by(self, notice: Notice) -> Notice:
        return replace(notice, before=self.alerts, receipt=self.receipt)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for a channel.

    Attributes:
        pending: how many notices.
        oldest: Unix time of the oldest, s; None without any.
        refused: how many its service did not take.
        delivered: Unix time of the last delivery, s; None before the first one.
    """

    pending: int = 0
    oldest: float | None = None
    refused: int = 0
    delivered: float | None = None


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
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- taking over and deciding ----------------------------------------------------------------

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
            rules = replace(rules, silences=_silences(connection, now))
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
            rules = replace(rules, silences=_silences(connection, now))
            due = sa.select(_THREADS).where(_THREADS.c.due_ms <= _ms(now))
            for row in connection.execute(due.order_by(_THREADS.c.due_ms).limit(_DECIDED)).all():
                kept = _kept(row)
                if kept is None:
                    _set_aside(connection, row.id)
                else:
                    notices.extend(_settled(connection, kept, now, rules, ways))
        return tuple(notices)

    def next_due(self) -> float | None:
        """Unix time at which something is to be decided next, s; None: nothing is."""
        with self._database.reading() as connection:
            return _seconds(connection.scalar(sa.select(sa.func.min(_THREADS.c.due_ms))))

    def cursor(self, source: str) -> tuple[int, bytes | None]:
        """How far a source of events was read, and what its next alerts are made from."""
        asked = sa.select(schema.cursors).where(schema.cursors.c.source == source)
        with self._database.reading() as connection:
            row = connection.execute(asked).one_or_none()
        return (0, None) if row is None else (row.after, row.view)

    # -- delivering ------------------------------------------------------------------------------

    def recover(self, now: float, ways: Ways) -> None:
        """After a start: what was being sent is sent again, and what only the log knew is told."""
        with self._database.writing() as connection:
            connection.execute(
                _DELIVERIES.update()
                .where(_DELIVERIES.c.state == Fate.SENDING)
                .values(state=Fate.PENDING, doubtful=True)
            )
            known = [ALERTMANAGER] * ways.alertmanager + list(ways.direct)
            connection.execute(
                _DELIVERIES.update()
                .where(_DELIVERIES.c.state == Fate.PENDING, _DELIVERIES.c.channel.not_in(known))
                .values(state=Fate.GIVEN_UP, why="the channel is no longer configured")
            )
            if ways.path() is Path.LOG:
                return
            untold = sa.select(_THREADS).where(
                sa.not_(_THREADS.c.closed),
                sa.or_(
                    _THREADS.c.path == Path.LOG,
                    sa.and_(_THREADS.c.path != Path.NONE, sa.not_(_has_live_delivery())),
                ),
            )
            for row in connection.execute(untold).all():
                kept = _kept(row)
                if kept is not None:
                    thread = replace(kept.thread, told=None)
                    _store(connection, kept.id, Decision(thread, due=now), Path.NONE)

    def claim(self, channel: str, most: int) -> list[Due]:
        """The next notices for a channel, which are marked as being sent."""
        asked = (
            sa.select(_DELIVERIES, _NOTICES.c.body)
            .join(_NOTICES, _NOTICES.c.id == _DELIVERIES.c.notice)
            .where(_DELIVERIES.c.channel == channel, _DELIVERIES.c.state == Fate.PENDING)
            .order_by(_DELIVERIES.c.notice)
            .limit(most)
        )
        found: list[Due] = []
        told: dict[int, _Before] = {}  # of each thread, by this channel
        with self._database.writing() as connection:
            for row in connection.execute(asked).all():
                try:
                    notice = records.notice_of(row.body, repeated=row.doubtful)
                except ValueError as error:
                    _log.error("a damaged notice is given up", why=str(error)[:200])
                    _mark(connection, [row.id], Fate.GIVEN_UP, why="its record is damaged")
                    continue
                if row.thread not in told:
                    told[row.thread] = _told_before(connection, channel, row.thread)
                found.append(Due(row.id, told[row.thread].followed_by(notice)))
                told[row.thread] = replace(told[row.thread], alerts=notice.alerts)
            _mark(connection, [due.delivery for due in found], Fate.SENDING)
        return found

    def delivered(self, deliveries: Sequence[int], receipts: Sequence[str], now: float) -> None:
        """The service has taken these, and has given these receipts for them."""
        with self._database.writing() as connection:
            for delivery, receipt in zip(deliveries, receipts, strict=True):
                done = {"done_ms": _ms(now), "why": "", "receipt": receipt[:MOST_RECEIPT]}
                _mark(connection, [delivery], Fate.DELIVERED, **done)

    def failed(self, deliveries: Sequence[int], why: str, *, doubtful: bool) -> None:
        """These are to be tried again; `doubtful`: it is not known whether they have arrived."""
        values: dict[str, Any] = {"why": why[:1000]}
        if doubtful:
            values["doubtful"] = True
        with self._database.writing() as connection:
            _mark(connection, deliveries, Fate.PENDING, **values)

    def refused(self, deliveries: Sequence[int], why: str) -> None:
        """The service does not take these, and they are given up."""
        with self._database.writing() as connection:
            _mark(connection, deliveries, Fate.REFUSED, why=why[:1000])

    def reroute(self, before: Path, ways: Ways, after: Path) -> tuple[Notice, ...]:
        """Tell by another way what nobody has been told yet.

        Args:
            before: the way that it is on.
            ways: the channels.
            after: the way by which it is told.

        Returns:
            What may have arrived by the first way all the same.
        """
        states = [Fate.DELIVERED, Fate.SENDING]
        touched = sa.select(_DELIVERIES.c.thread).where(
            sa.or_(
                _DELIVERIES.c.state.in_(states),
                # A message of unknown fate may have been read; what Alertmanager has is taken back.
                sa.and_(_DELIVERIES.c.doubtful, _DELIVERIES.c.channel != ALERTMANAGER),
            )
        )
        waiting = [Fate.PENDING, Fate.REFUSED]  # the other way may take what this one refuses
        moving = (
            sa.select(_DELIVERIES.c.thread)
            .join(_THREADS, _THREADS.c.id == _DELIVERIES.c.thread)
            .where(
                _THREADS.c.path == before,
                _DELIVERIES.c.state.in_(waiting),
                _DELIVERIES.c.thread.not_in(touched),
            )
            .distinct()
        )
        with self._database.writing() as connection:
            threads = list(connection.scalars(moving))
            doubtful = _doubtful(connection, threads)
            for thread in threads:
                _move(connection, thread, ways.names(after), after)
        return doubtful

    def backlog(self, channel: str) -> Backlog:
        """What waits for a channel."""
        of_channel = _DELIVERIES.c.channel == channel
        waits = _DELIVERIES.c.state.in_([Fate.PENDING, Fate.SENDING])
        with self._database.reading() as connection:
            pending, oldest = connection.execute(
                sa.select(sa.func.count(), sa.func.min(_NOTICES.c.at_ms))
                .select_from(_DELIVERIES)
                .join(_NOTICES, _NOTICES.c.id == _DELIVERIES.c.notice)
                .where(of_channel, waits)
            ).one()
            refused = connection.scalar(
                sa.select(sa.func.count()).where(of_channel, _DELIVERIES.c.state == Fate.REFUSED)
            )
            done = connection.scalar(
                sa.select(sa.func.max(_DELIVERIES.c.done_ms)).where(of_channel)
            )
        return Backlog(pending, _seconds(oldest), refused or 0, _seconds(done))

    # -- reading ---------------------------------------------------------------------------------

    def open(self) -> list[Kept]:
        """The threads that are not over, the one that was raised last first."""
        return self._read(sa.select(_THREADS).where(sa.not_(_THREADS.c.closed)))

    def since(self, at: float, most: int) -> list[Kept]:
        """The threads of which something was raised since a Unix time, s; the newest first."""
        return self._read(sa.select(_THREADS).where(_THREADS.c.last_ms >= _ms(at)), most)

    def _read(self, asked: sa.Select[Any], most: int = MOST_OPEN) -> list[Kept]:
        ordered = asked.order_by(_THREADS.c.last_ms.desc(), _THREADS.c.id.desc()).limit(most)
        with self._database.reading() as connection:
            rows = connection.execute(ordered).all()
        return [kept for kept in map(_kept, rows) if kept is not None]

    def told(self, threads: Sequence[int]) -> dict[int, tuple[float | None, tuple[str, ...]]]:
        """When a channel first told of each thread (Unix time, s), and which have not told all."""
        found: dict[int, tuple[float | None, tuple[str, ...]]] = {}
        asked = sa.select(
            _DELIVERIES.c.thread,
            _DELIVERIES.c.channel,
            sa.func.min(_DELIVERIES.c.done_ms).label("first"),
            sa.func.sum(
                sa.case((_DELIVERIES.c.state.in_([Fate.PENDING, Fate.SENDING]), 1), else_=0)
            ).label("waiting"),
        ).group_by(_DELIVERIES.c.thread, _DELIVERIES.c.channel)
        with self._database.reading() as connection:
            for start in range(0, len(threads), _DECIDED):
                some = list(threads[start : start + _DECIDED])
                for row in connection.execute(asked.where(_DELIVERIES.c.thread.in_(some))):
                    first, waiting = found.get(row.thread, (None, ()))
                    done = _seconds(row.first)
                    times = [at for at in (first, done) if at is not None]
                    more = (row.channel,) if row.waiting else ()
                    found[row.thread] = min(times, default=None), (*waiting, *more)
        return found

    # -- acknowledging ---------------------------------------------------------------------------

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
            kept = _first(connection, _open_with(key))
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

    # -- silences --------------------------------------------------------------------------------

    def silence(self, request: SilenceRequest, now: float) -> Silence:
        """Keep a silence.

        Raises:
            Conflict: there are too many.
        """
        silence = Silence(secrets.token_hex(4), request)
        with self._database.writing() as connection:
            if len(_silences(connection, now)) >= MOST_SILENCES:
                raise Conflict(
                    "no further silence is kept",
                    f"there are {MOST_SILENCES} already",
                    "End some of them, or silence more with one.",
                )
            connection.execute(
                schema.silences.insert().values(
                    id=silence.id, ends_ms=_ms(request.ends), body=records.silence_text(silence)
                )
            )
        return silence

    def unsilence(self, id_: str, now: float) -> Silence:
        """End a silence; all open threads are decided about anew.

        Raises:
            UnknownSilence: there is none of this id.
        """
        with self._database.writing() as connection:
            for silence in _silences(connection, now):
                if silence.id == id_:
                    connection.execute(schema.silences.delete().where(schema.silences.c.id == id_))
                    connection.execute(
                        _THREADS.update().where(sa.not_(_THREADS.c.closed)).values(due_ms=_ms(now))
                    )
                    return silence
        raise UnknownSilence(id_)

    def silences(self, now: float) -> tuple[Silence, ...]:
        """Those that last or are to begin, by their start."""
        with self._database.reading() as connection:
            found = _silences(connection, now)
        return tuple(sorted(found, key=lambda each: each.request.starts))

    # -- bounds ----------------------------------------------------------------------------------

    def tidy(self, now: float, keep_s: float) -> int:
        """Delete what is old, and give up what could not be told for too long; how many notices."""
        with self._database.writing() as connection:
            given_up = _give_up(connection, now)
            old = _ms(now - keep_s)
            connection.execute(_THREADS.delete().where(_THREADS.c.closed, _THREADS.c.last_ms < old))
            connection.execute(schema.taken.delete().where(schema.taken.c.at_ms < old))
            connection.execute(schema.silences.delete().where(schema.silences.c.ends_ms < _ms(now)))
        return given_up


def _is_new(connection: Connection, id_: str, now: float) -> bool:
    known = sa.select(schema.taken.c.id).where(schema.taken.c.id == id_)
    if connection.scalar(known) is not None:
        return False
    connection.execute(schema.taken.insert().values(id=id_, at_ms=_ms(now)))
    return True


def _raised(
    connection: Connection, alert: Alert, now: float, rules: Rules, ways: Ways
) -> tuple[Notice, ...]:
    kept = _thread_of(connection, alert, now)
    thread = with_alert(None if kept is None else kept.thread, alert, now, secrets.token_hex(16))
    if thread is None:
        return ()
    if kept is None:
        count = sa.select(sa.func.count()).select_from(_THREADS).where(sa.not_(_THREADS.c.closed))
        if (connection.scalar(count) or 0) >= MOST_OPEN:
            _log.error("an alert is left out: too many others are open", most=MOST_OPEN)
            return ()
        inserted = connection.execute(
            _THREADS.insert().values(
                name=thread.name,
                closed=False,
                path=Path.NONE,
                due_ms=None,
                last_ms=_ms(now),
                body=records.thread_text(thread),
            )
        )
        (row_id,) = inserted.inserted_primary_key or (0,)
        kept = Kept(row_id, Path.NONE, thread)
    _belongs(connection, fingerprint(alert.name, alert.key), kept.id)
    return _settled(connection, replace(kept, thread=thread), now, rules, ways)


def _thread_of(connection: Connection, alert: Alert, now: float) -> Kept | None:
    """The open thread of an alert: the one that it is in already, or else the one it names."""
    key = fingerprint(alert.name, alert.key)
    kept = _first(connection, _open_with(key))
    if kept is not None and key in kept.thread.faults and kept.thread.faults[key].lasts(now):
        return kept
    named = sa.select(_THREADS).where(
        _THREADS.c.name == thread_name(alert), sa.not_(_THREADS.c.closed)
    )
    return _first(connection, named)


def _open_with(key: str) -> sa.Select[Any]:
    """Asks for the open thread that an alert is in."""
    return (
        sa.select(_THREADS)
        .join(_FAULTS, _FAULTS.c.thread == _THREADS.c.id)
        .where(_FAULTS.c.fingerprint == key, sa.not_(_THREADS.c.closed))
    )


def _first(connection: Connection, asked: sa.Select[Any]) -> Kept | None:
    row = connection.execute(asked.order_by(_THREADS.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    kept = _kept(row)
    if kept is None:
        _set_aside(connection, row.id)
    return kept


def _settled(
    connection: Connection, kept: Kept, now: float, rules: Rules, ways: Ways
) -> tuple[Notice, ...]:
    """Decide about a thread, and keep what was decided."""
    begun = _begun(connection, kept.thread.faults)
    decision = decided(kept.thread, now, rules, begun)
    path = kept.path
    if decision.notice is not None and path in {Path.NONE, Path.LOG}:
        path = ways.path()
    _store(connection, kept.id, decision, path)
    for key in decision.began:
        times = [*begun.get(key, ()), now][-FIRES:]
        connection.execute(
            _FAULTS.update().where(_FAULTS.c.fingerprint == key).values(begun=json.dumps(times))
        )
    if decision.notice is None:
        return ()
    inserted = connection.execute(
        _NOTICES.insert().values(
            thread=kept.id, at_ms=_ms(now), body=records.notice_text(decision.notice)
        )
    )
    (notice,) = inserted.inserted_primary_key or (0,)
    _hand(connection, kept.id, notice, ways.names(path))
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
    inserted = connection.execute(
        _NOTICES.insert().values(
            thread=kept.id,
            at_ms=_ms(thread.acknowledged.at),
            body=records.notice_text(notice),
        )
    )
    (row_id,) = inserted.inserted_primary_key or (0,)
    _hand(connection, kept.id, row_id, ACKNOWLEDGES.intersection(ways.names(path)))


def _store(connection: Connection, id_: int, decision: Decision, path: Path) -> None:
    thread = decision.thread
    connection.execute(
        _THREADS.update()
        .where(_THREADS.c.id == id_)
        .values(
            closed=thread.closed,
            path=path,
            due_ms=None if decision.due is None else _ms(decision.due) + 1,
            last_ms=_ms(thread.last()),
            body=records.thread_text(thread),
        )
    )


def _hand(connection: Connection, thread: int, notice: int, channels: Iterable[str]) -> None:
    for channel in channels:
        connection.execute(
            _DELIVERIES.insert().values(
                notice=notice,
                thread=thread,
                channel=channel,
                state=Fate.PENDING,
                doubtful=False,
                why="",
                receipt="",
                done_ms=None,
            )
        )


def _move(connection: Connection, thread: int, channels: Iterable[str], path: Path) -> None:
    asked = sa.select(_NOTICES).where(_NOTICES.c.thread == thread).order_by(_NOTICES.c.id)
    notices = connection.execute(asked).all()
    connection.execute(_DELIVERIES.delete().where(_DELIVERIES.c.thread == thread))
    names = frozenset(channels)
    for notice in notices:
        _hand(connection, thread, notice.id, names & _may_hear(notice.body, names))
    connection.execute(_THREADS.update().where(_THREADS.c.id == thread).values(path=path))


def _may_hear(body: str, names: frozenset[str]) -> frozenset[str]:
    """Those of the channels `names` that a notice is for."""
    try:
        change = records.notice_of(body, repeated=False).change
    except ValueError:
        return names  # whoever is handed it says that it is damaged
    return ACKNOWLEDGES if change is Change.ACKNOWLEDGED else names


def _told_before(connection: Connection, channel: str, thread: int) -> _Before:
    told = (
        sa.select(_DELIVERIES.c.receipt, _NOTICES.c.body)
        .join(_NOTICES, _NOTICES.c.id == _DELIVERIES.c.notice)
        .where(
            _DELIVERIES.c.channel == channel,
            _DELIVERIES.c.thread == thread,
            _DELIVERIES.c.state == Fate.DELIVERED,
        )
    )
    first = connection.execute(told.order_by(_NOTICES.c.id).limit(1)).one_or_none()
    last = connection.execute(told.order_by(_NOTICES.c.id.desc()).limit(1)).one_or_none()
    if first is None or last is None:
        return _Before()
    try:
        return _Before(records.notice_of(last.body, repeated=False).alerts, first.receipt)
    except ValueError:  # it was told all the same
        return _Before(receipt=first.receipt)


def _doubtful(connection: Connection, threads: Sequence[int]) -> tuple[Notice, ...]:
    asked = (
        sa.select(_NOTICES.c.body)
        .join(_DELIVERIES, _DELIVERIES.c.notice == _NOTICES.c.id)
        .where(_DELIVERIES.c.thread.in_(threads), _DELIVERIES.c.doubtful)
        .order_by(_NOTICES.c.id)
    )
    found: list[Notice] = []
    for body in connection.scalars(asked):
        with contextlib.suppress(ValueError):  # it is told by the other way, or given up there
            found.append(records.notice_of(body, repeated=True))
    return tuple(found)


def _belongs(connection: Connection, key: str, thread: int) -> None:
    changed = connection.execute(
        _FAULTS.update().where(_FAULTS.c.fingerprint == key).values(thread=thread)
    )
    if not changed.rowcount:
        connection.execute(_FAULTS.insert().values(fingerprint=key, thread=thread, begun="[]"))


def _begun(connection: Connection, keys: Iterable[str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    wanted = list(keys)
    for start in range(0, len(wanted), _DECIDED):
        some = wanted[start : start + _DECIDED]
        for row in connection.execute(sa.select(_FAULTS).where(_FAULTS.c.fingerprint.in_(some))):
            try:
                found[row.fingerprint] = [float(at) for at in json.loads(row.begun)]
            except (ValueError, TypeError):
                found[row.fingerprint] = []  # damaged: the fault is told once more than it may be
    return found


def _silences(connection: Connection, now: float) -> list[Silence]:
    found: list[Silence] = []
    asked = sa.select(schema.silences).where(schema.silences.c.ends_ms > _ms(now))
    for row in connection.execute(asked).all():
        try:
            found.append(records.silence_of(row.body))
        except ValueError as error:
            _log.error("a damaged silence is left out", id=row.id, why=str(error)[:200])
    return found


def _advance(connection: Connection, source: str, after: int, view: bytes | None) -> None:
    cursors = schema.cursors
    values = {"after": after, "view": view}
    changed = connection.execute(cursors.update().where(cursors.c.source == source).values(values))
    if not changed.rowcount:
        connection.execute(cursors.insert().values(source=source, **values))


def _has_live_delivery() -> sa.ColumnElement[bool]:
    live = [Fate.PENDING, Fate.SENDING, Fate.DELIVERED]
    return sa.exists().where(_DELIVERIES.c.thread == _THREADS.c.id, _DELIVERIES.c.state.in_(live))


def _mark(connection: Connection, ids: Sequence[int], state: Fate, **values: object) -> None:
    if ids:
        connection.execute(
            _DELIVERIES.update().where(_DELIVERIES.c.id.in_(ids)).values(state=state, **values)
        )


def _give_up(connection: Connection, now: float) -> int:
    """Give up notices that waited too long, or that are too many."""
    pending = _DELIVERIES.c.state == Fate.PENDING
    old = sa.select(_NOTICES.c.id).where(_NOTICES.c.at_ms < _ms(now - OLDEST_S))
    given_up = connection.execute(
        _DELIVERIES.update()
        .where(pending, _DELIVERIES.c.notice.in_(old))
        .values(state=Fate.GIVEN_UP, why="it could not be delivered for a week")
    ).rowcount
    counted = sa.select(_DELIVERIES.c.channel, sa.func.count()).where(pending)
    for channel, count in connection.execute(counted.group_by(_DELIVERIES.c.channel)).all():
        if count > MOST_PENDING:
            first = (
                sa.select(_DELIVERIES.c.id)
                .where(pending, _DELIVERIES.c.channel == channel)
                .order_by(_DELIVERIES.c.notice)
                .limit(count - MOST_PENDING)
            )
            given_up += connection.execute(
                _DELIVERIES.update()
                .where(_DELIVERIES.c.id.in_(first))
                .values(state=Fate.GIVEN_UP, why=f"more than {MOST_PENDING} waited")
            ).rowcount
    return given_up


def _kept(row: Row[Any]) -> Kept | None:
    """The thread of a row; None if it is damaged, which costs this thread and no other."""
    try:
        return Kept(row.id, Path(row.path), records.thread_of(row.body))
    except ValueError as error:
        _log.error("a damaged thread of alerts is left out", id=row.id, why=str(error)[:200])
        return None


def _set_aside(connection: Connection, id_: int) -> None:
    connection.execute(
        _THREADS.update().where(_THREADS.c.id == id_).values(closed=True, due_ms=None)
    )


def _ms(at: float) -> int:
    return int(at * 1000)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
