"""An authority signs what OpenSSL and others accept, changes its keys, and survives in its file."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509.verification import PolicyBuilder, Store
from hypothesis import given
from hypothesis import strategies as st

from actors.identity import authority as authorities
from actors.identity import authority_file, federation
from actors.identity.authority import LEAD_S, MOST_KEPT, ROOT_LIFE_S, Authority
from actors.identity.authority_file import KeptAuthority
from actors.identity.contract import TrustBundle
from actors.identity.documents import bundle_document
from actors.identity.errors import AuthorityBusy, AuthorityUnusable

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0
LIFE_S = 3600.0
ID = "spiffe://mesh.example/service/gateway"


def exported(authority: Authority) -> dict[str, Any]:
    """What is handed to another trust domain."""
    found = TrustBundle(
        authority.trust_domain, authority.certificates(), json.dumps(authority.jwks()), 0
    )
    return bundle_document(found)


def trusted_by(authority: Authority, certificate: bytes, at: float) -> bool:
    """Whether RFC 5280 gives a path from a certificate to the authority's bundle."""
    from datetime import UTC, datetime

    roots = [x509.load_der_x509_certificate(each) for each in authority.certificates()]
    verifier = (
        PolicyBuilder()
        .store(Store(roots))
        .time(datetime.fromtimestamp(at, UTC))
        .build_client_verifier()
    )
    try:
        found = verifier.verify(x509.load_der_x509_certificate(certificate), [])
    except x509.verification.VerificationError:
        return False
    assert found.subjects is not None
    return [each.value for each in found.subjects] == [ID]


def test_an_svid_is_accepted_and_is_what_the_standard_says() -> None:
    """One URI, no CA, both ends of TLS, backdated, with the key of its certificate."""
    authority = Authority.new("mesh.example", NOW)
    svid = authority.issue_x509(ID, NOW, LIFE_S)
    leaf = x509.load_der_x509_certificate(svid.certificate)
    assert trusted_by(authority, svid.certificate, NOW)
    assert not trusted_by(Authority.new("mesh.example", NOW), svid.certificate, NOW)
    assert leaf.not_valid_before_utc.timestamp() == NOW - 10
    assert leaf.not_valid_after_utc.timestamp() == svid.not_after == NOW + LIFE_S
    assert load_der_private_key(svid.key, None).public_key() == leaf.public_key()
    assert leaf.subject != leaf.issuer
    short = authority.issue_x509(ID, NOW, 10.0)
    leaf = x509.load_der_x509_certificate(short.certificate)
    assert leaf.not_valid_before_utc.timestamp() == NOW - 1  # else half of its life were over


def test_a_token_is_checked_with_the_bundle() -> None:
    """Anybody with the JWK Set can check it, and for another audience it is refused."""
    authority = Authority.new("mesh.example", NOW)
    token = authority.issue_jwt(ID, ["alerts"], NOW, 300.0)
    key = jwt.PyJWKSet.from_dict(authority.jwks())[jwt.get_unverified_header(token)["kid"]]
    options = {"verify_exp": False, "verify_iat": False}
    read = jwt.decode(token, key.key, ["ES256"], audience="alerts", options=options)
    assert read == {"sub": ID, "aud": ["alerts"], "iat": int(NOW), "exp": int(NOW) + 300}
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, key.key, ["ES256"], audience="gateway", options=options)


def test_the_bundle_document_can_be_read_by_others() -> None:
    """What is exported is what another trust domain reads, without any private key."""
    authority = Authority.new("mesh.example", NOW).rotated(NOW, LIFE_S)
    content = json.dumps(exported(authority)).encode()
    found = federation.of_document(content)
    assert found.x509_authorities == authority.certificates()
    assert found.jwks == authority.jwks()
    assert b'"d"' not in content


def test_new_keys_are_known_before_they_sign_and_old_ones_until_all_has_expired() -> None:
    """At every moment of a rotation, all that lives and was signed is trusted."""
    old = Authority.new("mesh.example", NOW)
    first = old.issue_x509(ID, NOW, LIFE_S).certificate
    both = old.rotated(NOW, LIFE_S)
    assert len(both.certificates()) == 2
    between = both.issue_x509(ID, NOW + LEAD_S - 0.1, LIFE_S).certificate
    assert trusted_by(old, between, NOW)  # whoever has not heard yet
    after = both.tidied(NOW + LEAD_S)
    last = after.issue_x509(ID, NOW + LEAD_S, LIFE_S).certificate
    assert not trusted_by(old, last, NOW + LEAD_S)
    end = NOW + LEAD_S + LIFE_S - 1
    assert all(trusted_by(after.tidied(end), each, end) for each in (between, last))
    assert trusted_by(after, first, NOW + LEAD_S)
    assert after.generations[0].key is after.generations[0].jwt_key is None
    later = after.tidied(NOW + LEAD_S + LIFE_S + 61)
    assert later.certificates() == after.certificates()[1:]


def test_a_second_wish_for_new_keys_changes_nothing_while_the_first_waits() -> None:
    """Whoever asks twice gets one rotation."""
    once = Authority.new("mesh.example", NOW).rotated(NOW, LIFE_S)
    assert once.rotated(NOW + 0.5, LIFE_S).generations == once.generations


def test_there_is_an_end_to_rotations() -> None:
    """A bundle has a bound; the error says when there is room."""
    present, at = Authority.new("mesh.example", NOW), NOW
    for _ in range(MOST_KEPT - 1):
        present = present.rotated(at, LIFE_S)
        at += LEAD_S
    with pytest.raises(AuthorityBusy, match=r"In 36[0-9]{2} s"):
        present.rotated(at, LIFE_S)
    assert len(present.rotated(at + 2 * LIFE_S, LIFE_S).generations) == 2


