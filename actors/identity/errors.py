"""The errors of identities.

X0Error
├── InvalidInput
│   ├── IdentityRefused          422  a certificate, bundle, token or message breaks a rule
│   ├── WrongLength              422  a key, ciphertext or signature has another length
│   └── InvalidEncapsulationKey  422  an encapsulation key is no key of its kind
└── Unavailable
    └── NoIdentity               503  there is no identity that may be used now

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


class WrongLength(InvalidInput):
    """Bytes given for a key, seed, ciphertext or signature are not of the standard's length.

    Attributes:
        part: what was given, such as "ML-DSA-65 public key".
        wanted: the length or lengths that the standard allows, in bytes.
        came: the length that was given, in bytes.
    """

    part: str
    wanted: str
    came: int

    def __init__(self, part: str, *, wanted: str, came: int) -> None:
        super().__init__(
            f"{part} of the wrong length",
            f"it has {came} bytes where the standard has {wanted}",
            "Give the bytes of the standard's encoding, whole and without a wrapping.",
            entry=part,
        )
        self.part = part
        self.wanted = wanted
        self.came = came


class InvalidEncapsulationKey(InvalidInput):
    """An encapsulation key of the right length has coefficients that no key has.

    Attributes:
        algorithm: the algorithm it was given for.
    """

    algorithm: str

    def __init__(self, algorithm: str) -> None:
        super().__init__(
            f"{algorithm} encapsulation key is refused",
            "it fails the modulus check of FIPS 203 section 7.2",
            "Ask its owner for the key again.",
            entry="encapsulation key",
        )
        self.algorithm = algorithm
