"""The settings of identities."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pydantic import Field

from actors.identity.endpoint import VARIABLE, socket_path
from actors.identity.places import DIRECTORY, socket_of
from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import RuntimeSettings, variable

if TYPE_CHECKING:
    from pathlib import Path

TRUST_DOMAIN: Final = r"^[a-z0-9._-]{1,255}$"
SPIFFE_IDS: Final = (
    r"^spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)*"
    r"( *, *spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)*){0,63}$"
)


def _of_environment() -> str | None:
    return os.environ.get(VARIABLE) or None


class IdentitySettings(RuntimeSettings):
    """Who proves this host's identity, and for how long."""

    identity: bool = Field(default=True, description="whether this host has an identity (SVID)")
    identity_socket: str | None = Field(
        default_factory=_of_environment,
        max_length=128,
        description=f"socket of a SPIFFE Workload API, unix:///PATH; {VARIABLE} is used if it is"
        " not set, and an authority of the session's own if neither is",
    )
    identity_trust_domain: str = Field(
        "x0tta6bl4",
        pattern=TRUST_DOMAIN,
        description="trust domain of the session's own authority: 1 to 255 of a-z 0-9 . _ -",
    )
    identity_svid_s: float = Field(
        3600.0, ge=10, le=604_800, description="seconds that its X.509-SVIDs live"
    )
    identity_jwt_s: float = Field(
        300.0, ge=10, le=86_400, description="seconds that its JWT-SVIDs live"
    )
    identity_renewal_threshold: float = Field(
        0.5, ge=0.1, le=0.9, description="part of an SVID's life after which a new one is due"
    )

    @property
    def identity_directory(self) -> Path:
        """Where the session's own authority has its files."""
        return self.state_dir / DIRECTORY

    def identity_endpoint(self) -> str:
        """Socket of the Workload API, `unix:///PATH`.

        Raises:
            ConfigurationError: the one that is set is no Unix socket, or there is no place for that
                of the session's own authority.
        """
        if self.identity_socket is not None:
            given = VARIABLE if self.identity_socket == _of_environment() else ""
            socket_path(self.identity_socket, given or variable("identity_socket"))
            return self.identity_socket
        try:
            return f"unix://{socket_of(self.identity_directory)}"
        except OSError as error:
            raise ConfigurationError(
                "there is no place for the socket of identities",
                str(error),
                "Set X0TTA6BL4_STATE_DIR to a directory with a shorter path.",
                variable="X0TTA6BL4_STATE_DIR",
            ) from error

    def needed_identity(self, by: str) -> str:
        """Socket of the Workload API, for something that cannot be without an identity.

        Args:
            by: the setting that asks for it.

        Raises:
            ConfigurationError: identities are switched off, or see `identity_endpoint`.
        """
        if not self.identity:
            raise ConfigurationError(
                f"{by} cannot be used",
                "it needs an identity, and identities are switched off",
                f"Set {variable('identity')}=1, or leave {by} out.",
                variable=by,
            )
        return self.identity_endpoint()
