"""Post-quantum keys as functions of plain bytes: ML-DSA-65, ML-KEM-768 and X-Wing.

ML-DSA-65 signs (FIPS 204), ML-KEM-768 agrees on a secret (FIPS 203), X-Wing agrees on one that
holds as long as either ML-KEM-768 or X25519 does (draft-connolly-cfrg-xwing-kem). A private key is
its seed. The lattice arithmetic and the curve are those of `cryptography`; what is written here is
X-Wing's expansion of a seed and its combiner.

Invariants: an argument of another length than the standard's raises `WrongLength`, which tells the
lengths and never a byte of the argument. Given the right lengths, `mldsa65_verify` answers and the
decapsulations return: a ciphertext that was altered yields another secret and no error (implicit
rejection, FIPS 203 section 6.3), so that it shows at key confirmation only.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from actors.identity.errors import InvalidEncapsulationKey, WrongLength

MLDSA65_SEED_BYTES: Final = 32
MLDSA65_PUBLIC_KEY_BYTES: Final = 1952
MLDSA65_SIGNATURE_BYTES: Final = 3309
MLDSA65_CONTEXT_MAX_BYTES: Final = 255
MLKEM768_SEED_BYTES: Final = 64
MLKEM768_ENCAPSULATION_KEY_BYTES: Final = 1184
MLKEM768_CIPHERTEXT_BYTES: Final = 1088
XWING_SEED_BYTES: Final = 32
XWING_ENCAPSULATION_KEY_BYTES: Final = 1216
XWING_CIPHERTEXT_BYTES: Final = 1120
SHARED_SECRET_BYTES: Final = 32
_X25519_BYTES: Final = 32
_XWING_LABEL: Final = b"\\.//^\\"  # the draft draws the fighter: 6 bytes


def mldsa65_keygen(seed: bytes) -> bytes:
    """Public key, 1952 bytes, of the 32 bytes `seed` (FIPS 204, algorithm 6).

    Raises:
        WrongLength: of the seed.
    """
    return _mldsa65_private_key(seed).public_key().public_bytes_raw()


def mldsa65_sign(seed: bytes, message: bytes, context: bytes = b"") -> bytes:
    """Signature, 3309 bytes, hedged with fresh randomness (FIPS 204, algorithm 2).

    It takes a millisecond and at times ten: not for the thread of an event loop.

    Args:
        seed: private key, 32 bytes.
        message: what is signed, of any length.
        context: keeps uses of one key apart, at most 255 bytes.

    Raises:
        WrongLength: of the seed or the context.
    """
    _check_context(context)
    return _mldsa65_private_key(seed).sign(message, context)


def mldsa65_verify(
    public_key: bytes, message: bytes, signature: bytes, context: bytes = b""
) -> bool:
    """Whether `signature` is one of `message` by the holder of `public_key` (algorithm 3).

    Args:
        public_key: 1952 bytes.
        message: of any length.
        signature: 3309 bytes.
        context: that of the signer, at most 255 bytes.

    Raises:
        WrongLength: of the public key, the signature or the context.
    """
    _check(public_key, MLDSA65_PUBLIC_KEY_BYTES, "ML-DSA-65 public key")
    _check(signature, MLDSA65_SIGNATURE_BYTES, "ML-DSA-65 signature")
    _check_context(context)
    try:
        MLDSA65PublicKey.from_public_bytes(public_key).verify(signature, message, context)
    except InvalidSignature:
        return False
    return True


def mlkem768_keygen(seed: bytes) -> bytes:
    """Encapsulation key, 1184 bytes, of the 64 bytes `seed`, d before z (FIPS 203, algorithm 16).

    Raises:
        WrongLength: of the seed.
    """
    return _mlkem768_private_key(seed).public_key().public_bytes_raw()


def mlkem768_encapsulate(encapsulation_key: bytes) -> tuple[bytes, bytes]:
    """Make a fresh ciphertext, 1088 bytes, and its shared secret, 32 bytes (algorithm 20).

    Raises:
        WrongLength: of the key.
        InvalidEncapsulationKey: it fails the modulus check of FIPS 203 section 7.2.
    """
    _check(encapsulation_key, MLKEM768_ENCAPSULATION_KEY_BYTES, "ML-KEM-768 encapsulation key")
    try:
        key = MLKEM768PublicKey.from_public_bytes(encapsulation_key)
    except ValueError:
        raise InvalidEncapsulationKey("ML-KEM-768") from None
    shared_secret, ciphertext = key.encapsulate()
    return ciphertext, shared_secret


def mlkem768_decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    """Shared secret, 32 bytes, of `ciphertext`, 1088 bytes (FIPS 203, algorithm 21).

    Raises:
        WrongLength: of the seed or the ciphertext.
    """
    key = _mlkem768_private_key(seed)
    _check(ciphertext, MLKEM768_CIPHERTEXT_BYTES, "ML-KEM-768 ciphertext")
    return key.decapsulate(ciphertext)


def xwing_keygen(seed: bytes) -> bytes:
    """Encapsulation key, 1216 bytes, of the 32 bytes `seed` (the draft's section 5.2).

    Raises:
        WrongLength: of the seed.
    """
    lattice, curve = _xwing_private_keys(seed)
    return lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()


def xwing_encapsulate(encapsulation_key: bytes) -> tuple[bytes, bytes]:
    """Make a fresh ciphertext, 1120 bytes, and its shared secret, 32 bytes (section 5.4).

    Raises:
        WrongLength: of the key.
        InvalidEncapsulationKey: its part for ML-KEM-768 fails the modulus check.
    """
    _check(encapsulation_key, XWING_ENCAPSULATION_KEY_BYTES, "X-Wing encapsulation key")
    lattice_key, curve_key = _split(encapsulation_key, MLKEM768_ENCAPSULATION_KEY_BYTES)
    lattice_ciphertext, lattice_secret = mlkem768_encapsulate(lattice_key)
    ephemeral = X25519PrivateKey.from_private_bytes(secrets.token_bytes(_X25519_BYTES))
    curve_ciphertext = ephemeral.public_key().public_bytes_raw()
    curve_secret = _x25519(ephemeral, curve_key)
    shared_secret = _combine(lattice_secret, curve_secret, curve_ciphertext, curve_key)
    return lattice_ciphertext + curve_ciphertext, shared_secret


def xwing_decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    """Shared secret, 32 bytes, of `ciphertext`, 1120 bytes (section 5.5).

    Raises:
        WrongLength: of the seed or the ciphertext.
    """
    lattice, curve = _xwing_private_keys(seed)
    _check(ciphertext, XWING_CIPHERTEXT_BYTES, "X-Wing ciphertext")
    lattice_ciphertext, curve_ciphertext = _split(ciphertext, MLKEM768_CIPHERTEXT_BYTES)
    return _combine(
        lattice.decapsulate(lattice_ciphertext),
        _x25519(curve, curve_ciphertext),
        curve_ciphertext,
        curve.public_key().public_bytes_raw(),
    )


def _combine(lattice: bytes, curve: bytes, curve_ciphertext: bytes, curve_key: bytes) -> bytes:
    # Section 5.3. ML-KEM's ciphertext may be left out: its decapsulation binds it already.
    parts = lattice + curve + curve_ciphertext + curve_key + _XWING_LABEL
    return hashlib.sha3_256(parts).digest()


def _x25519(key: X25519PrivateKey, peer: bytes) -> bytes:
    # RFC 7748 defines zeros for a point of small order, and the draft takes X25519 as it is defined
    # there; the library refuses it. ML-KEM-768 alone carries the secret then.
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        return bytes(_X25519_BYTES)


def _xwing_private_keys(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    _check(seed, XWING_SEED_BYTES, "X-Wing seed")
    expanded = hashlib.shake_256(seed).digest(MLKEM768_SEED_BYTES + _X25519_BYTES)
    lattice, curve = _split(expanded, MLKEM768_SEED_BYTES)
    return _mlkem768_private_key(lattice), X25519PrivateKey.from_private_bytes(curve)


def _mlkem768_private_key(seed: bytes) -> MLKEM768PrivateKey:
    _check(seed, MLKEM768_SEED_BYTES, "ML-KEM-768 seed")
    return MLKEM768PrivateKey.from_seed_bytes(seed)


def _mldsa65_private_key(seed: bytes) -> MLDSA65PrivateKey:
    _check(seed, MLDSA65_SEED_BYTES, "ML-DSA-65 seed")
    return MLDSA65PrivateKey.from_seed_bytes(seed)


def _check_context(context: bytes) -> None:
    if len(context) > MLDSA65_CONTEXT_MAX_BYTES:
        raise WrongLength(
            "ML-DSA-65 context", wanted=f"at most {MLDSA65_CONTEXT_MAX_BYTES}", came=len(context)
        )


def _check(value: bytes, wanted: int, part: str) -> None:
    if len(value) != wanted:
        raise WrongLength(part, wanted=str(wanted), came=len(value))


def _split(value: bytes, at: int) -> tuple[bytes, bytes]:
    return value[:at], value[at:]
