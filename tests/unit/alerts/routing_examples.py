"""Alerts and times of the tests of alerts."""

from __future__ import annotations

from typing import Any

from actors.runtime.alert_spool import SpooledAlert
from actors.runtime.alerting import Alert, AlertName, AlertSeverity

NOON = 1_767_268_800.0  # 2026-01-01 12:00 UTC


def fired(key: str = "a", at: float = NOON, **given: Any) -> Alert:
    """A fault that lasts."""
    given = {"severity": AlertSeverity.ERROR, "summary": f"{key} is gone", **given}
    return Alert(AlertName.NODE_OFFLINE, key, started=at, **given)


def over(key: str = "a", at: float = NOON, ended: float = NOON + 60, **given: Any) -> Alert:
    """The same, over."""
    return fired(key, at, ended=ended, **given)


def spooled(*alerts: Alert, first: int = 0) -> list[SpooledAlert]:
    """Alerts as they come from a process, with ids of their own."""
    return [SpooledAlert(f"id-{first + place}", each) for place, each in enumerate(alerts)]
