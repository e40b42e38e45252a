"""The settings of alerts."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, SecretStr

from actors.runtime.settings import URL, RuntimeSettings

LINKS_SHARE: Final = 0.2  # of all links, which is told when it is down
_SECURE_URL: Final = (
    r"^(https://|http://(127(\.[0-9]{1,3}){3}|localhost|\[::1\])([:/]|$))[^\s?#@]*$"
)
_ADDRESS: Final = r"^[^\s@,<>]+@[^\s@,<>]+$"
_ADDRESSES: Final = r"^[^\s@,<>]+@[^\s@,<>]+(,[^\s@,<>]+@[^\s@,<>]+){0,19}$"
_ZONE: Final = r"( [A-Za-z0-9_+/-]{1,64})?"
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_SECRETS: Final = (
    "alerts_telegram_token",
    "alerts_pagerduty_routing_key",
    "alerts_smtp_url",
    "alerts_webhook_secret",
)


class AlertsSettings(RuntimeSettings):
    """Who is told of alerts, how, and when."""

    alerts: bool = Field(default=True, description="whether anybody is told of alerts")
    alerts_alertmanager_url: str | None = Field(
        None, pattern=URL, description="http(s) URL of a Prometheus Alertmanager"
    )
    alerts_telegram_token: SecretStr | None = Field(
        None, description="token of the Telegram bot that tells of alerts"
    )
    alerts_telegram_chat: str | None = Field(
        None,
        pattern=r"^(-?[0-9]{1,20}|@[A-Za-z0-9_]{4,64})$",
        description="number or @name of the Telegram chat that is told of alerts",
    )
    alerts_telegram_url: str = Field(
        "https://api.telegram.org",
        pattern=_SECURE_URL,
        description="https URL of a Telegram Bot API; http is accepted on loopback only",
    )
    alerts_pagerduty_routing_key: SecretStr | None = Field(
        None, description="integration key of PagerDuty's Events API v2"
    )
    alerts_pagerduty_url: str = Field(
        "https://events.pagerduty.com",
        pattern=r"^https://[^\s/?#@]+(/[^\s?#@]*)?$",
        description="https URL of PagerDuty's Events API v2",
    )
    alerts_smtp_url: SecretStr | None = Field(
        None, description="smtp://USER:PASSWORD@HOST:PORT, or smtps://, of the server for e-mail"
    )
    alerts_email_from: str | None = Field(
        None, pattern=_ADDRESS, description="address that e-mails about alerts come from"
    )
    alerts_email_to: str | None = Field(
        None, pattern=_ADDRESSES, description="addresses that are told, with commas between them"
    )
    alerts_webhook_url: str | None = Field(
        None,
        pattern=_SECURE_URL,
        description="https URL that is told of alerts; http is accepted on loopback only",
    )
    alerts_webhook_secret: SecretStr | None = Field(
        None, description="secret that signs what the webhook is sent (Standard Webhooks)"
    )
    alerts_webhook_peer: str | None = Field(
        None,
        max_length=2048,
        pattern=r"^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)*$",
        description="SPIFFE ID that the webhook must prove, and is shown this session's own"
        " (mutual TLS)",
    )
    alerts_ca_file: str | None = Field(
        None,
        min_length=1,
        max_length=4096,
        description="file of the certificates to trust, if not those of this machine",
    )
    alerts_quiet_hours: str | None = Field(
        None,
        pattern=rf"^{_TIME}-{_TIME}{_ZONE}$",
        description="hours in which only errors are told, such as 22:00-07:00 Europe/Berlin",
    )
    alerts_digest_at: str | None = Field(
        None,
        pattern=rf"^{_TIME}{_ZONE}$",
        description="when the morning's digest is sent, such as 07:30 Europe/Berlin",
    )
    alerts_links_share: float = Field(
        LINKS_SHARE,
        gt=0,
        le=1,
        description="share of a network's links that is told when it is down at once",
    )
    alerts_links: str | None = Field(
        None, pattern=URL, description="http(s) URL of the gateway, as those who are told reach it"
    )

    def without_alert_secrets(self) -> Self:
        """These settings without what only the actor that tells people needs."""
        return self.model_copy(update=dict.fromkeys(_SECRETS))
