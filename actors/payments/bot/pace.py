"""One message a second in a chat, as Telegram asks of bots; who does not keep to it is refused.

The library's rate limiter knows the limit of all chats together, and makes every chat wait when one
is refused. So the limit of a single chat is kept here, before that can happen.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

INTERVAL_S: Final = 1.1  # a little more than a second: what leaves evenly may arrive closer
_KEPT: Final = 1024  # chats that are remembered before those that may speak are forgotten


class Pace:
    """Turns to speak, by chat.

    Args:
        clock: s, monotonic.
        sleep: how to wait for a turn.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._free_at: dict[int, float] = {}

    async def turn(self, chat: int) -> None:
        """Wait until something may be said in a chat."""
        now = self._clock()
        at = max(now, self._free_at.get(chat, now))
        self._free_at[chat] = at + INTERVAL_S
        if len(self._free_at) > _KEPT:
            self._free_at = {other: free for other, free in self._free_at.items() if free > now}
        if at > now:
            await self._sleep(at - now)
