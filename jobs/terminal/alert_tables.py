"""Alerts, silences and channels as people read them, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.terminal import moments, reporting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from actors.alerts.catalogue import Entry
    from actors.alerts.contract import AlertStatus, ChannelHealth, Silence, TestDelivery
    from actors.runtime.alerting import AlertName

_NOBODY = (
    "No channel is configured: alerts are logged and listed here, and nobody is told.\n"
    "Set X0TTA6BL4_ALERTS_ALERTMANAGER_URL, or another of X0TTA6BL4_ALERTS_*: `x0 env`."
)


def alerts(
    found: Sequence[AlertStatus], *, lasting: bool, short: int
) -> Iterator[RenderableType | str]:
    """Alerts, each with its cause and what to do.

    Args:
        found: the alerts.
        lasting: only those that last were asked for.
        short: characters of a fingerprint.
    """
    if not found:
        yield "Nothing is wrong." if lasting else "No alert was raised since then."
        return
    for one in found:
        alert = one.alert
        state = "" if one.state.value == "active" else f", over at {_at(alert.ended)}"
        yield f"{one.fingerprint[:short]}  {alert.severity}  {alert.name.value}"
        yield f"  {alert.summary}"
        yield f"  since {_at(alert.started)}{state}; {_told(one)}"
        if one.silenced_by:
            yield f"  silenced by {', '.join(one.silenced_by)}"
        if one.acknowledged is not None:
            yield f"  {one.acknowledged_by} looks after it since {_at(one.acknowledged)}"
        if alert.probable_cause:
            yield f"  probably: {alert.probable_cause}"
        yield from (f"  {line}" for line in alert.details)


def channels(found: Sequence[ChannelHealth]) -> Iterator[RenderableType | str]:
    """How each channel is."""
    if not found:
        yield _NOBODY
        return
    rows = [[one.name, one.state.value, one.pending, _at(one.delivered), one.why] for one in found]
    yield reporting.table("channels", ["channel", "state", "waiting", "last delivery", "why"], rows)


def acknowledged(
    one: AlertStatus, channels: Sequence[ChannelHealth]
) -> Iterator[RenderableType | str]:
    """That somebody looks after an alert, and whether PagerDuty is told so."""
    yield f"{one.acknowledged_by} looks after it: {one.alert.summary}"
    if not any(each.name == "pagerduty" for each in channels):
        yield "No channel is told: PagerDuty is not configured."
    elif not one.path:
        yield "Nobody was told of it yet: PagerDuty is told so with the first notice."
    elif one.path == "alertmanager":
        yield "PagerDuty is not told: Alertmanager tells of this one; acknowledge it there as well."
    else:
        yield "PagerDuty is told."


def tested(tried: Sequence[TestDelivery]) -> Iterator[RenderableType | str]:
    """Which channel took the test."""
    if not tried:
        yield _NOBODY
    for one in tried:
        yield f"{one.channel}: " + ("delivered" if one.delivered else f"not delivered: {one.why}")


def silences(found: Sequence[Silence], *, ended: bool) -> Iterator[RenderableType | str]:
    """Silences, and what each keeps from being told."""
    if not found:
        yield "Nothing is silenced."
    for one in found:
        request = one.request
        window = f"{moments.short(request.starts)} to {moments.short(request.ends)}"
        yield f"{one.id}  " + ("ended" if ended else window)
        yield f"  {'; '.join(_demands(one))}"
        if request.comment:
            yield f"  {request.comment} ({request.by})"


def kinds(catalogue: Mapping[AlertName, Entry]) -> Iterator[RenderableType | str]:
    """Each kind of alert, what it means, and what to do."""
    for name, entry in catalogue.items():
        yield f"{name.value} ({entry.severity})"
        yield f"  {entry.meaning}"
        yield f"  {entry.remedy}"


def _demands(silence: Silence) -> Iterable[str]:
    request = silence.request
    if request.fingerprint:
        yield f"alert {request.fingerprint}"
    if request.names:
        yield " or ".join(sorted(name.value for name in request.names))
    yield from (f"{name}={value}" for name, value in sorted(request.labels.items()))
    if request.subjects:
        shown = sorted(request.subjects)
        more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
        yield f"concerns nothing but {', '.join(shown[:10])}{more}"


def _told(one: AlertStatus) -> str:
    told = f"told at {_at(one.told)}" if one.told is not None else "nobody was told yet"
    return f"{told}; waits for {', '.join(one.waiting)}" if one.waiting else told


def _at(at: float | None) -> str:
    return "-" if at is None else moments.short(at)
