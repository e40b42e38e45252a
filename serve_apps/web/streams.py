"""Answers that go on for long: they hold a slot, and give it back however they end.

Nothing is made before what was made last has gone to the connection, whose buffers are bounded; a
reader that takes nothing for `stall_s` loses the answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response, StreamingResponse

from serve_apps.web import error_answers, problems
from serve_apps.web.errors import RangeUnsatisfiable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from starlette.types import Message, Receive, Scope, Send

    from serve_apps.web.admission import Slots

_PART: Final = "the part of the file cannot be sent"


class _Held(Response):
    """An answer that holds a slot until it has been sent, even if that never began."""

    def _hold(self, slots: Slots, stall_s: float, owner: str = "") -> None:
        self._slots = slots
        self._owner = owner
        self._stall_s = stall_s
        slots.take(owner)

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
            self._slots.give(self._owner)


class Stream(_Held, StreamingResponse):
    """A stream.

    Args:
        content: what to send.
        slots: it holds one of them.
        stall_s: seconds within which the reader must take something.
        media_type: media type of the content.

    Raises:
        TooBusy: all slots are taken.
    """

    def __init__(
        self, content: AsyncIterator[bytes], slots: Slots, stall_s: float, media_type: str
    ) -> None:
        super().__init__(
            content,
            media_type=media_type,
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
        self._hold(slots, stall_s)


class Download(_Held, FileResponse):
    """A file that was bought, or the parts of it that are asked for (RFC 9110, 14).

    It is saved under its own name and never shown as a page of this host; nobody on the way keeps
    it, and the page that the link was on is not told to anybody.

    Args:
        path: the file to send.
        link: the owner of the slot that it holds.
        slots: it holds one of them.
        stall_s: seconds within which the reader must take something.

    Raises:
        TooBusy: all slots are taken, or all that one link may hold.
    """

    def __init__(self, path: Path, link: str, slots: Slots, stall_s: float) -> None:
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
        self._hold(slots, stall_s, link)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file; a range that cannot be sent is a problem document."""
        refused = False

        async def documented(message: Message) -> None:
            nonlocal refused
            if (
                message["type"] == "http.response.start"
                and message["status"] >= HTTPStatus.BAD_REQUEST
            ):
                refused = True
                await _range_problem(message)(scope, receive, send)
            elif not refused:
                await send(message)

        await super().__call__(scope, receive, documented)


def _range_problem(start: Message) -> Response:
    """What the file's own plain refusal of a range says, as a problem document."""
    headers = {k.decode(): v.decode() for k, v in start["headers"] if k == b"content-range"}
    if start["status"] == HTTPStatus.BAD_REQUEST:
        return error_answers.document(
            problems.of_status(start["status"], _PART, "the Range header is malformed", headers)
        )
    unsatisfiable = RangeUnsatisfiable(
        _PART, "the Range header names no part that there is", "Ask for the whole file, without it."
    )
    return error_answers.document(replace(problems.of_error(unsatisfiable), headers=headers))
