"""An alert that lasts: raised when it begins or changes, and once when it is over.

A process that ended meanwhile cannot end what it had raised. So the first word of a process that
all is well ends it, too: to end what was never raised is no news to anybody.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from actors.runtime.alerting import Alert, AlertName, AlertSeverity, raise_alert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class StandingAlert:
    """One fault, as long as it lasts.

    Args:
        name: kind of alert.
        key: tells it from others of its kind.
        over: a sentence that says that it is over.
        labels: what rules may select by.
        sink: is given the alerts.
    """

    def __init__(
        self,
        name: AlertName,
        key: str,
        over: str,
        *,
        labels: Mapping[str, str] | None = None,
        sink: Callable[[Alert], None] = raise_alert,
    ) -> None:
        self._over = Alert(name, key, over, 0.0, labels=dict(labels or {}))
        self._sink = sink
        self._open: Alert | None = None
        self._ended = False

    @property
    def lasts(self) -> bool:
        """Whether it was raised and is not over."""
        return self._open is not None

    @property
    def severity(self) -> AlertSeverity | None:
        """As it was raised last; None while it does not last, or for the catalogue's."""
        return self._open.severity if self._open else None

    def holds(
        self,
        summary: str,
        at: float,
        *,
        details: tuple[str, ...] = (),
        subjects: tuple[str, ...] = (),
        severity: AlertSeverity | None = None,
        link: str = "",
    ) -> None:
        """Raise it, unless the same was said last.

        Args:
            summary: one sentence.
            at: Unix time since when, s; of one that lasts, what was said first stays.
            details: further lines.
            subjects: what it concerns.
            severity: None for the catalogue's.
            link: path or URL of the evidence.
        """
        alert = replace(
            self._over,
            summary=summary,
            started=self._open.started if self._open else at,
            details=details,
            subjects=subjects,
            severity=severity,
            link=link,
        )
        if alert != self._open:
            self._open = alert
            self._sink(alert)

    def over(self, at: float) -> None:
        """Say that it is over at a Unix time, s; said once."""
        if self._open is not None:
            self._sink(replace(self._open, ended=max(at, self._open.started)))
        elif not self._ended:
            self._sink(replace(self._over, started=at, ended=at))
        self._open, self._ended = None, True
