"""Answers that go on until their reader leaves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Message, Receive, Scope, Send

    from serve_apps.gateway.limits import Limits, Places


class Stream(StreamingResponse):
    """Holds a place, and gives it back however it ends, even if it never began.

    Nothing is made before what was made last has gone to the connection, whose buffers are
    bounded; a reader that takes nothing for `Limits.stall_s` loses the stream.

    Args:
        content: what to send.
        places: of which it holds one.
        limits: bounds.
        media_type: of the content.

    Raises:
        Refused: 429, all places are taken.
    """

    def __init__(
        self, content: AsyncIterator[bytes], places: Places, limits: Limits, media_type: str
    ) -> None:
        super().__init__(
            content,
            media_type=media_type,
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
        self._places = places
        self._stall_s = limits.stall_s
        places.take()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the content, the reader or its patience with us ends."""

        async def unstalled(message: Message) -> None:
            async with asyncio.timeout(self._stall_s):
                await send(message)

        try:
            await super().__call__(scope, receive, unstalled)
        except (TimeoutError, ClientDisconnect):
            return  # the server closes the connection of an answer that is not complete
        finally:
            self._places.give()
