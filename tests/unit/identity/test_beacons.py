"""Beacons: what is taken, each reason to refuse one, and that no clock is ever moved."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity import keys
from actors.identity.beacon import (
    CERTIFICATE_CONTEXT,
    INTRODUCE_EVERY,
    INTRODUCTIONS,
    Beacon,
    BeaconSigner,
    EpochCertificate,
)
from actors.identity.beacon_judge import BURST, BeaconJudge, BeaconReason
from actors.identity.enrolment import fingerprint
from actors.identity.replay_window import WINDOW

NOW, SKEW = 1_700_000_000.0, 5.0
MS = int(NOW * 1000)
HOUR = 3_600_000
SEEDS = {"a": b"a" * 32, "b": b"b" * 32}
ENROLLED = {name: fingerprint(keys.mldsa65_keygen(seed)) for name, seed in SEEDS.items()}


def signer(
    node: str = "a", *, epoch: int = MS, begins: int = MS, ends: int = MS + HOUR
) -> BeaconSigner:
    return BeaconSigner.begin(SEEDS[node], "mesh", node, epoch, begins, ends)


def judge(began: float = NOW - 60.0) -> BeaconJudge:
    return BeaconJudge("mesh", ENROLLED.get, SKEW, began)


A = signer()


def fresh() -> BeaconSigner:
    """One that signs with A's keys, from sequence 0 on."""
    return BeaconSigner(A.certificate, A.ephemeral)


def resigned(beacon: bytes, **changes: object) -> bytes:
    """A beacon with some fields changed, signed by A's ephemeral key."""
    changed = replace(Beacon.decode(beacon), **changes)  # type: ignore[arg-type]
    return replace(changed, signature=A.ephemeral.sign(changed.signed)).encode()


def test_beacons_of_an_enrolled_node_are_taken_once_each() -> None:
    """In any order within the window; a second time none is."""
    one, sender = judge(), fresh()
    said = [sender.beacon(NOW + at) for at in range(4)]
    for at in (0, 2, 1, 3):
        assert one.judge("a", said[at], NOW + at) is None
    assert {one.judge("a", old, NOW + 3) for old in said} == {BeaconReason.REPLAYED}
    assert one.heard["a"].at == NOW + 3


def test_a_beacon_is_small_and_its_certificate_comes_now_and_then() -> None:
    """The first of an epoch enclose it, then every sixteenth, and any on demand."""
    sender = fresh()
    said = [sender.beacon(NOW) for _ in range(3 * INTRODUCE_EVERY)]
    enclosing = [at for at, beacon in enumerate(said) if Beacon.decode(beacon).certificate]
    assert enclosing == [*range(INTRODUCTIONS), INTRODUCE_EVERY, 2 * INTRODUCE_EVERY]
    assert max(len(b) for at, b in enumerate(said) if at not in enclosing) < 200
    sender.introduce()
    said = [sender.beacon(NOW + 1.0) for _ in range(2 * INTRODUCTIONS)][1:]
    assert [bool(Beacon.decode(one).certificate) for one in said] == [True, True] + 3 * [False]


def test_who_has_not_got_the_certificate_waits_for_it() -> None:
    """A beacon without it is refused by name until one with it has come."""
    one, sender = judge(), fresh()
    for _ in range(INTRODUCTIONS):
        sender.beacon(NOW)
    bare = sender.beacon(NOW)
    assert one.judge("a", bare, NOW) is BeaconReason.CERTIFICATE_MISSING
    sender.introduce()
    assert one.judge("a", sender.beacon(NOW), NOW) is None
    assert one.judge("a", bare, NOW) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 0}, BeaconReason.VERSION_UNSUPPORTED),
        ({"suite": 0x8001}, BeaconReason.SUITE_UNSUPPORTED),
        ({"mesh": "other"}, BeaconReason.WRONG_MESH),
        ({"node": "b"}, BeaconReason.WRONG_NODE),
        ({"time": MS + 5001}, BeaconReason.CLOCK_SKEW),
        ({"time": MS - 5001}, BeaconReason.CLOCK_SKEW),
        ({"time": MS + 17 * 365 * 86_400_000}, BeaconReason.CLOCK_SKEW),
        ({"time": 2**64 - 1}, BeaconReason.CLOCK_SKEW),
        ({"epoch": MS + 5001}, BeaconReason.EPOCH_AHEAD),
        ({"epoch": 2**64 - 1}, BeaconReason.EPOCH_AHEAD),
        ({"epoch": MS - 1}, BeaconReason.CERTIFICATE_MISMATCH),
        ({"key_id": bytes(8)}, BeaconReason.CERTIFICATE_MISMATCH),
        ({"certificate": b"rubbish"}, BeaconReason.CERTIFICATE_MISMATCH),
        ({"certificate": b"", "key_id": bytes(8)}, BeaconReason.CERTIFICATE_MISSING),
    ],
)
def test_each_rule_refuses_for_its_own_reason(
    changes: dict[str, object], reason: BeaconReason
) -> None:
    """Although the signature of the ephemeral key is good."""
    one = judge()
    if changes.get("certificate") == b"rubbish":
        reason = BeaconReason.BAD_CERTIFICATE
    assert one.judge("a", resigned(fresh().beacon(NOW), **changes), NOW) is reason
    assert one.judge("a", fresh().beacon(NOW), NOW) is None  # and nothing was spoilt by it


