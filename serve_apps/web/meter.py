"""Measures requests and bounds how many are under way (pure ASGI, a few µs a request)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from serve_apps.web.errors import TooBusy

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from serve_apps.web.admission import Slots
    from serve_apps.web.error_answers import ErrorAnswers
    from serve_apps.web.request_metrics import RequestMetrics


class Meter:
    """Middleware around all routes.

    Args:
        app: the routes.
        metrics: what is measured.
        in_flight: a slot for each request under way.
        answers: makes the answers to requests that find no slot.
    """

    def __init__(
        self, app: ASGIApp, metrics: RequestMetrics, in_flight: Slots, answers: ErrorAnswers
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._in_flight = in_flight
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.answered(scope, message["status"], time.perf_counter() - begun)
            await send(message)

        try:
            self._in_flight.take()
        except TooBusy as error:
            await self._answers.of(error)(scope, receive, measured)
            return
        try:
            await self._app(scope, receive, measured)
        finally:
            self._in_flight.give()
