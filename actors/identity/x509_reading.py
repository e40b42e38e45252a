"""Reads certificates, whatever they hold, with one error for all that cannot be read.

Sources: RFC 5280, section 4; X.690, section 8.1; RFC 7468, section 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

E = TypeVar("E", bound=x509.ExtensionType)

_SEQUENCE: Final = 0x30
_LENGTH_BYTES: Final = 4  # a certificate's length in more bytes is above any limit here


def read_der_chain(der: bytes) -> tuple[x509.Certificate, ...]:
    """Read certificates that follow each other without anything between.

    Raises:
        IdentityRefused: there is none, or one cannot be read.
    """
    return tuple(_parsed(one) for one in _split(der)) or _none()


def read_pem_chain(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Read the certificates of a PEM file; a key in it is passed over.

    Raises:
        IdentityRefused: there is none, or one cannot be read.
    """
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        return _none()
    try:
        chain = tuple(x509.load_pem_x509_certificates(pem))
    except Exception:  # noqa: BLE001 - whatever the parser of a hostile file raises
        raise _malformed() from None
    for one in chain:
        extensions_of(one)
    return chain


def _none() -> tuple[x509.Certificate, ...]:
    raise IdentityRefused(IdentityFault.NO_CERTIFICATE, "there is no certificate in it")


def _malformed() -> IdentityRefused:
    return IdentityRefused(IdentityFault.MALFORMED_CERTIFICATE, "a certificate cannot be read")


def _parsed(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
    except Exception:  # noqa: BLE001 - whatever the parser of a hostile certificate raises
        raise _malformed() from None
    extensions_of(certificate)
    return certificate


def extensions_of(certificate: x509.Certificate) -> x509.Extensions:
    """The extensions, which are parsed when they are first asked for.

    Raises:
        IdentityRefused: they cannot be read.
    """
    try:
        return certificate.extensions
    except Exception:  # noqa: BLE001 - whatever the parser of a hostile certificate raises
        raise _malformed() from None


def _split(der: bytes) -> Iterator[bytes]:
    """The DER values that follow each other, each with its header (X.690, section 8.1)."""
    at = 0
    while at < len(der):
        if der[at] != _SEQUENCE or at + 2 > len(der):
            raise _malformed()
        length, header = der[at + 1], 2
        if length & 0x80:
            size = length & 0x7F
            header += size
            if not 1 <= size <= _LENGTH_BYTES or at + header > len(der):
                raise _malformed()
            length = int.from_bytes(der[at + 2 : at + header], "big")
        end = at + header + length
        if end > len(der):
            raise _malformed()
        yield der[at:end]
        at = end


def extension(extensions: x509.Extensions, kind: type[E]) -> x509.Extension[E] | None:
    """The extension of a kind, or None: there is none."""
    try:
        return extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
