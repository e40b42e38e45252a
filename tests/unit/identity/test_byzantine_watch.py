"""What is found out about nodes is counted, and told while it lasts."""

from __future__ import annotations

from actors.identity.byzantine.watch import ByzantineWatch
from actors.runtime.alerting import Alert, AlertName
from actors.runtime.metrics import MemoryMetrics


def test_a_quarantine_is_told_and_its_end() -> None:
    """Two quarantines of one node are two faults; a forgery is counted and logged alone."""
    alerts: list[Alert] = []
    watch = ByzantineWatch("mesh-shard-00", MemoryMetrics(), alerts.append)
    watch.happened("forgery", "n1", "n2")
    watch.happened("unsuspected", "n1", "")
    assert alerts == []
    watch.happened("quarantined", "n1", "")
    watch.happened("suspected", "n1", "")
    watch.happened("cleared", "n1", "")
    assert {alert.name for alert in alerts} == {AlertName.NODE_QUARANTINED}
    proven, suspected, cleared = alerts
    assert proven.key != suspected.key
    assert (proven.ended, suspected.ended) == (None, None)
    assert cleared.key == proven.key
    assert cleared.started == proven.started
    assert cleared.ended is not None


def test_counts_grow_by_what_is_new() -> None:
    """Whatever the guard has counted since its start."""
    metrics = MemoryMetrics()
    watch = ByzantineWatch("mesh-shard-00", metrics, lambda _: None)
    for forged in (2, 5):
        counted = {"believed": 1, "forged": forged, "malformed": 0}
        watch.publish(counted, quarantined=1, waiting=3)
    assert metrics.value("x0tta6bl4_byzantine_forged_total", shard="mesh-shard-00") == 5.0
    assert metrics.value("x0tta6bl4_byzantine_believed_total", shard="mesh-shard-00") == 1.0
    assert metrics.value("x0tta6bl4_byzantine_waiting_claims", shard="mesh-shard-00") == 3.0
