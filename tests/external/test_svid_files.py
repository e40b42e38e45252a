"""Certificates and bundles of go-spiffe's tests: the good ones pass, each other has its fault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from actors.identity.bundles import read_jwks, read_pem_bundle, read_x509_bundle
from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.private_key import match_key, read_pem_key
from actors.identity.x509_path import verify_path
from actors.identity.x509_reading import read_pem_chain
from actors.identity.x509_svid import read_svid

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "svid"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded identities at {DATA}")

ID = "spiffe://example.org/workload-1"
FAULTS = {
    "corrupt-cert.pem": IdentityFault.MALFORMED_CERTIFICATE,
    "not-pem": IdentityFault.NO_CERTIFICATE,
    "key-pkcs8-ecdsa.pem": IdentityFault.NO_CERTIFICATE,
    "key-pkcs8-rsa.pem": IdentityFault.NO_CERTIFICATE,
    "corrupt-key.pem": IdentityFault.NO_CERTIFICATE,
    "wrong-intermediate-no-ca.pem": IdentityFault.ISSUER_NOT_CA,
    "wrong-intermediate-no-key-cert-sign.pem": IdentityFault.ISSUER_MAY_NOT_SIGN,
    "wrong-leaf-ca-true.pem": IdentityFault.LEAF_IS_CA,
    "wrong-leaf-cert-sign.pem": IdentityFault.LEAF_SIGNS_CERTIFICATES,
    "wrong-leaf-crl-sign.pem": IdentityFault.LEAF_SIGNS_CRLS,
    "wrong-leaf-empty-id.pem": IdentityFault.NO_URI_SAN,
    "wrong-leaf-no-digital-signature.pem": IdentityFault.LEAF_WITHOUT_DIGITAL_SIGNATURE,
}


def content(name: str) -> bytes:
    return (DATA / name).read_bytes()


def test_every_file_of_a_chain_is_judged() -> None:
    """A good chain names its workload; each other file is refused for its own reason."""
    judged = {}
    for file in sorted((DATA / "x509svid").iterdir()):
        try:
            judged[file.name] = str(read_svid(read_pem_chain(file.read_bytes())).spiffe_id)
        except IdentityRefused as refused:
            judged[file.name] = str(refused.fault)
    good = {name: ID for name in judged if name.startswith("good-")}
    assert len(good) == 4
    assert judged == {**good, **{name: str(fault) for name, fault in FAULTS.items()}}


def test_a_key_belongs_to_its_own_certificate_alone() -> None:
    """A key is found before and after a certificate, and matches that of its own key pair."""
    pairs = {
        "good-cert-and-key.pem": "good-cert-and-key.pem",
        "good-key-and-cert.pem": "good-key-and-cert.pem",
        "good-leaf-and-intermediate.pem": "key-pkcs8-ecdsa.pem",
        "good-leaf-only.pem": "key-pkcs8-rsa.pem",
    }
    leaves = {name: read_pem_chain(content(f"x509svid/{name}"))[0] for name in pairs}
    for name, leaf in leaves.items():
        for other, held_in in pairs.items():
            key = read_pem_key(content(f"x509svid/{held_in}"))
            if leaves[other] == leaf:
                match_key(key, leaf)
                continue
            with pytest.raises(IdentityRefused) as caught:
                match_key(key, leaf)
            assert caught.value.fault is IdentityFault.KEY_MISMATCH, (name, held_in)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("corrupt-key.pem", IdentityFault.MALFORMED_KEY),
        ("good-leaf-only.pem", IdentityFault.NO_KEY),
        ("not-pem", IdentityFault.NO_KEY),
    ],
)
def test_a_file_without_a_readable_key_is_refused(name: str, fault: IdentityFault) -> None:
    """A key that is damaged is told from one that is not there."""
    with pytest.raises(IdentityRefused) as caught:
        read_pem_key(content(f"x509svid/{name}"))
    assert caught.value.fault is fault


def test_a_chain_leads_to_the_authority_that_signed_it_and_to_no_other() -> None:
    """Its own intermediate vouches for the leaf at that time; others do not, nor does it later."""
    svid = read_svid(read_pem_chain(content("x509svid/good-leaf-and-intermediate.pem")))
    then = svid.not_before + 60
    verify_path(svid, svid.chain[1:], then)
    for authorities, now, fault in (
        (read_pem_bundle(content("x509bundle/certs.pem")), then, IdentityFault.UNTRUSTED),
        (svid.chain[1:], svid.not_after, IdentityFault.EXPIRED),
        (svid.chain[1:], svid.not_before - 1, IdentityFault.NOT_YET_VALID),
    ):
        with pytest.raises(IdentityRefused) as caught:
            verify_path(svid, authorities, now)
        assert caught.value.fault is fault


def test_every_x509_bundle_is_judged() -> None:
    """Bundles of one and two authorities are read, also from DER; the others are refused."""
    assert len(read_pem_bundle(content("x509bundle/cert.pem"))) == 1
    two = read_pem_bundle(content("x509bundle/certs.pem"))
    assert len(two) == 2
    assert read_x509_bundle(b"".join(one.public_bytes(Encoding.DER) for one in two)) == two
    for name, fault in (
        ("corrupted.pem", IdentityFault.MALFORMED_CERTIFICATE),
        ("empty.pem", IdentityFault.EMPTY_BUNDLE),
        ("key.pem", IdentityFault.NO_CERTIFICATE),
        ("not-pem.pem", IdentityFault.NO_CERTIFICATE),
    ):
        with pytest.raises(IdentityRefused) as caught:
            read_pem_bundle(content(f"x509bundle/{name}"))
        assert caught.value.fault is fault, name


def test_every_jwt_bundle_is_judged() -> None:
    """JWK Sets are read with all their keys; one with a key without an ID is refused."""
    for name, count in (("jwks_valid_1.json", 1), ("jwks_valid_2.json", 2)):
        document = content(f"jwtbundle/{name}")
        read = read_jwks(document)
        assert set(read.keys) == {one["kid"] for one in json.loads(document)["keys"]}
        assert len(read.keys) == count
    with pytest.raises(IdentityRefused, match="key 1") as caught:
        read_jwks(content("jwtbundle/jwks_missing_kid.json"))
    assert caught.value.fault is IdentityFault.MISSING_KEY_ID
