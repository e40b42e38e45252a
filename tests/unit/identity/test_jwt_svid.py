"""Tokens are accepted by the rules of JWT-SVIDs alone (rule 7)."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from actors.identity.bundles import JwtAuthorities
from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.jwt_svid import ALGORITHMS, LARGEST_TOKEN, read_own, validate
from tests.unit.identity.certificates import ID, NOW

RSA = rsa.generate_private_key(65537, 2048)
CURVES = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}
KEYS: dict[str, Any] = {name: CURVES.get(name, RSA) for name in ALGORITHMS}
AUTHORITIES = {"mesh.example": JwtAuthorities("", {name: KEYS[name].public_key() for name in KEYS})}
CLAIMS = {"sub": ID, "aud": ["gateway"], "exp": NOW + 300}


def token(
    algorithm: str = "ES256", key: Any = None, kid: object = "ES256", **claims: object
) -> str:
    """A signed token; a claim that is None is left out."""
    said = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    headers = {} if kid is None else {"kid": kid}
    return jwt.PyJWS().encode(
        json.dumps(said).encode(), key or KEYS[algorithm], algorithm, headers=headers
    )


def fault_of(given_token: str, audience: str = "gateway") -> IdentityFault:
    with pytest.raises(IdentityRefused) as caught:
        validate(given_token, audience, AUTHORITIES, NOW)
    assert given_token not in str(caught.value)
    return caught.value.fault


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_each_algorithm_of_the_standard_is_accepted(algorithm: str) -> None:
    """RS, ES and PS with 256, 384 and 512 bits prove who somebody is."""
    claims = validate(token(algorithm, kid=algorithm), "gateway", AUTHORITIES, NOW)
    assert (claims.spiffe_id, claims.audience, claims.expires_at) == (ID, ("gateway",), NOW + 300)


def test_the_id_of_the_key_is_optional() -> None:
    """Without one, every key of the trust domain is tried."""
    assert validate(token(kid=None), "gateway", AUTHORITIES, NOW).spiffe_id == ID
    assert validate(token("ES512", kid=None), "gateway", AUTHORITIES, NOW).spiffe_id == ID


def unsigned(header: object, claims: object) -> str:
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), b"signature")
    return ".".join(base64.urlsafe_b64encode(one).decode().rstrip("=") for one in parts)


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ("", IdentityFault.MALFORMED_TOKEN),
        ("a.b.c", IdentityFault.MALFORMED_TOKEN),
        ("é.é.é", IdentityFault.MALFORMED_TOKEN),
        (token().rpartition(".")[0], IdentityFault.MALFORMED_TOKEN),
        ("a" * (LARGEST_TOKEN + 1), IdentityFault.TOO_LARGE),
        (unsigned({"alg": "ES256"}, [1]), IdentityFault.MALFORMED_TOKEN),
        (unsigned({"alg": "ES256", "typ": "at+jwt"}, CLAIMS), IdentityFault.MALFORMED_TOKEN),
        (unsigned({"alg": "none"}, CLAIMS), IdentityFault.TOKEN_ALGORITHM),
        (unsigned({"alg": "HS256"}, CLAIMS), IdentityFault.TOKEN_ALGORITHM),
        (unsigned({"alg": "EdDSA"}, CLAIMS), IdentityFault.TOKEN_ALGORITHM),
        (unsigned({"alg": "ES256K"}, CLAIMS), IdentityFault.TOKEN_ALGORITHM),
        (unsigned({"alg": ["ES256"]}, CLAIMS), IdentityFault.TOKEN_ALGORITHM),
        (unsigned({"typ": "JWT"}, CLAIMS), IdentityFault.TOKEN_ALGORITHM),
        (token(sub=None), IdentityFault.NO_SUBJECT),
        (token(sub=7), IdentityFault.NO_SUBJECT),
        (token(sub="mesh.example/a"), IdentityFault.BAD_SPIFFE_ID),
        (token(sub="spiffe://mesh.example"), IdentityFault.BAD_SPIFFE_ID),
        (token(sub="spiffe://far.example/a"), IdentityFault.UNKNOWN_TRUST_DOMAIN),
        (token(aud=None), IdentityFault.WRONG_AUDIENCE),
        (token(aud=[]), IdentityFault.WRONG_AUDIENCE),
        (token(aud=[""]), IdentityFault.WRONG_AUDIENCE),
        (token(aud="gateway2"), IdentityFault.WRONG_AUDIENCE),
        (token(aud=["gateway", 7]), IdentityFault.WRONG_AUDIENCE),
        (token(exp=None), IdentityFault.NO_EXPIRY),
        (token(exp=str(NOW + 300)), IdentityFault.NO_EXPIRY),
        (token(exp=True), IdentityFault.NO_EXPIRY),
        (token(exp=float("inf")), IdentityFault.NO_EXPIRY),
        (token(exp=NOW), IdentityFault.EXPIRED),
        (token(nbf=NOW + 1), IdentityFault.NOT_YET_VALID),
        (token(nbf="soon"), IdentityFault.MALFORMED_TOKEN),
        (token(kid="other"), IdentityFault.UNKNOWN_KEY),
        (token(kid="ES384"), IdentityFault.BAD_SIGNATURE),
        (token(key=ec.generate_private_key(ec.SECP256R1())), IdentityFault.BAD_SIGNATURE),
        (
            token(key=ec.generate_private_key(ec.SECP256R1()), kid=None),
            IdentityFault.BAD_SIGNATURE,
        ),
    ],
)
def test_a_token_that_breaks_one_rule_is_refused_for_it(wrong: str, fault: IdentityFault) -> None:
    """Each rule has a fault, and no error tells the token."""
    with pytest.raises(IdentityRefused) as caught:
        validate(wrong, "gateway", AUTHORITIES, NOW)
    assert caught.value.fault is fault
    assert not wrong or wrong not in str(caught.value)


def test_a_key_of_one_trust_domain_proves_nobody_of_another() -> None:
    """The subject selects the bundle, whoever signed."""
    far = JwtAuthorities("", {"far": RSA.public_key()})
    with pytest.raises(IdentityRefused) as caught:
        validate(
            token("RS256", kid=None),
            "gateway",
            {"far.example": far, "mesh.example": JwtAuthorities("", {})},
            NOW,
        )
    assert caught.value.fault is IdentityFault.BAD_SIGNATURE


@given(st.data())
def test_a_changed_token_is_never_accepted(data: st.DataObject) -> None:
    """No character of a token can be replaced by another and prove something else."""
    good = token()
    place = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_."))
    changed = f"{good[:place]}{other}{good[place + 1 :]}"
    try:
        claims = validate(changed, "gateway", AUTHORITIES, NOW)
    except IdentityRefused:
        return
    # Unused bits of the last character of base64 carry nothing.
    assert (claims.spiffe_id, claims.audience, claims.expires_at) == (ID, ("gateway",), NOW + 300)


def test_an_own_token_is_checked_by_the_keys_that_are_held() -> None:
    """Without keys of its trust domain its signature is left to whoever receives it."""
    strange = token(key=ec.generate_private_key(ec.SECP256R1()))
    assert read_own(strange, ["gateway"], {}, NOW).spiffe_id == ID
    with pytest.raises(IdentityRefused) as caught:
        read_own(strange, ["gateway"], AUTHORITIES, NOW)
    assert caught.value.fault is IdentityFault.BAD_SIGNATURE
    with pytest.raises(IdentityRefused) as caught:
        read_own(token(), ["gateway", "other"], AUTHORITIES, NOW)
    assert caught.value.fault is IdentityFault.WRONG_AUDIENCE
