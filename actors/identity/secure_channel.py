"""Seals what one shard sends to another: a post-quantum session first, then AEAD, else nothing.

Each shard begins a session with each peer that it has something for, and sends under it; the peer
only answers under it. So a session that its initiator never finished is used by nobody. A session
ends after `SESSION_S` or `SESSION_RECORDS`, and when the peer does not know it: it restarted, or it
has forgotten a session of twice that age. The next begins at once. There is no way around one:
without a session nothing is sent.

    record = type (1 byte), session id (16), number (12, big-endian), sealed
    sealed = AEAD(key of the direction, nonce = number, associated data = all that is before it)

The types are 0x10 for what is sent, 0x11 for its answer (same number, other key) and 0x12 for "I do
not know this session". A message of a handshake goes after 0x13 and the first 16 bytes of the
offer's SHA-256, by which the responder tells handshakes apart. Numbers grow; one that does not is
refused, so nothing is taken twice. The content of a record is given to its reader only when the
seal holds.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from actors.identity import keys
from actors.identity.encoding import Malformed, exactly, number
from actors.identity.enrolment import Enrolment, derived_seed, seed_in
from actors.identity.errors import HandshakeFailed, HandshakeReason
from actors.identity.handshake import Initiator, OfferMemory, Party, Responder
from actors.identity.handshake_messages import Suite
from actors.runtime.errors import Unavailable, X0Error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from actors.identity.pqc_watch import PqcWatch
    from actors.identity.session import Session

USE: Final = "ml-dsa-65 key"
SESSION_S: Final = 3600.0
SESSION_RECORDS: Final = 2**24
PAUSE_S: Final = 1.0  # after a handshake that failed
MOST_UNFINISHED: Final = 64  # handshakes that others have begun
_RECORD, _REPLY, _UNKNOWN, _HANDSHAKE = b"\x10", b"\x11", b"\x12", b"\x13"
_ID_BYTES: Final = 16
_NUMBER_BYTES: Final = 12
_HEAD_BYTES: Final = 1 + _ID_BYTES + _NUMBER_BYTES


@dataclass(slots=True)
class _Sealed:
    """A session in use, with the number of its latest record."""

    session: Session
    began: float
    latest: int = 0
    seal: AESGCM | ChaCha20Poly1305 = field(init=False, repr=False)
    unseal: AESGCM | ChaCha20Poly1305 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        aes = self.session.suite is Suite.XWING_MLDSA65_AES256GCM
        cipher = AESGCM if aes else ChaCha20Poly1305
        self.seal, self.unseal = cipher(self.session.seal_key), cipher(self.session.open_key)

    def is_over(self, now: float) -> bool:
        return now - self.began >= SESSION_S or self.latest >= SESSION_RECORDS

    def sealed(self, kind: bytes, at: int, content: bytes) -> bytes:
        head = kind + self.session.session_id + at.to_bytes(_NUMBER_BYTES)
        return head + self.seal.encrypt(head[-_NUMBER_BYTES:], content, head)

    def opened(self, record: bytes) -> bytes:
        """The content of a record of the peer.

        Raises:
            InvalidTag: the seal does not hold.
        """
        head = record[:_HEAD_BYTES]
        return self.unseal.decrypt(head[-_NUMBER_BYTES:], record[_HEAD_BYTES:], head)


class SecureChannel:
    """Carries what a shard has for its peers; the `Channel` of `actors.mesh.channel`.

    Args:
        name: of this shard.
        directory: of the mesh, with this shard's seed and the registry.
        watch: is told what happens.
        clock: Unix time, s.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        watch: PqcWatch,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._directory = directory
        self._watch = watch
        self._clock = clock
        self._enrolment = Enrolment(directory)
        self._party: Party | None = None
        self._memory = OfferMemory()
        self._sending: dict[str, _Sealed] = {}
        self._hearing: dict[str, _Sealed] = {}
        self._unfinished: dict[bytes, Responder] = {}  # begun by others, the oldest first
        self._pause_until: dict[str, float] = {}

    async def open(self) -> None:
        """Read or make this shard's key, and enrol it.

        Raises:
            HandshakeFailed: another key is enrolled for this shard.
            EnrolmentUnreadable: a file of keys is not what it should be.
        """
        self._party = await asyncio.to_thread(self._enrolled)

    async def carry(
        self, peer: str, content: bytes, say: Callable[[bytes], Awaitable[bytes]]
    ) -> bytes:
        """Have `peer` handle `content`; what it answers.

        Raises:
            HandshakeFailed: there is no session, or the answer is not the peer's.
            X0Error: the peer did not answer.
        """
        for _ in range(2):  # a second time if the peer has lost the session
            sealed = self._sending.get(peer)
            if sealed is None or sealed.is_over(self._clock()):
                await self._agree(peer, say, again=sealed is not None)
                sealed = self._sending[peer]
            sealed.latest += 1
            at = sealed.latest
            try:
                answer = await say(sealed.sealed(_RECORD, at, content))
            except HandshakeFailed:  # the peer has counted it; the next goes under a new session
                self._sending.pop(peer, None)
                raise
            if answer[:1] == _UNKNOWN:
                self._sending.pop(peer, None)
                continue
            if answer[:_HEAD_BYTES] == _REPLY + sealed.session.session_id + at.to_bytes(
                _NUMBER_BYTES
            ):
                try:
                    return sealed.opened(answer)
                except InvalidTag:
                    pass
            self._sending.pop(peer, None)
            raise self._failed(HandshakeReason.BAD_SEAL, peer)
        raise self._failed(HandshakeReason.SESSION_LOST, peer)

    async def take(self, message: bytes, handle: Callable[[str, bytes], bytes]) -> bytes:
        """Answer what a peer says: a message of a handshake, or a record that `handle` is given.

        Raises:
            HandshakeFailed: it is refused.
        """
        if message[:1] == _RECORD:
            return self._take_record(message, handle)
        if message[:1] == _HANDSHAKE:
            return await self._take_handshake(message)
        raise self._failed(HandshakeReason.MALFORMED, "")

    def unsealed(self, peer: str) -> HandshakeFailed:
        """What to tell somebody who sends an envelope as it is."""
        return self._failed(HandshakeReason.UNSEALED, peer)

    def report(self) -> dict[str, Any]:
        """Sessions and failures, as JSON types."""
        now = self._clock()
        return {
            "sessions": {
                peer: {
                    "suite": sealed.session.suite.name,
                    "age_s": round(max(now - sealed.began, 0.0), 3),
                    "records": sealed.latest,
                }
                for peer, sealed in self._sending.items()
            },
            "handshakes_failed": {str(reason): n for reason, n in self._watch.failed.items()},
        }

    # -- sending ---------------------------------------------------------------------------------

    async def _agree(
        self, peer: str, say: Callable[[bytes], Awaitable[bytes]], *, again: bool
    ) -> None:
        """Begin a session with `peer`."""
        await asyncio.sleep(max(self._pause_until.get(peer, 0.0) - self._clock(), 0.0))
        began = time.perf_counter()
        try:
            initiator = Initiator(self._me(), peer, self._clock())
            head = _HANDSHAKE + hashlib.sha256(initiator.offer).digest()[:_ID_BYTES]
            answer = await say(head + initiator.offer)
            finish = await asyncio.to_thread(initiator.finish, answer)
            session = initiator.done(await say(head + finish))
        except HandshakeFailed as error:
            self._pause_until[peer] = self._clock() + PAUSE_S
            if again:
                self._watch.rotation_failed("session", f"{peer}: {error.reason}")
            raise self._failed(error.reason, peer) from error
        except X0Error as error:
            away = isinstance(error, Unavailable)
            self._failed(HandshakeReason.UNREACHABLE if away else HandshakeReason.DECLINED, peer)
            raise
        self._watch.handshake_succeeded(time.perf_counter() - began)
        if again:
            self._watch.rotated("session")
        self._sending[peer] = _Sealed(session, self._clock())

    # -- hearing ---------------------------------------------------------------------------------

    async def _take_handshake(self, message: bytes) -> bytes:
        at, said = message[: 1 + _ID_BYTES], message[1 + _ID_BYTES :]
        responder = self._unfinished.pop(at, None)
        try:
            if responder is not None:
                done, session = await asyncio.to_thread(responder.done, said)
                self._hearing[session.peer] = _Sealed(session, self._clock())
                return done
            responder = Responder(self._me(), self._memory, self._clock())
            answer = await asyncio.to_thread(responder.answer, said)
        except HandshakeFailed as error:
            raise self._failed(error.reason, error.peer) from error
        self._unfinished[at] = responder
        while len(self._unfinished) > MOST_UNFINISHED:
            del self._unfinished[next(iter(self._unfinished))]
        return answer

    def _take_record(self, record: bytes, handle: Callable[[str, bytes], bytes]) -> bytes:
        session_id = record[1 : 1 + _ID_BYTES]
        sealed = next(
            (one for one in self._hearing.values() if one.session.session_id == session_id), None
        )
        if sealed is None or self._clock() - sealed.began >= 2 * SESSION_S:
            return _UNKNOWN
        peer = sealed.session.peer
        try:
            at = number(exactly(record[1 + _ID_BYTES : _HEAD_BYTES], _NUMBER_BYTES), _NUMBER_BYTES)
            content = sealed.opened(record)
        except (Malformed, InvalidTag):
            raise self._failed(HandshakeReason.BAD_SEAL, peer) from None
        if at <= sealed.latest:
            raise self._failed(HandshakeReason.REPLAYED, peer)
        sealed.latest = at
        return sealed.sealed(_REPLY, at, handle(peer, content))

    # -- keys ------------------------------------------------------------------------------------

    def _enrolled(self) -> Party:
        mesh = self._directory.name
        seed = derived_seed(seed_in(self._directory / f"{self._name}.seed"), mesh, self._name, USE)
        if self._enrolment.enrol({self._name: keys.mldsa65_keygen(seed)}, USE):
            raise self._failed(HandshakeReason.KEY_NOT_ENROLLED, self._name)

        def sign(message: bytes, context: bytes) -> bytes:
            return keys.mldsa65_sign(seed, message, context)

        def key_of(name: str) -> bytes | None:
            return self._enrolment.enrolled(name, USE)

        return Party(self._name, mesh, sign, key_of)

    def _me(self) -> Party:
        assert self._party is not None  # noqa: S101 - opened before it is used
        return self._party

    def _failed(self, reason: HandshakeReason, peer: str) -> HandshakeFailed:
        self._watch.handshake_failed(reason, peer)
        return HandshakeFailed(reason, peer)
