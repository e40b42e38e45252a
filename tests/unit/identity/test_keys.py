"""Post-quantum keys: public vectors, an independent implementation, and what wrong bytes do."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256, SHAKE256, Hash
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity import keys
from actors.identity.errors import InvalidEncapsulationKey, WrongLength

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = bytes(range(32))
VECTOR = json.loads((Path(__file__).parent / "data/xwing.json").read_text())
HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def test_xwing_gives_the_secret_of_the_drafts_vector() -> None:
    """The key pair and secret of the draft's appendix come out of its seed and ciphertext."""
    seed = bytes.fromhex(VECTOR["seed"])

    key = keys.xwing_keygen(seed).hex()
    secret = keys.xwing_decapsulate(seed, bytes.fromhex(VECTOR["ciphertext"])).hex()

    assert key.startswith(VECTOR["encapsulation_key_begins"])
    assert key.endswith(VECTOR["encapsulation_key_ends"])
    assert secret == VECTOR["shared_secret"]


def test_xwing_opens_what_an_independent_implementation_seals() -> None:
    """A message sealed by the HPKE of `cryptography` to our key opens under our secret."""
    public = keys.xwing_keygen(SEED)
    sealed = HPKE.encrypt(b"hello", _hpke_public(public), b"info")

    secret = keys.xwing_decapsulate(SEED, sealed[: keys.XWING_CIPHERTEXT_BYTES])

    key, nonce = _hpke_schedule(secret, b"info")
    opened = ChaCha20Poly1305(key).decrypt(nonce, sealed[keys.XWING_CIPHERTEXT_BYTES :], b"")
    assert opened == b"hello"


def test_an_independent_implementation_opens_what_xwing_seals() -> None:
    """A message sealed under the secret of our encapsulation is opened by that HPKE."""
    ciphertext, secret = keys.xwing_encapsulate(keys.xwing_keygen(SEED))
    key, nonce = _hpke_schedule(secret, b"info")

    sealed = ciphertext + ChaCha20Poly1305(key).encrypt(nonce, b"hello", b"")

    assert HPKE.decrypt(sealed, _hpke_private(SEED), b"info") == b"hello"


@settings(max_examples=25, deadline=None)
@given(seed=st.binary(min_size=64, max_size=64))
def test_both_ends_of_an_encapsulation_agree(seed: bytes) -> None:
    """ML-KEM-768 and X-Wing give both ends one secret, and another each time."""
    ciphertext, secret = keys.mlkem768_encapsulate(keys.mlkem768_keygen(seed))
    assert keys.mlkem768_decapsulate(seed, ciphertext) == secret

    public = keys.xwing_keygen(seed[:32])
    pairs = [keys.xwing_encapsulate(public) for _ in range(2)]
    assert [keys.xwing_decapsulate(seed[:32], c) for c, _ in pairs] == [s for _, s in pairs]
    assert pairs[0][1] != pairs[1][1]


def test_an_altered_ciphertext_gives_another_secret_and_no_error() -> None:
    """Implicit rejection: the difference shows at key confirmation only."""
    ciphertext, secret = keys.xwing_encapsulate(keys.xwing_keygen(SEED))
    for at in (0, keys.MLKEM768_CIPHERTEXT_BYTES - 1, keys.MLKEM768_CIPHERTEXT_BYTES):
        altered = bytearray(ciphertext)
        altered[at] ^= 1
        other = keys.xwing_decapsulate(SEED, bytes(altered))
        assert len(other) == keys.SHARED_SECRET_BYTES
        assert other != secret


def test_a_point_of_small_order_leaves_the_secret_to_the_lattice() -> None:
    """X25519 of the zero point is zeros by RFC 7748; the secret is still fresh by ML-KEM-768."""
    public = keys.xwing_keygen(SEED)[: keys.MLKEM768_ENCAPSULATION_KEY_BYTES] + bytes(32)
    secrets = {keys.xwing_encapsulate(public)[1] for _ in range(2)}
    assert len(secrets) == 2

    ciphertext, _ = keys.xwing_encapsulate(keys.xwing_keygen(SEED))
    low = ciphertext[: keys.MLKEM768_CIPHERTEXT_BYTES] + bytes(32)
    assert len(keys.xwing_decapsulate(SEED, low)) == keys.SHARED_SECRET_BYTES


