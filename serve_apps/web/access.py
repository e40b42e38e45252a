"""Who gets in: the holder of the token, not a page of another site, and not too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_apps.web.auth import is_bearer, is_own_origin
from serve_apps.web.errors import Forbidden, Unauthorised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serve_apps.web.admission import Rate


class Access:
    """Checks requests that change something, or read what is not for everybody.

    Args:
        token: bearer token of the application.
        rate: how often it may be used.
    """

    def __init__(self, token: bytes, rate: Rate) -> None:
        self._token = token
        self._rate = rate

    def check(self, headers: Mapping[str, str]) -> None:
        """Let only the holder of the token through.

        Raises:
            Unauthorised: the token is missing or wrong.
            Forbidden: a page of another site sent the request.
            TooBusy: requests come too fast.
        """
        if not is_bearer(headers.get("authorization"), self._token):
            raise Unauthorised
        if not is_own_origin(headers.get("origin"), headers.get("host")):
            raise Forbidden(
                "the request is forbidden",
                "a page of another site sent it",
                "Call the gateway from a program, or from a page that it serves itself.",
            )
        self._rate.take()
