"""Errors as problem documents (RFC 9457): what failed, why, and what to do.

The type of a problem is the class of the error, whichever way the request took to it. Every error
of the project has one HTTP status; this is the only place that turns one into an answer.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from serve_apps.web.errors import BodyStalled, BodyTooLarge, Unauthorised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.runtime.errors import X0Error

MEDIA_TYPE: Final = "application/problem+json"
_NO_TYPE: Final = "about:blank"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem document.

    Attributes:
        status: HTTP status.
        kind: name of the error's class; "" where the status says it all.
        what: what failed.
        why: the cause.
        remedy: what the caller can do, a sentence.
        headers: sent with the document.
    """

    status: int
    kind: str
    what: str
    why: str
    remedy: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The document; ASCII, whatever the error repeats of its input."""
        return json.dumps(
            {
                "type": f"urn:x0tta6bl4:problem:{self.kind}" if self.kind else _NO_TYPE,
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "detail": f"{self.what}: {self.why}",
                "remedy": self.remedy,
            }
        ).encode()


def of_error(error: X0Error) -> Problem:
    """The problem that the caller is told about an error of the project."""
    if error.http_status == HTTPStatus.INTERNAL_SERVER_ERROR:
        # Its text may name files of the host: that is for the log.
        return internal()
    kind = type(error).__name__
    return Problem(error.http_status, kind, error.what, error.why, error.remedy, _headers(error))


def _headers(error: X0Error) -> Mapping[str, str]:
    headers = {}
    after = getattr(error, "retry_after_s", None)
    if isinstance(after, float | int):
        headers["retry-after"] = str(max(1, math.ceil(after)))
    if isinstance(error, Unauthorised):
        headers["www-authenticate"] = 'Bearer realm="x0tta6bl4"'
    if isinstance(error, BodyTooLarge | BodyStalled):
        # The rest of the body is still under way, so the connection cannot be used again.
        headers["connection"] = "close"
    return headers


def internal() -> Problem:
    """For what nobody expected; the log has it."""
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "",
        "the request failed",
        "of an internal error",
        "See the gateway's log.",
    )


def of_status(status: int, what: str, why: str, headers: Mapping[str, str]) -> Problem:
    """What the HTTP framework refuses by itself: no such path, no such method."""
    kind = "".join(word.capitalize() for word in HTTPStatus(status).phrase.split())
    return Problem(status, kind, what, why, "GET /docs lists paths and methods.", headers)
