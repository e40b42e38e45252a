"""An SVID counts only if the bundle of its own trust domain vouches for it (rule 6)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from actors.identity.contract import IdentityFault
from actors.identity.errors import IdentityRefused
from actors.identity.revocation import MOST_LISTS, read_revocations
from actors.identity.x509_path import verify_path, verify_peer
from actors.identity.x509_svid import X509Svid, read_svid
from tests.unit.identity.certificates import (
    AUTHORITY,
    ID,
    NOW,
    Rules,
    Signer,
    issue,
    revoked,
    root,
    with_times,
)

ROOT = root()
MIDDLE = issue(ROOT, AUTHORITY, name="middle")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def svid(leaf: Signer) -> X509Svid:
    return read_svid(leaf.chain())


def test_a_path_leads_to_the_bundle_through_intermediates_or_without() -> None:
    """An SVID is vouched for by an authority of the bundle, or by one that that vouches for."""
    others = [root("other").certificate, ROOT.certificate]
    verify_path(svid(issue(ROOT)), others, NOW)
    verify_path(svid(issue(MIDDLE)), others, NOW)
    verify_path(svid(issue(issue(MIDDLE, AUTHORITY, name="lower"))), others, NOW)


def test_an_intermediate_in_the_bundle_is_enough() -> None:
    """Whatever authority is in the bundle is trusted, also one that is not self-signed."""
    leaf = issue(MIDDLE)
    verify_path(read_svid([leaf.certificate]), [MIDDLE.certificate], NOW)


def test_an_authority_of_a_bundle_may_lack_key_usage_and_an_intermediate_may_not() -> None:
    """What is trusted by itself proves nothing by its extensions; if it has one, that counts."""
    plain = root("plain", replace(AUTHORITY, usage=None))
    verify_path(svid(issue(plain)), [plain.certificate], NOW)
    with pytest.raises(IdentityRefused) as caught:
        svid(issue(issue(plain, replace(AUTHORITY, usage=None), "middle")))
    assert caught.value.fault is IdentityFault.ISSUER_MAY_NOT_SIGN
    mute = root("mute", replace(AUTHORITY, usage=frozenset({"crl_sign"})))
    with pytest.raises(IdentityRefused) as caught:
        verify_path(svid(issue(mute)), [mute.certificate], NOW)
    assert caught.value.fault is IdentityFault.UNTRUSTED


@pytest.mark.parametrize(
    ("leaf", "fault"),
    [
        (issue(root("foreign")), IdentityFault.UNTRUSTED),
        (issue(root("root")), IdentityFault.UNTRUSTED),  # the same name, another key
        (
            replace(issue(MIDDLE), above=()),  # the intermediate is not sent
            IdentityFault.UNTRUSTED,
        ),
        (
            issue(issue(issue(ROOT, replace(AUTHORITY, path_length=0), "short"), AUTHORITY, "low")),
            IdentityFault.PATH_TOO_LONG,
        ),
        (issue(ROOT, with_times(Rules(), NOW - 60, NOW)), IdentityFault.EXPIRED),
        (issue(ROOT, with_times(Rules(), NOW + 5, NOW + 60)), IdentityFault.NOT_YET_VALID),
        (
            issue(issue(ROOT, with_times(AUTHORITY, NOW - 60, NOW - 30), "old")),
            IdentityFault.EXPIRED,
        ),
        (
            issue(ROOT, Rules(more=((UNKNOWN, True),))),
            IdentityFault.UNKNOWN_CRITICAL_EXTENSION,
        ),
        (
            issue(issue(ROOT, replace(AUTHORITY, more=((UNKNOWN, True),)), "odd")),
            IdentityFault.UNKNOWN_CRITICAL_EXTENSION,
        ),
        (
            issue(
                issue(
                    ROOT,
                    replace(
                        AUTHORITY,
                        more=((x509.NameConstraints([x509.DNSName("b.example")], None), True),),
                    ),
                    "narrow",
                ),
                Rules(dns=("a.example",)),
            ),
            IdentityFault.NAME_NOT_PERMITTED,
        ),
        (
            issue(
                issue(
                    ROOT,
                    replace(
                        AUTHORITY,
                        more=(
                            (
                                x509.NameConstraints(
                                    [x509.UniformResourceIdentifier("other.example")], None
                                ),
                                True,
                            ),
                        ),
                    ),
                    "narrow",
                )
            ),
            IdentityFault.NAME_NOT_PERMITTED,
        ),
    ],
)
def test_a_path_that_breaks_a_rule_is_refused_for_it(leaf: Signer, fault: IdentityFault) -> None:
    """Each way to have no valid path is told by a fault of its own."""
    with pytest.raises(IdentityRefused) as caught:
        verify_path(svid(leaf), [ROOT.certificate], NOW)
    assert caught.value.fault is fault


def test_validity_includes_its_begin_and_ends_before_its_end() -> None:
    """Nobody is let in at the second at which their SVID ends."""
    leaf = svid(issue(ROOT, with_times(Rules(), NOW, NOW + 10)))
    verify_path(leaf, [ROOT.certificate], NOW)
    verify_path(leaf, [ROOT.certificate], NOW + 9.9)
    with pytest.raises(IdentityRefused):
        verify_path(leaf, [ROOT.certificate], NOW + 10)
    with pytest.raises(IdentityRefused):
        verify_path(leaf, [ROOT.certificate], NOW - 0.1)


def test_an_svid_in_a_bundle_vouches_for_nothing() -> None:
    """A bundle that holds a leaf makes neither it nor its like trusted."""
    leaf = issue(root("foreign"))
    with pytest.raises(IdentityRefused) as caught:
        verify_path(svid(leaf), [leaf.certificate], NOW)
    assert caught.value.fault is IdentityFault.UNTRUSTED


def test_a_peer_is_judged_by_the_bundle_of_its_own_trust_domain_alone() -> None:
    """An authority of one trust domain cannot vouch for an ID of another."""
    ours, theirs = root("ours"), root("theirs")
    bundles = {"mesh.example": [ours.certificate], "far.example": [theirs.certificate]}
    peer = verify_peer([issue(ours).der], bundles, NOW)
    assert str(peer.spiffe_id) == ID
    far = issue(theirs, Rules(uris=("spiffe://far.example/x",)))
    assert str(verify_peer([far.der], bundles, NOW).spiffe_id) == "spiffe://far.example/x"
    with pytest.raises(IdentityRefused) as caught:
        verify_peer([issue(theirs).der], bundles, NOW)
    assert caught.value.fault is IdentityFault.UNTRUSTED
    stranger = issue(ours, Rules(uris=("spiffe://strange.example/x",)))
    with pytest.raises(IdentityRefused) as caught:
        verify_peer([stranger.der], bundles, NOW)
    assert caught.value.fault is IdentityFault.UNKNOWN_TRUST_DOMAIN


def test_a_certificate_that_its_issuer_has_revoked_counts_no_more() -> None:
    """The SVID's own issuer and those above it may revoke; a list of anybody else says nothing."""
    leaf, other = issue(MIDDLE), issue(MIDDLE)
    void = (
        revoked(MIDDLE, other),
        revoked(ROOT, leaf),
        revoked(MIDDLE, leaf, key=ROOT.key),
        revoked(root("middle"), leaf),
    )
    verify_path(svid(leaf), [ROOT.certificate], NOW, read_revocations(void))
    for lists in ((revoked(MIDDLE, other, leaf),), (*void, revoked(ROOT, MIDDLE))):
        with pytest.raises(IdentityRefused) as caught:
            verify_path(svid(leaf), [ROOT.certificate], NOW, read_revocations(lists))
        assert caught.value.fault is IdentityFault.REVOKED
        bundles, chain = {"mesh.example": [ROOT.certificate]}, [leaf.der, MIDDLE.der]
        with pytest.raises(IdentityRefused):
            verify_peer(chain, bundles, NOW, read_revocations(lists))


def test_lists_of_revoked_certificates_are_read_or_refused() -> None:
    """Noise is refused, and more lists than anybody needs."""
    for entries, fault in (
        ([b"noise"], IdentityFault.MALFORMED_MESSAGE),
        ([revoked(ROOT)] * (MOST_LISTS + 1), IdentityFault.TOO_LARGE),
    ):
        with pytest.raises(IdentityRefused) as caught:
            read_revocations(entries)
        assert caught.value.fault is fault
