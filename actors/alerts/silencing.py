"""Which alerts a silence keeps from being told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.alerts.alert_thread import RaisedAlert
    from actors.alerts.contract import Silence, SilenceRequest


def silencing(fault: RaisedAlert, silences: Iterable[Silence], now: float) -> tuple[Silence, ...]:
    """The silences that keep an alert from being told at a Unix time."""
    return tuple(
        each
        for each in silences
        if each.request.starts <= now < each.request.ends and fits(fault, each.request)
    )


def fits(fault: RaisedAlert, request: SilenceRequest) -> bool:
    """Whether an alert is one of those that a silence is about: all that it demands must hold."""
    alert = fault.alert
    return (
        (not request.fingerprint or fault.fingerprint == request.fingerprint)
        and (not request.names or alert.name in request.names)
        and all(alert.labels.get(name) == value for name, value in request.labels.items())
        # What concerns something beside it is told: a maintenance explains its own alerts only.
        and (
            not request.subjects
            or (bool(alert.subjects) and request.subjects.issuperset(alert.subjects))
        )
    )
