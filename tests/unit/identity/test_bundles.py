"""Bundles are read as a whole, by the rules for X.509 authorities and for JWK Sets."""

from __future__ import annotations

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import example, given
from hypothesis import strategies as st

from actors.identity.bundles import (
    LARGEST_JWKS,
    MOST_AUTHORITIES,
    read_jwks,
    read_pem_bundle,
    read_x509_bundle,
)
from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from tests.unit.identity.certificates import new_key, root

ROOT = root()
KEY = new_key()
JWK = jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
SMALL = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 - it is to be refused


def jwks(*keys: object) -> bytes:
    return json.dumps({"keys": keys}).encode()


def fault_of(document: bytes) -> IdentityFault:
    with pytest.raises(IdentityRefused) as caught:
        read_jwks(document)
    return caught.value.fault


def test_keys_are_found_by_their_ids() -> None:
    """Each key is kept under its ID; the first of two with one ID counts."""
    other = jwt.algorithms.ECAlgorithm.to_jwk(new_key().public_key(), as_dict=True)
    read = read_jwks(jwks(JWK | {"kid": "a"}, other | {"kid": "b"}, other | {"kid": "a"}))
    assert list(read.keys) == ["a", "b"]
    assert read.keys["a"] == KEY.public_key()


def test_keys_for_another_use_are_passed_over() -> None:
    """A SPIFFE bundle document also holds X.509 authorities, and maybe keys of a later kind."""
    read = read_jwks(
        jwks(
            JWK | {"use": "x509-svid"},
            {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
            JWK | {"use": "jwt-svid", "kid": "a"},
        )
    )
    assert list(read.keys) == ["a"]
    assert not read_jwks(jwks()).keys


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (b"", IdentityFault.MALFORMED_BUNDLE),
        (b"\xff", IdentityFault.MALFORMED_BUNDLE),
        (b"[]", IdentityFault.MALFORMED_BUNDLE),
        (b"{}", IdentityFault.MALFORMED_BUNDLE),
        (b'{"keys": {}}', IdentityFault.MALFORMED_BUNDLE),
        (b'{"keys": [1]}', IdentityFault.MALFORMED_BUNDLE),
        (b"[" * 100_000, IdentityFault.MALFORMED_BUNDLE),
        (jwks(JWK), IdentityFault.MISSING_KEY_ID),
        (jwks(JWK | {"kid": ""}), IdentityFault.MISSING_KEY_ID),
        (jwks(JWK | {"kid": 7}), IdentityFault.MISSING_KEY_ID),
        (jwks(JWK | {"kid": "a", "x": "AAAA"}), IdentityFault.MALFORMED_BUNDLE),
        (jwks(JWK | {"kid": "a", "crv": "P-999"}), IdentityFault.MALFORMED_BUNDLE),
        (
            jwks(jwt.algorithms.ECAlgorithm.to_jwk(KEY, as_dict=True) | {"kid": "a"}),
            IdentityFault.MALFORMED_BUNDLE,  # a private key
        ),
        (
            jwks(jwt.algorithms.RSAAlgorithm.to_jwk(SMALL, as_dict=True) | {"kid": "a"}),
            IdentityFault.UNSUPPORTED_KEY,
        ),
        (
            jwks(
                jwt.algorithms.ECAlgorithm.to_jwk(
                    ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True
                )
                | {"kid": "a"}
            ),
            IdentityFault.UNSUPPORTED_KEY,
        ),
        (jwks(*[JWK] * (MOST_AUTHORITIES + 1)), IdentityFault.TOO_LARGE),
        (b" " * (LARGEST_JWKS + 1), IdentityFault.TOO_LARGE),
    ],
)
def test_a_key_set_that_breaks_a_rule_is_refused_for_it(
    document: bytes, fault: IdentityFault
) -> None:
    """Nothing is taken from a set of which a part cannot be."""
    assert fault_of(document) is fault


NAMES = st.sampled_from(["keys", "kid", "kty", "crv", "x", "y", "n", "e", "use"])
SCALARS = st.none() | st.integers() | st.sampled_from(["EC", "RSA", "P-256", "AQAB", "jwt-svid"])


@given(st.recursive(SCALARS, lambda of: st.lists(of) | st.dictionaries(NAMES, of), max_leaves=12))
@example({"kty": ["EC"], "kid": "a"})
@example({"kty": "EC", "kid": {}, "use": []})
def test_no_json_makes_the_reader_fail_otherwise_than_by_refusing(value: object) -> None:
    """Whatever JSON it is, it is a set of keys or refused."""
    for document in (json.dumps(value), json.dumps({"keys": [value]})):
        try:
            read = read_jwks(document.encode())
        except IdentityRefused:
            continue
        assert isinstance(read.keys, dict)


def test_authorities_are_bounded_and_at_least_one() -> None:
    """An empty bundle is told from an unreadable one, and a huge one is refused."""
    assert read_x509_bundle(ROOT.der * 2) == (ROOT.certificate,) * 2
    for read, content, fault in (
        (read_x509_bundle, b"", IdentityFault.EMPTY_BUNDLE),
        (read_pem_bundle, b" \n", IdentityFault.EMPTY_BUNDLE),
        (read_x509_bundle, b"\x30", IdentityFault.MALFORMED_CERTIFICATE),
        (read_x509_bundle, ROOT.der * (MOST_AUTHORITIES + 1), IdentityFault.TOO_LARGE),
    ):
        with pytest.raises(IdentityRefused) as caught:
            read(content)
        assert caught.value.fault is fault
