"""One message a second in a chat, as Telegram asks of bots.

A turn begins a second after the one before it was over, not after it began: so two messages can
never arrive closer together than that, however long the first one was on its way.

A chat in which Telegram takes nothing for a while is left alone for as long: who wants to speak in
it is refused at once, so that nobody else waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from actors.payments.errors import TransportBusy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

INTERVAL_S: Final = 1.01  # a second, and a margin for clocks that differ
_KEPT: Final = 1024  # above this number of chats, those that may be sent to at once are forgotten


@dataclass(slots=True)
class _Chat:
    """One chat: who is at it, and from when on something may be said."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    free_at: float = 0.0  # s, monotonic
    rests_until: float = 0.0  # s, monotonic


class ChatThrottle:
    """Turns to speak, by chat.

    Args:
        clock: s, monotonic.
        sleep: waits a number of seconds.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._chats: dict[int, _Chat] = {}

    @contextlib.asynccontextmanager
    async def turn(self, chat: int) -> AsyncIterator[None]:
        """Speak in a chat, for the block, once it is this one's turn.

        Raises:
            TransportBusy: the chat is left alone.
        """
        one = self._chats.setdefault(chat, _Chat())
        one.waiting += 1
        try:
            async with one.lock:
                rests_s = one.rests_until - self._clock()
                if rests_s > 0:
                    raise TransportBusy("the chat takes no more for now", retry_after_s=rests_s)
                wait_s = one.free_at - self._clock()
                if wait_s > 0:
                    await self._sleep(wait_s)
                try:
                    yield
                finally:
                    one.free_at = self._clock() + INTERVAL_S
        finally:
            one.waiting -= 1
            self._forget()

    def rest(self, chat: int, pause_s: float) -> None:
        """Leave a chat alone for a number of seconds."""
        self._chats.setdefault(chat, _Chat()).rests_until = self._clock() + pause_s

    def _forget(self) -> None:
        if len(self._chats) > _KEPT:
            now = self._clock()
            self._chats = {
                chat: one
                for chat, one in self._chats.items()
                if one.waiting or max(one.free_at, one.rests_until) > now
            }
