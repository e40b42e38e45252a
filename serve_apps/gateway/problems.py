"""Errors as problem documents (RFC 9457): what failed, why, and what to do.

Every error of the project has one HTTP status already; this is the only place that turns one into
an answer.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.runtime.errors import X0Error

MEDIA_TYPE: Final = "application/problem+json"
_INTERNAL: Final = 500
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
        headers: to send with it.
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


class Refused(Exception):  # noqa: N818 - carries a problem to the answer, as the HTTP layer's own
    """A request that the gateway itself refuses."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def of_error(error: X0Error) -> Problem:
    """The problem that an error of the project is to the caller."""
    headers = {}
    after = getattr(error, "retry_after_s", None)
    if isinstance(after, float | int):
        headers["retry-after"] = str(max(1, math.ceil(after)))
    if error.http_status == _INTERNAL:
        # Its text may name files of the host: that is for the log.
        return internal()
    kind = type(error).__name__
    return Problem(error.http_status, kind, error.what, error.why, error.remedy, headers)


def internal() -> Problem:
    """For what nobody expected; the log has it."""
    return Problem(
        _INTERNAL, "", "the request failed", "of an internal error", "See the gateway's log."
    )


def refused(
    status: int, what: str, why: str, remedy: str, *, retry_after_s: float | None = None
) -> Refused:
    """A refusal of the gateway's own."""
    headers = {}
    if retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(retry_after_s)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="x0tta6bl4"'
    kind = "".join(word.capitalize() for word in HTTPStatus(status).phrase.split())
    return Refused(Problem(status, kind, what, why, remedy, headers))
