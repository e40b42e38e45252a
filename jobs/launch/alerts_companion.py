"""The actor of a session that tells people of alerts."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import TYPE_CHECKING

from actors.alerts.contract import ALERTS, AlertsOptions
from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable
from jobs.launch import record
from jobs.launch.companion import Companion

if TYPE_CHECKING:
    from actors.identity.process_identity import TlsClient
    from jobs.launch.companion import Plan
    from serve_apps.settings import Settings


class AlertsCompanion(Companion):
    """One actor that takes alerts over and tells people."""

    name = "alerts"
    off = "nobody is told of alerts (X0TTA6BL4_ALERTS=0, or X0TTA6BL4_MINIMAL)"

    def wanted(self, plan: Plan) -> bool:
        """Unless it is switched off."""
        return plan.settings.alerts

    def prepare(self, plan: Plan) -> Plan:
        """Check the settings of channels.

        Raises:
            ConfigurationError: one of them cannot be used.
        """
        alerts_options(plan.settings)
        return plan

    def start(self, plan: Plan) -> None:
        """Start the actor."""
        from actors.alerts.actor import AlertsActor
        from actors.runtime import spawn

        spawn.detached(AlertsActor, ALERTS, alerts_options(plan.settings))

    def load(self) -> None:
        """Import the class of the actor."""
        importlib.import_module("actors.alerts.actor")

    def owns(self, actor: str) -> bool:
        """There is one."""
        return actor == ALERTS


def alerts_options(settings: Settings) -> AlertsOptions:
    """What the actor is started with.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    from actors.alerts.channels.options import ChannelOptions
    from actors.alerts.quiet_hours import QuietHours
    from actors.history.client import RecordedHistory

    quiet_hours = settings.alerts_quiet_hours or ""
    QuietHours.of(quiet_hours)
    return AlertsOptions(
        record.alerts(settings.state_dir),
        replace(ChannelOptions.of(settings), webhook_tls=_webhook_tls(settings)),
        quiet_hours,
        settings.log_level,
        settings.namespace,
        RecordedHistory(),
        links_share=settings.alerts_links_share,
    )


def _webhook_tls(settings: Settings) -> TlsClient | None:
    """Who proves to the webhook that it is this session; None: nobody.

    Raises:
        ConfigurationError: there are no identities, or no https.
    """
    peer, name = settings.alerts_webhook_peer, variable("alerts_webhook_peer")
    if peer is None:
        return None
    from actors.identity.places import ALERTS as HINT
    from actors.identity.process_identity import ProcessIdentity, TlsClient

    if not (settings.alerts_webhook_url or "").startswith("https://"):
        raise ConfigurationError(
            f"{name} cannot be used",
            f"{variable('alerts_webhook_url')} is no https URL",
            f"Set it to one, or leave {name} out.",
            variable=name,
        )
    endpoint = settings.needed_identity(name)
    identity = ProcessIdentity(endpoint, HINT, settings.identity_renewal_threshold)
    return TlsClient(identity, (peer,))
