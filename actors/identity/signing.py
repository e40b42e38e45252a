"""Signatures with the key of an SVID, over bytes that say what they are signed for.

The same key proves this host in TLS. What is signed here begins with a fixed label and the context,
so no signature of one sort can be passed off as one of another (as in RFC 8446, section 4.4.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from actors.identity.contract import LARGEST_PAYLOAD, IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.x509_path import verify_peer
from actors.identity.x509_svid import public_key
from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography import x509

    from actors.identity.contract import SignedBytes
    from actors.identity.revocation import Revocations
    from actors.identity.spiffe_id import SpiffeId

LABEL: Final = b"x0tta6bl4 SVID signature v1\0"
LONGEST_CONTEXT: Final = 255  # bytes


def to_be_signed(payload: bytes, context: str) -> bytes:
    """The bytes that are signed: label, length of the context (1 byte), context, payload.

    Raises:
        InvalidInput: the payload or the context is too long, or the context is empty.
    """
    name = context.encode()
    if not 1 <= len(name) <= LONGEST_CONTEXT:
        raise InvalidInput(
            "nothing is signed",
            f"the context has {len(name)} bytes",
            f"Give one of 1 to {LONGEST_CONTEXT} bytes.",
        )
    if len(payload) > LARGEST_PAYLOAD:
        raise InvalidInput(
            "nothing is signed",
            f"the payload has {len(payload)} bytes; {LARGEST_PAYLOAD} is the limit",
            "Sign a digest of it.",
        )
    return LABEL + bytes([len(name)]) + name + payload


def verify(
    signed: SignedBytes,
    payload: bytes,
    context: str,
    bundles: Mapping[str, Sequence[x509.Certificate]],
    now: float,
    revocations: Revocations = (),
) -> SpiffeId:
    """Check a signature, and who made it.

    Args:
        signed: from `sign`.
        payload: what it is said to be of.
        context: what that is said to be for.
        bundles: authorities by trust domain.
        now: Unix time, s.
        revocations: lists of revoked certificates, of whatever authorities.

    Returns:
        Whose key made it.

    Raises:
        IdentityRefused: the chain proves no identity, or the signature does not hold.
        InvalidInput: see `to_be_signed`.
    """
    data = to_be_signed(payload, context)
    svid = verify_peer(signed.chain, bundles, now, revocations)
    if str(svid.spiffe_id) != signed.spiffe_id:
        raise IdentityRefused(IdentityFault.ID_MISMATCH, "the chain is of another SPIFFE ID")
    key = public_key(svid.leaf)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            key.verify(signed.signature, data, pss, hashes.SHA256())
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - as of `check_leaf`
            key.verify(signed.signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise IdentityRefused(
            IdentityFault.BAD_SIGNATURE, "the key of the chain did not sign this"
        ) from None
    return svid.spiffe_id
