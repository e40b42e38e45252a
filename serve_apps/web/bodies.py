"""Bodies of requests, read no further than they may be long, and no slower than they may come."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect

from serve_apps.web.errors import BodyStalled, BodyTooLarge, UnsupportedMediaType
from serve_apps.web.strict_json import JSON, loads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.types import Receive

STALL_S = 30.0  # without another byte
SLOWEST = 4096  # bytes a second that a body must come at, after the first `STALL_S`


async def parts(headers: Mapping[str, str], receive: Receive, most: int) -> AsyncIterator[bytes]:
    """The body of a request as it comes, of at most `most` bytes in all.

    Raises:
        BodyTooLarge: it is longer, by its own account or as it turns out.
        BodyStalled: nothing of it comes.
        ClientDisconnect: the client has gone.
    """
    length = headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 18 or int(length) > most):
        raise _too_long(most)
    size = 0
    more = True
    while more:
        try:
            async with asyncio.timeout(STALL_S):
                message = await receive()
        except TimeoutError:
            raise _stalled(f"nothing of it came for {STALL_S:g} s") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size > most:
            raise _too_long(most)
        yield part


async def read(headers: Mapping[str, str], receive: Receive, most: int) -> bytes:
    """The whole body of a request.

    Raises:
        BodyStalled: it comes more slowly than `SLOWEST`.
        BodyTooLarge, ClientDisconnect: as `parts`.
    """
    begun = time.monotonic()
    size = 0
    found = []
    async for part in parts(headers, receive, most):
        found.append(part)
        size += len(part)
        if time.monotonic() - begun > STALL_S + size / SLOWEST:
            raise _stalled(f"less than {SLOWEST} bytes a second came")
    return b"".join(found)


async def read_json(request: Request, most: int) -> Any:  # noqa: ANN401 - JSON is anything
    """What a JSON body says.

    Raises:
        UnsupportedMediaType: it is something else.
        BodyTooLarge, BodyStalled: as `parts`.
        InvalidInput: it is not JSON.
    """
    kind = media_type(request.headers)
    if kind != JSON:
        raise unsupported(kind, JSON)
    return loads(await read(request.headers, request.receive, most))


def media_type(headers: Mapping[str, str]) -> str:
    """The Content-Type without parameters, in lower case."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(given: str, *allowed: str) -> UnsupportedMediaType:
    """The refusal of a Content-Type."""
    return UnsupportedMediaType(
        f"Content-Type {given[:64] or '(none)'} is refused",
        "it is not understood here",
        f"Send {' or '.join(allowed)}.",
    )


def _too_long(most: int) -> BodyTooLarge:
    return BodyTooLarge(
        "the body is too long", f"{most} bytes are allowed", "Send it in several requests."
    )


def _stalled(why: str) -> BodyStalled:
    return BodyStalled(
        "the body does not come",
        why,
        "Send it at once, or in several requests.",
    )
