"""The errors of identities.

X0Error
├── InvalidInput
│   └── IdentityRefused  422  a certificate, key, bundle, token or message breaks a rule
└── Unavailable
    └── NoIdentity       503  there is no identity that may be used now

No error holds a byte of what it is about: messages of the Workload API carry private keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from actors.identity.contract import IdentityFault


class IdentityRefused(InvalidInput):
    """Something that is to prove an identity breaks the rule `fault`."""

    fault: IdentityFault

    def __init__(self, fault: IdentityFault, why: str, *, entry: str = "") -> None:
        super().__init__(
            f"an identity is refused ({fault})",
            why,
            "Whoever issued it must correct it; the last good one stays in use until it expires.",
            source="identity",
            entry=entry,
        )
        self.fault = fault


class NoIdentity(Unavailable):
    """There is no identity that may be used; `fault` is what stands in its way, if it is known."""

    fault: IdentityFault | None

    def __init__(
        self, why: str, fault: IdentityFault | None = None, *, retry_after_s: float = 5.0
    ) -> None:
        super().__init__(
            "this host has no identity that may be used now",
            why,
            "`x0 identity status` shows what it waits for.",
            retry_after_s=retry_after_s,
            fault=fault,
        )
