"""An inbox followed as messages come into it.

A place in the inbox is a number that grows with each message of the partition, so the number of
the last message offered is all that is remembered to offer none twice. What is offered stays at
the head of the inbox until it is acknowledged: a window bounds how much that is.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actors.runtime.errors import X0Error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serve_apps.gateway.service import Gateway

WINDOW: Final = 100  # messages that are offered and not acknowledged
POLL_S: Final = 0.2  # while some are: the mesh waits for news only where nothing is unread


class InboxStream:
    """One reader's stream.

    Args:
        gateway: that reads the mesh.
        node: whose inbox.
        port: of the messages.
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
        wait_s = 0.0
        while left is None or left > 0:
            try:
                found, unread = await self._read(left, wait_s)
            except X0Error:
                return
            if found or time.monotonic() - spoke >= keep_alive_s:
                yield found
                spoke = time.monotonic()
            if left is not None:
                left -= len(found)
            wait_s = 0.0 if unread else keep_alive_s
            if unread and not found:
                await asyncio.sleep(POLL_S)

    async def _read(self, most: int | None, wait_s: float) -> tuple[list[dict[str, Any]], int]:
        """Messages that were not offered yet, and how many are unread in all."""
        read = await self._gateway.read(self._node, self._port, WINDOW, wait_s)
        new = np.flatnonzero(read.offsets > self._last)[:most]
        if not len(new):
            return [], len(read.batch)
        fresh = replace(read, offsets=read.offsets[new], batch=read.batch.take(new))
        self._last = int(fresh.offsets[-1])
        return self._gateway.shown(self._node, fresh), len(read.batch)
