"""Who gets in: the holder of the token, not a page of another site, and not too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_apps.web.auth import is_bearer, is_own_origin
from serve_apps.web.errors import Forbidden, Unauthorised

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from serve_apps.web.admission import Rate


class Access:
    """Checks requests that change something, or read what is not for everybody.

    Args:
        token: bearer token of the application.
        rate: how often it may be used.
        origins: origins of other sites whose pages may use it with the token.
    """

    def __init__(self, token: bytes, rate: Rate, origins: Collection[str] = ()) -> None:
        self._token = token
        self._rate = rate
        self._origins = origins

    def check(self, headers: Mapping[str, str], *, has_key: bool = False) -> None:
        """Let only the holder of the token through.

        Args:
            headers: of the request.
            has_key: whether it carries a key that stands for the token here.

        Raises:
            Unauthorised: the token is missing or wrong.
            Forbidden: a page of another site sent the request.
            TooBusy: requests come too fast.
        """
        if not has_key and not is_bearer(headers.get("authorization"), self._token):
            raise Unauthorised
        origin = headers.get("origin")
        if not is_own_origin(origin, headers.get("host")) and origin not in self._origins:
            raise Forbidden(
                "the request is forbidden",
                "a page of another site sent it",
                "Call the gateway from a program, or from a page that it serves itself.",
            )
        self._rate.take()
