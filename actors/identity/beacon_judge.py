"""Judges beacons: which are taken, and why each other one is not.

Cheap checks come before a signature is verified: form, version, mesh, name, enrolment, time,
(epoch, sequence), rate. A beacon says what time its sender has; nothing here or elsewhere sets a
clock by it.

Invariants: only a beacon whose signature holds moves a window, replaces a certificate or counts as
heard. A beacon is taken once. A judge that has just begun, and so remembers nothing, takes no
beacon from before its beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from actors.identity import keys
from actors.identity.beacon import (
    CERTIFICATE_CONTEXT,
    SUITE_MLDSA65_ED25519,
    VERSION,
    Beacon,
    EpochCertificate,
    key_id_of,
)
from actors.identity.boot_epoch import is_void
from actors.identity.encoding import Malformed
from actors.identity.enrolment import fingerprint
from actors.identity.replay_window import Freshness, ReplayWindow

if TYPE_CHECKING:
    from collections.abc import Callable

VERIFICATIONS_PER_S: Final = 20.0  # of one node's beacons; Hellos of a node are at most 10 a second
BURST: Final = 40.0


class BeaconReason(StrEnum):
    """Why a beacon is not taken."""

    MALFORMED = "malformed"
    VERSION_UNSUPPORTED = "version_unsupported"
    SUITE_UNSUPPORTED = "suite_unsupported"  # such as one that a quantum computer breaks
    WRONG_MESH = "wrong_mesh"
    WRONG_NODE = "wrong_node"  # it comes with the Hello of another node
    UNKNOWN_NODE = "unknown_node"  # no key is enrolled for it
    CLOCK_SKEW = "clock_skew"
    BEFORE_BEGINNING = "before_beginning"
    EPOCH_AHEAD = "epoch_ahead"
    OLD_EPOCH = "old_epoch"
    TOO_OLD = "too_old"
    REPLAYED = "replayed"
    RATE_LIMITED = "rate_limited"
    CERTIFICATE_MISSING = "certificate_missing"  # it will be enclosed again
    CERTIFICATE_MISMATCH = "certificate_mismatch"  # it is of something else than the beacon
    CERTIFICATE_EXPIRED = "certificate_expired"
    WRONG_KEY = "wrong_key"  # not the one that is enrolled
    BAD_CERTIFICATE = "bad_certificate"
    BAD_SIGNATURE = "bad_signature"
    ABSENT = "absent"  # a Hello came without one, as from a shard that is making its keys

    @property
    def is_fallback_attempt(self) -> bool:
        """Whether somebody wanted less protection than is required."""
        return self in _FALLBACK


_FALLBACK: Final = frozenset({BeaconReason.VERSION_UNSUPPORTED, BeaconReason.SUITE_UNSUPPORTED})
_BY_FRESHNESS: Final = {
    Freshness.REPLAYED: BeaconReason.REPLAYED,
    Freshness.TOO_OLD: BeaconReason.TOO_OLD,
    Freshness.OLD_EPOCH: BeaconReason.OLD_EPOCH,
}


class _Refused(Exception):  # noqa: N818 - named by its condition
    def __init__(self, reason: BeaconReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Heard:
    """What is known of one node by its beacons.

    Attributes:
        window: which of its beacons came.
        at: Unix time at which the last was taken, s.
        ends: Unix ms at which its present certificate ends; 0 if it has none.
    """

    window: ReplayWindow = field(default_factory=ReplayWindow)
    at: float = 0.0
    ends: int = 0
    _key_id: bytes = b""
    _key: Ed25519PublicKey | None = None
    _enrolled: bytes = b""  # what was enrolled when the certificate was verified
    _tokens: float = BURST
    _counted_at: float = 0.0

    def may_verify(self, now: float) -> bool:
        """Take a token of the node's rate limit (a token bucket)."""
        gained = max(now - self._counted_at, 0.0) * VERIFICATIONS_PER_S
        self._tokens, self._counted_at = min(self._tokens + gained, BURST), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def key_of(self, beacon: Beacon, enrolled: bytes) -> Ed25519PublicKey | None:
        """The key that a beacon names, if its certificate is held and of what is enrolled now."""
        held = beacon.key_id == self._key_id and enrolled == self._enrolled
        return self._key if held else None

    def hold(self, beacon: Beacon, key: Ed25519PublicKey, ends: int, enrolled: bytes) -> None:
        """Hold the certificate that a beacon came with."""
        self._key_id, self._key, self.ends, self._enrolled = beacon.key_id, key, ends, enrolled


