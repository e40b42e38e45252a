"""Receipts: what a reader of an inbox hands back to say that it has a message.

A receipt names partition, port and offset and is signed with a key derived from the token, for one
node: nobody can acknowledge what was not given to them, and the gateway need not remember what it
gave, so a restart of it loses no acknowledgement.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIGITS: Final = 16  # hex digits of the signature


class InboxPosition(NamedTuple):
    """Where a message is kept until it is acknowledged."""

    partition: int
    port: int
    offset: int


class Receipts:
    """Writes and checks receipts.

    Args:
        token: token of the gateway, from which the key is derived.
    """

    def __init__(self, token: bytes) -> None:
        self._key = hashlib.blake2b(token, digest_size=32, person=b"x0-receipts").digest()

    def write(self, node: str, position: InboxPosition) -> str:
        """The receipt for one message of a node."""
        text = "-".join(map(str, position))
        return f"{text}-{self._sign(node, text)}"

    def read(self, node: str, receipts: Iterable[object]) -> list[InboxPosition]:
        """The positions that receipts of a node name.

        Raises:
            InvalidInput: one is not a receipt of this node.
        """
        return [self._position(node, number, value) for number, value in enumerate(receipts)]

    def _position(self, node: str, number: int, value: object) -> InboxPosition:
        if isinstance(value, str) and value.isascii():
            text, _, signature = value.rpartition("-")
            if hmac.compare_digest(self._sign(node, text), signature):
                partition, port, offset = map(int, text.split("-"))
                return InboxPosition(partition, port, offset)
        raise InvalidInput(
            f"receipts[{number}] is refused",
            "it is not a receipt that this node's inbox gave",
            "Give receipts as GET /mesh/nodes/{id}/inbox answers them.",
            source="body",
            entry=f"receipts[{number}]",
        )

    def _sign(self, node: str, text: str) -> str:
        content = f"{node}\0{text}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(content, key=self._key, digest_size=_DIGITS // 2).hexdigest()
