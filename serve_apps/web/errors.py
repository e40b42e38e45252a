# ruff: noqa: N818 - named by condition, as the tree that these belong to
"""Refusals that any HTTP application may make, beside the errors of the parts behind it.

    X0Error
    ├── Unauthorised          401  the request carries no token, or a wrong one
    ├── Forbidden             403  a page of another site sent it
    ├── BodyStalled           408  the body does not come
    ├── TooLarge              413  the request, or a message in it, is larger than allowed
    │   └── BodyTooLarge      413  the body is, and the rest of it is not read
    ├── UnsupportedMediaType  415  the body has a media type that is not understood
    ├── RangeUnsatisfiable    416  a file has no such part
    ├── MisdirectedRequest    421  the request is for a host that the application is not known by
    ├── IdempotencyKeyReused  422  the key names another request
    └── TooBusy               429  too much is under way, or comes too fast

A core raises these without a thought of HTTP; `problems.of_error` is the one place that makes an
answer of an error.
"""

from __future__ import annotations

from actors.runtime.errors import X0Error


class Unauthorised(X0Error):
    """The request carries no token, or a wrong one."""

    http_status = 401

    def __init__(self) -> None:
        super().__init__(
            "the request is not authorised",
            "it carries no token, or a wrong one",
            "Send `Authorization: Bearer TOKEN`; `x0 status` names the file of the token.",
        )


class Forbidden(X0Error):
    """A page of another site sent the request."""

    http_status = 403


class BodyStalled(X0Error):
    """The body of the request does not come, or too slowly; the rest of it is not read."""

    http_status = 408


class TooLarge(X0Error):
    """The request, or a message in it, is larger than allowed."""

    http_status = 413


class BodyTooLarge(TooLarge):
    """The body is longer than allowed; the rest of it is not read."""


class UnsupportedMediaType(X0Error):
    """The body has a media type that is not understood."""

    http_status = 415


class RangeUnsatisfiable(X0Error):
    """A file has no such part."""

    http_status = 416


class MisdirectedRequest(X0Error):
    """The request is for a host that the application is not known by."""

    http_status = 421


class IdempotencyKeyReused(X0Error):
    """The `Idempotency-Key` names a request with another body."""

    http_status = 422

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key[:64]} is refused",
            "a request with another body has it",
            "Give each request a key of its own, and the same key only to the same request.",
        )


class TooBusy(X0Error):
    """Too much is under way, or comes too fast; retry after `retry_after_s` seconds."""

    http_status = 429

    retry_after_s: float

    def __init__(self, what: str, why: str, remedy: str, *, retry_after_s: float) -> None:
        super().__init__(what, why, remedy, retry_after_s=retry_after_s)
