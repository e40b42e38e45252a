"""A post-quantum handshake of two named parties: X-Wing, and ML-DSA-65 by both over the transcript.

SIGMA-I (Krawczyk, "SIGMA: the 'SIGn-and-MAc' approach", 2003) with a KEM in place of Diffie-Hellman
and a confirmation of each side. Two state machines, bytes in and out; the caller carries the
messages and runs the steps outside an event loop, since a signature takes milliseconds.

    initiator                            responder
    Offer                     →
                              ←          Answer   (signature over Offer, Answer; confirmation)
    Finish                    →                   (signature over all before; confirmation)
                              ←          Done     (confirmation)

    keys = HKDF-SHA256(ikm = X-Wing secret, salt = none,
                       info = fields(label, version, suite, initiator, responder,
                                     SHA-256(fields(Offer, Answer without its signature))))
         = initiator's key, responder's key, three confirmation keys: 32 bytes each; session id: 16

Invariants:
- A side ends with a session, or with a `HandshakeFailed` that has a code. After either it takes
  nothing more. There is no other key exchange to fall back to.
- What was offered is in the transcript, and the responder repeats it, so a list that was cut down
  on the way is noticed and named; if the repetition is forged too, the signature fails.
- An altered ciphertext gives the two sides different keys (ML-KEM rejects implicitly), which the
  responder's confirmation shows to the initiator before it has told anything.
- The responder's session may be one that the initiator never got to use (its `Done` was lost); it
  therefore only answers under it.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from actors.identity import keys
from actors.identity.encoding import Malformed, join_fields
from actors.identity.errors import HandshakeFailed, HandshakeReason, InvalidEncapsulationKey
from actors.identity.handshake_messages import (
    CLASSICAL_FROM,
    MESSAGE_MAX_BYTES,
    NONCE_BYTES,
    Answer,
    Done,
    Finish,
    Offer,
    OtherMessage,
    Suite,
    encode_suites,
)
from actors.identity.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VERSIONS: Final = (1,)
SUITES: Final = (Suite.XWING_MLDSA65_AES256GCM, Suite.XWING_MLDSA65_CHACHA20POLY1305)
SKEW_S: Final = 30.0  # longest age of an offer, and how far its sender's clock may be ahead
OFFERS_REMEMBERED: Final = 4096
LABEL: Final = b"x0tta6bl4 handshake"
INITIATOR_CONTEXT: Final = b"x0tta6bl4 handshake initiator"
RESPONDER_CONTEXT: Final = b"x0tta6bl4 handshake responder"
_KEY_BYTES: Final = 32
_SESSION_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Party:
    """One side of handshakes.

    Attributes:
        name: of this side, at most 255 bytes of UTF-8.
        mesh: name of the mesh that both sides belong to.
        sign: signs a message in a context with this side's ML-DSA-65 key.
        key_of: the enrolled ML-DSA-65 public key of a name; None if there is none.
        versions: of the protocol that are spoken, the preferred first.
        suites: that are accepted, the preferred first.
    """

    name: str
    mesh: str
    sign: Callable[[bytes, bytes], bytes]
    key_of: Callable[[str], bytes | None]
    versions: tuple[int, ...] = VERSIONS
    suites: tuple[Suite, ...] = SUITES


class OfferMemory:
    """The nonces of offers taken lately, so that none is taken twice.

    An offer older than `SKEW_S` is refused by its time, so what is older need not be remembered.
    Beyond `OFFERS_REMEMBERED` the oldest go: who replays one of those gets an answer that only the
    true initiator can use.
    """

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def is_new(self, nonce: bytes, now: float) -> bool:
        """Remember a nonce at Unix time `now`, s; False if it is remembered already."""
        while self._until and next(iter(self._until.values())) < now:
            self._until.popitem(last=False)
        if nonce in self._until:
            return False
        self._until[nonce] = now + 2 * SKEW_S
        if len(self._until) > OFFERS_REMEMBERED:
            self._until.popitem(last=False)
        return True


class _Step(enum.Enum):
    BEGIN = enum.auto()
    ANSWERED = enum.auto()
    FINISHED = enum.auto()
    ENDED = enum.auto()


class _Side:
    """What both state machines share: the step, and how it fails."""

    def __init__(self, me: Party, peer: str) -> None:
        self._me = me
        self._peer = peer
        self._step = _Step.BEGIN

    @contextlib.contextmanager
    def _taking(self, message: bytes, step: _Step) -> Iterator[None]:
        """Take a message in `step`; whatever goes wrong ends the handshake."""
        if self._step is _Step.ENDED:
            raise HandshakeFailed(HandshakeReason.ENDED, self._peer)
        expected, self._step = self._step, _Step.ENDED
        if expected is not step:
            raise HandshakeFailed(HandshakeReason.UNEXPECTED_MESSAGE, self._peer)
        if len(message) > MESSAGE_MAX_BYTES:
            raise HandshakeFailed(HandshakeReason.TOO_LONG, self._peer)
        try:
            yield
        except OtherMessage:
            raise HandshakeFailed(HandshakeReason.UNEXPECTED_MESSAGE, self._peer) from None
        except Malformed:
            raise HandshakeFailed(HandshakeReason.MALFORMED, self._peer) from None

    def _refuse_if(self, condition: bool, reason: HandshakeReason) -> None:  # noqa: FBT001
        if condition:
            raise HandshakeFailed(reason, self._peer)

    def _sign(self, transcript: bytes, context: bytes) -> bytes:
        try:
            return self._me.sign(transcript, context)
        except Exception as error:
            raise HandshakeFailed(HandshakeReason.SIGNING_FAILED, self._peer) from error

    def _check_signature(self, transcript: bytes, signature: bytes, context: bytes) -> None:
        key = self._me.key_of(self._peer)
        if key is None:
            raise HandshakeFailed(HandshakeReason.UNKNOWN_PEER, self._peer)
        valid = keys.mldsa65_verify(key, transcript, signature, context)
        self._refuse_if(not valid, HandshakeReason.BAD_SIGNATURE)

    def _check_confirmation(self, key: bytes, covered: bytes, confirmation: bytes) -> None:
        valid = hmac.compare_digest(_confirmation(key, covered), confirmation)
        self._refuse_if(not valid, HandshakeReason.BAD_CONFIRMATION)


class Initiator(_Side):
    """The side that begins.

    Args:
        me: this side.
        peer: name of the other.
        now: Unix time, s.
    """

    def __init__(self, me: Party, peer: str, now: float) -> None:
        super().__init__(me, peer)
        self._seed = secrets.token_bytes(keys.XWING_SEED_BYTES)
        self._sent = Offer(
            me.versions,
            me.suites,
            me.mesh,
            me.name,
            peer,
            int(now * 1000),
            secrets.token_bytes(NONCE_BYTES),
            keys.xwing_keygen(self._seed),
        )
        self._transcript = join_fields(self._sent.encode())
        self._schedule: _Schedule | None = None

    @property
    def offer(self) -> bytes:
        """The first message."""
        return self._sent.encode()

    def finish(self, message: bytes) -> bytes:
        """Take the answer; the third message.

        Raises:
            HandshakeFailed: it is refused.
        """
        with self._taking(message, _Step.BEGIN):
            answer = Answer.decode(message)
            suite = self._choice_of(answer)
            signed = self._transcript + join_fields(answer.unsigned)
            self._check_signature(signed, answer.signature, RESPONDER_CONTEXT)
            secret = keys.xwing_decapsulate(self._seed, answer.ciphertext)
            schedule = _Schedule.derive(secret, signed, self._sent, answer.version, suite)
            covered = self._transcript + join_fields(answer.unconfirmed)
            self._check_confirmation(schedule.confirm_answer, covered, answer.confirmation)
            self._transcript += join_fields(message)
            finish = Finish(self._sign(self._transcript, INITIATOR_CONTEXT))
            covered = self._transcript + join_fields(finish.unconfirmed)
            finish = Finish(finish.signature, _confirmation(schedule.confirm_finish, covered))
            self._transcript += join_fields(finish.encode())
        self._seed, self._schedule, self._step = b"", schedule, _Step.FINISHED
        return finish.encode()

    def done(self, message: bytes) -> Session:
        """Take the last message; the session.

        Raises:
            HandshakeFailed: it is refused.
        """
        schedule, self._schedule = self._schedule, None
        with self._taking(message, _Step.FINISHED):
            assert schedule is not None  # noqa: S101 - set on entering this step
            done = Done.decode(message)
            self._check_confirmation(schedule.confirm_done, self._transcript, done.confirmation)
        return schedule.session(self._peer, initiator=True)

    def _choice_of(self, answer: Answer) -> Suite:
        """The suite that the responder chose, if it was offered what we offered."""
        sent = self._sent
        if answer.suite not in sent.suites:
            classical = answer.suite >= CLASSICAL_FROM
            raise HandshakeFailed(
                HandshakeReason.CLASSICAL_ONLY if classical else HandshakeReason.SUITE_UNSUPPORTED,
                self._peer,
            )
        self._refuse_if(answer.version not in sent.versions, HandshakeReason.VERSION_UNSUPPORTED)
        self._refuse_if(answer.offered_versions != sent.versions, HandshakeReason.VERSION_DOWNGRADE)
        self._refuse_if(answer.offered_suites != sent.suites, HandshakeReason.SUITE_DOWNGRADE)
        return Suite(answer.suite)


class Responder(_Side):
    """The side that answers one offer.

    Args:
        me: this side.
        memory: of the offers that this side has taken.
        now: Unix time, s.
    """

    def __init__(self, me: Party, memory: OfferMemory, now: float) -> None:
        super().__init__(me, "")
        self._memory = memory
        self._now = now
        self._transcript = b""
        self._schedule: _Schedule | None = None

    @property
    def peer(self) -> str:
        """Name of the initiator as it claims; "" before its offer is taken."""
        return self._peer

    def answer(self, message: bytes) -> bytes:
        """Take the offer; the second message.

        Raises:
            HandshakeFailed: it is refused.
        """
        with self._taking(message, _Step.BEGIN):
            offer = Offer.decode(message)
            self._check_offer(offer)
            version, suite = self._choose(offer)
            try:
                ciphertext, secret = keys.xwing_encapsulate(offer.encapsulation_key)
            except InvalidEncapsulationKey:
                raise HandshakeFailed(HandshakeReason.BAD_KEY, self._peer) from None
            nonce = secrets.token_bytes(NONCE_BYTES)
            chosen = version, suite, offer.versions, offer.suites, nonce, ciphertext
            self._transcript = join_fields(message)
            signed = self._transcript + join_fields(Answer(*chosen).unsigned)
            signature = self._sign(signed, RESPONDER_CONTEXT)
            schedule = _Schedule.derive(secret, signed, offer, version, suite)
            covered = self._transcript + join_fields(Answer(*chosen, signature).unconfirmed)
            confirmation = _confirmation(schedule.confirm_answer, covered)
            answer = Answer(*chosen, signature, confirmation).encode()
            self._transcript += join_fields(answer)
        self._schedule, self._step = schedule, _Step.ANSWERED
        return answer

    def done(self, message: bytes) -> tuple[bytes, Session]:
        """Take the third message; the last one, and the session.

        Raises:
            HandshakeFailed: it is refused.
        """
        schedule, self._schedule = self._schedule, None
        with self._taking(message, _Step.ANSWERED):
            assert schedule is not None  # noqa: S101 - set on entering this step
            finish = Finish.decode(message)
            self._check_signature(self._transcript, finish.signature, INITIATOR_CONTEXT)
            covered = self._transcript + join_fields(finish.unconfirmed)
            self._check_confirmation(schedule.confirm_finish, covered, finish.confirmation)
            self._transcript += join_fields(message)
        done = Done(_confirmation(schedule.confirm_done, self._transcript))
        return done.encode(), schedule.session(self._peer, initiator=False)

    def _check_offer(self, offer: Offer) -> None:
        """The checks that cost nothing, before any key is touched."""
        me = self._me
        self._refuse_if(offer.mesh != me.mesh, HandshakeReason.WRONG_MESH)
        self._refuse_if(offer.initiator == me.name, HandshakeReason.REFLECTED)
        self._refuse_if(offer.responder != me.name, HandshakeReason.WRONG_RECEIVER)
        self._refuse_if(me.key_of(offer.initiator) is None, HandshakeReason.UNKNOWN_PEER)
        self._peer = offer.initiator
        apart_s = abs(offer.time_ms / 1000 - self._now)
        self._refuse_if(apart_s > SKEW_S, HandshakeReason.CLOCK_SKEW)
        new = self._memory.is_new(offer.nonce, self._now)
        self._refuse_if(not new, HandshakeReason.REPLAYED)

    def _choose(self, offer: Offer) -> tuple[int, Suite]:
        me = self._me
        version = next((one for one in me.versions if one in offer.versions), None)
        if version is None:
            raise HandshakeFailed(HandshakeReason.VERSION_UNSUPPORTED, self._peer)
        suite = next((one for one in me.suites if one in offer.suites), None)
        if suite is None:
            classical = any(one >= CLASSICAL_FROM for one in offer.suites)
            raise HandshakeFailed(
                HandshakeReason.CLASSICAL_ONLY if classical else HandshakeReason.SUITE_UNSUPPORTED,
                self._peer,
            )
        return version, suite


@dataclass(frozen=True, slots=True, repr=False)
class _Schedule:
    """The keys that come of the shared secret and the transcript."""

    version: int
    suite: Suite
    initiator_key: bytes
    responder_key: bytes
    confirm_answer: bytes
    confirm_finish: bytes
    confirm_done: bytes
    session_id: bytes

    @classmethod
    def derive(
        cls, secret: bytes, transcript: bytes, offer: Offer, version: int, suite: Suite
    ) -> _Schedule:
        info = join_fields(
            LABEL,
            bytes([version]),
            encode_suites((suite,)),
            offer.initiator.encode(),
            offer.responder.encode(),
            hashlib.sha256(transcript).digest(),
        )
        length = 5 * _KEY_BYTES + _SESSION_ID_BYTES
        derived = HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)
        parts = [derived[at : at + _KEY_BYTES] for at in range(0, length, _KEY_BYTES)]
        return cls(version, suite, *parts)

    def session(self, peer: str, *, initiator: bool) -> Session:
        mine, theirs = self.initiator_key, self.responder_key
        seal_key, open_key = (mine, theirs) if initiator else (theirs, mine)
        return Session(peer, self.version, self.suite, self.session_id, seal_key, open_key)


def _confirmation(key: bytes, covered: bytes) -> bytes:
    return hmac.digest(key, covered, "sha256")
