"""X.509-SVIDs: certificates that carry a SPIFFE ID.

Source: X509-SVID, sections 2 to 5; RFC 5280, section 4.2. Whether somebody vouches for a
certificate is the matter of `x509_path`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.spiffe_id import SpiffeId
from actors.identity.x509_reading import extension, extensions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_CERTIFICATES: Final = 8  # of a chain
LEAST_RSA_BITS: Final = 2048
NIST_CURVES: Final = frozenset({"secp256r1", "secp384r1", "secp521r1"})


@dataclass(frozen=True, slots=True)
class X509Svid:
    """The public part of an SVID.

    Attributes:
        spiffe_id: whose.
        chain: the SVID first, then intermediates towards the authority.
        hint: what it is for, in the words of who issued it; "" if nothing.
    """

    spiffe_id: SpiffeId
    chain: tuple[x509.Certificate, ...]
    hint: str = ""

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that carries the ID."""
        return self.chain[0]

    @property
    def serial(self) -> str:
        """Serial number, hexadecimal."""
        return f"{self.leaf.serial_number:x}"

    @property
    def not_before(self) -> float:
        """Unix time from which it holds, s."""
        return self.leaf.not_valid_before_utc.timestamp()

    @property
    def not_after(self) -> float:
        """Unix time at which it ends, s."""
        return self.leaf.not_valid_after_utc.timestamp()

    def der(self) -> tuple[bytes, ...]:
        """The chain, DER."""
        return tuple(one.public_bytes(serialization.Encoding.DER) for one in self.chain)


def read_svid(chain: Sequence[x509.Certificate], hint: str = "") -> X509Svid:
    """Check what the standard asks of an SVID and of its intermediates.

    Raises:
        IdentityRefused: a rule is broken; the fault says which.
    """
    if len(chain) > MOST_CERTIFICATES:
        raise IdentityRefused(
            IdentityFault.TOO_LARGE,
            f"the chain has {len(chain)} certificates; {MOST_CERTIFICATES} is the limit",
        )
    spiffe_id = check_leaf(chain[0])
    for place, issuer in enumerate(chain[1:], 1):
        check_issuer(issuer, f"certificate {place} of the chain")
    return X509Svid(spiffe_id, tuple(chain), hint)


def check_leaf(leaf: x509.Certificate) -> SpiffeId:
    """Check what the standard asks of an SVID itself, and read its ID.

    Raises:
        IdentityRefused: a rule is broken; the fault says which.
    """
    extensions = extensions_of(leaf)
    spiffe_id = _id_of(extensions)
    basic = extension(extensions, x509.BasicConstraints)
    if basic is not None and basic.value.ca:
        raise IdentityRefused(IdentityFault.LEAF_IS_CA, "an SVID must not be an authority (CA)")
    _check_leaf_usage(extension(extensions, x509.KeyUsage))
    extended = extension(extensions, x509.ExtendedKeyUsage)
    both = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    if extended is not None and not both <= set(extended.value):
        raise IdentityRefused(
            IdentityFault.EXTENDED_KEY_USAGE,
            "its extended key usage lacks serverAuth or clientAuth; an SVID has both, or has none",
        )
    _check_public_key(leaf)
    return spiffe_id


def check_issuer(certificate: x509.Certificate, which: str) -> None:
    """Check that a certificate may issue others.

    Raises:
        IdentityRefused: it is no authority, or may not sign certificates.
    """
    extensions = extensions_of(certificate)
    basic = extension(extensions, x509.BasicConstraints)
    if basic is None or not basic.value.ca:
        raise IdentityRefused(IdentityFault.ISSUER_NOT_CA, f"{which} is no authority (CA)")
    usage = extension(extensions, x509.KeyUsage)
    if usage is None or not usage.value.key_cert_sign:
        raise IdentityRefused(
            IdentityFault.ISSUER_MAY_NOT_SIGN, f"{which} may not sign certificates (keyCertSign)"
        )


def _id_of(extensions: x509.Extensions) -> SpiffeId:
    names = extension(extensions, x509.SubjectAlternativeName)
    uris = [] if names is None else names.value.get_values_for_type(x509.UniformResourceIdentifier)
    if not uris:
        raise IdentityRefused(
            IdentityFault.NO_URI_SAN, "it has no URI among its subject alternative names"
        )
    if len(uris) > 1:
        raise IdentityRefused(
            IdentityFault.MANY_URI_SANS,
            f"it has {len(uris)} URIs among its subject alternative names; an SVID has one",
        )
    spiffe_id = SpiffeId.parse(uris[0])
    if not spiffe_id.path:
        raise IdentityRefused(
            IdentityFault.BAD_SPIFFE_ID, "its SPIFFE ID is that of a trust domain: it has no path"
        )
    return spiffe_id


def _check_leaf_usage(usage: x509.Extension[x509.KeyUsage] | None) -> None:
    if usage is None:
        raise IdentityRefused(IdentityFault.LEAF_WITHOUT_KEY_USAGE, "it has no key usage")
    if not usage.critical:
        raise IdentityRefused(
            IdentityFault.KEY_USAGE_NOT_CRITICAL, "its key usage is not marked critical"
        )
    if not usage.value.digital_signature:
        raise IdentityRefused(
            IdentityFault.LEAF_WITHOUT_DIGITAL_SIGNATURE, "its key usage lacks digitalSignature"
        )
    if usage.value.key_cert_sign:
        raise IdentityRefused(
            IdentityFault.LEAF_SIGNS_CERTIFICATES, "its key usage has keyCertSign"
        )
    if usage.value.crl_sign:
        raise IdentityRefused(IdentityFault.LEAF_SIGNS_CRLS, "its key usage has cRLSign")


def _check_public_key(leaf: x509.Certificate) -> None:
    key = public_key(leaf)
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < LEAST_RSA_BITS:
            raise IdentityRefused(
                IdentityFault.UNSUPPORTED_KEY,
                f"its RSA key has {key.key_size} bits; {LEAST_RSA_BITS} is the least",
            )
    elif not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in NIST_CURVES:
        raise IdentityRefused(
            IdentityFault.UNSUPPORTED_KEY, "its key is neither RSA nor on a NIST curve"
        )


def public_key(certificate: x509.Certificate) -> object:
    """The public key of a certificate.

    Raises:
        IdentityRefused: it cannot be read.
    """
    try:
        return certificate.public_key()
    except Exception:  # noqa: BLE001 - whatever the parser of a hostile key raises
        raise IdentityRefused(
            IdentityFault.MALFORMED_CERTIFICATE, "its public key cannot be read"
        ) from None
