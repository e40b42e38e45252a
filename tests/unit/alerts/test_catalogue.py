"""The catalogue says of every kind of alert what it means and what to do."""

from __future__ import annotations

from actors.alerts.catalogue import CATALOGUE, severity_of
from actors.runtime.alerting import AlertName, AlertSeverity


def test_every_kind_is_explained() -> None:
    """No kind of alert is without severity, meaning and remedy, in whole sentences."""
    assert set(CATALOGUE) == set(AlertName)
    for name, entry in CATALOGUE.items():
        assert entry.meaning.endswith("."), name
        assert entry.remedy.endswith("."), name


def test_an_alert_may_say_its_own_severity() -> None:
    """The severity that is given wins over that of the kind."""
    assert severity_of(AlertName.MESH_SPLIT, None) is AlertSeverity.CRITICAL
    assert severity_of(AlertName.MESH_SPLIT, AlertSeverity.INFO) is AlertSeverity.INFO
