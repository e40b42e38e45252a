"""Lets requests in a few at a time, so that a crowd does not hold the event loop up.

A thousand requests that are read in one turn of the loop would all be worked on in its next one:
a third of a second in which nothing else runs, not even the messages of those let in before. Here
only so many begin in a turn, in the order they came; what is under way goes on between them. Those
of ordinary load all begin at once, and their messages go to the mesh together.

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

FREE: Final = 32  # requests that may begin in a turn; each is worth about 0.3 ms
CROWDED: Final = 4  # while more than those wait


class Turnstile:
    """Middleware around all else.

    Args:
        app: what is behind it.
        free: requests that may begin in a turn of the loop.
        crowded: the same while more than `free` wait.
    """

    def __init__(self, app: ASGIApp, free: int = FREE, crowded: int = CROWDED) -> None:
        self._app = app
        self._free = free
        self._crowded = crowded
        self._left = free  # requests that may still begin in this turn
        self._armed = False  # whether the end of this turn will be noticed
        self._waiting: deque[asyncio.Future[None]] = deque()  # each until it begins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when it is its turn."""
        if self._left and not self._waiting:
            self._left -= 1
            self._arm()
        else:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            finally:
                self._waiting.remove(turn)
        await self._app(scope, receive, send)

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._armed = False
        share = self._left = self._crowded if len(self._waiting) > self._free else self._free
        for turn in self._waiting:
            if not self._left:
                break
            if not turn.done():  # else who asked has gone
                turn.set_result(None)
                self._left -= 1
        if self._left < share:
            self._arm()


def middlewares() -> list[Middleware]:
    """What Serve is to put around all it does for a request."""
    return [Middleware(Turnstile)]
