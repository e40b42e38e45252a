# ruff: noqa: N818 - an error is named by its condition
"""The errors of identities.

X0Error
├── ConfigurationError
│   └── AuthorityUnusable        500  the file of the embedded authority cannot be used
├── Conflict
│   ├── AuthorityBusy            409  too many former keys of the authority are still trusted
│   └── NoAuthority              409  identities come from another program here
├── HandshakeFailed              500  a post-quantum handshake ended without a session
├── EnrolmentUnreadable          500  a file of keys is not what it should be
├── InvalidInput
│   ├── IdentityRefused          422  a certificate, bundle, token or message breaks a rule
│   ├── WrongLength              422  a key, ciphertext or signature has another length
│   └── InvalidEncapsulationKey  422  an encapsulation key is no key of its kind
└── Unavailable
    └── NoIdentity               503  there is no identity that may be used now

No error holds a byte of what it is about: messages of the Workload API carry private keys.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    Unavailable,
    X0Error,
)

if TYPE_CHECKING:
    from pathlib import Path

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


class AuthorityUnusable(ConfigurationError):
    """The file `path` of the embedded authority cannot be used. It is left as it is."""

    path: str

    def __init__(self, path: str, why: str, remedy: str = "") -> None:
        super().__init__(
            f"the authority in {path} cannot be used",
            why,
            remedy
            or "Restore the file, or move it away: a new authority is made then, which other trust"
            " domains do not know yet.",
            variable="X0TTA6BL4_STATE_DIR",
        )
        self.path = path


class AuthorityBusy(Conflict):
    """There are `kept` generations of keys in the bundle, as many as there may be."""

    kept: int

    def __init__(self, kept: int, wait_s: float) -> None:
        super().__init__(
            "the authority makes no new keys now",
            f"{kept} generations of its keys are still trusted",
            f"In {max(wait_s, 1.0):.0f} s the oldest one ends; try again then.",
            kept=kept,
        )


class NoAuthority(Conflict):
    """The identities of this host come from the Workload API at `endpoint`."""

    endpoint: str

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            "this session has no authority of its own",
            f"the identities of this host come from {endpoint}",
            "Rotate its keys where it is run; SPIRE's server does it by itself.",
            endpoint=endpoint,
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


class HandshakeReason(StrEnum):
    """Why a handshake failed; every way to fail has its own code."""

    MALFORMED = "malformed"  # bytes that are no message of this protocol
    TOO_LONG = "too_long"
    UNEXPECTED_MESSAGE = "unexpected_message"  # a message of another step
    ENDED = "ended"  # the handshake is over, well or not
    WRONG_MESH = "wrong_mesh"
    WRONG_RECEIVER = "wrong_receiver"  # meant for somebody else
    REFLECTED = "reflected"  # our own message came back
    UNKNOWN_PEER = "unknown_peer"  # no key is enrolled for that name
    CLOCK_SKEW = "clock_skew"
    REPLAYED = "replayed"
    VERSION_UNSUPPORTED = "version_unsupported"  # no version in common, as of an older protocol
    VERSION_DOWNGRADE = "version_downgrade"  # the peer was offered fewer versions than we offered
    SUITE_UNSUPPORTED = "suite_unsupported"  # no suite in common
    SUITE_DOWNGRADE = "suite_downgrade"  # the peer was offered fewer suites than we offered
    CLASSICAL_ONLY = "classical_only"  # no suite that holds against a quantum computer
    BAD_KEY = "bad_key"  # no encapsulation key
    BAD_SIGNATURE = "bad_signature"
    BAD_CONFIRMATION = "bad_confirmation"  # the two sides have not the same secret
    SIGNING_FAILED = "signing_failed"  # our own key could not be used
    UNREACHABLE = "unreachable"  # the peer did not answer
    DECLINED = "declined"  # the peer takes part in no handshake, as one that seals nothing
    KEY_NOT_ENROLLED = "key_not_enrolled"  # another key is enrolled for this side
    UNSEALED = "unsealed"  # an envelope came as it is
    BAD_SEAL = "bad_seal"  # a record of a session was altered
    SESSION_LOST = "session_lost"  # the peer forgets each session at once

    @property
    def is_fallback_attempt(self) -> bool:
        """Whether somebody wanted less protection than is required."""
        return self in _FALLBACK


_FALLBACK: Final = frozenset(
    {
        HandshakeReason.VERSION_UNSUPPORTED,
        HandshakeReason.VERSION_DOWNGRADE,
        HandshakeReason.SUITE_UNSUPPORTED,
        HandshakeReason.SUITE_DOWNGRADE,
        HandshakeReason.CLASSICAL_ONLY,
        HandshakeReason.UNSEALED,
        HandshakeReason.DECLINED,
    }
)


class HandshakeFailed(X0Error):
    """A post-quantum handshake ended without a session; nothing less is tried.

    Attributes:
        reason: code of the reason.
        peer: name of the other side; "" while it is not known.
    """

    reason: HandshakeReason
    peer: str

    def __init__(self, reason: HandshakeReason, peer: str = "") -> None:
        super().__init__(
            f"post-quantum handshake{f' with {peer}' if peer else ''} failed",
            reason.replace("_", " "),
            "It is tried again by itself; if it goes on, check the keys and clocks of both sides.",
            reason=reason,
            peer=peer,
        )


class EnrolmentUnreadable(X0Error):
    """A file of seeds or of enrolled keys is not what it should be; it is left as it is."""

    path: str

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} cannot be used",
            why,
            "Restore it from a copy, or move it away: then new keys are made and enrolled.",
            path=str(path),
        )
