"""What is counted each time, and told now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.identity.beacon_judge import BeaconReason
from actors.identity.errors import HandshakeReason
from actors.identity.pqc_watch import MOST_TOLD, QUIET_S, PqcWatch
from actors.runtime.metrics import MemoryMetrics

if TYPE_CHECKING:
    from actors.runtime.alerting import Alert


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_flood_of_failures_is_counted_and_told_within_bounds() -> None:
    """Each refusal counts; events are bounded in number and come again after a while."""
    clock, metrics = Clock(), MemoryMetrics()
    alerts: list[Alert] = []
    watch = PqcWatch("one", metrics, clock, alerts.append)
    told = [watch.beacon_refused(BeaconReason.REPLAYED, f"n{at}") for at in range(MOST_TOLD + 50)]
    assert sum(told) == MOST_TOLD
    name = "x0tta6bl4_pqc_beacons_refused_total"
    assert metrics.value(name, shard="one", reason="replayed") == MOST_TOLD + 50
    assert watch.refused[BeaconReason.REPLAYED] == MOST_TOLD + 50
    clock.now += QUIET_S
    assert watch.beacon_refused(BeaconReason.REPLAYED, "n0")
    assert not watch.beacon_refused(BeaconReason.REPLAYED, "n0")
    assert alerts == []


def test_what_comes_with_each_start_is_counted_and_not_told() -> None:
    """A shard that makes its keys is no incident."""
    metrics = MemoryMetrics()
    watch = PqcWatch("one", metrics, Clock())
    assert not watch.beacon_refused(BeaconReason.ABSENT, "a")
    name = "x0tta6bl4_pqc_beacons_refused_total"
    assert metrics.value(name, shard="one", reason="absent") == 1


def test_each_fallback_attempt_is_an_alert_of_its_own_kind() -> None:
    """By its reason, for handshakes and for beacons."""
    alerts: list[Alert] = []
    watch = PqcWatch("one", MemoryMetrics(), Clock(), alerts.append)
    for reason in HandshakeReason:
        watch.handshake_failed(reason, "two")
    for refused in BeaconReason:
        watch.beacon_refused(refused, "n")
    reasons = [*HandshakeReason, *BeaconReason]
    expected = {f"{one}" for one in reasons if one.is_fallback_attempt}
    assert {alert.labels["reason"] for alert in alerts} == expected
    assert {alert.name for alert in alerts} == {"PqcFallbackAttempted"}
