"""The handshake: what two sides agree on, and that nothing altered, old or lesser gets through."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity import handshake, keys
from actors.identity.encoding import join_fields, split_fields
from actors.identity.errors import HandshakeFailed, HandshakeReason
from actors.identity.handshake import Initiator, OfferMemory, Party, Responder
from actors.identity.handshake_messages import MESSAGE_MAX_BYTES, Answer, Offer, Suite
from tests.unit.identity.second_handshake import SecondInitiator, SecondResponder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.identity.session import Session

NOW = 1_700_000_000.0
SEEDS = {"alice": b"a" * 32, "bob": b"b" * 32, "carol": b"c" * 32}
PUBLIC = {name: keys.mldsa65_keygen(seed) for name, seed in SEEDS.items()}


def party(name: str) -> Party:
    def sign(message: bytes, context: bytes) -> bytes:
        return keys.mldsa65_sign(SEEDS[name], message, context)

    return Party(name, "mesh", sign, PUBLIC.get)


ALICE, BOB = party("alice"), party("bob")


@cache
def recorded() -> tuple[list[bytes], list[Initiator], list[Responder]]:
    """A handshake that went well: its four messages, and each side before each of its steps."""
    alice, bob = Initiator(ALICE, "bob", NOW), Responder(BOB, OfferMemory(), NOW)
    initiators, responders = [copy.copy(alice)], [copy.copy(bob)]
    answer = bob.answer(alice.offer)
    responders.append(copy.copy(bob))
    finish = alice.finish(answer)
    initiators.append(copy.copy(alice))
    done, _ = bob.done(finish)
    return [alice.offer, answer, finish, done], initiators, responders


def outcome(
    alice: Initiator, bob: Responder, pass_on: Callable[[int, bytes], bytes]
) -> tuple[Session | None, Session | None, HandshakeReason | None]:
    """Run a handshake over a wire that may alter messages: both sessions, the first reason."""
    theirs = None
    try:
        finish = alice.finish(pass_on(1, bob.answer(pass_on(0, alice.offer))))
        done, theirs = bob.done(pass_on(2, finish))
        return alice.done(pass_on(3, done)), theirs, None
    except HandshakeFailed as error:
        return None, theirs, error.reason


def straight(_: int, message: bytes) -> bytes:
    return message


def refusal(call: Callable[[], object]) -> HandshakeReason:
    with pytest.raises(HandshakeFailed) as caught:
        call()
    return caught.value.reason


# -- agreement -----------------------------------------------------------------------------------


def test_both_sides_end_with_one_session_and_each_others_name() -> None:
    """What one seals with the other opens with, and no two sessions are alike."""
    pairs = [
        outcome(Initiator(ALICE, "bob", NOW), Responder(BOB, OfferMemory(), NOW), straight)
        for _ in range(2)
    ]
    for mine, theirs, reason in pairs:
        assert reason is None
        assert mine is not None
        assert theirs is not None
        assert (mine.seal_key, mine.open_key) == (theirs.open_key, theirs.seal_key)
        assert mine.seal_key != mine.open_key
        assert mine.session_id == theirs.session_id
        assert (mine.peer, theirs.peer) == ("bob", "alice")
        assert mine.suite is theirs.suite is Suite.XWING_MLDSA65_AES256GCM
    first, second = (mine for mine, _, _ in pairs)
    assert first is not None
    assert second is not None
    assert len({first.seal_key, second.seal_key, first.open_key, second.open_key}) == 4


def test_our_initiator_agrees_with_the_second_transcription() -> None:
    """The keys are the same byte for byte."""
    mine = Initiator(ALICE, "bob", NOW)
    theirs = SecondResponder(_private("bob"), _private("alice").public_key())

    done, derived = theirs.done(mine.finish(theirs.answer(mine.offer)))
    session = mine.done(done)

    assert (session.seal_key, session.open_key) == (derived["initiator"], derived["responder"])
    assert session.session_id == derived["id"]
    assert session.suite is Suite.XWING_MLDSA65_CHACHA20POLY1305


def test_our_responder_agrees_with_the_second_transcription() -> None:
    """The keys are the same byte for byte, the other way round."""
    theirs = SecondInitiator(_private("alice"), _private("bob").public_key())
    mine = Responder(BOB, OfferMemory(), NOW)

    offer = theirs.offer("mesh", "alice", "bob", int(NOW * 1000))
    done, session = mine.done(theirs.finish(mine.answer(offer)))
    derived = theirs.done(done)

    assert (session.open_key, session.seal_key) == (derived["initiator"], derived["responder"])
    assert session.session_id == derived["id"]


def test_the_keys_of_a_session_leave_it_neither_by_repr_nor_by_pickle() -> None:
    """A log line or an object store never holds them."""
    session, _, _ = outcome(
        Initiator(ALICE, "bob", NOW), Responder(BOB, OfferMemory(), NOW), straight
    )
    assert session is not None
    assert session.seal_key.hex() not in repr(session)
    assert repr(session.seal_key) not in repr(session)
    with pytest.raises(TypeError):
        pickle.dumps(session)


# -- tampering -----------------------------------------------------------------------------------


def flipped(message: bytes) -> Iterator[bytes]:
    """The message with one bit wrong, once for each of its bytes."""
    for at in range(len(message)):
        yield message[:at] + bytes([message[at] ^ 1 << at % 8]) + message[at + 1 :]


def test_no_byte_of_the_offer_may_be_altered() -> None:
    """The responder refuses it or its answer is refused; neither side gets further."""
    offer, initiator = recorded()[0][0], recorded()[1][0]
    reasons = set()
    for altered in flipped(offer):
        mine, theirs, reason = outcome(
            copy.copy(initiator),
            Responder(BOB, OfferMemory(), NOW),
            lambda step, message, altered=altered: altered if step == 0 else message,
        )
        assert (mine, theirs) == (None, None)
        reasons.add(reason)
    assert {
        HandshakeReason.MALFORMED,
        HandshakeReason.UNEXPECTED_MESSAGE,
        HandshakeReason.WRONG_MESH,
        HandshakeReason.WRONG_RECEIVER,
        HandshakeReason.UNKNOWN_PEER,
        HandshakeReason.CLOCK_SKEW,
        HandshakeReason.VERSION_UNSUPPORTED,
        HandshakeReason.SUITE_DOWNGRADE,
        HandshakeReason.BAD_KEY,
        HandshakeReason.BAD_SIGNATURE,
    } <= reasons


def test_no_byte_of_the_answer_may_be_altered() -> None:
    """The initiator refuses it before it has told anything, and has no session."""
    for altered in flipped(recorded()[0][1]):
        initiator = copy.copy(recorded()[1][0])
        refusal(lambda altered=altered, side=initiator: side.finish(altered))
        assert refusal(lambda side=initiator: side.finish(recorded()[0][1])) == "ended"


def test_no_byte_of_the_third_message_may_be_altered() -> None:
    """The responder has no session then, and so sends none of what the initiator waits for."""
    for altered in flipped(recorded()[0][2]):
        responder = copy.copy(recorded()[2][1])
        refusal(lambda altered=altered, side=responder: side.done(altered))
        assert refusal(lambda side=responder: side.done(recorded()[0][2])) == "ended"


def test_no_byte_of_the_last_message_may_be_altered() -> None:
    """The initiator has no session then, and so never uses the one that the responder has."""
    for altered in flipped(recorded()[0][3]):
        initiator = copy.copy(recorded()[1][1])
        refusal(lambda altered=altered, side=initiator: side.done(altered))
        assert refusal(lambda side=initiator: side.done(recorded()[0][3])) == "ended"


def test_an_altered_ciphertext_under_a_valid_signature_shows_at_the_confirmation() -> None:
    """A responder that signs another ciphertext than it holds the secret of gets nothing."""
    offer = recorded()[1][0].offer
    answer = Answer.decode(recorded()[0][1])
    forged = replace(answer, ciphertext=answer.ciphertext[:-1] + b"x")
    covered = join_fields(offer) + join_fields(forged.unsigned)
    signature = BOB.sign(covered, handshake.RESPONDER_CONTEXT)

    message = replace(forged, signature=signature).encode()

    initiator = copy.copy(recorded()[1][0])
    assert refusal(lambda: initiator.finish(message)) == "bad_confirmation"


@settings(max_examples=60, deadline=None)
@given(
    step=st.integers(0, 3),
    cut=st.integers(0, 6000),
    tail=st.binary(max_size=40),
)
def test_a_message_that_is_cut_or_continued_is_refused(step: int, cut: int, tail: bytes) -> None:
    """Truncation, extension and replacement of the end, at every step."""
    messages, initiators, responders = recorded()
    whole = messages[step]
    altered = whole[: cut % (len(whole) + 1)] + tail
    if altered == whole:
        return
    initiator, responder = (copy.copy(sides[step // 2]) for sides in (initiators, responders))
    responder._memory = OfferMemory()
    reason = refusal(
        lambda: {
            0: responder.answer,
            1: initiator.finish,
            2: responder.done,
            3: initiator.done,
        }[step](altered)
    )
    assert reason in set(HandshakeReason)


@settings(max_examples=100, deadline=None)
@given(
    fed=st.lists(st.tuples(st.sampled_from(["answer", "done"]), st.integers(0, 3)), max_size=5),
    responding=st.booleans(),
)
def test_messages_in_any_order_or_twice_give_at_most_one_session(
    fed: list[tuple[str, int]],
    responding: bool,  # noqa: FBT001 - drawn
) -> None:
    """A side takes its two messages in their order; anything else ends it for good."""
    messages, initiators, responders = recorded()
    side: Initiator | Responder
    if responding:
        side = copy.copy(responders[0])
        side._memory = OfferMemory()
        steps, right = (side.answer, side.done), [("answer", 0)]
    else:
        side = copy.copy(initiators[0])
        steps, right = (side.finish, side.done), [("answer", 1)]
    went_well = []
    for step, number in fed:
        try:
            steps[step == "done"](messages[number])
        except HandshakeFailed:
            continue
        went_well.append((step, number))
    # Each draws anew each time, so that the recorded answer to its message is not one to its own.
    assert went_well == right[: len(went_well)]
    assert len(went_well) == len(_prefix(fed, right))


def test_a_message_that_is_too_long_is_not_even_read() -> None:
    """The bound holds whatever the bytes say."""
    long = bytes(MESSAGE_MAX_BYTES + 1)
    assert refusal(lambda: Responder(BOB, OfferMemory(), NOW).answer(long)) == "too_long"
    assert refusal(lambda: Initiator(ALICE, "bob", NOW).finish(long)) == "too_long"


# -- old messages --------------------------------------------------------------------------------


def test_an_offer_is_taken_once() -> None:
    """A replay within the time that offers are good for is known, a later one is too old."""
    memory = OfferMemory()
    offer = Initiator(ALICE, "bob", NOW).offer
    Responder(BOB, memory, NOW).answer(offer)

    for later in (0.0, handshake.SKEW_S):
        again = Responder(BOB, memory, NOW + later)
        assert refusal(lambda again=again: again.answer(offer)) == "replayed"
    for wrong in (handshake.SKEW_S + 1, -handshake.SKEW_S - 1, -17 * 365 * 86400.0):
        again = Responder(BOB, memory, NOW + wrong)
        assert refusal(lambda again=again: again.answer(offer)) == "clock_skew"


def test_the_memory_of_offers_is_bounded() -> None:
    """It forgets by age, and beyond its bound the oldest."""
    memory = OfferMemory()
    for number in range(handshake.OFFERS_REMEMBERED + 10):
        assert memory.is_new(number.to_bytes(4), NOW)
    assert not memory.is_new((10).to_bytes(4), NOW)
    assert memory.is_new((9).to_bytes(4), NOW)
    assert len(memory._until) == handshake.OFFERS_REMEMBERED
    assert memory.is_new((10).to_bytes(4), NOW + 2 * handshake.SKEW_S + 1)
    assert len(memory._until) == 1


def test_messages_of_an_earlier_handshake_are_refused() -> None:
    """An old answer, third or last message belongs to another transcript."""
    messages = recorded()[0]
    alice, bob = Initiator(ALICE, "bob", NOW), Responder(BOB, OfferMemory(), NOW)
    answer = bob.answer(alice.offer)
    assert refusal(lambda: bob.done(messages[2])) == "bad_signature"
    finisher = copy.copy(alice)
    finisher.finish(answer)
    assert refusal(lambda: finisher.done(messages[3])) == "bad_confirmation"
    assert refusal(lambda: alice.finish(messages[1])) == "bad_signature"


def test_a_message_that_comes_back_to_its_sender_is_refused() -> None:
    """A mirror is no peer."""
    mirrored = Initiator(replace(ALICE, mesh="mesh"), "alice", NOW).offer
    assert refusal(lambda: Responder(ALICE, OfferMemory(), NOW).answer(mirrored)) == "reflected"


def test_a_third_party_is_not_the_peer() -> None:
    """Neither side takes the signature of another enrolled name for its peer's."""
    carol = replace(party("carol"), name="bob")
    mine, theirs, reason = outcome(
        Initiator(ALICE, "bob", NOW), Responder(carol, OfferMemory(), NOW), straight
    )
    assert (mine, theirs, reason) == (None, None, "bad_signature")
    carol = replace(party("carol"), name="alice")
    mine, theirs, reason = outcome(
        Initiator(carol, "bob", NOW), Responder(BOB, OfferMemory(), NOW), straight
    )
    assert (mine, theirs, reason) == (None, None, "bad_signature")
    nobody = replace(party("carol"), name="dave")
    reason = outcome(Initiator(nobody, "bob", NOW), Responder(BOB, OfferMemory(), NOW), straight)[2]
    assert reason == "unknown_peer"


