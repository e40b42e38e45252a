"""The four messages of the handshake as bytes.

    Offer    initiator → responder  versions, suites, names, time, nonce, encapsulation key
    Answer   responder → initiator  what was chosen, what was offered, nonce, ciphertext,
                                    signature, confirmation
    Finish   initiator → responder  signature, confirmation
    Done     responder → initiator  confirmation

Each is a list of fields (`encoding`), the first of which is its type. The parts that a signature or
a confirmation covers are the encodings of the fields before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Self

from actors.identity.encoding import Malformed, exactly, join_fields, number, split_fields, text
from actors.identity.keys import (
    MLDSA65_SIGNATURE_BYTES,
    XWING_CIPHERTEXT_BYTES,
    XWING_ENCAPSULATION_KEY_BYTES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MESSAGE_MAX_BYTES: Final = 8192
NAME_MAX_BYTES: Final = 255
NONCE_BYTES: Final = 32
CONFIRMATION_BYTES: Final = 32
MOST_CHOICES: Final = 16  # versions or suites that one side may offer
_TIME_BYTES: Final = 8
_SUITE_BYTES: Final = 2

_OFFER, _ANSWER, _FINISH, _DONE = (bytes([kind]) for kind in range(1, 5))


class Suite(IntEnum):
    """What a session is protected by; the numbers go over the wire.

    Numbers from 0x8000 are of suites that a quantum computer breaks. They have a place here so that
    an offer of nothing else is recognised as an attempt to fall back, never to be chosen.
    """

    XWING_MLDSA65_AES256GCM = 0x0001
    XWING_MLDSA65_CHACHA20POLY1305 = 0x0002


CLASSICAL_FROM: Final = 0x8000


class OtherMessage(Malformed):
    """The message is of another type than this step takes."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The first message; `time_ms` is Unix time in ms."""

    versions: tuple[int, ...]
    suites: tuple[int, ...]
    mesh: str
    initiator: str
    responder: str
    time_ms: int
    nonce: bytes
    encapsulation_key: bytes

    def encode(self) -> bytes:
        """The message."""
        return join_fields(
            _OFFER,
            bytes(self.versions),
            encode_suites(self.suites),
            self.mesh.encode(),
            self.initiator.encode(),
            self.responder.encode(),
            self.time_ms.to_bytes(_TIME_BYTES),
            self.nonce,
            self.encapsulation_key,
        )

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Read the message.

        Raises:
            Malformed: it is none.
        """
        versions, suites, mesh, initiator, responder, time, nonce, key = _fields(message, _OFFER, 8)
        return cls(
            _decode_versions(versions),
            _decode_suites(suites),
            text(mesh, NAME_MAX_BYTES),
            text(initiator, NAME_MAX_BYTES),
            text(responder, NAME_MAX_BYTES),
            number(time, _TIME_BYTES),
            exactly(nonce, NONCE_BYTES),
            exactly(key, XWING_ENCAPSULATION_KEY_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """The second message; `offered_*` is what the responder was offered, as it came to it."""

    version: int
    suite: int
    offered_versions: tuple[int, ...]
    offered_suites: tuple[int, ...]
    nonce: bytes
    ciphertext: bytes
    signature: bytes = b""
    confirmation: bytes = b""

    @property
    def unsigned(self) -> bytes:
        """What the signature covers of this message."""
        return join_fields(
            _ANSWER,
            bytes([self.version]),
            encode_suites((self.suite,)),
            bytes(self.offered_versions),
            encode_suites(self.offered_suites),
            self.nonce,
            self.ciphertext,
        )

    @property
    def unconfirmed(self) -> bytes:
        """What the confirmation covers of this message."""
        return self.unsigned + join_fields(self.signature)

    def encode(self) -> bytes:
        """The message."""
        return self.unconfirmed + join_fields(self.confirmation)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Read the message.

        Raises:
            Malformed: it is none.
        """
        version, suite, versions, suites, nonce, ciphertext, signature, confirmation = _fields(
            message, _ANSWER, 8
        )
        return cls(
            number(version, 1),
            number(suite, _SUITE_BYTES),
            _decode_versions(versions),
            _decode_suites(suites),
            exactly(nonce, NONCE_BYTES),
            exactly(ciphertext, XWING_CIPHERTEXT_BYTES),
            exactly(signature, MLDSA65_SIGNATURE_BYTES),
            exactly(confirmation, CONFIRMATION_BYTES),
        )


@dataclass(frozen=True, slots=True)
class Finish:
    """The third message."""

    signature: bytes
    confirmation: bytes = b""

    @property
    def unconfirmed(self) -> bytes:
        """What the confirmation covers of this message."""
        return join_fields(_FINISH, self.signature)

    def encode(self) -> bytes:
        """The message."""
        return self.unconfirmed + join_fields(self.confirmation)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Read the message.

        Raises:
            Malformed: it is none.
        """
        signature, confirmation = _fields(message, _FINISH, 2)
        return cls(
            exactly(signature, MLDSA65_SIGNATURE_BYTES), exactly(confirmation, CONFIRMATION_BYTES)
        )


@dataclass(frozen=True, slots=True)
class Done:
    """The fourth message."""

    confirmation: bytes

    def encode(self) -> bytes:
        """The message."""
        return join_fields(_DONE, self.confirmation)

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Read the message.

        Raises:
            Malformed: it is none.
        """
        (confirmation,) = _fields(message, _DONE, 1)
        return cls(exactly(confirmation, CONFIRMATION_BYTES))


def encode_suites(suites: tuple[int, ...]) -> bytes:
    """A list of suites as one field."""
    return b"".join(suite.to_bytes(_SUITE_BYTES) for suite in suites)


def _decode_suites(field: bytes) -> tuple[int, ...]:
    if len(field) % _SUITE_BYTES:
        raise Malformed("half a suite")
    return _choices(
        int.from_bytes(field[at : at + _SUITE_BYTES]) for at in range(0, len(field), _SUITE_BYTES)
    )


def _decode_versions(field: bytes) -> tuple[int, ...]:
    return _choices(field)


def _choices(some: Iterable[int]) -> tuple[int, ...]:
    choices = tuple(some)
    if not 0 < len(choices) <= MOST_CHOICES or len(set(choices)) != len(choices):
        raise Malformed("no choice, too many or one twice")
    return choices


def _fields(message: bytes, kind: bytes, count: int) -> tuple[bytes, ...]:
    if message[:3] != join_fields(kind):
        raise OtherMessage("another type of message")
    return split_fields(message, count + 1)[1:]
