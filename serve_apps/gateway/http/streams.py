"""Answers that go on for long: they hold a place, and give it back however they end.

Nothing is made before what was made last has gone to the connection, whose buffers are bounded; a
reader that takes nothing for `Limits.stall_s` loses the answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response, StreamingResponse

from serve_apps.gateway import problems

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import Message, Receive, Scope, Send

    from serve_apps.gateway.limits import Limits, Places

_REFUSED: Final = 400  # and above: a problem


class _Held(Response):
    """What holds a place until it has been sent, even if that never began."""

    def _hold(self, places: Places, limits: Limits, owner: str = "") -> None:
        self._places = places
        self._owner = owner
        self._stall_s = limits.stall_s
        places.take(owner)

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
            self._places.give(self._owner)


class Stream(_Held, StreamingResponse):
    """A stream.

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
        self._hold(places, limits)


class Download(_Held, FileResponse):
    """A file that was bought, or the parts of it that are asked for (RFC 9110, 14).

    It is saved under its own name and never shown as a page of this host; nobody on the way keeps
    it, and the page that the link was on is not told to anybody.

    Args:
        path: of the file.
        link: its owner.
        places: of which it holds one.
        limits: bounds.

    Raises:
        Refused: 429, all places are taken, or all that one link may hold.
    """

    def __init__(self, path: Path, link: str, places: Places, limits: Limits) -> None:
        super().__init__(
            path,
            filename=path.name,
            media_type="application/octet-stream",
            headers={
                "cache-control": "private, no-store",
                "referrer-policy": "no-referrer",
                "x-content-type-options": "nosniff",
            },
        )
        self._hold(places, limits, link)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file; a range that cannot be sent is a problem document."""
        refused = False

        async def documented(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] >= _REFUSED:
                refused = True
                await _range_problem(message)(scope, receive, send)
            elif not refused:
                await send(message)

        await super().__call__(scope, receive, documented)


def _range_problem(start: Message) -> Response:
    """What the file's own plain refusal of a range says, as a problem document."""
    found = problems.refused(
        start["status"],
        "the part of the file cannot be sent",
        "the Range header names none that there is",
        "Ask for the whole file, without Range.",
    ).problem
    size = {k.decode(): v.decode() for k, v in start["headers"] if k == b"content-range"}
    return Response(found.body(), found.status, size, media_type=problems.MEDIA_TYPE)
