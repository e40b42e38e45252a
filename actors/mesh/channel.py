"""What a shard asks to carry its envelopes to other shards, where they are not sent as they are.

Without a channel an envelope is an argument of a call, as between processes of one user on one
machine. A channel seals it to the one shard that it is for, and opens what others have sealed, so
that nothing is unpickled that has not come from a known shard. It is a Protocol, since those that
implement it are not of the mesh.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from actors.runtime.errors import X0Error

Say = Callable[[bytes], Awaitable[bytes]]
"""Calls `ShardContract.converse` of a peer."""


class Channel(Protocol):
    """Carries what a shard has for its peers."""

    async def open(self) -> None:
        """Make ready; keys are read and enrolled."""
        ...

    async def carry(self, peer: str, content: bytes, say: Say) -> bytes:
        """Have `peer` handle `content`; what it answers.

        Raises:
            X0Error: it did not, and may not have had the content.
        """
        ...

    async def take(self, message: bytes, handle: Callable[[str, bytes], bytes]) -> bytes:
        """Answer what a peer says: `handle` is given its name and content, once that is proven.

        Raises:
            X0Error: the message is refused.
        """
        ...

    def unsealed(self, peer: str) -> X0Error:
        """What to tell somebody who sends an envelope as it is."""
        ...

    def report(self) -> dict[str, Any]:
        """What operators may want to know, as JSON types."""
        ...
