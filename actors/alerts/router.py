"""Decides what people are told of a thread, and when. Pure: a thread and a time in, a notice out.

A thread has what is, and what was told of it. They differ: it is told, unless something holds it
back, and then when that ends, as it is then. So each change is told once, whatever is repeated;
what comes and goes while it is held back is not told at all; and what was told to have begun is
always told to be over.

Held back are: alerts that a silence fits, until it ends; `warning` and `info` in quiet hours; a
fault that has begun `FIRES` times within `FIRES_S`, until that is true no more; and changes of a
thread within `Rules.change_s` of its last notice, unless it gets worse.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from actors.alerts.alert_thread import MOMENTARY_S, Told, badness
from actors.alerts.notice import Change, Notice
from actors.alerts.silencing import silencing
from actors.runtime.alerting import AlertSeverity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.alerts.alert_thread import AlertThread, RaisedAlert
    from actors.alerts.contract import Silence
    from actors.alerts.quiet_hours import QuietHours
    from actors.runtime.alerting import Alert

FIRES: Final = 3  # so often within `FIRES_S` people are told that the same fault has begun
FIRES_S: Final = 600.0
CHANGE_S: Final = 60.0
_URGENT: Final = frozenset({AlertSeverity.CRITICAL, AlertSeverity.ERROR})


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds notices back.

    Attributes:
        quiet: hours in which only errors are told; None: there are none.
        change_s: least time between two notices of a thread, unless it gets worse or is over, s.
        silences: those that last, and those to come.
    """

    quiet: QuietHours | None = None
    change_s: float = CHANGE_S
    silences: Sequence[Silence] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about a thread now.

    Attributes:
        thread: as it is afterwards.
        notice: what is to be told; None: nothing.
        due: Unix time when to decide again, s, although nothing is raised; None: not needed.
        began: fingerprints of the faults of which people are told now that they have begun.
    """

    thread: AlertThread
    notice: Notice | None = None
    due: float | None = None
    began: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _View:
    """A thread as it is at one time."""

    now: float
    shown: tuple[RaisedAlert, ...]  # what no silence fits, and all that was told, worst first
    muted: frozenset[str]  # fingerprints of what was told and is silenced now
    held: tuple[float, ...]  # ends of the silences that fit others
    over: bool
    ends: tuple[float, ...] = field(default=())  # when those without an end are over


def decided(
    thread: AlertThread, now: float, rules: Rules, begun: Mapping[str, Sequence[float]]
) -> Decision:
    """Decide about a thread.

    Args:
        thread: an open thread.
        now: Unix time, s.
        rules: what holds notices back.
        begun: Unix times when people were told that a fault had begun, by fingerprint, ascending.
    """
    view = _viewed(thread, now, rules.silences)
    if thread.told is None:
        return _first(thread, view, rules, begun)
    if view.over:
        return _last(thread, view, rules)
    return _next(thread, view, rules)


def _viewed(thread: AlertThread, now: float, silences: Sequence[Silence]) -> _View:
    told = frozenset(thread.told.faults) if thread.told else frozenset()
    by = {each.fingerprint: silencing(each, silences, now) for each in thread.faults.values()}
    lasting = [raised for raised in thread.faults.values() if raised.lasts(now)]
    muted = [raised.fingerprint for raised in lasting if by[raised.fingerprint]]

    def is_shown(raised: RaisedAlert) -> bool:
        if raised.fingerprint in told:
            return True
        return not by[raised.fingerprint] and (raised.lasts(now) or raised.alert.momentary)

    shown = filter(is_shown, thread.worst_first())
    return _View(
        now,
        tuple(shown),
        frozenset(muted),
        tuple(max(silence.request.ends for silence in by[key]) for key in muted),
        not lasting,
        tuple(_end_of(raised) for raised in lasting if raised.alert.momentary),
    )


def _end_of(fault: RaisedAlert) -> float:
    return fault.last + MOMENTARY_S


def _first(
    thread: AlertThread, view: _View, rules: Rules, begun: Mapping[str, Sequence[float]]
) -> Decision:
    """Nobody has been told of the thread."""
    if not view.shown:
        return _waiting(replace(thread, closed=view.over), view)
    free = min(_free(begun.get(fault.fingerprint, ()), view.now) for fault in view.shown)
    until = max(free, _quiet_until(_worst(view.shown), view.now, rules))
    if until > view.now:
        return _waiting(thread, view, until)
    return _telling(thread, Change.FIRED, view)


def _last(thread: AlertThread, view: _View, rules: Rules) -> Decision:
    """All is over of which people were told."""
    assert thread.told is not None  # noqa: S101 - the caller checks
    momentary = all(each.alert.momentary and each.alert.ended is None for each in view.shown)
    if momentary and not _news(thread, view):
        return Decision(replace(thread, closed=True))
    until = _quiet_until(thread.told.severity, view.now, rules)
    if until > view.now:
        return _waiting(thread, view, until)
    return _telling(thread, Change.CHANGED if momentary else Change.RESOLVED, view)


def _next(thread: AlertThread, view: _View, rules: Rules) -> Decision:
    """Something lasts, and people have been told of the thread."""
    told = thread.told
    assert told is not None  # noqa: S101 - the caller checks
    if not _news(thread, view):
        return _waiting(thread, view)
    lasting = [fault for fault in view.shown if fault.lasts(view.now)]
    worst = _worst(lasting or view.shown)
    until = view.now if badness(worst) < badness(told.severity) else told.at + rules.change_s
    until = max(until, _quiet_until(worst, view.now, rules))
    if until > view.now:
        return _waiting(thread, view, until)
    return _telling(thread, Change.CHANGED, view)


def _news(thread: AlertThread, view: _View) -> bool:
    told = thread.told.faults if thread.told else {}
    return any(
        told.get(fault.fingerprint) != _said(fault, view.now)
        for fault in view.shown
        if fault.fingerprint not in view.muted
    )


def _said(fault: RaisedAlert, now: float) -> tuple[str, bool]:
    # One without an end is not news when its time is up.
    over = not fault.lasts(now) and (fault.alert.ended is not None or not fault.alert.momentary)
    return fault.text(), over


def _telling(thread: AlertThread, change: Change, view: _View) -> Decision:
    lasting = [fault for fault in view.shown if fault.lasts(view.now)]
    severity = _worst(lasting or view.shown)
    known = frozenset(thread.told.faults) if thread.told else frozenset()
    notice = Notice(
        _notice_id(thread),
        thread.name,
        change,
        severity,
        tuple(_alert(fault, view.now, change) for fault in view.shown),
        view.now,
    )
    told = Told(
        view.now,
        severity,
        {fault.fingerprint: _said(fault, view.now) for fault in view.shown},
    )
    after = replace(thread, told=told, notices=thread.notices + 1, closed=view.over)
    began = tuple(each.fingerprint for each in view.shown if each.fingerprint not in known)
    return _waiting(after, view, notice=notice, began=began)


def _alert(fault: RaisedAlert, now: float, change: Change) -> Alert:
    alert = fault.alert
    if change is Change.RESOLVED and alert.ended is None:
        return replace(alert, ended=now)
    return alert


def _waiting(
    thread: AlertThread,
    view: _View,
    *times: float,
    notice: Notice | None = None,
    began: tuple[str, ...] = (),
) -> Decision:
    due = [at for at in (*times, *view.held, *view.ends) if at > view.now]
    if thread.closed:
        due = []
    return Decision(thread, notice, min(due, default=None), began)


def _worst(faults: Sequence[RaisedAlert]) -> AlertSeverity:
    return min((fault.severity for fault in faults), key=badness)


def _quiet_until(severity: AlertSeverity, now: float, rules: Rules) -> float:
    return now if rules.quiet is None or severity in _URGENT else rules.quiet.until(now)


def _free(begun: Sequence[float], now: float) -> float:
    recent = [at for at in begun if at > now - FIRES_S]
    return now if len(recent) < FIRES else recent[-FIRES] + FIRES_S


def _notice_id(thread: AlertThread) -> str:
    return hashlib.sha256(f"{thread.episode}\0{thread.notices}".encode()).hexdigest()[:32]