def test_a_key_that_cannot_sign_has_its_own_reason() -> None:
    """The fault is ours, and it is told as ours."""

    def broken(_message: bytes, _context: bytes) -> bytes:
        raise OSError("the key is gone")

    unable = replace(BOB, sign=broken)
    reason = outcome(Initiator(ALICE, "bob", NOW), Responder(unable, OfferMemory(), NOW), straight)
    assert reason[2] == "signing_failed"


# -- downgrades ----------------------------------------------------------------------------------


def altering(**changes: object) -> Callable[[int, bytes], bytes]:
    """A wire on which the offer's fields are replaced."""

    def pass_on(step: int, message: bytes) -> bytes:
        if step:
            return message
        return replace(Offer.decode(message), **changes).encode()  # type: ignore[arg-type]

    return pass_on


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"suites": (0x8001,)}, HandshakeReason.CLASSICAL_ONLY),
        ({"suites": (0x8001, 0x0077)}, HandshakeReason.CLASSICAL_ONLY),
        ({"suites": (0x0077,)}, HandshakeReason.SUITE_UNSUPPORTED),
        ({"suites": (2,)}, HandshakeReason.SUITE_DOWNGRADE),
        ({"suites": (2, 1)}, HandshakeReason.SUITE_DOWNGRADE),
        ({"suites": (1, 2, 0x8001)}, HandshakeReason.SUITE_DOWNGRADE),
        ({"versions": (1,)}, HandshakeReason.VERSION_DOWNGRADE),
        ({"versions": (0,)}, HandshakeReason.VERSION_UNSUPPORTED),
    ],
)
def test_an_offer_that_was_cut_down_is_refused_and_counts_as_a_fallback_attempt(
    changes: dict[str, object], reason: HandshakeReason
) -> None:
    """Fewer suites or versions than the initiator offered, or none that is good enough."""
    alice, bob = (replace(one, versions=(2, 1)) for one in (ALICE, BOB))
    result = outcome(
        Initiator(alice, "bob", NOW), Responder(bob, OfferMemory(), NOW), altering(**changes)
    )
    assert result == (None, None, reason)
    assert reason.is_fallback_attempt


