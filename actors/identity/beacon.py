"""Beacons: a node's word that it is there now, in so few bytes that it can be given each second.

ML-DSA-65 signs once for each epoch: a certificate that names an ephemeral Ed25519 key. That key
signs the epoch's beacons. A quantum computer that breaks the ephemeral key must do so before its
epoch ends, a certificate it can never forge.

    certificate = fields(version, suite, mesh, node, epoch, begins, ends, Ed25519 key, ML-DSA key),
                  fields(ML-DSA-65 signature of that, context "x0tta6bl4 beacon epoch")
    beacon      = fields(version, suite, mesh, node, key id, epoch, sequence, time, payload),
                  fields(Ed25519 signature of "x0tta6bl4 beacon" and that),
                  fields(certificate, or nothing)

Times are Unix ms; the key id is the first 8 bytes of the SHA-256 of the certificate. The encoding
is canonical (see `encoding`).

A sender introduces itself: it encloses its certificate in the first `INTRODUCTIONS` beacons of an
epoch, in as many when its caller has heard somebody new, and in every `INTRODUCE_EVERY`th.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, NoReturn, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.identity import keys
from actors.identity.encoding import Malformed, exactly, join_fields, number, split_fields, text

VERSION: Final = 1
SUITE_MLDSA65_ED25519: Final = 1
CERTIFICATE_CONTEXT: Final = b"x0tta6bl4 beacon epoch"
BEACON_LABEL: Final = b"x0tta6bl4 beacon"
PAYLOAD_MAX_BYTES: Final = 512
NAME_MAX_BYTES: Final = 255
BEACON_MAX_BYTES: Final = 8192
INTRODUCTIONS: Final = 3
INTRODUCE_EVERY: Final = 16
KEY_ID_BYTES: Final = 8
ED25519_KEY_BYTES: Final = 32
ED25519_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class EpochCertificate:
    """An ephemeral key, vouched for by a node's lasting one. `begins` and `ends` are Unix ms."""

    version: int
    suite: int
    mesh: str
    node: str
    epoch: int
    begins: int
    ends: int
    ephemeral_key: bytes
    lasting_key: bytes
    signature: bytes = b""

    @property
    def signed(self) -> bytes:
        """What the signature covers."""
        return join_fields(
            self.version.to_bytes(1),
            self.suite.to_bytes(2),
            self.mesh.encode(),
            self.node.encode(),
            self.epoch.to_bytes(8),
            self.begins.to_bytes(8),
            self.ends.to_bytes(8),
            self.ephemeral_key,
            self.lasting_key,
        )

    def encode(self) -> bytes:
        """The certificate as bytes."""
        return self.signed + join_fields(self.signature)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a certificate; its signature is not checked.

        Raises:
            Malformed: it is none.
        """
        version, suite, mesh, node, epoch, begins, ends, ephemeral, lasting, signature = (
            split_fields(data, 10)
        )
        return cls(
            number(version, 1),
            number(suite, 2),
            text(mesh, NAME_MAX_BYTES),
            text(node, NAME_MAX_BYTES),
            number(epoch, 8),
            number(begins, 8),
            number(ends, 8),
            exactly(ephemeral, ED25519_KEY_BYTES),
            exactly(lasting, keys.MLDSA65_PUBLIC_KEY_BYTES),
            exactly(signature, keys.MLDSA65_SIGNATURE_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Beacon:
    """One beacon; `time` is Unix ms, `certificate` is empty if it is not enclosed."""

    version: int
    suite: int
    mesh: str
    node: str
    key_id: bytes
    epoch: int
    sequence: int
    time: int
    payload: bytes
    signature: bytes = b""
    certificate: bytes = b""

    @property
    def signed(self) -> bytes:
        """What the signature covers."""
        return BEACON_LABEL + self._said

    @property
    def _said(self) -> bytes:
        return join_fields(
            self.version.to_bytes(1),
            self.suite.to_bytes(2),
            self.mesh.encode(),
            self.node.encode(),
            self.key_id,
            self.epoch.to_bytes(8),
            self.sequence.to_bytes(8),
            self.time.to_bytes(8),
            self.payload,
        )

    def encode(self) -> bytes:
        """The beacon as bytes."""
        return self._said + join_fields(self.signature, self.certificate)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a beacon; nothing is checked but its form.

        Raises:
            Malformed: it is none.
        """
        if len(data) > BEACON_MAX_BYTES:
            raise Malformed("a beacon is too long")
        version, suite, mesh, node, key_id, epoch, sequence, time, payload, signature, enclosed = (
            split_fields(data, 11)
        )
        if len(payload) > PAYLOAD_MAX_BYTES:
            raise Malformed("a payload is too long")
        return cls(
            number(version, 1),
            number(suite, 2),
            text(mesh, NAME_MAX_BYTES),
            text(node, NAME_MAX_BYTES),
            exactly(key_id, KEY_ID_BYTES),
            number(epoch, 8),
            number(sequence, 8),
            number(time, 8),
            payload,
            exactly(signature, ED25519_SIGNATURE_BYTES),
            enclosed,
        )


