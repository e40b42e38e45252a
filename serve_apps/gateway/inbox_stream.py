"""An inbox followed as messages come into it.

A place in the inbox is a number that grows with each message of the partition, so the number of
the last message offered is all that is remembered to offer none twice: the mesh is asked for what
comes after it. What is offered stays at the head of the inbox until it is acknowledged: a window
bounds how much that is. A reader that comes back is offered it again.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serve_apps.gateway.gateway_state import Gateway

WINDOW: Final = 100  # messages that are offered and not acknowledged


class InboxStream:
    """One reader's stream.

    Args:
        gateway: the gateway that reads the mesh.
        node: id of the node whose inbox is read.
        port: port that the messages were sent to.
    """

    def __init__(self, gateway: Gateway, node: str, port: int) -> None:
        self._gateway = gateway
        self._node = node
        self._port = port
        self._last = -1  # offset of the newest message that was offered

    async def follow(self, limit: int | None) -> AsyncIterator[list[dict[str, Any]]]:
        """Messages, each once; an empty list where nothing came for `Limits.keep_alive_s`.

        Ends after `limit` messages, or when the mesh cannot be read.
        """
        left = limit
        keep_alive_s = self._gateway.limits.keep_alive_s
        spoke = time.monotonic()
        while left is None or left > 0:
            try:
                found = await self._read(left, max(0.0, spoke + keep_alive_s - time.monotonic()))
            except X0Error:
                return
            if found or time.monotonic() - spoke >= keep_alive_s:
                yield found
                spoke = time.monotonic()
            if left is not None:
                left -= len(found)

    async def _read(self, most: int | None, wait_s: float) -> list[dict[str, Any]]:
        """Messages that were not offered yet."""
        read = await self._gateway.read(self._node, self._port, WINDOW, wait_s, after=self._last)
        if not len(read.offsets):
            return []
        some = np.arange(len(read.offsets))[:most]
        read = replace(read, offsets=read.offsets[some], batch=read.batch.take(some))
        self._last = int(read.offsets[-1])
        return self._gateway.shown(self._node, read)
