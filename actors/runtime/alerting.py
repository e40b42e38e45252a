"""Alerts: messages that ask for a person's attention, raised by whoever notices a fault.

Raising an alert never raises and never blocks: the sink of this process writes it down and returns.
What is sent to whom, and when, is decided elsewhere. A process without a sink (a test, a command
of its own) alerts nobody.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class AlertSeverity(StrEnum):
    """How soon somebody should look; the words of PagerDuty's Events API v2."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class AlertName(StrEnum):
    """The kinds of alert, as Prometheus rules name theirs. The catalogue says what each means."""

    NODE_OFFLINE = "NodeOffline"
    MESH_SPLIT = "MeshSplit"
    GATEWAY_LOST = "GatewayLost"
    LINKS_DOWN = "LinksDown"
    MAP_STALE = "MapStale"
    CLOCKS_APART = "ClocksApart"
    HEALING_SLOW = "HealingSlow"
    ROOT_CAUSE_FOUND = "RootCauseFound"
    SHARD_RESTARTED = "ShardRestarted"
    SVID_EXPIRING = "SvidExpiring"
    SVID_RENEWAL_FAILED = "SvidRenewalFailed"
    PQC_HANDSHAKE_FAILURE = "PqcHandshakeFailure"
    PQC_FALLBACK_ATTEMPTED = "PqcFallbackAttempted"
    PQC_KEY_ROTATION_FAILED = "PqcKeyRotationFailed"
    NODE_QUARANTINED = "NodeQuarantined"
    XDP_ATTACH_FAILED = "XdpAttachFailed"
    XDP_DETACHED = "XdpDetached"
    XDP_REATTACHED = "XdpReattached"
    XDP_MAP_CHURN = "XdpMapChurn"
    PAYMENT_CURSOR_STALE = "PaymentCursorStale"
    PAYMENT_CONFIGURATION = "PaymentConfiguration"
    PAYMENT_IN_REVIEW = "PaymentInReview"
    ORDER_PAID = "OrderPaid"
    CANARY_ROLLED_BACK = "CanaryRolledBack"
    MODEL_DRIFT = "ModelDrift"
    MORNING_DIGEST = "MorningDigest"
    ERROR_CRITICAL = "ErrorCritical"
    EVENT_LOOP_LAG = "EventLoopLag"
    ALERT_TEST = "AlertTest"  # raised by a person, to see whether alerts arrive


@dataclass(frozen=True, slots=True)
class Alert:
    """That something needs attention, that it has changed, or that it is over.

    Alerts with the same `name` and `key` are one and the same fault: the first opens it, later ones
    replace what is said of it, one with `ended` closes it.

    Attributes:
        name: kind of alert.
        key: tells faults of one kind apart; without secrets, at most 255 characters.
        summary: one sentence, with names as people use them.
        started: Unix time since when, s.
        ended: Unix time when it was over, s; None while it lasts.
        severity: None for the catalogue's.
        labels: what rules may select by, such as the network; names `[a-zA-Z_][a-zA-Z0-9_]*`.
        thread: faults of one incident name the same thread and are told together; "": by itself.
        probable_cause: a sentence; "" if it is not known.
        details: further lines, such as who is cut off and how many clients.
        subjects: names of nodes, links or orders concerned.
        link: path or URL of the evidence; "" if there is none.
        momentary: it tells of something that has happened and has no end.
    """

    name: AlertName
    key: str
    summary: str
    started: float
    ended: float | None = None
    severity: AlertSeverity | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    thread: str = ""
    probable_cause: str = ""
    details: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    link: str = ""
    momentary: bool = False


_sinks: Final[list[Callable[[Alert], None]]] = []


def send_alerts_to(sink: Callable[[Alert], None]) -> None:
    """Give every alert of this process to `sink`, which must neither raise nor block."""
    _sinks[:] = [sink]


def raise_alert(alert: Alert) -> None:
    """Give an alert to the sink of this process, if it has one."""
    for sink in _sinks:
        sink(alert)


def on_pqc_handshake_failure(reason: str, peer: str = "") -> None:
    """Alert that a post-quantum handshake has failed.

    Args:
        reason: code of the reason, such as `bad_signature`.
        peer: name of the other side, if it is known.
    """
    whom = f" with {peer}" if peer else ""
    raise_alert(
        Alert(
            AlertName.PQC_HANDSHAKE_FAILURE,
            f"{reason}:{peer}",
            f"Post-quantum handshake{whom} failed: {reason}",
            time.time(),
            labels={"reason": reason},
            subjects=(peer,) if peer else (),
            momentary=True,
        )
    )
