"""Reads what the Workload API says about X.509-SVIDs and bundles, and takes all of it or nothing.

Source: SPIFFE Workload API, sections 5 and 6. Nothing that is refused is told in full: a message
carries private keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.identity.bundles import read_jwks, read_x509_bundle
from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.private_key import PrivateKey, read_key
from actors.identity.revocation import read_revocations
from actors.identity.spiffe_id import SpiffeId, parse_trust_domain
from actors.identity.x509_path import verify_path
from actors.identity.x509_reading import read_der_chain
from actors.identity.x509_svid import read_svid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography import x509
    from spiffe._proto import workload_pb2

    from actors.identity.bundles import JwtAuthorities
    from actors.identity.revocation import Revocations
    from actors.identity.x509_svid import X509Svid

MOST_SVIDS: Final = 64
MOST_TRUST_DOMAINS: Final = 256
LONGEST_HINT: Final = 1024  # bytes
_FIELDS: Final = ("spiffe_id", "x509_svid", "x509_svid_key", "bundle")


@dataclass(frozen=True, slots=True)
class Credential:
    """An SVID and its key."""

    svid: X509Svid
    key: PrivateKey


@dataclass(frozen=True, slots=True)
class X509Context:
    """All that one message says.

    Attributes:
        credentials: at least one; the first is the default.
        bundles: authorities by trust domain, the default SVID's own first.
        revocations: lists of revoked certificates.
    """

    credentials: tuple[Credential, ...]
    bundles: Mapping[str, tuple[x509.Certificate, ...]]
    revocations: Revocations = ()


def read_x509_context(message: workload_pb2.X509SVIDResponse, now: float) -> X509Context:
    """Check all of a message with SVIDs.

    Args:
        message: as it came.
        now: Unix time, s.

    Raises:
        IdentityRefused: some part of it breaks a rule; then none of it counts.
    """
    if not message.svids:
        raise IdentityRefused(IdentityFault.NO_SVID, "the message has no SVID")
    _bound(len(message.svids), MOST_SVIDS, "SVIDs")
    revocations = read_revocations(message.crl)
    credentials: list[Credential] = []
    bundles: dict[str, tuple[x509.Certificate, ...]] = {}
    hints: set[str] = set()
    for place, entry in enumerate(message.svids):
        with_place = f"svids[{place}]"
        try:
            credential, authorities = _credential(entry, now, revocations)
        except IdentityRefused as refused:
            raise IdentityRefused(
                refused.fault, f"{with_place}: {refused.why}", entry=with_place
            ) from None
        bundles.setdefault(credential.svid.spiffe_id.trust_domain, authorities)
        # Of several with one hint only the first counts, section 5.2.1.
        if not entry.hint or entry.hint not in hints:
            credentials.append(credential)
        hints.add(entry.hint)
    for domain, authorities in _federated(message.federated_bundles).items():
        bundles.setdefault(domain, authorities)
    return X509Context(tuple(credentials), bundles, revocations)


def read_jwt_bundles(message: workload_pb2.JWTBundlesResponse) -> dict[str, JwtAuthorities]:
    """Check all of a message with the keys of JWT-SVIDs; they are answered by trust domain.

    Raises:
        IdentityRefused: some part of it breaks a rule; then none of it counts.
    """
    if not message.bundles:
        raise IdentityRefused(IdentityFault.MISSING_FIELD, "the message has no JWT bundle")
    _bound(len(message.bundles), MOST_TRUST_DOMAINS, "JWT bundles")
    return {parse_trust_domain(name): read_jwks(of) for name, of in message.bundles.items()}


def _credential(
    entry: workload_pb2.X509SVID, now: float, revocations: Revocations
) -> tuple[Credential, tuple[x509.Certificate, ...]]:
    missing = [name for name in _FIELDS if not getattr(entry, name)]
    if missing:
        raise IdentityRefused(IdentityFault.MISSING_FIELD, f"{', '.join(missing)} is missing")
    if len(entry.hint.encode()) > LONGEST_HINT:
        raise IdentityRefused(IdentityFault.TOO_LARGE, f"its hint exceeds {LONGEST_HINT} bytes")
    svid = read_svid(read_der_chain(entry.x509_svid), entry.hint)
    if SpiffeId.parse(entry.spiffe_id) != svid.spiffe_id:
        raise IdentityRefused(
            IdentityFault.ID_MISMATCH, "its SPIFFE ID is not the one in its certificate"
        )
    key = PrivateKey(read_key(entry.x509_svid_key, svid.leaf))
    try:
        authorities = read_x509_bundle(entry.bundle)
    except IdentityRefused as refused:
        raise _bundle_refused(refused, "its bundle") from None
    verify_path(svid, authorities, now, revocations)
    return Credential(svid, key), authorities


def _federated(entries: Mapping[str, bytes]) -> dict[str, tuple[x509.Certificate, ...]]:
    _bound(len(entries), MOST_TRUST_DOMAINS, "federated bundles")
    bundles = {}
    for name, der in entries.items():
        domain = parse_trust_domain(name)
        if not der:  # there is nothing to trust in that trust domain
            continue
        try:
            bundles[domain] = read_x509_bundle(der)
        except IdentityRefused as refused:
            raise _bundle_refused(refused, f"the bundle of {domain}") from None
    return bundles


def _bundle_refused(refused: IdentityRefused, which: str) -> IdentityRefused:
    """A certificate that cannot be read is one of a bundle here, and no SVID."""
    fault = refused.fault
    if fault in {IdentityFault.MALFORMED_CERTIFICATE, IdentityFault.NO_CERTIFICATE}:
        fault = IdentityFault.MALFORMED_BUNDLE
    return IdentityRefused(fault, f"{which}: {refused.why}")


def _bound(count: int, most: int, what: str) -> None:
    if count > most:
        raise IdentityRefused(
            IdentityFault.TOO_LARGE, f"the message has {count} {what}; {most} is the limit"
        )
