"""All settings of the project, composed of those of its parts.

A new kind of actor or application adds its class to the bases of `Settings`.
"""

from __future__ import annotations

from typing import Self

from actors.alerts.settings import AlertsSettings
from actors.history.settings import HistorySettings
from actors.identity.beacon_settings import BeaconSettings
from actors.identity.byzantine.settings import ByzantineSettings
from actors.identity.settings import IdentitySettings
from actors.mesh.settings import MeshSettings
from actors.observe.settings import ObserveSettings
from actors.payments.settings import PaymentsSettings
from actors.xdp.settings import XdpSettings
from cluster.settings import ClusterSettings
from serve_apps.gateway.settings import GatewaySettings
from serve_apps.inference.settings import InferenceSettings


class Settings(
    MeshSettings,
    BeaconSettings,
    ByzantineSettings,
    ObserveSettings,
    PaymentsSettings,
    XdpSettings,
    HistorySettings,
    IdentitySettings,
    AlertsSettings,
    GatewaySettings,
    InferenceSettings,
    ClusterSettings,
):
    """What a process that starts or finds a mesh reads from its environment."""

    def for_orders(self) -> Self:
        """These settings without the secrets of watchers, the bot, and channels of alerts."""
        return super().for_orders().without_alert_secrets()
