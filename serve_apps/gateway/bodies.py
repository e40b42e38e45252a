"""Bodies of requests, read no further than they may be long."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from serve_apps.gateway.problems import Refused, refused

if TYPE_CHECKING:
    from starlette.requests import Request


async def read(request: Request, most: int) -> bytes:
    """The body of a request, of at most `most` bytes.

    Raises:
        Refused: 413, it is longer, by its own account or as it turns out.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 18 or int(length) > most):
        raise _too_long(most)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_long(most)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def media_type(request: Request) -> str:
    """The Content-Type without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(given: str, *allowed: str) -> Refused:
    """415 for a Content-Type."""
    return refused(
        415,
        f"Content-Type {given[:64] or '(none)'} is refused",
        "it is not understood here",
        f"Send {' or '.join(allowed)}.",
    )


def _too_long(most: int) -> Refused:
    answer = refused(
        413,
        "the body is too long",
        f"{most} bytes are allowed",
        "Send it in several requests.",
    )
    # What is left of it is not read, so the connection cannot be used again.
    return Refused(replace(answer.problem, headers={"connection": "close"}))
