"""Lets requests in a few at a time, so that a crowd does not hold the event loop up.

A thousand requests that are read in one turn of the loop would all be worked on in its next one:
a third of a second in which nothing else runs, not even the messages of those let in before. Here
only so many begin in a turn, in the order they came; what is under way goes on between them.

It stands around Serve's own handling of a request, which costs as much as the gateway's. Serve puts
there what `middlewares` returns, for all its applications, if it finds its name in the cluster's
environment (RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from starlette.middleware import Middleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

WIDTH: Final = 4  # requests that begin in a turn, twice as many at most; each is worth 0.3 ms


class Turnstile:
    """Middleware around all else.

    Args:
        app: what is behind it.
        width: requests that may begin in one turn of the loop.
    """

    def __init__(self, app: ASGIApp, width: int = WIDTH) -> None:
        self._app = app
        self._width = width
        self._begun = 0  # in this turn
        self._armed = False  # whether the end of this turn will be noticed
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when it is its turn."""
        if self._begun < self._width and not self._waiting:
            self._begun += 1
            self._arm()
        else:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        await self._app(scope, receive, send)

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._armed = False
        self._begun = 0
        while self._waiting and self._begun < self._width:
            turn = self._waiting.popleft()
            if not turn.done():  # else who asked has gone
                turn.set_result(None)
                self._begun += 1
        if self._begun:
            self._arm()


def middlewares() -> list[Middleware]:
    """What Serve is to put around all it does for a request."""
    return [Middleware(Turnstile)]
