"""Whether the authorities of a trust domain vouch for an SVID.

Source: RFC 5280, section 6; X509-SVID, section 5. Signatures, validity, path length, names and
critical extensions are checked by `cryptography.x509.verification`. Its rules for certificates of
the web (names of hosts, extended key usage) are replaced by SPIFFE's, which `x509_svid` checks.
Constraints on URIs, which it cannot check, make it refuse: that errs on the safe side.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.revocation import check_revocations
from actors.identity.x509_reading import extension, extensions_of, read_der_chain
from actors.identity.x509_svid import MOST_CERTIFICATES, read_svid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.x509.verification import Policy

    from actors.identity.revocation import Revocations
    from actors.identity.x509_svid import X509Svid

# What the verifier says, in the order of precedence. The rest is a path that was not found.
_SAYS: Final = (
    ("path length constraint", IdentityFault.PATH_TOO_LONG, "an authority allows no such depth"),
    ("max depth", IdentityFault.PATH_TOO_LONG, "its chain is too long"),
    ("name constraint", IdentityFault.NAME_NOT_PERMITTED, "an authority does not permit its name"),
    (
        "unaccounted-for critical",
        IdentityFault.UNKNOWN_CRITICAL_EXTENSION,
        "a certificate has a critical extension that is not known here",
    ),
    ("not valid at", IdentityFault.EXPIRED, "a certificate above it is outside its validity"),
)


def verify_path(
    svid: X509Svid,
    authorities: Sequence[x509.Certificate],
    now: float,
    revocations: Revocations = (),
) -> None:
    """Check that a path of valid certificates leads from an SVID to one of the authorities.

    Args:
        svid: one that `read_svid` has accepted.
        authorities: bundle of the SVID's own trust domain, and of no other.
        now: Unix time, s.
        revocations: lists of revoked certificates, of whatever authorities.

    Raises:
        IdentityRefused: there is none; the fault says why, as far as that is known.
    """
    _check_time(svid, now)
    # The verifier trusts whatever is in its store, an SVID too: only authorities go there.
    store = [one for one in authorities if _is_authority(one)]
    if not store:
        raise IdentityRefused(IdentityFault.UNTRUSTED, "its bundle has no authority (CA)")
    verifier = (
        PolicyBuilder()
        .store(Store(store))
        .time(dt.datetime.fromtimestamp(now, dt.UTC))
        .max_chain_depth(MOST_CERTIFICATES)
        .extension_policies(ca_policy=_ISSUERS, ee_policy=_LEAVES)
        .build_client_verifier()
    )
    try:
        path = verifier.verify(svid.leaf, list(svid.chain[1:])).chain
    except VerificationError as error:
        raise _refused(str(error)) from None
    check_revocations(path, revocations)


def verify_peer(
    certificates: Sequence[bytes],
    bundles: Mapping[str, Sequence[x509.Certificate]],
    now: float,
    revocations: Revocations = (),
) -> X509Svid:
    """Check the chain that a peer presents, with the bundle of its trust domain alone.

    Args:
        certificates: DER, the SVID first.
        bundles: authorities by trust domain.
        now: Unix time, s.
        revocations: lists of revoked certificates, of whatever authorities.

    Raises:
        IdentityRefused: it proves no identity; the fault says why.
    """
    svid = read_svid(read_der_chain(b"".join(certificates)))
    domain = svid.spiffe_id.trust_domain
    if domain not in bundles:
        raise IdentityRefused(
            IdentityFault.UNKNOWN_TRUST_DOMAIN, f"there is no bundle of trust domain {domain}"
        )
    verify_path(svid, bundles[domain], now, revocations)
    return svid


def _check_time(svid: X509Svid, now: float) -> None:
    if now >= svid.not_after:
        raise IdentityRefused(
            IdentityFault.EXPIRED, f"the SVID ended {now - svid.not_after:.0f} s ago"
        )
    if now < svid.not_before:
        raise IdentityRefused(
            IdentityFault.NOT_YET_VALID, f"the SVID begins in {svid.not_before - now:.0f} s"
        )


def _is_authority(certificate: x509.Certificate) -> bool:
    basic = extension(extensions_of(certificate), x509.BasicConstraints)
    return basic is not None and basic.value.ca


def _refused(says: str) -> IdentityRefused:
    for words, fault, why in _SAYS:
        if words in says:
            return IdentityRefused(fault, why)
    return IdentityRefused(IdentityFault.UNTRUSTED, "no path leads from it to the bundle")


def _authority(_: Policy, __: x509.Certificate, basic: x509.BasicConstraints) -> None:
    if not basic.ca:
        raise ValueError("it is no authority")


def _signer(_: Policy, __: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("it may not sign certificates")


_ISSUERS: Final = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _authority)
    # Only those of a bundle may lack it (RFC 5280, section 6.1.4 n); see `check_issuer`.
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signer)
)
# A client's certificate has no names unless this extension is asked for.
_LEAVES: Final = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)