@settings(max_examples=25, deadline=None)
@given(message=st.binary(max_size=200), context=st.binary(max_size=255))
def test_a_signature_holds_for_its_message_and_context_alone(
    message: bytes, context: bytes
) -> None:
    """Another message, context, key or signature of the right length is false, no error."""
    public = keys.mldsa65_keygen(SEED)
    signature = keys.mldsa65_sign(SEED, message, context)

    assert keys.mldsa65_verify(public, message, signature, context)
    assert not keys.mldsa65_verify(public, message + b"x", signature, context)
    assert not keys.mldsa65_verify(public, message, signature, context[:-1] or b"another")
    assert not keys.mldsa65_verify(keys.mldsa65_keygen(bytes(32)), message, signature, context)
    assert not keys.mldsa65_verify(public, message, bytes(len(signature)), context)
    assert not keys.mldsa65_verify(b"\xff" * len(public), message, signature, context)


CALLS: dict[str, tuple[Callable[[bytes], object], int]] = {
    "mldsa65_keygen": (keys.mldsa65_keygen, 32),
    "mldsa65_sign": (lambda seed: keys.mldsa65_sign(seed, b""), 32),
    "mldsa65_verify-key": (lambda key: keys.mldsa65_verify(key, b"", bytes(3309)), 1952),
    "mldsa65_verify-sig": (lambda sig: keys.mldsa65_verify(bytes(1952), b"", sig), 3309),
    "mlkem768_keygen": (keys.mlkem768_keygen, 64),
    "mlkem768_encapsulate": (keys.mlkem768_encapsulate, 1184),
    "mlkem768_decapsulate-seed": (lambda s: keys.mlkem768_decapsulate(s, bytes(1088)), 64),
    "mlkem768_decapsulate-ct": (lambda c: keys.mlkem768_decapsulate(bytes(64), c), 1088),
    "xwing_keygen": (keys.xwing_keygen, 32),
    "xwing_encapsulate": (keys.xwing_encapsulate, 1216),
    "xwing_decapsulate-seed": (lambda s: keys.xwing_decapsulate(s, bytes(1120)), 32),
    "xwing_decapsulate-ct": (lambda c: keys.xwing_decapsulate(bytes(32), c), 1120),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_length_is_named_without_the_bytes(call: str) -> None:
    """The error tells what was wanted and what came, survives pickling, and shows no content."""
    function, wanted = CALLS[call]
    for length in (0, wanted - 1, wanted + 1):
        with pytest.raises(WrongLength) as caught:
            function(b"\xa7" * length)
        error = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - of our own making
        assert (error.wanted, error.came) == (str(wanted), length)
        assert "a7a7" not in repr(error) + str(error)
        assert "\\xa7" not in repr(error) + str(error)


def test_a_context_above_255_bytes_is_refused() -> None:
    """FIPS 204 encodes its length in one byte."""
    for call in (
        lambda: keys.mldsa65_sign(SEED, b"", bytes(256)),
        lambda: keys.mldsa65_verify(bytes(1952), b"", bytes(3309), bytes(256)),
    ):
        with pytest.raises(WrongLength, match="256 bytes where the standard has at most 255"):
            call()


def test_an_encapsulation_key_that_is_none_is_refused() -> None:
    """Coefficients above the modulus fail FIPS 203's check."""
    with pytest.raises(InvalidEncapsulationKey):
        keys.mlkem768_encapsulate(b"\xff" * 1184)
    with pytest.raises(InvalidEncapsulationKey):
        keys.xwing_encapsulate(b"\xff" * 1216)


def _hpke_public(key: bytes) -> MLKEM768X25519PublicKey:
    lattice, curve = key[:1184], key[1184:]
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(lattice), X25519PublicKey.from_public_bytes(curve)
    )


def _hpke_private(seed: bytes) -> MLKEM768X25519PrivateKey:
    shake = Hash(SHAKE256(96))
    shake.update(seed)
    expanded = shake.finalize()
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        X25519PrivateKey.from_private_bytes(expanded[64:]),
    )


def _hpke_schedule(secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and base nonce by RFC 9180 section 5.1, mode base, no PSK."""
    suite = b"HPKE" + bytes.fromhex("647a00010003")  # X-Wing, HKDF-SHA256, ChaCha20Poly1305

    def hmac(key: bytes, data: bytes) -> bytes:
        mac = HMAC(key, SHA256())
        mac.update(data)
        return mac.finalize()

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac(salt or bytes(32), b"HPKE-v1" + suite + label + ikm)

    def expand(prk: bytes, label: bytes, context: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2) + b"HPKE-v1" + suite + label + context
        return hmac(prk, labelled + b"\x01")[:length]

    context = b"\x00" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    prk = extract(secret, b"secret", b"")
    return expand(prk, b"key", context, 32), expand(prk, b"base_nonce", context, 12)
