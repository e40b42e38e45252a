"""Threads of alerts on disk, and the faults in each: rows, read and written in a transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from actors.alerts import records, schema
from actors.alerts.alert_thread import AlertThread, fingerprint, thread_name
from actors.alerts.router import FIRES
from actors.alerts.ways import Path
from actors.runtime import log

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.engine import Connection, Row

    from actors.alerts.router import Decision
    from actors.runtime.alerting import Alert

MOST_OPEN: Final = 10_000  # open threads; further alerts are refused
_SOME: Final = 500  # most values of one question
_THREADS: Final = schema.threads
_FAULTS: Final = schema.faults
_log = log.get(__name__)


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


def kept_of(row: Row[Any]) -> Kept | None:
    """The thread of a row; None if it is damaged, which costs this thread and no other."""
    try:
        return Kept(row.id, Path(row.path), records.thread_of(row.body))
    except ValueError as error:
        _log.error("a damaged thread of alerts is left out", id=row.id, why=str(error)[:200])
        return None


def set_aside(connection: Connection, id_: int) -> None:
    """Close a thread whose record is damaged."""
    connection.execute(
        _THREADS.update().where(_THREADS.c.id == id_).values(closed=True, due_ms=None)
    )


def first(connection: Connection, asked: sa.Select[Any]) -> Kept | None:
    """The newest thread of those asked for; None without one, or if it is damaged."""
    row = connection.execute(asked.order_by(_THREADS.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    kept = kept_of(row)
    if kept is None:
        set_aside(connection, row.id)
    return kept


def open_with(key: str) -> sa.Select[Any]:
    """Asks for the open thread that an alert is in."""
    return (
        sa.select(_THREADS)
        .join(_FAULTS, _FAULTS.c.thread == _THREADS.c.id)
        .where(_FAULTS.c.fingerprint == key, sa.not_(_THREADS.c.closed))
    )


def thread_of(connection: Connection, alert: Alert, now: float) -> Kept | None:
    """The open thread of an alert: the one that it is in already, or else the one it names."""
    key = fingerprint(alert.name, alert.key)
    kept = first(connection, open_with(key))
    if kept is not None and key in kept.thread.faults and kept.thread.faults[key].lasts(now):
        return kept
    named = sa.select(_THREADS).where(
        _THREADS.c.name == thread_name(alert), sa.not_(_THREADS.c.closed)
    )
    return first(connection, named)


def added(connection: Connection, thread: AlertThread, now: float) -> Kept | None:
    """A new thread; None if too many are open."""
    count = sa.select(sa.func.count()).select_from(_THREADS).where(sa.not_(_THREADS.c.closed))
    if (connection.scalar(count) or 0) >= MOST_OPEN:
        _log.error("an alert is left out: too many others are open", most=MOST_OPEN)
        return None
    inserted = connection.execute(
        _THREADS.insert().values(
            name=thread.name,
            closed=False,
            path=Path.NONE,
            due_ms=None,
            last_ms=schema.ms(now),
            body=records.thread_text(thread),
        )
    )
    (row_id,) = inserted.inserted_primary_key or (0,)
    return Kept(row_id, Path.NONE, thread)


def store(connection: Connection, id_: int, decision: Decision, path: Path) -> None:
    """Keep what was decided about a thread."""
    thread = decision.thread
    connection.execute(
        _THREADS.update()
        .where(_THREADS.c.id == id_)
        .values(
            closed=thread.closed,
            path=path,
            due_ms=None if decision.due is None else schema.ms(decision.due) + 1,
            last_ms=schema.ms(thread.last()),
            body=records.thread_text(thread),
        )
    )


def belongs(connection: Connection, key: str, thread: int) -> None:
    """Note that a fault is in a thread."""
    changed = connection.execute(
        _FAULTS.update().where(_FAULTS.c.fingerprint == key).values(thread=thread)
    )
    if not changed.rowcount:
        connection.execute(_FAULTS.insert().values(fingerprint=key, thread=thread, begun="[]"))


def begun_at(connection: Connection, keys: Iterable[str]) -> dict[str, list[float]]:
    """When people were told that each fault had begun, Unix times, s."""
    found: dict[str, list[float]] = {}
    wanted = list(keys)
    for start in range(0, len(wanted), _SOME):
        some = wanted[start : start + _SOME]
        for row in connection.execute(sa.select(_FAULTS).where(_FAULTS.c.fingerprint.in_(some))):
            try:
                found[row.fingerprint] = [float(at) for at in json.loads(row.begun)]
            except (ValueError, TypeError):
                found[row.fingerprint] = []  # damaged: the fault is told once more than it may be
    return found


def have_begun(
    connection: Connection, keys: Iterable[str], begun: dict[str, list[float]], now: float
) -> None:
    """Note that people were told just now that these faults have begun."""
    for key in keys:
        times = [*begun.get(key, ()), now][-FIRES:]
        connection.execute(
            _FAULTS.update().where(_FAULTS.c.fingerprint == key).values(begun=json.dumps(times))
        )
