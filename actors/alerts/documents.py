"""Alerts, silences and channels as JSON tells them: times are ISO 8601 in UTC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.alerts.catalogue import CATALOGUE
from actors.runtime import clock

if TYPE_CHECKING:
    from actors.alerts.contract import AlertStatus, ChannelHealth, Silence


def alert(status: AlertStatus) -> dict[str, Any]:
    """An alert, and who has been told of it."""
    told = status.alert
    return {
        "fingerprint": status.fingerprint,
        "thread": status.thread,
        "name": told.name.value,
        "severity": str(told.severity),
        "state": status.state.value,
        "summary": told.summary,
        "probable_cause": told.probable_cause,
        "details": list(told.details),
        "subjects": list(told.subjects),
        "labels": dict(told.labels),
        "remedy": CATALOGUE[told.name].remedy,
        "link": told.link,
        "started": iso(told.started),
        "ended": iso(told.ended),
        "raised": status.raised,
        "last_raised": iso(status.last_raised),
        "told": iso(status.told),
        "waiting": list(status.waiting),
        "silenced_by": list(status.silenced_by),
        "acknowledged": iso(status.acknowledged),
        "acknowledged_by": status.acknowledged_by,
    }


def silence(told: Silence) -> dict[str, Any]:
    """A silence."""
    request = told.request
    return {
        "id": told.id,
        "starts": iso(request.starts),
        "ends": iso(request.ends),
        "by": request.by,
        "comment": request.comment,
        "fingerprint": request.fingerprint,
        "names": sorted(name.value for name in request.names),
        "labels": dict(request.labels),
        "subjects": sorted(request.subjects),
    }


def channel(health: ChannelHealth) -> dict[str, Any]:
    """How a channel is."""
    return {
        "name": health.name,
        "state": health.state.value,
        "why": health.why,
        "pending": health.pending,
        "oldest": iso(health.oldest),
        "delivered": iso(health.delivered),
        "refused": health.refused,
    }


def iso(at: float | None) -> str | None:
    """A Unix time, s, as JSON tells it."""
    return None if at is None else clock.iso(at)
