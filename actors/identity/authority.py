"""A small authority: the keys that a trust domain's identities are signed with, and their rotation.

A key signs from a set time on. Its certificate is in the bundle a little earlier, so that everybody
knows it before it is used, and stays there until the last SVID that the key before it signed has
expired. So a rotation interrupts nobody. The private key goes out as soon as a newer one signs.

All is a function of the time that is given, and of the random numbers of `cryptography`. Nothing is
read or written here, and nothing here can be pickled: each `Authority` holds private keys.

SVIDs are as the SPIFFE standards say (X509-SVID, JWT-SVID): one URI SAN, no CA, digitalSignature,
both ends of TLS; an authority has the ID of its trust domain.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from actors.identity.errors import AuthorityBusy

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKDATED_S: Final = 10.0  # of NotBefore, for clocks that are slow; at most a tenth of a life
ROOT_LIFE_S: Final = 90 * 86_400.0
LEAD_S: Final = 2.0  # that a new authority is known before it signs
MOST_KEPT: Final = 8  # authorities in one bundle
JWT_ALGORITHM: Final = "ES256"
_MARGIN_S: Final = 60.0  # that an old authority is kept beyond the last SVID of its key
_ORGANISATION: Final = "x0tta6bl4"


@dataclass(frozen=True, slots=True)
class IssuedX509:
    """An X.509-SVID on its way to its holder.

    Attributes:
        spiffe_id: whose.
        certificate: DER.
        key: PKCS #8, DER.
        not_after: Unix time at which it ends, s.
    """

    spiffe_id: str
    certificate: bytes
    key: bytes
    not_after: float

    def __repr__(self) -> str:
        return f"IssuedX509({self.spiffe_id!r}, not_after={self.not_after})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an SVID with its key is not pickled")


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of an authority's keys.

    Attributes:
        certificate: self-signed, for X.509-SVIDs.
        key: of the certificate; None: it signs no more.
        jwt_key: signs JWT-SVIDs; None: it signs no more.
        jwt_public: of `jwt_key`.
        key_id: of `jwt_public` in bundles and tokens.
        signs_from: Unix time from which it signs, s.
        kept_until: Unix time at which it leaves the bundle, s; None: it has no successor.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | None
    jwt_key: ec.EllipticCurvePrivateKey | None
    jwt_public: ec.EllipticCurvePublicKey
    key_id: str
    signs_from: float
    kept_until: float | None = None

    def __repr__(self) -> str:
        return f"Generation({self.key_id!r}, signs_from={self.signs_from})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the keys of an authority are not pickled")

    @property
    def not_before(self) -> float:
        """Unix time from which its certificate holds, s."""
        return self.certificate.not_valid_before_utc.timestamp()

    @property
    def not_after(self) -> float:
        """Unix time until which its certificate holds, s."""
        return self.certificate.not_valid_after_utc.timestamp()

    def signs_at(self, now: float) -> bool:
        """Whether it may sign at a Unix time."""
        began = max(self.signs_from, self.not_before)
        return self.key is not None and began <= now < self.not_after


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority of a trust domain.

    Attributes:
        trust_domain: its name.
        generations: of keys, the oldest first; at least one.
    """

    trust_domain: str
    generations: tuple[Generation, ...]

    @classmethod
    def new(cls, trust_domain: str, now: float) -> Authority:
        """An authority that signs at once."""
        return cls(trust_domain, (_generation(trust_domain, now, now),))

    # -- rotation ----------------------------------------------------------------------------------

    def rotated(self, now: float, svid_life_s: float, lead_s: float = LEAD_S) -> Authority:
        """The authority with new keys, which sign after `lead_s`; the old ones until then.

        While new keys wait already for their time, there are no further ones.

        Args:
            now: Unix time, s.
            svid_life_s: longest life of what has been signed, s.
            lead_s: time for all to learn of the new keys, s.

        Raises:
            AuthorityBusy: too many former keys are still trusted.
        """
        present = self.tidied(now)
        if any(each.signs_from > now for each in present.generations):
            return present
        if len(present.generations) >= MOST_KEPT:
            ends = min(each.kept_until for each in present.generations if each.kept_until)
            raise AuthorityBusy(len(present.generations), ends - now)
        begins = now + lead_s
        ends = begins + svid_life_s + _MARGIN_S
        former = (
            each if each.kept_until is not None else replace(each, kept_until=ends)
            for each in present.generations
        )
        new = _generation(self.trust_domain, now, begins)
        return replace(present, generations=(*former, new))

    def tidied(self, now: float) -> Authority:
        """The authority without what has had its time; with new keys, if none of its can sign.

        None can after a long pause, or when the clock was set back to before all of them.
        """
        signer = self._signer(now)
        kept = [
            each
            for each in self.generations
            if each is signer or each.kept_until is None or each.kept_until > now
        ]
        if signer is None:
            alive = [each for each in kept if each.not_after > now][-MOST_KEPT + 1 :]
            new = _generation(self.trust_domain, now, now)
            return replace(self, generations=(*alive, new))
        at = kept.index(signer)
        silent = [replace(each, key=None, jwt_key=None) for each in kept[:at]]
        return replace(self, generations=(*silent, *kept[at:]))

    def is_due(self, now: float) -> bool:
        """Whether the keys that sign have had half of their life and have no successor."""
        newest = self.generations[-1]
        return now >= (newest.not_before + newest.not_after) / 2

    def changes_at(self, now: float) -> float:
        """Unix time at which `tidied` or a due rotation next changes something, s."""
        newest = self.generations[-1]
        times = [(newest.not_before + newest.not_after) / 2, newest.not_after]
        for each in self.generations:
            times += [each.signs_from, each.kept_until or each.not_after]
        return min(time for time in times if time > now)

    # -- what it says of itself --------------------------------------------------------------------

    def certificates(self) -> tuple[bytes, ...]:
        """The X.509 authorities to trust, DER."""
        return tuple(_der(each.certificate) for each in self.generations)

    def jwks(self) -> dict[str, Any]:
        """The JWT authorities to trust, as a JWK Set (RFC 7517)."""
        return {"keys": [_jwk(each) for each in self.generations]}

    # -- what it signs -----------------------------------------------------------------------------

    def issue_x509(self, spiffe_id: str, now: float, life_s: float) -> IssuedX509:
        """A new key and its certificate.

        Args:
            spiffe_id: whose; of this trust domain.
            now: Unix time, s.
            life_s: from now until NotAfter, s; less where the authority ends earlier.
        """
        signer, signs, _ = self._signing(now)
        key = ec.generate_private_key(ec.SECP256R1())
        ends = min(now + life_s, signer.not_after)
        leaf = (
            _builder(spiffe_id, now, ends, key.public_key())
            .subject_name(_name())
            .issuer_name(signer.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(ca=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(signer.certificate)),
                critical=False,
            )
            .sign(signs, hashes.SHA256())
        )
        secret = key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        not_after = leaf.not_valid_after_utc.timestamp()
        return IssuedX509(spiffe_id, _der(leaf), secret, not_after)

    def issue_jwt(self, spiffe_id: str, audience: Sequence[str], now: float, life_s: float) -> str:
        """A JWT-SVID, as a compact JWS.

        Args:
            spiffe_id: whose; of this trust domain.
            audience: to whom; at least one.
            now: Unix time, s.
            life_s: until `exp`, s.
        """
        signer, _, signs = self._signing(now)
        claims = {
            "sub": spiffe_id,
            "aud": list(audience),
            "iat": int(now),
            "exp": int(now + life_s),
        }
        return jwt.encode(claims, signs, algorithm=JWT_ALGORITHM, headers={"kid": signer.key_id})

    def _signer(self, now: float) -> Generation | None:
        """The newest generation that may sign."""
        able = [each for each in self.generations if each.signs_at(now)]
        return able[-1] if able else None

    def _signing(
        self, now: float
    ) -> tuple[Generation, ec.EllipticCurvePrivateKey, ec.EllipticCurvePrivateKey]:
        """Who signs, and its keys for X.509 and for JWT."""
        signer = self._signer(now)
        if signer is None or signer.key is None or signer.jwt_key is None:
            raise ValueError("no key of the authority signs now: it has not been tidied")
        return signer, signer.key, signer.jwt_key


