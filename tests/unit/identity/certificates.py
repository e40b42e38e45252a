"""Certificates that keep or break one rule of SPIFFE, and authorities that sign them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from spiffe._proto import workload_pb2

BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
NOW = 1_800_000_000.0  # Unix time, s, of tests that have no clock
ID = "spiffe://mesh.example/host/a"


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Rules:
    """What a certificate says of itself; by default, what an SVID must."""

    uris: tuple[str, ...] = (ID,)
    dns: tuple[str, ...] = ()
    ca: bool | None = False  # None: no basic constraints
    path_length: int | None = None
    usage: frozenset[str] | None = frozenset({"digital_signature"})  # None: no key usage
    usage_critical: bool = True
    extended: tuple[x509.ObjectIdentifier, ...] = BOTH
    more: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    begins: float = NOW - 10
    ends: float = NOW + 3600


AUTHORITY = Rules(
    uris=("spiffe://mesh.example",),
    ca=True,
    usage=frozenset({"key_cert_sign", "crl_sign"}),
    extended=(),
)


@dataclass
class Signer:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any
    above: tuple[x509.Certificate, ...] = field(default=())  # towards the root, without it

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pkcs8(self) -> bytes:
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def chain(self) -> tuple[x509.Certificate, ...]:
        return (self.certificate, *self.above)

    def chain_der(self) -> bytes:
        return b"".join(one.public_bytes(Encoding.DER) for one in self.chain())


def root(name: str = "root", rules: Rules = AUTHORITY, key: Any = None) -> Signer:
    key = key or new_key()
    return Signer(_signed(name, key, name, key, rules), key)


def issue(by: Signer, rules: Rules | None = None, name: str = "leaf", key: Any = None) -> Signer:
    key = key or new_key()
    issuer = by.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    signed = _signed(name, key, str(issuer), by.key, rules or Rules())
    is_root = by.certificate.subject == by.certificate.issuer
    return Signer(signed, key, () if is_root else by.chain())


def entry(leaf: Signer, by: bytes, **wrong: Any) -> workload_pb2.X509SVID:
    """An SVID as the Workload API sends it; `wrong` replaces fields."""
    fields = {
        "spiffe_id": ID,
        "x509_svid": leaf.chain_der(),
        "x509_svid_key": leaf.pkcs8,
        "bundle": by,
        **wrong,
    }
    return workload_pb2.X509SVID(**fields)


def message(*entries: workload_pb2.X509SVID, **federated: bytes) -> workload_pb2.X509SVIDResponse:
    return workload_pb2.X509SVIDResponse(
        svids=entries,
        federated_bundles={f"spiffe://{name}.example": der for name, der in federated.items()},
    )


def revoked(by: Signer, *certificates: Signer, key: Any = None) -> bytes:
    """A list, DER, on which an authority names these certificates."""
    then = dt.datetime.fromtimestamp(NOW - 60, dt.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(then)
        .next_update(then + dt.timedelta(seconds=1))
    )
    for one in certificates:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(one.certificate.serial_number)
            .revocation_date(then)
            .build()
        )
    return builder.sign(key or by.key, hashes.SHA256()).public_bytes(Encoding.DER)


def with_times(rules: Rules, begins: float, ends: float) -> Rules:
    return replace(rules, begins=begins, ends=ends)


def _signed(name: str, key: Any, issuer: str, by: Any, rules: Rules) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.fromtimestamp(rules.begins, dt.UTC))
        .not_valid_after(dt.datetime.fromtimestamp(rules.ends, dt.UTC))
    )
    for extension, critical in _extensions(rules):
        builder = builder.add_extension(extension, critical)
    return builder.sign(by, hashes.SHA256())


def _extensions(rules: Rules) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = list(rules.more)
    names = [
        *map(x509.UniformResourceIdentifier, rules.uris),
        *map(x509.DNSName, rules.dns),
    ]
    if names:
        found.append((x509.SubjectAlternativeName(names), False))
    if rules.ca is not None:
        found.append((x509.BasicConstraints(rules.ca, rules.path_length), True))
    if rules.usage is not None:
        found.append((_usage(rules.usage), rules.usage_critical))
    if rules.extended:
        found.append((x509.ExtendedKeyUsage(rules.extended), False))
    return found


def _usage(bits: frozenset[str]) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in bits for name in names})


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
