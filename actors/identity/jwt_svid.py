"""JWT-SVIDs: signed tokens that prove an identity to an audience.

Source: JWT-SVID, sections 2 to 5; RFC 7515, RFC 7519.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from actors.identity.contract import IdentityFault, JwtClaims
from actors.identity.errors import IdentityRefused
from actors.identity.spiffe_id import SpiffeId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.identity.bundles import JwtAuthorities, JwtKey

LARGEST_TOKEN: Final = 16 * 1024  # characters
_CURVES: Final = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
# Tuples: what a stranger's header holds need not be hashable.
ALGORITHMS: Final = (*_CURVES, "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_TYPES: Final = (None, "JWT", "JOSE")


def validate(
    token: str, audience: str, authorities: Mapping[str, JwtAuthorities], now: float
) -> JwtClaims:
    """Check a token that somebody presents.

    Args:
        token: compact JWS.
        audience: that must be among those of the token: the name of who checks.
        authorities: keys by trust domain; only those of the token's own one count.
        now: Unix time, s.

    Raises:
        IdentityRefused: a rule is broken; the fault says which.
    """
    header, payload = _parts(token)
    claims = _claims(payload, now)
    if audience not in claims.audience:
        raise IdentityRefused(IdentityFault.WRONG_AUDIENCE, "the token is for another audience")
    domain = SpiffeId.parse(claims.spiffe_id).trust_domain
    if domain not in authorities:
        raise IdentityRefused(
            IdentityFault.UNKNOWN_TRUST_DOMAIN, f"there are no JWT keys of trust domain {domain}"
        )
    _check_signature(token, header, authorities[domain])
    return claims


def read_own(
    token: str,
    audience: Iterable[str],
    authorities: Mapping[str, JwtAuthorities],
    now: float,
) -> JwtClaims:
    """Check a token that the Workload API gave for this process to present.

    Its signature is checked if the keys of its trust domain are held: whoever receives it checks it
    anyway.

    Raises:
        IdentityRefused: a rule is broken; the fault says which.
    """
    header, payload = _parts(token)
    claims = _claims(payload, now)
    if not set(audience) <= set(claims.audience):
        raise IdentityRefused(
            IdentityFault.WRONG_AUDIENCE, "the token lacks an audience that was asked for"
        )
    held = authorities.get(SpiffeId.parse(claims.spiffe_id).trust_domain)
    if held is not None:
        _check_signature(token, header, held)
    return claims


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, neither of which is proven."""
    if len(token) > LARGEST_TOKEN:
        raise IdentityRefused(
            IdentityFault.TOO_LARGE, f"the token has more than {LARGEST_TOKEN} characters"
        )
    try:
        read = jwt.PyJWS().decode_complete(token, options={"verify_signature": False})
        payload = json.loads(read["payload"])
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _malformed("it is no compact JWS that holds JSON") from None
    header = read["header"]
    if not isinstance(payload, dict):
        raise _malformed("its claims are no object")
    if header.get("alg") not in ALGORITHMS:
        raise IdentityRefused(
            IdentityFault.TOKEN_ALGORITHM, "its algorithm is none of RS, ES, PS 256 to 512"
        )
    if header.get("typ") not in _TYPES:
        raise _malformed("its type is neither JWT nor JOSE")
    return header, payload


def _claims(payload: dict[str, Any], now: float) -> JwtClaims:
    subject, audience, expiry = (payload.get(name) for name in ("sub", "aud", "exp"))
    if not isinstance(subject, str) or not subject:
        raise IdentityRefused(IdentityFault.NO_SUBJECT, "the token has no subject (sub)")
    if not SpiffeId.parse(subject).path:
        raise IdentityRefused(
            IdentityFault.BAD_SPIFFE_ID, "its subject is a trust domain: its SPIFFE ID has no path"
        )
    audiences = [audience] if isinstance(audience, str) else audience
    if (
        not isinstance(audiences, list)
        or not audiences
        or not all(isinstance(one, str) and one for one in audiences)
    ):
        raise IdentityRefused(IdentityFault.WRONG_AUDIENCE, "the token has no audience (aud)")
    if not _is_time(expiry):
        raise IdentityRefused(IdentityFault.NO_EXPIRY, "the token has no end (exp)")
    if now >= expiry:
        raise IdentityRefused(IdentityFault.EXPIRED, f"the token ended {now - expiry:.0f} s ago")
    _check_start(payload.get("nbf"), now)
    return JwtClaims(subject, tuple(audiences), float(expiry), payload)


def _check_start(start: object, now: float) -> None:
    if start is None:
        return
    if not _is_time(start):
        raise _malformed("its begin (nbf) is no time")
    if now < start:
        raise IdentityRefused(
            IdentityFault.NOT_YET_VALID, f"the token begins in {start - now:.0f} s"
        )


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _check_signature(token: str, header: dict[str, Any], authorities: JwtAuthorities) -> None:
    algorithm = header["alg"]
    for key in _candidates(header.get("kid"), authorities):
        if not _fits(algorithm, key):
            continue
        try:
            jwt.PyJWS().decode(token, key, algorithms=[algorithm])
        except jwt.PyJWTError:
            continue
        return
    raise IdentityRefused(IdentityFault.BAD_SIGNATURE, "no key of its trust domain signed it")


def _candidates(key_id: object, authorities: JwtAuthorities) -> Iterable[JwtKey]:
    if key_id is None:
        return authorities.keys.values()
    if not isinstance(key_id, str) or key_id not in authorities.keys:
        raise IdentityRefused(
            IdentityFault.UNKNOWN_KEY, "its key is none of those of its trust domain"
        )
    return (authorities.keys[key_id],)


def _fits(algorithm: str, key: JwtKey) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(algorithm) == key.curve.name
    return algorithm not in _CURVES


def _malformed(why: str) -> IdentityRefused:
    return IdentityRefused(IdentityFault.MALFORMED_TOKEN, why)
