"""The handshake once more, straight from its description, sharing no code with the project.

Lattices, curve, hashes and HMAC are those of `cryptography`; X-Wing, HKDF (RFC 5869), the messages
and the order of what is covered are written out here.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey


def fields(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(part)) + part for part in parts)


def unfields(message: bytes) -> list[bytes]:
    parts = []
    while message:
        (length,) = struct.unpack(">H", message[:2])
        parts.append(message[2 : 2 + length])
        message = message[2 + length :]
    return parts


def digest(algorithm: hashes.HashAlgorithm, data: bytes) -> bytes:
    state = hashes.Hash(algorithm)
    state.update(data)
    return state.finalize()


def mac(key: bytes, data: bytes) -> bytes:
    state = hmac.HMAC(key, hashes.SHA256())
    state.update(data)
    return state.finalize()


def xwing_keys(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey, bytes]:
    expanded = digest(hashes.SHAKE256(96), seed)
    lattice = MLKEM768PrivateKey.from_seed_bytes(expanded[0:64])
    curve = X25519PrivateKey.from_private_bytes(expanded[64:96])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return lattice, curve, public


def xwing_secret(ss_m: bytes, ss_x: bytes, ct_x: bytes, pk_x: bytes) -> bytes:
    return digest(hashes.SHA3_256(), ss_m + ss_x + ct_x + pk_x + bytes.fromhex("5c2e2f2f5e5c"))


def schedule(secret: bytes, offer: bytes, answer: list[bytes]) -> dict[str, bytes]:
    """The keys, by name."""
    said = unfields(offer)
    info = fields(
        b"x0tta6bl4 handshake",
        answer[1],
        answer[2],
        said[4],
        said[5],
        digest(hashes.SHA256(), fields(offer, fields(*answer[:7]))),
    )
    prk = mac(bytes(32), secret)
    okm = block = b""
    for counter in range(1, 7):
        block = mac(prk, block + info + bytes([counter]))
        okm += block
    names = ("initiator", "responder", "answer", "finish", "done")
    keys = {name: okm[32 * at : 32 * at + 32] for at, name in enumerate(names)}
    return {**keys, "id": okm[160:176]}


class SecondInitiator:
    """The initiator's side."""

    def __init__(self, key: MLDSA65PrivateKey, peer: MLDSA65PublicKey) -> None:
        self.key, self.peer = key, peer

    def offer(self, mesh: str, me: str, peer: str, time_ms: int) -> bytes:
        self.lattice, self.curve, public = xwing_keys(b"\x01" * 32)
        names = (mesh.encode(), me.encode(), peer.encode())
        self.sent = fields(
            b"\x01",
            b"\x01",
            b"\x00\x01\x00\x02",
            *names,
            struct.pack(">Q", time_ms),
            b"\x02" * 32,
            public,
        )
        return self.sent

    def finish(self, message: bytes) -> bytes:
        answer = unfields(message)
        covered = fields(self.sent, fields(*answer[:7]))
        self.peer.verify(answer[7], covered, b"x0tta6bl4 handshake responder")
        ct_m, ct_x = answer[6][:1088], answer[6][1088:]
        secret = xwing_secret(
            self.lattice.decapsulate(ct_m),
            self.curve.exchange(X25519PublicKey.from_public_bytes(ct_x)),
            ct_x,
            self.curve.public_key().public_bytes_raw(),
        )
        self.keys = schedule(secret, self.sent, answer)
        confirmed = mac(self.keys["answer"], fields(self.sent, fields(*answer[:8])))
        assert confirmed == answer[8]
        signature = self.key.sign(fields(self.sent, message), b"x0tta6bl4 handshake initiator")
        covered = fields(self.sent, message, fields(b"\x03", signature))
        third = fields(b"\x03", signature, mac(self.keys["finish"], covered))
        self.transcript = fields(self.sent, message, third)
        return third

    def done(self, message: bytes) -> dict[str, bytes]:
        assert unfields(message) == [b"\x04", mac(self.keys["done"], self.transcript)]
        return self.keys


class SecondResponder:
    """The responder's side."""

    def __init__(self, key: MLDSA65PrivateKey, peer: MLDSA65PublicKey) -> None:
        self.key, self.peer = key, peer

    def answer(self, offer: bytes) -> bytes:
        said = unfields(offer)
        pk_m, pk_x = said[8][:1184], said[8][1184:]
        ss_m, ct_m = MLKEM768PublicKey.from_public_bytes(pk_m).encapsulate()
        ephemeral = X25519PrivateKey.from_private_bytes(b"\x03" * 32)
        ct_x = ephemeral.public_key().public_bytes_raw()
        ss_x = ephemeral.exchange(X25519PublicKey.from_public_bytes(pk_x))
        answer = [b"\x02", b"\x01", b"\x00\x02", said[1], said[2], b"\x04" * 32, ct_m + ct_x]
        covered = fields(offer, fields(*answer))
        answer.append(self.key.sign(covered, b"x0tta6bl4 handshake responder"))
        self.keys = schedule(xwing_secret(ss_m, ss_x, ct_x, pk_x), offer, answer)
        answer.append(mac(self.keys["answer"], fields(offer, fields(*answer))))
        self.transcript = fields(offer, fields(*answer))
        return fields(*answer)

    def done(self, message: bytes) -> tuple[bytes, dict[str, bytes]]:
        kind, signature, confirmed = unfields(message)
        self.peer.verify(signature, self.transcript, b"x0tta6bl4 handshake initiator")
        covered = self.transcript + fields(fields(kind, signature))
        assert confirmed == mac(self.keys["finish"], covered)
        return fields(b"\x04", mac(self.keys["done"], self.transcript + fields(message))), self.keys
