"""Segments of a path that have slashes in them, percent-encoded as RFC 3986 section 2.2 has it.

`a%2Fb` is one segment and `a/b` are two. Servers decode a path before the routes see it, so the
difference is lost. `EncodedSlashes` keeps it: an encoded slash becomes a character that no path
means anything by, and `SegmentText` turns it back in the parameter of the route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import unquote

from pydantic import AfterValidator

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_SLASH: Final = b"%2F"
_STAND_IN: Final = "\x1f"  # a control character: no id and no fixed part of a path has one

SegmentText = Annotated[str, AfterValidator(lambda text: text.replace(_STAND_IN, "/"))]
"""A segment of a path as its sender meant it."""


class EncodedSlashes:
    """Middleware that keeps an encoded slash apart from one between two segments.

    Args:
        app: the routes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its path with stand-ins if it has encoded slashes."""
        raw: bytes = scope.get("raw_path", b"")
        if _SLASH in raw or _SLASH.lower() in raw:
            kept = raw.decode("ascii").replace("%2f", "%2F").replace("%2F", _STAND_IN)
            scope = {**scope, "path": unquote(kept)}
        await self._app(scope, receive, send)


def shown(path: str) -> str:
    """The path of a request as its sender wrote it, as far as slashes go."""
    return path.replace(_STAND_IN, "%2F")
