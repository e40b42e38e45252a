"""A thread: the alerts of one incident, and what people have been told of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from actors.alerts.catalogue import severity_of
from actors.runtime.alerting import AlertSeverity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.runtime.alerting import Alert, AlertName

MOMENTARY_S: Final = 900.0  # so long after it was raised last, an alert without an end is over
MOST_FAULTS: Final = 2_000  # of one thread; more are only counted
_ORDER: Final = tuple(AlertSeverity)  # worst first


def badness(severity: AlertSeverity) -> int:
    """0 for the worst severity, more for others."""
    return _ORDER.index(severity)


def fingerprint(name: AlertName, key: str) -> str:
    """What tells a fault from all others: 32 hexadecimal digits of its name and its key."""
    return hashlib.sha256(f"{name.value}\0{key}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class RaisedAlert:
    """An alert, as it was raised last.

    Attributes:
        alert: the alert; it has a severity.
        raised: how often it was raised.
        last: Unix time when it was raised last, s.
    """

    alert: Alert
    raised: int
    last: float

    @property
    def fingerprint(self) -> str:
        """Its fingerprint."""
        return fingerprint(self.alert.name, self.alert.key)

    @property
    def severity(self) -> AlertSeverity:
        """Its severity."""
        return severity_of(self.alert.name, self.alert.severity)

    def lasts(self, now: float) -> bool:
        """Whether it is not over."""
        if self.alert.ended is not None:
            return False
        return not self.alert.momentary or now < self.last + MOMENTARY_S

    def text(self) -> str:
        """A digest of what a person would read of it."""
        alert = self.alert
        said = (alert.summary, alert.probable_cause, alert.details, alert.subjects, self.severity)
        return hashlib.sha256(repr(said).encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Told:
    """What people were told of a thread last.

    Attributes:
        at: Unix time, s.
        severity: the worst of what lasted then.
        faults: what was told of each alert, by fingerprint: its text, and whether it was over.
    """

    at: float
    severity: AlertSeverity
    faults: Mapping[str, tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody looks after an incident.

    Attributes:
        by: who.
        at: Unix time when they said so, s.
    """

    by: str
    at: float


@dataclass(frozen=True, slots=True)
class AlertThread:
    """The alerts of one incident.

    Attributes:
        name: the thread's; the same for a later incident of the same fault.
        episode: no other incident has it.
        opened: Unix time, s.
        faults: its alerts, by fingerprint.
        told: what people were told of it; None: nothing yet.
        notices: how many notices there were.
        more: alerts beyond `MOST_FAULTS`, which are not kept.
        closed: everything is over, and told where it had been told before.
        acknowledged: who looks after it; None: nobody has said so.
    """

    name: str
    episode: str
    opened: float
    faults: Mapping[str, RaisedAlert]
    told: Told | None = None
    notices: int = 0
    more: int = 0
    closed: bool = False
    acknowledged: Acknowledgement | None = None

    def worst_first(self) -> tuple[RaisedAlert, ...]:
        """Its alerts, the worst first, then the earliest."""
        return tuple(
            sorted(
                self.faults.values(),
                key=lambda each: (badness(each.severity), each.alert.started, each.fingerprint),
            )
        )

    def last(self) -> float:
        """Unix time when one of its alerts was raised last, s."""
        return max((fault.last for fault in self.faults.values()), default=self.opened)


def thread_name(alert: Alert) -> str:
    """The thread that an alert belongs to: that which it names, or one of its own."""
    return alert.thread or fingerprint(alert.name, alert.key)


def with_alert(
    thread: AlertThread | None, alert: Alert, now: float, episode: str
) -> AlertThread | None:
    """A thread after an alert was raised, changed or ended.

    Args:
        thread: the open thread that it belongs to; None: there is none.
        alert: the alert.
        now: Unix time, s.
        episode: of the thread, if it is a new one.

    Returns:
        None: there is no thread, and none is needed, as what was never raised is over.
    """
    alert = replace(alert, severity=severity_of(alert.name, alert.severity))
    key = fingerprint(alert.name, alert.key)
    before = None if thread is None else thread.faults.get(key)
    if before is None and alert.ended is not None:
        return thread
    if thread is None:
        return AlertThread(thread_name(alert), episode, now, {key: RaisedAlert(alert, 1, now)})
    if before is None and len(thread.faults) >= MOST_FAULTS:
        return replace(thread, more=thread.more + 1)
    if before is not None and before.lasts(now):
        # Since when is what was said first, so that a repetition does not make it younger.
        alert = replace(alert, started=min(alert.started, before.alert.started))
        fault = RaisedAlert(alert, before.raised + (alert.ended is None), now)
    elif before is not None and alert.ended is not None:
        return thread
    else:
        fault = RaisedAlert(alert, 1, now)
    return replace(thread, faults={**thread.faults, key: fault})
