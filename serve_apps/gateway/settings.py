"""Where the gateway listens, how it is known, and who may use it from a browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from pydantic import Field

from actors.identity.settings import SPIFFE_IDS
from actors.runtime.settings import IPV4, RuntimeSettings, variable
from actors.topology.provenance import Network

if TYPE_CHECKING:
    from serve_apps.settings import Settings


_NETWORKS: Final = f"{Network.EMULATED}|{Network.OBSERVED}"


class GatewaySettings(RuntimeSettings):
    """The settings of the gateway."""

    gateway_host: str = Field(
        "127.0.0.1", pattern=IPV4, description="IPv4 address that the HTTP gateway listens on"
    )
    gateway_port: int = Field(
        8610, ge=0, le=65535, description="port of the HTTP gateway; 0: a free one is picked"
    )
    gateway_names: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._, -]*$",
        description="host names that the gateway is known by, separated by commas",
    )
    gateway_cors_origins: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.:/_, -]*$",
        description="origins of pages that may use the gateway, separated by commas",
    )

    gateway_mtls_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="port on which the gateway answers peers that prove a SPIFFE ID (mutual TLS)",
    )
    gateway_mtls_peers: str | None = Field(
        None,
        pattern=SPIFFE_IDS,
        description="SPIFFE IDs of these peers, separated by commas; one without a path is a whole"
        " trust domain, and not set is that of the session",
    )

    gateway_networks: str = Field(
        str(Network.EMULATED),
        pattern=rf"^({_NETWORKS})( *, *({_NETWORKS}))?$",
        description="what the gateway tells of, where `serve deploy` opens it: emulated, observed",
    )


@dataclass(frozen=True, slots=True)
class MtlsOptions:
    """How the gateway is opened to peers that prove a SPIFFE ID.

    Attributes:
        endpoint: socket of the Workload API, `unix:///path`.
        renewal_threshold: part of an SVID's life after which a new one is due, in (0, 1).
        host: IPv4 address that it listens on.
        port: its port.
        peers: SPIFFE IDs of clients; one without a path is a whole trust domain.
    """

    endpoint: str
    renewal_threshold: float
    host: str
    port: int
    peers: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """What settings ask for; None: they do not.

        Raises:
            ConfigurationError: there are no identities, or the address of the Workload API is none.
        """
        if settings.gateway_mtls_port is None:
            return None
        peers = settings.gateway_mtls_peers or f"spiffe://{settings.identity_trust_domain}"
        return cls(
            settings.needed_identity(variable("gateway_mtls_port")),
            settings.identity_renewal_threshold,
            settings.gateway_host,
            settings.gateway_mtls_port,
            tuple(_listed(peers)),
        )


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """What a gateway works with, beside its limits.

    Attributes:
        names: host names that the gateway is known by, beside those of loopback.
        cors_origins: origins of pages that may use it; none by default.
        networks: those of its session.
        mtls: how it answers over mutual TLS; None: it does not.
    """

    names: frozenset[str] = frozenset()
    cors_origins: tuple[str, ...] = ()
    networks: tuple[Network, ...] = (Network.EMULATED,)
    mtls: MtlsOptions | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The options that settings ask for; the host of the public URL is a name of its own."""
        names = set(_listed(settings.gateway_names))
        public = urlsplit(settings.public_url or "").hostname
        return cls(
            frozenset(names | {public} if public else names),
            tuple(_listed(settings.gateway_cors_origins)),
            tuple(map(Network, _listed(settings.gateway_networks))),
            MtlsOptions.of(settings),
        )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