def test_a_name_without_a_key_is_unknown() -> None:
    """Enrolled keys only."""
    stranger = BeaconSigner.begin(bytes(32), "mesh", "c", MS, MS, MS + HOUR)
    assert judge().judge("c", stranger.beacon(NOW), NOW) is BeaconReason.UNKNOWN_NODE


def test_another_key_than_the_enrolled_one_is_refused() -> None:
    """A thief of the name has not the key."""
    thief = BeaconSigner.begin(bytes(32), "mesh", "a", MS, MS, MS + HOUR)
    assert judge().judge("a", thief.beacon(NOW), NOW) is BeaconReason.WRONG_KEY


def test_a_key_that_is_enrolled_no_more_is_refused_at_once() -> None:
    """Also while its certificate is known and good."""
    enrolled = dict(ENROLLED)
    one, sender = BeaconJudge("mesh", enrolled.get, SKEW, NOW - 60.0), fresh()
    assert one.judge("a", sender.beacon(NOW), NOW) is None
    enrolled["a"] = bytes(32)
    assert one.judge("a", sender.beacon(NOW), NOW) is BeaconReason.WRONG_KEY
    del enrolled["a"]
    assert one.judge("a", sender.beacon(NOW), NOW) is BeaconReason.UNKNOWN_NODE


def test_a_certificate_that_the_lasting_key_has_not_signed_is_refused() -> None:
    """Breaking Ed25519 does not help: the certificate is post-quantum."""
    ephemeral = Ed25519PrivateKey.generate()
    forged = replace(A.certificate, ephemeral_key=ephemeral.public_key().public_bytes_raw())
    sender = BeaconSigner(forged, ephemeral)
    assert judge().judge("a", sender.beacon(NOW), NOW) is BeaconReason.BAD_CERTIFICATE

    other_use = keys.mldsa65_sign(SEEDS["a"], A.certificate.signed, b"another use")
    sender = BeaconSigner(replace(A.certificate, signature=other_use), A.ephemeral)
    assert judge().judge("a", sender.beacon(NOW), NOW) is BeaconReason.BAD_CERTIFICATE
    good = keys.mldsa65_sign(SEEDS["a"], A.certificate.signed, CERTIFICATE_CONTEXT)
    sender = BeaconSigner(replace(A.certificate, signature=good), A.ephemeral)
    assert judge().judge("a", sender.beacon(NOW), NOW) is None


def test_an_epochs_key_is_good_between_its_times() -> None:
    """Before and after them it is not, whether the certificate is new or known."""
    one, sender = judge(), fresh()
    assert one.judge("a", sender.beacon(NOW), NOW) is None
    after = NOW + HOUR / 1000 + 0.001
    assert one.judge("a", sender.beacon(after), after) is BeaconReason.CERTIFICATE_EXPIRED
    assert judge().judge("a", fresh().beacon(after), after) is BeaconReason.CERTIFICATE_EXPIRED
    early = signer(begins=MS + 5001)
    assert judge().judge("a", early.beacon(NOW), NOW) is BeaconReason.CERTIFICATE_EXPIRED


