"""Who is to be told what, and who has been told: the deliveries of each channel, on disk.

A delivery is marked before it is sent and after it was answered: of one that is only marked, after
a crash, it is not known whether it arrived. Each channel is handed its notices in the order in
which they were made; so those of one fault arrive in order.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from actors.alerts import records, schema
from actors.alerts.notice import Change, Notice
from actors.alerts.ways import ALERTMANAGER
from actors.runtime import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.engine import Connection

    from actors.alerts.ways import Path
    from actors.runtime.alerting import Alert
    from actors.runtime.database import Database

ACKNOWLEDGES: Final = frozenset({"pagerduty"})  # names of the channels that know acknowledgements
MOST_PENDING: Final = 10_000  # notices that wait for one channel; the oldest go first
MOST_RECEIPT: Final = 1_000  # characters
OLDEST_S: Final = 7 * 86_400.0  # a notice that could not be delivered for so long is given up
_SOME: Final = 500  # most values of one question
_NOTICES: Final = schema.notices
_DELIVERIES: Final = schema.deliveries
_log = log.get(__name__)


class Fate(StrEnum):
    """What has become of a delivery."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    REFUSED = "refused"
    GIVEN_UP = "given up"


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


class Deliveries:
    """The deliveries, for those who send.

    Args:
        database: a database with the tables of `schema`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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
                done = {"done_ms": schema.ms(now), "why": "", "receipt": receipt[:MOST_RECEIPT]}
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
        return Backlog(pending, schema.seconds(oldest), refused or 0, schema.seconds(done))

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
            for start in range(0, len(threads), _SOME):
                some = list(threads[start : start + _SOME])
                for row in connection.execute(asked.where(_DELIVERIES.c.thread.in_(some))):
                    first, waiting = found.get(row.thread, (None, ()))
                    done = schema.seconds(row.first)
                    times = [at for at in (first, done) if at is not None]
                    more = (row.channel,) if row.waiting else ()
                    found[row.thread] = min(times, default=None), (*waiting, *more)
        return found


def hand_notice(
    connection: Connection, thread: int, notice: Notice, at: float, channels: Iterable[str]
) -> None:
    """Keep a notice of a thread, and hand it to channels."""
    inserted = connection.execute(
        _NOTICES.insert().values(
            thread=thread, at_ms=schema.ms(at), body=records.notice_text(notice)
        )
    )
    (row_id,) = inserted.inserted_primary_key or (0,)
    _hand(connection, thread, row_id, channels)


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


def hand_anew(connection: Connection, thread: int, channels: Iterable[str]) -> None:
    """Hand all that is to be told of a thread to these channels, and to no other."""
    asked = sa.select(_NOTICES).where(_NOTICES.c.thread == thread).order_by(_NOTICES.c.id)
    notices = connection.execute(asked).all()
    connection.execute(_DELIVERIES.delete().where(_DELIVERIES.c.thread == thread))
    names = frozenset(channels)
    for notice in notices:
        _hand(connection, thread, notice.id, names & _may_hear(notice.body, names))


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


def doubtful_of(connection: Connection, threads: Sequence[int]) -> tuple[Notice, ...]:
    """The notices of threads of which it is not known whether they have arrived."""
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


def is_told() -> sa.ColumnElement[bool]:
    """Whether a channel has told of a thread, or is to."""
    live = [Fate.PENDING, Fate.SENDING, Fate.DELIVERED]
    return sa.exists().where(
        _DELIVERIES.c.thread == schema.threads.c.id, _DELIVERIES.c.state.in_(live)
    )


def _mark(connection: Connection, ids: Sequence[int], state: Fate, **values: object) -> None:
    if ids:
        connection.execute(
            _DELIVERIES.update().where(_DELIVERIES.c.id.in_(ids)).values(state=state, **values)
        )


def give_up(connection: Connection, now: float) -> int:
    """Give up notices that waited too long, or that are too many."""
    pending = _DELIVERIES.c.state == Fate.PENDING
    old = sa.select(_NOTICES.c.id).where(_NOTICES.c.at_ms < schema.ms(now - OLDEST_S))
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


def recover(connection: Connection, channels: Sequence[str]) -> None:
    """After a start: what was being sent is sent again, unless its channel is no longer there."""
    connection.execute(
        _DELIVERIES.update()
        .where(_DELIVERIES.c.state == Fate.SENDING)
        .values(state=Fate.PENDING, doubtful=True)
    )
    connection.execute(
        _DELIVERIES.update()
        .where(_DELIVERIES.c.state == Fate.PENDING, _DELIVERIES.c.channel.not_in(channels))
        .values(state=Fate.GIVEN_UP, why="the channel is no longer configured")
    )


def untold(connection: Connection, path: Path) -> list[int]:
    """The threads on a way of which there is something to tell and nothing was told yet."""
    touched = sa.select(_DELIVERIES.c.thread).where(
        sa.or_(
            _DELIVERIES.c.state.in_([Fate.DELIVERED, Fate.SENDING]),
            # A message of unknown fate may have been read; what Alertmanager has is taken back.
            sa.and_(_DELIVERIES.c.doubtful, _DELIVERIES.c.channel != ALERTMANAGER),
        )
    )
    waiting = [Fate.PENDING, Fate.REFUSED]  # the other way may take what this one refuses
    threads = schema.threads
    asked = (
        sa.select(_DELIVERIES.c.thread)
        .join(threads, threads.c.id == _DELIVERIES.c.thread)
        .where(
            threads.c.path == path,
            _DELIVERIES.c.state.in_(waiting),
            _DELIVERIES.c.thread.not_in(touched),
        )
        .distinct()
    )
    return list(connection.scalars(asked))
