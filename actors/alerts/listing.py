"""Threads as people ask for them: alert by alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.alerts.alert_thread import badness
from actors.alerts.contract import AlertState, AlertStatus
from actors.alerts.silencing import silencing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from actors.alerts.alert_thread import RaisedAlert
    from actors.alerts.contract import Silence
    from actors.alerts.thread_rows import Kept

    Told = Mapping[int, tuple[float | None, tuple[str, ...]]]


def listed(
    threads: Iterable[Kept], told: Told, silences: Sequence[Silence], now: float
) -> list[AlertStatus]:
    """The alerts of threads, in the order of these.

    Args:
        threads: the threads.
        told: when a channel first told of each, and which channels have not told all of it.
        silences: those that last.
        now: Unix time, s.
    """
    return [
        _status(kept, raised, told.get(kept.id, (None, ())), silences, now)
        for kept in threads
        for raised in kept.thread.worst_first()
    ]


def _status(
    kept: Kept,
    raised: RaisedAlert,
    told: tuple[float | None, tuple[str, ...]],
    silences: Sequence[Silence],
    now: float,
) -> AlertStatus:
    at, waiting = told
    lasts, acknowledged = raised.lasts(now), kept.thread.acknowledged
    by = silencing(raised, silences, now) if lasts else ()  # that it is over is told
    return AlertStatus(
        raised.fingerprint,
        kept.thread.name,
        raised.alert,
        AlertState.ACTIVE if lasts else AlertState.OVER,
        kept.path.value,
        raised.raised,
        raised.last,
        at,
        waiting,
        tuple(each.id for each in by),
        None if acknowledged is None else acknowledged.at,
        "" if acknowledged is None else acknowledged.by,
    )


def worst_first(statuses: Iterable[AlertStatus]) -> list[AlertStatus]:
    """The worst first, then the earliest."""

    def order(status: AlertStatus) -> tuple[int, float, str]:
        severity = status.alert.severity
        assert severity is not None  # noqa: S101 - what was taken over has one
        return badness(severity), status.alert.started, status.fingerprint

    return sorted(statuses, key=order)
