"""Alerts of this process on their way to the actor that takes them over."""

from __future__ import annotations

from actors.runtime import remote
from actors.runtime.alert_spool import TAKER, AlertSpool, TakesAlerts, spool_directory
from actors.runtime.alerting import send_alerts_to


async def forwarding(namespace: str) -> None:
    """Spool the alerts of this process, and hand them over, until cancelled.

    Args:
        namespace: that the actor is in.
    """
    spool = AlertSpool(spool_directory(), namespace)
    send_alerts_to(spool.append)
    await spool.forward(remote.proxy(TakesAlerts, TAKER))