def document(authority: Authority) -> bytes:
    """The authority, its private keys included, as it is kept in a file of mode 0600."""
    return json.dumps(
        {
            "version": 1,
            "trust_domain": authority.trust_domain,
            "generations": [_record(each) for each in authority.generations],
        },
        indent=1,
    ).encode()


def of_document(content: bytes) -> Authority | str:
    """The authority of a document, or why it is none.

    A reason instead of an exception: those of parsers hold what they have read, keys included.
    """
    try:
        read = json.loads(content)
        if read["version"] != 1:
            return f"it is of version {str(read['version'])[:20]}, which this program does not know"
        generations = tuple(map(_generation_of, read["generations"]))
        found = Authority(str(read["trust_domain"]), generations)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return f"it is damaged ({type(error).__name__})"
    if not generations:
        return "it is damaged (it has no keys)"
    return found


def _record(one: Generation) -> dict[str, Any]:
    return {
        "certificate": one.certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "key": _pem(one.key),
        "jwt_key": _pem(one.jwt_key),
        "jwt_public": one.jwt_public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode(),
        "key_id": one.key_id,
        "signs_from": one.signs_from,
        "kept_until": one.kept_until,
    }


def _generation_of(record: dict[str, Any]) -> Generation:
    """The generation of a record.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    certificate = x509.load_pem_x509_certificate(record["certificate"].encode())
    jwt_public = serialization.load_pem_public_key(record["jwt_public"].encode())
    if not isinstance(jwt_public, ec.EllipticCurvePublicKey):
        raise TypeError("a key of another kind")
    key, jwt_key = _private(record["key"]), _private(record["jwt_key"])
    pairs = ((key, _public(certificate)), (jwt_key, jwt_public))
    if any(mine is not None and mine.public_key() != theirs for mine, theirs in pairs):
        raise ValueError("a key that is not its certificate's")
    kept_until = record["kept_until"]
    return Generation(
        certificate,
        key,
        jwt_key,
        jwt_public,
        str(record["key_id"]),
        float(record["signs_from"]),
        None if kept_until is None else float(kept_until),
    )


def _private(pem: str | None) -> ec.EllipticCurvePrivateKey | None:
    if pem is None:
        return None
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("a key of another kind")
    return key


def _pem(key: ec.EllipticCurvePrivateKey | None) -> str | None:
    if key is None:
        return None
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _generation(trust_domain: str, now: float, signs_from: float) -> Generation:
    key, jwt_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = _name(x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex())
    certificate = (
        _builder(f"spiffe://{trust_domain}", now, now + ROOT_LIFE_S, key.public_key())
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    key_id = x509.SubjectKeyIdentifier.from_public_key(jwt_key.public_key()).digest.hex()
    return Generation(certificate, key, jwt_key, jwt_key.public_key(), key_id, signs_from)


def _builder(
    uri: str, now: float, ends: float, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    """What an authority's certificate and an SVID have in common."""
    return (
        x509.CertificateBuilder()
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(now - min(BACKDATED_S, (ends - now) / 10)))
        .not_valid_after(_moment(ends))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str = "") -> x509.Name:
    # No SVID has the name of its issuer: it would seem to have issued itself.
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION)]
    if common:
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, common))
    return x509.Name(names)


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC).replace(microsecond=0)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("a key of another kind")
    return key


def _jwk(one: Generation) -> dict[str, Any]:
    return {"kty": "EC", "kid": one.key_id, **_point(one.jwt_public)}


def _point(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """A point of P-256 as a JWK has it (RFC 7518, section 6.2.1)."""
    numbers = key.public_numbers()
    x, y = (
        base64.urlsafe_b64encode(each.to_bytes(32)).rstrip(b"=").decode()
        for each in (numbers.x, numbers.y)
    )
    return {"crv": "P-256", "x": x, "y": y}
