"""What Prometheus and people are told of an identity: metrics, alerts, and a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.identity.contract import SvidState
from actors.runtime.alerting import AlertName, AlertSeverity
from actors.runtime.standing_alert import StandingAlert

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.identity.contract import IdentityFault, IdentityStatus
    from actors.runtime.metrics import Metrics

_BAD: Final = frozenset({SvidState.STALE, SvidState.EXPIRED, SvidState.REVOKED})
_ENDED: Final = frozenset({SvidState.EXPIRED, SvidState.REVOKED})


class Exported:
    """Metrics of a host's identity.

    Args:
        metrics: where they are counted.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._left = metrics.gauge(
            "x0tta6bl4_svid_seconds_left", "Seconds until the default SVID of this host ends"
        )
        self._ratio = metrics.gauge(
            "x0tta6bl4_svid_life_left_ratio",
            "Part of the life of this host's default SVID that is left; 0: it may not be used",
        )
        self._usable = metrics.gauge(
            "x0tta6bl4_svid_usable", "Whether this host has an SVID that may be used (1) or not (0)"
        )
        self._generation = metrics.gauge(
            "x0tta6bl4_svid_generation", "Changes of what is held, SVIDs and bundles"
        )
        self._renewals = metrics.counter(
            "x0tta6bl4_svid_renewals_total", "SVIDs with another serial or end than the one before"
        )
        self._failures = metrics.counter(
            "x0tta6bl4_svid_failures_total",
            "Messages that were refused and streams that were lost, by reason",
            ("reason",),
        )
        self._told_renewals = 0
        self._told_faults: dict[IdentityFault, int] = {}

    def note(self, status: IdentityStatus, now: float) -> None:
        """Count how it is at a Unix time, s."""
        self._usable.set(float(usable(status)))
        if status.svids:
            svid = status.svids[0]
            left_s = max(0.0, svid.not_after - now)
            self._left.set(left_s)
            life_s = max(svid.not_after - svid.not_before, 1.0)
            self._ratio.set(left_s / life_s if usable(status) else 0.0)
        self._generation.set(status.generation)
        self._renewals.inc(status.renewals - self._told_renewals)
        self._told_renewals = status.renewals
        for reason, count in newly(status.faults, self._told_faults).items():
            self._failures.inc(count, reason=str(reason))
        self._told_faults = dict(status.faults)


def newly(
    now: Mapping[IdentityFault, int], before: Mapping[IdentityFault, int]
) -> dict[IdentityFault, int]:
    """The faults that were added, by kind."""
    return {
        fault: count - before.get(fault, 0)
        for fault, count in now.items()
        if count > before.get(fault, 0)
    }


class IdentityAlerts:
    """Alerts of a host's identity: that it ends soon, and that it is not renewed.

    Args:
        host: its name.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        labels = {"host": host}
        self._expiring = StandingAlert(
            AlertName.SVID_EXPIRING,
            host,
            f"The identity of {host} has been renewed",
            labels=labels,
        )
        self._failed = StandingAlert(
            AlertName.SVID_RENEWAL_FAILED,
            host,
            f"The identity of {host} can be renewed again",
            labels=labels,
        )

    def note(self, status: IdentityStatus, now: float) -> None:
        """Raise what holds at a Unix time, s, and end what is over."""
        if status.state in _BAD:
            ended = status.state in _ENDED
            self._expiring.holds(
                self._ends(status),
                now,
                details=_details(status),
                subjects=(self._host,),
                severity=AlertSeverity.CRITICAL if ended else None,
            )
        elif status.state is not None:
            self._expiring.over(now)
        if fails(status):
            assert status.last_fault is not None  # noqa: S101 - it fails
            self._failed.holds(
                f"The identity of {self._host} is not renewed: {status.last_fault.fault}",
                status.last_fault.at,
                details=_details(status),
                subjects=(self._host,),
            )
        elif status.last_fault is None and status.state is not None:
            self._failed.over(now)

    def _ends(self, status: IdentityStatus) -> str:
        if status.state is SvidState.REVOKED:
            return f"The identity of {self._host} is denied by the Workload API"
        if status.state is SvidState.EXPIRED:
            return f"The identity of {self._host} has expired"
        return f"The identity of {self._host} ends soon and has not been renewed"


def usable(status: IdentityStatus) -> bool:
    """Whether there is an SVID that may be used."""
    return status.state is not None and status.state not in _ENDED


def fails(status: IdentityStatus) -> bool:
    """Whether its renewal has failed.

    A stream that is lost while an SVID is fresh has not failed yet: it is opened again in seconds.
    """
    return status.last_fault is not None and (
        status.state is not SvidState.FRESH or not status.retries
    )


def words(status: IdentityStatus, now: float) -> str:
    """How it is, in one line for people."""
    default = status.svids[0] if status.svids else None
    if default is None:
        said = "no SVID has come yet"
    elif status.state in _ENDED:
        said = f"{default.spiffe_id} {status.state}"
    else:
        said = f"{default.spiffe_id} {status.state}, {span(default.not_after - now)} left"
    return f"{said}; {status.last_fault.why}" if status.last_fault is not None else said


def span(seconds: float) -> str:
    """A time for people, such as "42 s", "59 min" or "3 h"."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"


def _details(status: IdentityStatus) -> tuple[str, ...]:
    told = [f"Workload API: {status.endpoint}"]
    if status.last_fault is not None:
        told.append(f"{status.last_fault.fault}: {status.last_fault.why}")
    return tuple(told)
