"""Makes the channels that are configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from actors.alerts.channels.alertmanager import AlertmanagerChannel
from actors.alerts.channels.email import EmailChannel, server_of
from actors.alerts.channels.pagerduty import PagerDutyChannel
from actors.alerts.channels.posting import trusting
from actors.alerts.channels.telegram import TelegramChannel
from actors.alerts.channels.webhook import WebhookChannel
from actors.alerts.wording import Reader
from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine

    from actors.alerts.channels.channel import Channel
    from actors.alerts.channels.options import ChannelOptions


@dataclass(frozen=True, slots=True)
class Configured:
    """The channels that are configured.

    Attributes:
        alertmanager: the normal path; None: it is not configured.
        direct: the others, which are used when Alertmanager is not configured or not reached.
        upkeep: what keeps certificates of theirs new, and is to be run.
    """

    alertmanager: Channel | None
    direct: tuple[Channel, ...]
    upkeep: tuple[Coroutine[Any, Any, None], ...] = ()


def configured(options: ChannelOptions) -> Configured:
    """Make the channels. Nothing is asked or opened yet; called in a running loop.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    tls = trusting(options.ca_file)
    reader = Reader(_zone(options.time_zone), options.links)
    normal = (
        AlertmanagerChannel(options.alertmanager_url, reader, tls)
        if options.alertmanager_url
        else None
    )
    upkeep: list[Coroutine[Any, Any, None]] = []
    webhook_tls = tls
    if options.webhook_url and options.webhook_tls is not None:
        webhook_tls, renewing = options.webhook_tls.begin()
        upkeep.append(renewing)
    made = (
        _pagerduty(options, reader, tls),
        _telegram(options, reader, tls),
        _email(options, reader, tls),
        _webhook(options, reader, webhook_tls),
    )
    direct = tuple(one for one in made if one is not None)
    return Configured(normal, direct, tuple(upkeep))


def _pagerduty(options: ChannelOptions, reader: Reader, tls: ssl.SSLContext) -> Channel | None:
    key = options.pagerduty_routing_key
    return PagerDutyChannel(key, options.pagerduty_url, reader, tls) if key else None


def _telegram(options: ChannelOptions, reader: Reader, tls: ssl.SSLContext) -> Channel | None:
    token, chat = options.telegram_token, options.telegram_chat
    if not token or not chat:
        return None
    return TelegramChannel(token, chat, options.telegram_url, reader, tls)


def _email(options: ChannelOptions, reader: Reader, tls: ssl.SSLContext) -> Channel | None:
    url, sender = options.smtp_url, options.email_from
    if not url or not sender or not options.email_to:
        return None
    return EmailChannel(server_of(url), sender, options.email_to, reader, tls)


def _webhook(options: ChannelOptions, reader: Reader, tls: ssl.SSLContext) -> Channel | None:
    url, secret = options.webhook_url, options.webhook_secret
    return WebhookChannel(url, secret, reader, tls) if url and secret else None


def _zone(name: str) -> ZoneInfo | None:
    """The zone of that name.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"there is no time zone {name!r}",
            "this machine does not know it",
            "Write it as the IANA does, such as Europe/Berlin, after the hours of"
            f" {variable('alerts_quiet_hours')} or {variable('alerts_digest_at')}.",
            variable=variable("alerts_quiet_hours"),
        ) from None