class BeaconJudge:
    """Judges the beacons that one host hears.

    Args:
        mesh: name of the mesh.
        enrolled: SHA-256 of the ML-DSA-65 public key that is enrolled for a node; None: none is.
        skew_s: how far a sender's clock may differ from ours.
        now: Unix time, s; beacons from before are refused.
    """

    def __init__(
        self, mesh: str, enrolled: Callable[[str], bytes | None], skew_s: float, now: float
    ) -> None:
        self._mesh = mesh
        self._enrolled = enrolled
        self._skew_s = skew_s
        self._began = int(now * 1000)
        self.heard: dict[str, Heard] = {}

    def judge(self, node: str, data: bytes, now: float) -> BeaconReason | None:
        """Take the beacon that came with a Hello of `node`, or say why not.

        Args:
            node: who is said to have sent it.
            data: the beacon.
            now: Unix time, s.
        """
        try:
            self._take(node, Beacon.decode(data), now)
        except Malformed:
            return BeaconReason.MALFORMED
        except _Refused as refused:
            return refused.reason
        return None

    def forget(self, nodes: set[str]) -> None:
        """Forget all nodes but these, which are what the map has."""
        self.heard = {node: heard for node, heard in self.heard.items() if node in nodes}

    def _take(self, node: str, beacon: Beacon, now: float) -> None:
        self._check_what_it_is(node, beacon)
        enrolled = self._enrolled(node)
        if enrolled is None:
            raise _Refused(BeaconReason.UNKNOWN_NODE)
        self._check_time(beacon, now)
        heard = self.heard.setdefault(node, Heard())
        if is_void(heard.window.epoch, now, self._skew_s):
            heard.window = ReplayWindow()  # begun by a clock that was wrong
        freshness = heard.window.check(beacon.epoch, beacon.sequence)
        if freshness is not Freshness.NEW:
            raise _Refused(_BY_FRESHNESS[freshness])
        key, ends = heard.key_of(beacon, enrolled), heard.ends
        if key is None and not beacon.certificate:
            raise _Refused(BeaconReason.CERTIFICATE_MISSING)
        if not heard.may_verify(now):
            raise _Refused(BeaconReason.RATE_LIMITED)
        if key is None:
            key, ends = self._certified(beacon, enrolled)
        if beacon.time > ends:
            raise _Refused(BeaconReason.CERTIFICATE_EXPIRED)
        try:
            key.verify(beacon.signature, beacon.signed)
        except InvalidSignature:
            raise _Refused(BeaconReason.BAD_SIGNATURE) from None
        heard.hold(beacon, key, ends, enrolled)
        heard.window.admit(beacon.epoch, beacon.sequence)
        heard.at = now

    def _check_what_it_is(self, node: str, beacon: Beacon) -> None:
        if beacon.version != VERSION:
            raise _Refused(BeaconReason.VERSION_UNSUPPORTED)
        if beacon.suite != SUITE_MLDSA65_ED25519:
            raise _Refused(BeaconReason.SUITE_UNSUPPORTED)
        if beacon.mesh != self._mesh:
            raise _Refused(BeaconReason.WRONG_MESH)
        if beacon.node != node:
            raise _Refused(BeaconReason.WRONG_NODE)

    def _check_time(self, beacon: Beacon, now: float) -> None:
        if abs(beacon.time / 1000 - now) > self._skew_s:
            raise _Refused(BeaconReason.CLOCK_SKEW)
        if beacon.time < self._began:
            raise _Refused(BeaconReason.BEFORE_BEGINNING)
        if is_void(beacon.epoch, now, self._skew_s):
            raise _Refused(BeaconReason.EPOCH_AHEAD)

    def _certified(self, beacon: Beacon, enrolled: bytes) -> tuple[Ed25519PublicKey, int]:
        """The key of the enclosed certificate, once that is verified, and its end."""
        try:
            certificate = EpochCertificate.decode(beacon.certificate)
        except Malformed:
            raise _Refused(BeaconReason.BAD_CERTIFICATE) from None
        said = certificate.version, certificate.suite, certificate.mesh, certificate.node
        matches = (*said, certificate.epoch, key_id_of(beacon.certificate)) == (
            *(beacon.version, beacon.suite, beacon.mesh, beacon.node),
            *(beacon.epoch, beacon.key_id),
        )
        if not matches:
            raise _Refused(BeaconReason.CERTIFICATE_MISMATCH)
        if not certificate.begins - int(self._skew_s * 1000) <= beacon.time <= certificate.ends:
            raise _Refused(BeaconReason.CERTIFICATE_EXPIRED)
        if fingerprint(certificate.lasting_key) != enrolled:
            raise _Refused(BeaconReason.WRONG_KEY)
        valid = keys.mldsa65_verify(
            certificate.lasting_key, certificate.signed, certificate.signature, CERTIFICATE_CONTEXT
        )
        if not valid:
            raise _Refused(BeaconReason.BAD_CERTIFICATE)
        return Ed25519PublicKey.from_public_bytes(certificate.ephemeral_key), certificate.ends
