"""Lists of revoked certificates (CRLs), which the Workload API may send along with SVIDs.

Sources: SPIFFE Workload API, section 5.2.1; RFC 5280, sections 5 and 6.3. A list counts against the
certificates of the authority that signed it. One that should have been replaced by now still
counts: what was revoked stays so.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from cryptography import x509

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_LISTS: Final = 256

Revocations = tuple[x509.CertificateRevocationList, ...]


def read_revocations(entries: Sequence[bytes]) -> Revocations:
    """Read lists, DER.

    Raises:
        IdentityRefused: there are too many, or one cannot be read.
    """
    if len(entries) > MOST_LISTS:
        raise IdentityRefused(
            IdentityFault.TOO_LARGE, f"there are {len(entries)} CRLs; {MOST_LISTS} is the limit"
        )
    return tuple(_read(one) for one in entries)


def check_revocations(path: Sequence[x509.Certificate], revocations: Revocations) -> None:
    """Check that nobody on a valid path has revoked the certificate below.

    Args:
        path: from the SVID to an authority of its bundle.
        revocations: lists, of whatever authorities.

    Raises:
        IdentityRefused: somebody has (`REVOKED`).
    """
    for certificate, issuer in itertools.pairwise(path):
        for one in revocations:
            if (
                one.issuer == issuer.subject
                and one.get_revoked_certificate_by_serial_number(certificate.serial_number)
                and _signed_by(one, issuer)
            ):
                raise IdentityRefused(
                    IdentityFault.REVOKED, f"certificate {certificate.serial_number:x} is revoked"
                )


def _read(der: bytes) -> x509.CertificateRevocationList:
    try:
        return x509.load_der_x509_crl(der)
    except Exception:  # noqa: BLE001 - whatever the parser of a hostile list raises
        raise IdentityRefused(
            IdentityFault.MALFORMED_MESSAGE, "a CRL of the message cannot be read"
        ) from None


def _signed_by(one: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    # Of the kinds of keys, the verifier of the path has let through only those that sign lists.
    return one.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