@given(
    st.lists(
        st.tuples(st.sampled_from(["rotate", "tidy"]), st.floats(-1e7, 1e7, allow_nan=False)),
        max_size=8,
    )
)
def test_whatever_the_clock_does_somebody_signs(steps: list[tuple[str, float]]) -> None:
    """After pauses of months and clocks set back, keys sign, and the bundle is bounded."""
    present, at = Authority.new("mesh.example", NOW), NOW
    for step, by in steps:
        at += by
        present = present.tidied(at)
        if step == "rotate":
            with contextlib.suppress(AuthorityBusy):
                present = present.rotated(at, LIFE_S)
        assert trusted_by(present, present.issue_x509(ID, at, LIFE_S).certificate, at)
        assert 1 <= len(present.generations) <= MOST_KEPT + 1
        read = authorities.of_document(authorities.document(present))
        assert isinstance(read, Authority)
        assert authorities.document(read) == authorities.document(present)


def test_keys_are_not_pickled_nor_shown() -> None:
    """What holds a key refuses to leave the process, and tells nothing of it."""
    authority = Authority.new("mesh.example", NOW)
    svid = authority.issue_x509(ID, NOW, LIFE_S)
    for holder in (authority, authority.generations[0], svid):
        with pytest.raises(TypeError):
            pickle.dumps(holder)
    assert svid.key.hex()[-64:] not in repr(svid)
    assert repr(svid.key)[2:40] not in repr(svid)


def test_a_file_is_private_and_gives_the_same_authority_again(tmp_path: Path) -> None:
    """A second start goes on with the same keys; due keys are replaced and kept at once."""
    path = tmp_path / "authority.json"
    first = authority_file.opened(path, "mesh.example", NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = authority_file.opened(path, "mesh.example", NOW)
    assert authorities.document(again) == authorities.document(first) == path.read_bytes()
    kept = KeptAuthority(path, "mesh.example", LIFE_S)
    later = kept.at(NOW + ROOT_LIFE_S / 2)
    assert len(later.generations) == 2
    assert authorities.document(later) == path.read_bytes()


def test_a_file_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    """Damaged, foreign, or open to others: it is left as it is, and no key is in the error."""
    path = tmp_path / "authority.json"
    good = authorities.document(Authority.new("mesh.example", NOW))
    secret = json.loads(good)["generations"][0]["key"]
    other = json.loads(good)
    other["generations"][0]["key"] = json.loads(
        authorities.document(Authority.new("mesh.example", NOW))
    )["generations"][0]["key"]
    damaged = [
        (good[: len(good) // 2], "damaged"),
        (b"", "damaged"),
        (b"[]", "damaged"),
        (good.replace(b'"version": 1', b'"version": 2'), "version 2"),
        (json.dumps({**json.loads(good), "generations": []}).encode(), "no keys"),
        (json.dumps(other).encode(), "damaged"),
        (good.replace(b"mesh.example", b"mesh.another"), "mesh.another"),
    ]
    for content, why in damaged:
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(AuthorityUnusable, match=why) as caught:
            authority_file.opened(path, "mesh.example", NOW)
        assert path.read_bytes() == content
        pickled = pickle.dumps(caught.value)
        for line in secret.splitlines()[1:-1]:
            assert line not in f"{caught.value!r}{caught.value.__context__!r}"
            assert line.encode() not in pickled
    path.write_bytes(good)
    path.chmod(0o640)
    with pytest.raises(AuthorityUnusable, match="other users"):
        authority_file.opened(path, "mesh.example", NOW)


def test_killed_at_any_moment_it_goes_on_with_what_was_written(tmp_path: Path) -> None:
    """SIGKILL while keys are replaced again and again leaves a whole file, and no others."""
    path = tmp_path / "authority.json"
    script = (
        "import sys, pathlib\n"
        "from actors.identity import authority_file\n"
        "from actors.identity.authority import Authority\n"
        "at = 1_800_000_000.0\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "found = authority_file.opened(path, 'mesh.example', at)\n"
        "print('begun', flush=True)\n"
        "while True:\n"
        "    at += 5.0\n"
        "    found = found.rotated(at, 1.0)\n"
        "    authority_file.keep(path, found)\n"
    )
    for pause_ms in (1, 7, 19):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(pause_ms / 1000)
            os.kill(process.pid, signal.SIGKILL)
        found = authority_file.opened(path, "mesh.example", NOW)
        assert found.generations
        assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_one_bad_bundle_of_another_trust_domain_costs_one(tmp_path: Path) -> None:
    """The others are used, and each that is not says why."""
    good = Authority.new("b.example", NOW)
    (tmp_path / "b.example.json").write_text(json.dumps(exported(good)))
    (tmp_path / "c.example.json").write_text("{")
    no_der = {"keys": [{"use": "x509-svid", "x5c": [base64.b64encode(b"no").decode()]}]}
    (tmp_path / "d.example.json").write_text(json.dumps(no_der))
    (tmp_path / "mesh.example.json").write_text(json.dumps(exported(good)))
    found = federation.read(tmp_path, "mesh.example")
    assert list(found.bundles) == ["b.example"]
    assert found.bundles["b.example"].x509_authorities == good.certificates()
    assert set(found.refused) == {"c.example.json", "d.example.json", "mesh.example.json"}
    assert federation.read(tmp_path / "none", "mesh.example").bundles == {}
