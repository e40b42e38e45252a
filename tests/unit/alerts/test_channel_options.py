"""Which channels settings ask for."""

from __future__ import annotations

import pytest

from actors.alerts.channels.options import ChannelOptions
from actors.alerts.settings import AlertsSettings
from actors.runtime.errors import ConfigurationError
from serve_apps.settings import Settings


def test_half_a_channel_is_refused() -> None:
    """A token without a chat reaches nobody: the setting that is missing is named."""
    with pytest.raises(ConfigurationError) as caught:
        ChannelOptions.of(AlertsSettings(alerts_telegram_token="1:a"))  # type: ignore[arg-type]  # noqa: S106
    assert caught.value.variable == "X0TTA6BL4_ALERTS_TELEGRAM_CHAT"


def test_addresses_are_a_list() -> None:
    """Several people can be told by e-mail."""
    options = ChannelOptions.of(
        AlertsSettings(
            alerts_smtp_url="smtp://127.0.0.1:25",  # type: ignore[arg-type]
            alerts_email_from="x0@example.org",
            alerts_email_to="a@example.org,b@example.org",
        )
    )
    assert options.email_to == ("a@example.org", "b@example.org")


def test_the_gateway_gets_no_secret_of_a_channel() -> None:
    """Only the actor that tells people has the secrets that this needs."""
    secrets = {
        "alerts_telegram_token": "t",
        "alerts_pagerduty_routing_key": "k",
        "alerts_smtp_url": "u",
        "alerts_webhook_secret": "s",
    }
    reduced = Settings.load(**secrets).for_orders()
    assert [getattr(reduced, name) for name in secrets] == [None] * 4
    shown = {name.removeprefix("X0TTA6BL4_").lower() for name in AlertsSettings.secret_variables()}
    assert shown == set(secrets)
