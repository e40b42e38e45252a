"""HEAD wherever GET is (RFC 9110, 9.3.2): the status and headers of GET, without the content."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Middleware that has HEAD answered by the route of GET, and keeps the content back.

    Args:
        app: what answers GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        answered = False

        async def headed(message: Message) -> None:
            nonlocal answered
            if message["type"] != "http.response.body":
                await send(message)
            elif not answered:
                answered = True
                await send({"type": "http.response.body", "body": b""})
                answering.cancel()  # a stream would go on

        answering = asyncio.ensure_future(self._app({**scope, "method": "GET"}, receive, headed))
        try:
            await answering
        except asyncio.CancelledError:
            if not answered:
                raise
