"""Identities as JSON: for commands, and for other trust domains."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from actors.identity.contract import (
        AuthorityStatus,
        HeldSvid,
        IdentityStatus,
        PublicChain,
        TrustBundle,
    )


def status_document(status: IdentityStatus, now: float) -> dict[str, Any]:
    """How the identity of a host is at a Unix time, s."""
    last = status.last_fault
    return {
        "host": status.host,
        "endpoint": status.endpoint,
        "state": None if status.state is None else str(status.state),
        "svids": [_svid(each, now) for each in status.svids],
        "renew_at": status.renew_at,
        "generation": status.generation,
        "connected": status.connected,
        "retries": status.retries,
        "renewals": status.renewals,
        "trust_domains": list(status.trust_domains),
        "faults": {str(fault): count for fault, count in status.faults.items()},
        "last_fault": None
        if last is None
        else {"fault": str(last.fault), "why": last.why, "at": last.at},
    }


def authority_document(authority: AuthorityStatus) -> dict[str, Any]:
    """How the embedded authority is."""
    return {**asdict(authority), "keys": [asdict(each) for each in authority.keys]}


def chain_document(chain: PublicChain) -> dict[str, Any]:
    """The certificates of an identity, PEM."""
    return {
        "spiffe_id": chain.spiffe_id,
        "not_after": chain.not_after,
        "generation": chain.generation,
        "certificates": [
            x509.load_der_x509_certificate(each).public_bytes(Encoding.PEM).decode().strip()
            for each in chain.certificates
        ],
    }


def bundle_document(bundle: TrustBundle) -> dict[str, Any]:
    """A trust bundle as a SPIFFE bundle document (SPIFFE Trust Domain and Bundle, section 4)."""
    keys = [_x509_key(each) for each in bundle.x509_authorities]
    if bundle.jwks is not None:
        keys += [{**each, "use": "jwt-svid"} for each in json.loads(bundle.jwks)["keys"]]
    return {"keys": keys}


def _x509_key(der: bytes) -> dict[str, Any]:
    key = x509.load_der_x509_certificate(der).public_key()
    point: dict[str, Any] = {}  # of another kind, the certificate alone tells it
    if isinstance(key, rsa.RSAPublicKey):
        point = RSAAlgorithm.to_jwk(key, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        point = ECAlgorithm.to_jwk(key, as_dict=True)
    return {**point, "use": "x509-svid", "x5c": [base64.b64encode(der).decode()]}


def _svid(svid: HeldSvid, now: float) -> dict[str, Any]:
    return {**asdict(svid), "seconds_left": max(0.0, svid.not_after - now)}
