"""How the gateway is known and who may use it from a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from actors.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What a gateway works with, beside its limits.

    Attributes:
        names: host names that the gateway is known by, beside those of loopback.
        cors_origins: origins of pages that may use it; none by default.
    """

    names: frozenset[str] = frozenset()
    cors_origins: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The options that settings ask for; the host of the public URL is a name of its own."""
        names = set(_listed(settings.gateway_names))
        public = urlsplit(settings.public_url or "").hostname
        return cls(
            frozenset(names | {public} if public else names),
            tuple(_listed(settings.gateway_cors_origins)),
        )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