def test_forging_the_repetition_of_a_cut_offer_breaks_the_signature() -> None:
    """What was offered is in what the responder signs."""

    def pass_on(step: int, message: bytes) -> bytes:
        if step == 0:
            return altering(suites=(2,))(step, message)
        if step == 1:
            return replace(Answer.decode(message), offered_suites=handshake.SUITES).encode()
        return message

    result = outcome(Initiator(ALICE, "bob", NOW), Responder(BOB, OfferMemory(), NOW), pass_on)
    assert result == (None, None, "bad_signature")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"suite": 0x8001}, HandshakeReason.CLASSICAL_ONLY),
        ({"suite": 0x0077}, HandshakeReason.SUITE_UNSUPPORTED),
        ({"version": 0}, HandshakeReason.VERSION_UNSUPPORTED),
    ],
)
def test_a_choice_that_was_not_offered_is_refused(
    changes: dict[str, int], reason: HandshakeReason
) -> None:
    """The initiator never takes less than it offered."""
    answer = replace(Answer.decode(recorded()[0][1]), **changes).encode()
    initiator = copy.copy(recorded()[1][0])
    assert refusal(lambda: initiator.finish(answer)) is reason
    assert reason.is_fallback_attempt


def test_other_failures_are_no_fallback_attempts() -> None:
    """A bad signature is an attack or a fault, and no wish for less."""
    assert not HandshakeReason.BAD_SIGNATURE.is_fallback_attempt
    assert sum(reason.is_fallback_attempt for reason in HandshakeReason) == 7


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_fields_have_one_encoding(some: list[bytes]) -> None:
    """What was joined splits into the same fields, and only as so many."""
    joined = join_fields(*some)
    assert list(split_fields(joined, len(some))) == some
    for wrong in (len(some) + 1, len(some) - 1):
        if wrong >= 0 and joined:
            with pytest.raises(ValueError):
                split_fields(joined, wrong)


def _private(name: str) -> MLDSA65PrivateKey:
    return MLDSA65PrivateKey.from_seed_bytes(SEEDS[name])


def _prefix(fed: list[tuple[str, int]], right: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """How far a side gets that is fed so: up to the first that is not the right one."""
    got = []
    for one, wanted in zip(fed, right, strict=False):
        if one != wanted:
            break
        got.append(one)
    return got
