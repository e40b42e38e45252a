"""The private key of an SVID, and what is done with it where it lies.

A key stays in the process that was given it. `PrivateKey` has no attribute that holds it: it lies
in the closures of two functions, and the object refuses to be pickled or copied. What a parser
says of a key is never passed on.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.x509_svid import public_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

T = TypeVar("T")

SvidKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_BEGIN: Final = b"-----BEGIN PRIVATE KEY-----"


class PrivateKey:
    """Signs, and lends the key to one call at a time.

    Args:
        key: what it keeps.
    """

    __slots__ = ("_lend", "_sign")

    def __init__(self, key: SvidKey) -> None:
        def sign(data: bytes) -> bytes:
            if isinstance(key, ec.EllipticCurvePrivateKey):
                return key.sign(data, ec.ECDSA(hashes.SHA256()))
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            return key.sign(data, pss, hashes.SHA256())

        def lend(to: Callable[[SvidKey], T]) -> T:
            return to(key)

        self._sign = sign
        self._lend = lend

    def sign(self, data: bytes) -> bytes:
        """Sign with ECDSA (RFC 3279) or RSASSA-PSS (RFC 8017), both with SHA-256."""
        return self._sign(data)

    def lend(self, to: Callable[[SvidKey], T]) -> T:
        """Let a function use the key, such as one that makes a TLS context; it must not keep it."""
        return self._lend(to)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key does not leave its process")

    def __copy__(self) -> NoReturn:
        self.__reduce__()

    def __deepcopy__(self, _: object) -> NoReturn:
        self.__reduce__()

    def __repr__(self) -> str:
        return "<private key>"


def read_key(pkcs8: bytes, leaf: x509.Certificate) -> SvidKey:
    """Read the private key of an SVID.

    Args:
        pkcs8: PKCS#8, DER, unencrypted.
        leaf: the certificate that it must belong to.

    Raises:
        IdentityRefused: it is none, of a kind that cannot be used, or of another certificate.
    """
    return match_key(_load_key(lambda: serialization.load_der_private_key(pkcs8, None)), leaf)


def read_pem_key(pem: bytes) -> SvidKey:
    """Read a private key from a PEM file, in which certificates may stand before or after it.

    Raises:
        IdentityRefused: there is none (`NO_KEY`), or it cannot be read (`MALFORMED_KEY`).
    """
    begin = pem.find(_BEGIN)
    if begin < 0:
        raise IdentityRefused(IdentityFault.NO_KEY, "the file has no PRIVATE KEY block")
    return _load_key(lambda: serialization.load_pem_private_key(pem[begin:], None))


def match_key(key: SvidKey, leaf: x509.Certificate) -> SvidKey:
    """Answer the key if it is that of the certificate.

    Raises:
        IdentityRefused: it is not (`KEY_MISMATCH`).
    """
    if key.public_key() != public_key(leaf):
        raise IdentityRefused(
            IdentityFault.KEY_MISMATCH, "the private key does not belong to the certificate"
        )
    return key


def _load_key(load: Callable[[], PrivateKeyTypes]) -> SvidKey:
    key: PrivateKeyTypes | None = None
    # The parser's own error is dropped, also as a context: nothing of a key may be told.
    with contextlib.suppress(Exception):
        key = load()
    if key is None:
        raise IdentityRefused(
            IdentityFault.MALFORMED_KEY, "the private key is no unencrypted PKCS#8"
        )
    if not isinstance(key, SvidKey):
        raise IdentityRefused(
            IdentityFault.UNSUPPORTED_KEY, "the private key is neither EC nor RSA"
        )
    return key
