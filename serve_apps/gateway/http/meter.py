"""Counts requests by status and bounds how many are under way (pure ASGI, a few µs a request)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serve_apps.gateway.http import errors
from serve_apps.gateway.problems import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from serve_apps.gateway.service import Gateway


class Meter:
    """Middleware around all routes.

    Args:
        app: the routes.
        gateway: whose counts and places these are.
    """

    def __init__(self, app: ASGIApp, gateway: Gateway) -> None:
        self._app = app
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        requests = self._gateway.counts.requests

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                requests[status] = requests.get(status, 0) + 1
            await send(message)

        try:
            self._gateway.in_flight.take()
        except Refused as error:
            await errors.answer_to(error)(scope, receive, counted)
            return
        try:
            await self._app(scope, receive, counted)
        finally:
            self._gateway.in_flight.give()
