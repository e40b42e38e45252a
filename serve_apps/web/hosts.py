"""Whom a request is for: the names that an application is known by.

A page may point a name of its own at this address (DNS rebinding); to the browser all that is
read from there then belongs to that page. Its requests carry the page's name in `Host`, so those
with a name that is not ours are refused. An address instead of a name is ours by nature: no page
can make a browser send one that it was not opened under.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from serve_apps.web.errors import MisdirectedRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from serve_apps.web.error_answers import ErrorAnswers

LOOPBACK: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})
_MOST: Final = 1024  # values of `Host` that are remembered as ours


class KnownHosts:
    """Middleware that refuses requests for somebody else.

    Args:
        app: what answers the others.
        names: host names that the application is known by, beside those of loopback.
        answers: makes the answers to refused requests.
        setting: the setting that adds a name, for errors.
    """

    def __init__(
        self, app: ASGIApp, names: Iterable[str], answers: ErrorAnswers, setting: str
    ) -> None:
        self._app = app
        self._names = LOOPBACK | {name.lower().rstrip(".") for name in names}
        self._answers = answers
        self._setting = setting
        self._ours: set[bytes] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if name == b"host" and value not in self._ours and not self._is_ours(value):
                    shown = value[:64].decode("ascii", "replace")
                    await self._answers.of(self._refusal(shown))(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _is_ours(self, value: bytes) -> bool:
        host = host_of(value.decode("latin-1"))
        if host not in self._names and not _is_address(host):
            return False
        if len(self._ours) < _MOST:
            self._ours.add(value)
        return True

    def _refusal(self, shown: str) -> MisdirectedRequest:
        return MisdirectedRequest(
            f"a request for host {shown} is refused",
            "the gateway is not known by that name",
            f"Use its address, or add the name to {self._setting}.",
        )


def host_of(authority: str) -> str:
    """The host of `host[:port]` in lower case, without brackets and a closing dot."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower().rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
