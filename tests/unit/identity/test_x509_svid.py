"""A certificate is an SVID only if it keeps every rule for a leaf (rule 5), and has its key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.private_key import read_key
from actors.identity.x509_reading import read_der_chain, read_pem_chain
from actors.identity.x509_svid import MOST_CERTIFICATES, check_leaf, read_svid
from tests.unit.identity.certificates import AUTHORITY, ID, Rules, issue, new_key, root

ROOT = root()
LEAF = issue(ROOT)
SIGNS = frozenset({"digital_signature"})
SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is to be refused


def test_a_leaf_that_keeps_all_rules_names_its_workload() -> None:
    """The ID is that of the one URI; names of hosts beside it do not matter."""
    assert str(check_leaf(LEAF.certificate)) == ID
    assert str(check_leaf(issue(ROOT, Rules(dns=("a.example",))).certificate)) == ID
    assert str(check_leaf(issue(ROOT, Rules(extended=())).certificate)) == ID
    assert str(check_leaf(issue(ROOT, Rules(ca=None)).certificate)) == ID


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        (Rules(uris=()), IdentityFault.NO_URI_SAN),
        (Rules(uris=(), dns=("a.example",)), IdentityFault.NO_URI_SAN),
        (Rules(uris=(ID, ID)), IdentityFault.MANY_URI_SANS),
        (Rules(uris=(ID, "https://a.example")), IdentityFault.MANY_URI_SANS),
        (Rules(uris=("https://a.example/b",)), IdentityFault.BAD_SPIFFE_ID),
        (Rules(uris=("spiffe://mesh.example",)), IdentityFault.BAD_SPIFFE_ID),
        (Rules(uris=("spiffe://mesh.example/",)), IdentityFault.BAD_SPIFFE_ID),
        (Rules(ca=True), IdentityFault.LEAF_IS_CA),
        (Rules(usage=None), IdentityFault.LEAF_WITHOUT_KEY_USAGE),
        (Rules(usage_critical=False), IdentityFault.KEY_USAGE_NOT_CRITICAL),
        (
            Rules(usage=frozenset({"key_agreement"})),
            IdentityFault.LEAF_WITHOUT_DIGITAL_SIGNATURE,
        ),
        (Rules(usage=SIGNS | {"key_cert_sign"}), IdentityFault.LEAF_SIGNS_CERTIFICATES),
        (Rules(usage=SIGNS | {"crl_sign"}), IdentityFault.LEAF_SIGNS_CRLS),
        (
            Rules(extended=(ExtendedKeyUsageOID.SERVER_AUTH,)),
            IdentityFault.EXTENDED_KEY_USAGE,
        ),
        (
            Rules(extended=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
            IdentityFault.EXTENDED_KEY_USAGE,
        ),
    ],
)
def test_a_leaf_that_breaks_one_rule_is_refused_for_it(rules: Rules, fault: IdentityFault) -> None:
    """Each rule has a fault of its own."""
    with pytest.raises(IdentityRefused) as caught:
        check_leaf(issue(ROOT, rules).certificate)
    assert caught.value.fault is fault


@pytest.mark.parametrize(
    "key", [SMALL, ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())]
)
def test_a_leaf_with_a_weak_or_strange_key_is_refused(key: object) -> None:
    """Keys are RSA of 2048 bits or more, or on a NIST curve."""
    with pytest.raises(IdentityRefused) as caught:
        check_leaf(issue(ROOT, key=key).certificate)
    assert caught.value.fault is IdentityFault.UNSUPPORTED_KEY


def test_a_chain_says_which_of_its_issuers_may_not_issue() -> None:
    """Intermediates must be authorities that may sign certificates."""
    no_ca = issue(ROOT, Rules(uris=()), name="middle")
    with pytest.raises(IdentityRefused, match="certificate 1") as caught:
        read_svid((LEAF.certificate, no_ca.certificate))
    assert caught.value.fault is IdentityFault.ISSUER_NOT_CA
    mute = issue(ROOT, replace(AUTHORITY, usage=frozenset({"crl_sign"})), name="middle")
    with pytest.raises(IdentityRefused, match="certificate 1") as caught:
        read_svid((LEAF.certificate, mute.certificate))
    assert caught.value.fault is IdentityFault.ISSUER_MAY_NOT_SIGN


def test_a_chain_is_bounded() -> None:
    """More certificates than any chain needs are refused before they are looked at."""
    with pytest.raises(IdentityRefused) as caught:
        read_svid((LEAF.certificate,) + (ROOT.certificate,) * MOST_CERTIFICATES)
    assert caught.value.fault is IdentityFault.TOO_LARGE


def test_certificates_that_follow_each_other_are_read_in_order() -> None:
    """A chain in DER is its certificates without anything between."""
    middle = issue(ROOT, AUTHORITY, name="middle")
    leaf = issue(middle)
    assert read_der_chain(leaf.chain_der()) == leaf.chain()


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_refusing(noise: bytes) -> None:
    """Bytes that are no certificate are refused, whatever they are."""
    with pytest.raises(IdentityRefused):
        read_der_chain(noise)
    with pytest.raises(IdentityRefused):
        read_pem_chain(noise)


@given(st.integers(0, len(LEAF.der) - 1), st.integers(1, 255))
def test_a_changed_certificate_is_refused_or_is_another_one(place: int, by: int) -> None:
    """No changed byte passes for the certificate that it was."""
    changed = bytearray(LEAF.der)
    changed[place] ^= by
    try:
        read = read_der_chain(bytes(changed))
        svid = read_svid(read)
    except IdentityRefused:
        return
    assert svid.leaf != LEAF.certificate


def test_a_certificate_that_is_cut_short_is_refused() -> None:
    """No beginning of a certificate is read, nor one with something after it."""
    for end in range(1, len(LEAF.der)):
        with pytest.raises(IdentityRefused):
            read_der_chain(LEAF.der[:end])
    with pytest.raises(IdentityRefused) as caught:
        read_der_chain(LEAF.der + b"\0")
    assert caught.value.fault is IdentityFault.MALFORMED_CERTIFICATE


def pkcs8(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (b"", IdentityFault.MALFORMED_KEY),
        (b"\x30\x03\x02\x01\x00", IdentityFault.MALFORMED_KEY),
        (LEAF.der, IdentityFault.MALFORMED_KEY),
        (pkcs8(new_key()), IdentityFault.KEY_MISMATCH),
        (pkcs8(ed25519.Ed25519PrivateKey.generate()), IdentityFault.UNSUPPORTED_KEY),
        (
            LEAF.key.private_bytes(
                Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
            ),
            IdentityFault.MALFORMED_KEY,
        ),
    ],
    ids=["empty", "junk", "certificate", "another", "Ed25519", "encrypted"],
)
def test_a_key_that_is_not_that_of_the_certificate_is_refused(
    key: bytes, fault: IdentityFault
) -> None:
    """The key is unencrypted PKCS#8, of the certificate's own public key."""
    with pytest.raises(IdentityRefused) as caught:
        read_key(key, LEAF.certificate)
    assert caught.value.fault is fault
    assert caught.value.__context__ is None


def test_a_certificate_without_a_readable_extension_is_refused() -> None:
    """An extension that is no DER makes the certificate unreadable, not an unexpected error."""
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\xff")
    leaf = issue(ROOT, Rules(uris=(), more=((broken, False),)))
    with pytest.raises(IdentityRefused) as caught:
        read_der_chain(leaf.der)
    assert caught.value.fault is IdentityFault.MALFORMED_CERTIFICATE