def key_id_of(certificate: bytes) -> bytes:
    """What a beacon names a certificate by."""
    return hashlib.sha256(certificate).digest()[:KEY_ID_BYTES]


@dataclass(slots=True)
class BeaconSigner:
    """What one node signs the beacons of one epoch with.

    Attributes:
        certificate: of the epoch.
        ephemeral: the private key that it names.
        sequence: of the next beacon.
        introductions: beacons that the certificate is still enclosed in.
    """

    certificate: EpochCertificate
    ephemeral: Ed25519PrivateKey = field(repr=False)
    sequence: int = 0
    introductions: int = INTRODUCTIONS
    _encoded: bytes = field(init=False, repr=False)
    _key_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._encoded = self.certificate.encode()
        self._key_id = key_id_of(self._encoded)

    @classmethod
    def begin(
        cls, seed: bytes, mesh: str, node: str, epoch: int, begins: int, ends: int
    ) -> BeaconSigner:
        """Begin an epoch with a fresh ephemeral key; signs with ML-DSA-65, so not on a loop.

        Args:
            seed: of the node's ML-DSA-65 key, 32 bytes.
            mesh: name of the mesh.
            node: id of the node.
            epoch: its number, which is on disk already.
            begins: Unix ms from which on the key is good.
            ends: Unix ms up to which it is.
        """
        ephemeral = Ed25519PrivateKey.generate()
        unsigned = EpochCertificate(
            VERSION,
            SUITE_MLDSA65_ED25519,
            mesh,
            node,
            epoch,
            begins,
            ends,
            ephemeral.public_key().public_bytes_raw(),
            keys.mldsa65_keygen(seed),
        )
        signature = keys.mldsa65_sign(seed, unsigned.signed, CERTIFICATE_CONTEXT)
        certificate = EpochCertificate.decode(unsigned.signed + join_fields(signature))
        return cls(certificate, ephemeral)

    def introduce(self) -> None:
        """Enclose the certificate in the next beacons: somebody new may lack it."""
        self.introductions = INTRODUCTIONS

    def beacon(self, now: float, payload: bytes = b"") -> bytes:
        """The next beacon, at Unix time `now`, s.

        Args:
            now: the time that it tells.
            payload: at most 512 bytes.
        """
        said = self.certificate
        sequence, self.sequence = self.sequence, self.sequence + 1
        enclose = self.introductions > 0 or sequence % INTRODUCE_EVERY == 0
        self.introductions = max(self.introductions - 1, 0)
        unsigned = Beacon(
            VERSION,
            SUITE_MLDSA65_ED25519,
            said.mesh,
            said.node,
            self._key_id,
            said.epoch,
            sequence,
            int(now * 1000),
            payload,
        )
        encoded = unsigned.encode()[:-4]  # without the two fields that are still empty
        signature = self.ephemeral.sign(BEACON_LABEL + encoded)
        return encoded + join_fields(signature, self._encoded if enclose else b"")

    def __reduce__(self) -> NoReturn:
        raise TypeError("the keys of an epoch stay in their process")
