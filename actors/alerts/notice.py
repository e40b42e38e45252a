"""A notice: what one channel is to tell about one thread of alerts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.runtime.alerting import Alert, AlertSeverity


class Change(StrEnum):
    """What has become of a thread since it was told last."""

    FIRED = "fired"
    CHANGED = "changed"
    ACKNOWLEDGED = "acknowledged"  # somebody looks after it; only PagerDuty is told
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Notice:
    """What one channel is to tell about one thread of alerts.

    Attributes:
        id: the same whenever this notice is delivered again.
        thread: the incident; the key by which PagerDuty, Alertmanager and a chain of replies group.
        change: what has become of it.
        severity: the worst of its alerts that last; of all, once it is over.
        alerts: those of the thread, worst first, as they were at `at`; each has a severity.
        at: Unix time, s.
        repeated: it has been sent before, and it is not known whether it arrived. Where a channel
            knows no idempotency key, it says "sent again".
        before: the alerts of the thread as this channel told them last; empty if it has not.
        receipt: what this channel returned for the first notice of this thread; "" if nothing.
    """

    id: str
    thread: str
    change: Change
    severity: AlertSeverity
    alerts: tuple[Alert, ...]
    at: float
    repeated: bool = False
    before: tuple[Alert, ...] = ()
    receipt: str = ""
