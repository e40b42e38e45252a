"""Trust bundles: what vouches for the identities of a trust domain.

Sources: SPIFFE Trust Domain and Bundle, section 4; SPIFFE Workload API, sections 5 and 6; RFC 7517.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.x509_reading import read_der_chain, read_pem_chain
from actors.identity.x509_svid import LEAST_RSA_BITS, NIST_CURVES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography import x509

MOST_AUTHORITIES: Final = 256  # of one trust domain, of each sort
LARGEST_JWKS: Final = 2**20  # bytes
_USE: Final = "jwt-svid"
_KINDS: Final = ("EC", "RSA")  # a tuple: what stands in a stranger's key need not be hashable

JwtKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class JwtAuthorities:
    """The keys that sign JWT-SVIDs of a trust domain.

    Attributes:
        jwks: as they came, a JWK Set.
        keys: by key ID.
    """

    jwks: str
    keys: Mapping[str, JwtKey]


def read_x509_bundle(der: bytes) -> tuple[x509.Certificate, ...]:
    """Read authorities that follow each other, DER.

    Raises:
        IdentityRefused: there is none, there are too many, or one cannot be read.
    """
    if not der:
        raise _empty()
    return _bounded(read_der_chain(der))


def read_pem_bundle(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the authorities of a PEM file.

    Raises:
        IdentityRefused: there is none, there are too many, or one cannot be read.
    """
    if not pem.strip():
        raise _empty()
    return _bounded(read_pem_chain(pem))


def read_jwks(document: bytes) -> JwtAuthorities:
    """Read a JWK Set. Keys for another use, or of a kind that no JWT-SVID has, are passed over.

    Raises:
        IdentityRefused: it is none (`MALFORMED_BUNDLE`), has too many keys (`TOO_LARGE`), or a key
            has no ID (`MISSING_KEY_ID`).
    """
    if len(document) > LARGEST_JWKS:
        raise IdentityRefused(
            IdentityFault.TOO_LARGE, f"the JWK Set is larger than {LARGEST_JWKS} bytes"
        )
    try:
        text = document.decode()
        entries = json.loads(text)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _malformed("it is no JWK Set") from None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise _malformed("its keys are no list of objects")
    if len(entries) > MOST_AUTHORITIES:
        raise _many(len(entries))
    keys: dict[str, JwtKey] = {}
    for place, entry in enumerate(entries):
        if entry.get("use", _USE) == _USE and entry.get("kty") in _KINDS:
            keys.setdefault(_key_id(entry, place), _key(entry, place))
    return JwtAuthorities(text, keys)


def _key_id(entry: dict[str, Any], place: int) -> str:
    key_id = entry.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise IdentityRefused(IdentityFault.MISSING_KEY_ID, f"key {place} has no ID (kid)")
    return key_id


def _key(entry: dict[str, Any], place: int) -> JwtKey:
    try:
        key = jwt.PyJWK(entry).key
    except Exception:  # noqa: BLE001 - whatever the parser of a hostile key raises
        raise _malformed(f"key {place} cannot be read") from None
    if not isinstance(key, JwtKey):  # a private key has no place in a bundle
        raise _malformed(f"key {place} is no public key")
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < LEAST_RSA_BITS:
            raise IdentityRefused(
                IdentityFault.UNSUPPORTED_KEY, f"key {place} has less than {LEAST_RSA_BITS} bits"
            )
    elif key.curve.name not in NIST_CURVES:
        raise IdentityRefused(IdentityFault.UNSUPPORTED_KEY, f"key {place} is on no NIST curve")
    return key


def _bounded(certificates: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
    if len(certificates) > MOST_AUTHORITIES:
        raise _many(len(certificates))
    return certificates


def _empty() -> IdentityRefused:
    return IdentityRefused(IdentityFault.EMPTY_BUNDLE, "the bundle is empty")


def _many(count: int) -> IdentityRefused:
    return IdentityRefused(
        IdentityFault.TOO_LARGE,
        f"the bundle has {count} authorities; {MOST_AUTHORITIES} is the limit",
    )


def _malformed(why: str) -> IdentityRefused:
    return IdentityRefused(IdentityFault.MALFORMED_BUNDLE, why)