def test_an_old_epoch_and_what_lies_below_the_window_are_refused() -> None:
    """A replay of what was heard before a rotation, or long ago."""
    one, old, new = judge(), signer(epoch=MS - 1), fresh()
    late = old.beacon(NOW)
    assert one.judge("a", old.beacon(NOW), NOW) is None
    assert one.judge("a", new.beacon(NOW), NOW) is None
    assert one.judge("a", late, NOW) is BeaconReason.OLD_EPOCH
    first = new.beacon(NOW)
    new.sequence += WINDOW
    assert one.judge("a", new.beacon(NOW), NOW) is None
    assert one.judge("a", first, NOW) is BeaconReason.TOO_OLD


def test_a_judge_that_remembers_nothing_takes_nothing_from_before_it_began() -> None:
    """What it took before a crash cannot be played to it again."""
    said = fresh().beacon(NOW)
    assert judge(NOW - 1.0).judge("a", said, NOW) is None
    assert judge(NOW + 1.0).judge("a", said, NOW + 1.0) is BeaconReason.BEFORE_BEGINNING


def test_no_beacon_moves_a_clock_or_the_bound_of_the_next() -> None:
    """One that is ahead, within the skew, does not make an honest later one old."""
    one, sender = judge(), fresh()
    assert one.judge("a", sender.beacon(NOW + 4.9), NOW) is None
    assert one.judge("a", sender.beacon(NOW + 0.1), NOW + 0.1) is None
    assert one.judge("a", sender.beacon(NOW - 4.0), NOW + 0.2) is None
    assert one.heard["a"].at == NOW + 0.2


def test_a_window_of_an_epoch_that_a_wrong_clock_began_is_forgotten() -> None:
    """Both clocks were an hour ahead; when they are right again the node is heard again."""
    one, ahead = judge(), NOW + 3600.0
    wrong = signer(epoch=MS + HOUR, begins=MS + HOUR, ends=MS + 2 * HOUR)
    assert one.judge("a", wrong.beacon(ahead), ahead) is None
    assert one.judge("a", fresh().beacon(NOW), NOW) is None
    assert one.judge("a", wrong.beacon(ahead), NOW) is BeaconReason.CLOCK_SKEW


def test_a_flood_in_a_nodes_name_costs_a_bounded_number_of_signatures() -> None:
    """Beyond its rate a node's beacons are refused unverified; the rate comes back with time."""
    one, sender = judge(), fresh()
    sender.introductions = int(BURST) + 5
    said = [sender.beacon(NOW) for _ in range(int(BURST) + 5)]
    forged = [replace(Beacon.decode(each), signature=bytes(64)).encode() for each in said]
    reasons = [one.judge("a", each, NOW) for each in forged]
    assert reasons.count(BeaconReason.RATE_LIMITED) == 5
    assert reasons.count(BeaconReason.BAD_SIGNATURE) == int(BURST)
    assert one.judge("a", fresh().beacon(NOW + 1.0), NOW + 1.0) is None


@settings(max_examples=150)
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), enclosed=st.booleans())
def test_no_altered_beacon_is_taken(*, at: int, bit: int, enclosed: bool) -> None:
    """Whichever bit of it, with or without its certificate, known or not."""
    one, sender = judge(), fresh()
    assert one.judge("a", sender.beacon(NOW), NOW) is None
    sender.sequence, sender.introductions = 5, int(enclosed)
    said = bytearray(sender.beacon(NOW))
    body = len(said) if not enclosed else said.index(A._encoded)  # a known certificate is not read
    said[at % body] ^= 1 << bit
    assert one.judge("a", bytes(said), NOW) is not None
    assert one.heard["a"].window.highest == 0


@given(st.binary(max_size=400))
def test_any_bytes_are_judged_without_an_exception(data: bytes) -> None:
    """What comes from outside is never a fault of the judge."""
    assert judge().judge("a", data, NOW) is BeaconReason.MALFORMED


def test_nodes_that_the_map_has_not_are_forgotten() -> None:
    """What is held is bounded by the map."""
    one = judge()
    one.judge("a", fresh().beacon(NOW), NOW)
    one.forget({"b"})
    assert one.heard == {}


def test_a_signer_does_not_leave_its_process() -> None:
    """Neither by pickle nor by repr."""
    with pytest.raises(TypeError):
        pickle.dumps(A)
    assert "Ed25519PrivateKey" not in repr(A)


def test_a_certificate_reads_back_as_it_was() -> None:
    """Canonical: one encoding."""
    assert EpochCertificate.decode(A.certificate.encode()) == A.certificate
