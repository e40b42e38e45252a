"""Counts, logs and alerts what happens to post-quantum protection, by reason.

Invariants: each failure is counted and logged; people are told of one kind of failure with one peer
at most once in `QUIET_S`. A fallback is never made. The gauge of the fallback's state says only
that somebody has lately asked for one: 1 until `QUIET_S` after the last attempt, else 0.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal

from actors.identity.beacon_judge import BeaconReason
from actors.identity.errors import HandshakeReason
from actors.runtime import log
from actors.runtime.alerting import Alert, AlertName, on_pqc_handshake_failure, raise_alert

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.runtime.metrics import Metrics

QUIET_S: Final = 60.0
MOST_TOLD: Final = 4096  # different failures that are told in that time
_LABELS: Final = ("shard",)
_NO_ALERT: Final = frozenset({HandshakeReason.UNREACHABLE})  # a shard that restarts, most often
# Beacons are refused so whenever a shard starts, until it has its keys and has heard the others'.
_WITH_EACH_START: Final = frozenset(
    {BeaconReason.ABSENT, BeaconReason.CERTIFICATE_MISSING, BeaconReason.BEFORE_BEGINNING}
)

Rotated = Literal["beacons", "session"]

_log = log.get(__name__)


class PqcWatch:
    """What one shard knows of its own protection.

    Args:
        shard: its name.
        metrics: where it is counted.
        clock: Unix time, s.
        alert: told to people.

    Attributes:
        refused: beacons that were not taken, by reason.
        failed: handshakes that failed, by reason.
    """

    def __init__(
        self,
        shard: str,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        alert: Callable[[Alert], None] = raise_alert,
    ) -> None:
        self.refused: Counter[BeaconReason] = Counter()
        self.failed: Counter[HandshakeReason] = Counter()
        self._shard = shard
        self._clock = clock
        self._alert = alert
        self._told: dict[tuple[str, str], float] = {}
        self._fallback_at = -QUIET_S
        prefix = "x0tta6bl4_pqc_"
        by_reason = ("shard", "reason")
        by_kind = ("shard", "kind")
        self._successes = metrics.counter(
            prefix + "handshake_success_total", "Post-quantum handshakes that went well", _LABELS
        )
        self._failures = metrics.counter(
            prefix + "handshake_failure_total", "Post-quantum handshakes that failed", by_reason
        )
        self._latency = metrics.histogram(
            prefix + "handshake_latency_seconds", "Time of a post-quantum handshake", _LABELS
        )
        self._beacons = metrics.counter(
            prefix + "beacons_accepted_total", "Signed beacons that were taken", _LABELS
        )
        self._refusals = metrics.counter(
            prefix + "beacons_refused_total", "Hellos whose beacon was not taken", by_reason
        )
        self._rotations = metrics.counter(
            prefix + "key_rotation_success_total", "Keys that were replaced when due", by_kind
        )
        self._rotation_failures = metrics.counter(
            prefix + "key_rotation_failure_total", "Keys that could not be replaced", by_kind
        )
        self._attempts = metrics.counter(
            prefix + "fallback_attempts_total",
            "Attempts to do without post-quantum protection, all refused",
            by_reason,
        )
        self._fallback = metrics.gauge(
            prefix + "fallback_state",
            "1 while somebody has lately tried to do without post-quantum protection",
            _LABELS,
        )
        self._fallback.set(0.0, shard=shard)

    def handshake_succeeded(self, seconds: float) -> None:
        """A session was agreed on, after so long."""
        self._successes.inc(shard=self._shard)
        self._latency.observe(seconds, shard=self._shard)

    def handshake_failed(self, reason: HandshakeReason, peer: str) -> None:
        """No session was agreed on."""
        self.failed[reason] += 1
        self._failures.inc(shard=self._shard, reason=reason)
        tell = self._may_tell("handshake", f"{reason}:{peer}")
        if tell or reason not in _NO_ALERT:
            _log.warning(
                "post-quantum handshake failed", shard=self._shard, reason=reason, peer=peer
            )
        if tell and reason not in _NO_ALERT:
            on_pqc_handshake_failure(reason, peer)
        if reason.is_fallback_attempt:
            self._fallback_attempted(reason, peer)

    def beacons_taken(self, number: int) -> None:
        """So many beacons were taken."""
        if number:
            self._beacons.inc(number, shard=self._shard)

    def beacon_refused(self, reason: BeaconReason, node: str) -> bool:
        """A Hello does not count; whether it is worth an event."""
        self.refused[reason] += 1
        self._refusals.inc(shard=self._shard, reason=reason)
        tell = reason not in _WITH_EACH_START and self._may_tell("beacon", f"{reason}:{node}")
        if tell:
            _log.warning("beacon refused", shard=self._shard, reason=reason, node=node)
        if reason.is_fallback_attempt:
            self._fallback_attempted(reason, node)
        return tell

    def rotated(self, kind: Rotated) -> None:
        """Keys were replaced."""
        self._rotations.inc(shard=self._shard, kind=kind)

    def rotation_failed(self, kind: Rotated, why: str) -> None:
        """Keys were not replaced although they were due."""
        self._rotation_failures.inc(shard=self._shard, kind=kind)
        _log.error("keys were not replaced", shard=self._shard, kind=kind, why=why)
        if self._may_tell("rotation", kind):
            self._alert(
                Alert(
                    AlertName.PQC_KEY_ROTATION_FAILED,
                    f"{self._shard}:{kind}",
                    f"{self._shard} could not replace its keys ({kind}): {why}",
                    self._clock(),
                    labels={"kind": kind},
                    momentary=True,
                )
            )

    def tick(self) -> None:
        """Let the fallback's state end when its time is over."""
        lately = self._clock() - self._fallback_at < QUIET_S
        self._fallback.set(float(lately), shard=self._shard)

    def _fallback_attempted(self, reason: HandshakeReason | BeaconReason, peer: str) -> None:
        self._fallback_at = self._clock()
        self._attempts.inc(shard=self._shard, reason=reason)
        self._fallback.set(1.0, shard=self._shard)
        if self._may_tell("fallback", f"{reason}:{peer}"):
            self._alert(
                Alert(
                    AlertName.PQC_FALLBACK_ATTEMPTED,
                    f"{reason}:{peer}",
                    f"{peer or 'Somebody'} wanted to do without post-quantum protection ({reason});"
                    " it was refused",
                    self._clock(),
                    labels={"reason": reason},
                    subjects=(peer,) if peer else (),
                    momentary=True,
                )
            )

    def _may_tell(self, what: str, key: str) -> bool:
        now = self._clock()
        at = self._told.get((what, key))
        if at is not None and now - at < QUIET_S:
            return False
        if len(self._told) >= MOST_TOLD:
            self._told = {told: at for told, at in self._told.items() if now - at < QUIET_S}
        if len(self._told) >= MOST_TOLD:
            return False  # counted all the same
        self._told[what, key] = now
        return True
