"""Which channels there are, as settings say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine

    from pydantic import SecretStr

    from actors.alerts.settings import AlertsSettings

# Settings that are of use together only.
_TOGETHER: Final = (
    ("alerts_telegram_token", "alerts_telegram_chat"),
    ("alerts_smtp_url", "alerts_email_from", "alerts_email_to"),
    ("alerts_webhook_url", "alerts_webhook_secret"),
)


class ClientTls(Protocol):
    """Makes the TLS of a client that proves who it is. It can be pickled, and holds no key."""

    def begin(self) -> tuple[ssl.SSLContext, Coroutine[Any, Any, None]]:
        """A context in a running loop, and what keeps its certificate new and is to be run."""
        ...


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """What the channels are made from; see `AlertsSettings`. None: not wanted.

    Those that belong together are all given, or none of them.

    Attributes:
        email_to: the addresses; empty without e-mail.
        webhook_tls: proves who this session is, and checks the webhook; None: as any web site.
        ca_file: file of the certificates to trust; None: those of this machine.
        links: URL of the gateway that links in notices begin with; "" if there is none.
        time_zone: IANA name of the zone in which times are told; "" for that of this machine.
    """

    alertmanager_url: str | None = None
    telegram_token: SecretStr | None = None
    telegram_chat: str | None = None
    telegram_url: str = "https://api.telegram.org"
    pagerduty_routing_key: SecretStr | None = None
    pagerduty_url: str = "https://events.pagerduty.com"
    smtp_url: SecretStr | None = None
    email_from: str | None = None
    email_to: tuple[str, ...] = ()
    webhook_url: str | None = None
    webhook_secret: SecretStr | None = None
    webhook_tls: ClientTls | None = None
    ca_file: str | None = None
    links: str = ""
    time_zone: str = ""

    @classmethod
    def of(cls, settings: AlertsSettings) -> Self:
        """What settings ask for.

        Raises:
            ConfigurationError: one that belongs to others is missing.
        """
        for group in _TOGETHER:
            _check_together(settings, group)
        return cls(
            settings.alerts_alertmanager_url,
            settings.alerts_telegram_token,
            settings.alerts_telegram_chat,
            settings.alerts_telegram_url,
            settings.alerts_pagerduty_routing_key,
            settings.alerts_pagerduty_url,
            settings.alerts_smtp_url,
            settings.alerts_email_from,
            tuple((settings.alerts_email_to or "").split(",")) if settings.alerts_email_to else (),
            settings.alerts_webhook_url,
            settings.alerts_webhook_secret,
            None,
            settings.alerts_ca_file,
            settings.alerts_links or "",
            _zone(settings.alerts_quiet_hours) or _zone(settings.alerts_digest_at),
        )


def _zone(hours: str | None) -> str:
    """The time zone that hours are said in; "" if they name none."""
    return (hours or "").partition(" ")[2]


def _check_together(settings: AlertsSettings, group: tuple[str, ...]) -> None:
    missing = [name for name in group if getattr(settings, name) is None]
    if missing and len(missing) < len(group):
        given = next(name for name in group if name not in missing)
        raise ConfigurationError(
            f"{variable(missing[0])} is not set",
            f"{variable(given)} is of no use without it",
            f"Set {' and '.join(map(variable, missing))}, or leave {variable(given)} out.",
            variable=variable(missing[0]),
        )
