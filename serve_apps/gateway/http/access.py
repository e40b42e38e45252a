"""Who gets in: the holder of the token, not a page of another site, and not too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_apps.gateway import problems
from serve_apps.gateway.auth import is_bearer, is_own_origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serve_apps.gateway.service import Gateway


def authorise(headers: Mapping[str, str], gateway: Gateway) -> None:
    """Let only the holder of the token through.

    Raises:
        Refused: 401, 403 or 429.
    """
    if not is_bearer(headers.get("authorization"), gateway.token):
        raise problems.refused(
            401,
            "the request is not authorised",
            "it carries no token, or a wrong one",
            "Send `Authorization: Bearer TOKEN`; `x0 status` names the file of the token.",
        )
    if not is_own_origin(headers.get("origin"), headers.get("host")):
        raise problems.refused(
            403,
            "the request is forbidden",
            "a page of another site sent it",
            "Call the gateway from a program, or from a page that it serves itself.",
        )
    gateway.rate.take()
