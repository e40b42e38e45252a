"""What a handshake leaves behind: the keys of one direction and of the other, and their owner's id.

Invariant: the keys leave neither by `repr` nor by pickle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from actors.identity.handshake_messages import Suite


@dataclass(frozen=True, slots=True)
class Session:
    """A secret shared with a peer whose identity is proven.

    Attributes:
        peer: name of the other side.
        version: of the protocol.
        suite: what is agreed on.
        session_id: 16 bytes that both sides know it by; not secret.
        seal_key: 32 bytes, for what this side sends.
        open_key: 32 bytes, for what the peer sends.
    """

    peer: str
    version: int
    suite: Suite
    session_id: bytes
    seal_key: bytes = field(repr=False)
    open_key: bytes = field(repr=False)

    def __reduce__(self) -> NoReturn:
        raise TypeError("the keys of a session stay in its process")
