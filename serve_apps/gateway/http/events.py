"""What happens in the mesh, as server-sent events (HTML Living Standard, 9.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Query, Request
from fastapi.responses import Response, StreamingResponse

from actors.runtime.errors import InvalidInput
from serve_apps.gateway.http.parameters import V1
from serve_apps.web import documents as problem_documents
from serve_apps.web.streams import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway

SSE: Final = "text/event-stream"
_HIGHEST_EVENT: Final = 2**63


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the route."""

    @app.get(
        f"{V1}/mesh/events",
        tags=["mesh"],
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {
                    SSE: {
                        "schema": {"type": "string"},
                        "example": 'id: 7\nevent: node\ndata: {"node": "n0001"}\n\n',
                    }
                }
            },
            **problem_documents.READS,
        },
    )
    async def follow_events(
        request: Request,
        limit: Annotated[
            int | None, Query(ge=1, le=1_000_000, description="close after as many events")
        ] = None,
    ) -> Response:
        """Server-sent events: node, link, route, incident, and gap where some were missed.

        Last-Event-ID continues after an event that was read before. A gap tells as `missed` how
        many events are not kept any more; after a restart of the gateway, which it tells as
        `restarted`, only those since then are counted.
        """
        gateway.joined()
        last = _last_event(request, gateway.events.next - 1)
        return Stream(_follow(gateway, last, limit), gateway.streams, gateway.limits.stall_s, SSE)


def _last_event(request: Request, newest: int) -> int:
    given = request.headers.get("last-event-id")
    if given is None:
        return newest
    if not (given.isascii() and given.isdecimal() and len(given) < 20):
        raise InvalidInput(
            "header Last-Event-ID is refused",
            "it is not the id of an event",
            "Leave it out.",
            entry="Last-Event-ID",
        )
    return min(int(given), _HIGHEST_EVENT)


async def _follow(gateway: Gateway, last: int, limit: int | None) -> AsyncIterator[bytes]:
    left = limit
    yield b": welcome\n\n"
    while True:
        texts, last = gateway.events.after(last)
        if left is not None:
            texts = texts[:left]
            left -= len(texts)
        if texts:
            yield b"".join(texts)
        if left == 0:
            return
        await gateway.events.wait(last, gateway.limits.keep_alive_s)
        if gateway.events.next - 1 == last:
            yield b": still here\n\n"
