"""What has happened, from the history: in pages, and as server-sent events.

The number of an event is its place in the history, so a stream goes on where it was left whatever
was restarted meanwhile (HTML Living Standard, 9.2, Last-Event-ID).
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from datetime import UTC
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from actors.history.event_store import EventQuery
from actors.history.moments import moment
from actors.runtime.errors import InvalidInput, X0Error
from actors.runtime.ids import MAX_NODE_ID_LENGTH
from actors.topology.events import EventKind, EventSeverity
from actors.topology.provenance import Network
from serve_apps.gateway.http import history_documents
from serve_apps.gateway.http.parameters import V1
from serve_apps.web import documents as problem_documents
from serve_apps.web.streams import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway

SSE: Final = "text/event-stream"
PAGE: Final = 1_000  # events of a page, unless asked otherwise
SINCE_S: Final = 86_400.0  # how far a list goes back, unless asked otherwise
_HIGHEST: Final = 2**63 - 1
TIME: Final = "2h, 3d, `yesterday 22:00`, or ISO 8601; in UTC unless it has a zone"

Since = Annotated[str | None, Query(max_length=64, description=f"not before: {TIME}")]
Until = Annotated[str | None, Query(max_length=64, description=f"before: {TIME}")]
Kinds = Annotated[
    list[EventKind], Query(max_length=len(EventKind), description="of one of these kinds")
]
Least = Annotated[EventSeverity, Query(description="of at least this severity")]
Nodes = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=MAX_NODE_ID_LENGTH)]],
    Query(max_length=64, description="about one of these nodes: ids or whole names"),
]
OfNetwork = Annotated[Network | None, Query(description="of this network alone")]


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes."""

    @app.get(
        f"{V1}/events",
        tags=["history"],
        response_model=history_documents.EventList,
        responses={**problem_documents.READS, **problem_documents.problems(404, 409)},
    )
    async def list_events(
        since: Since = None,
        until: Until = None,
        kind: Kinds = [],  # noqa: B006 - FastAPI copies it
        severity: Least = EventSeverity.INFO,
        node: Nodes = [],  # noqa: B006 - the same
        network: OfNetwork = None,
        after: Annotated[int, Query(ge=0, le=_HIGHEST, description="`next` of a page")] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000, description="events of a page")] = PAGE,
    ) -> Any:  # noqa: ANN401 - documented by the model
        """What has happened, the earliest first: of the last day without `since` and `after`."""
        begin = _since(since, default_s=None if after else SINCE_S)
        query = EventQuery(
            since=begin,
            until=None if until is None else moment_of(until, "until"),
            after=after,
            kinds=kind,
            least=severity,
            nodes=await gateway.history.ids_of(node, begin or 0.0),
            network=network,
            limit=limit,
        )
        with gateway.lookups.one():
            found = await gateway.history.find(query)
        full = len(found) == limit
        values = {
            "events": [one.as_dict() for one in found],
            "next": found[-1].id if full else None,
        }
        return JSONResponse(values)

    @app.get(
        f"{V1}/events/stream",
        tags=["history"],
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {
                    SSE: {
                        "schema": {"type": "string"},
                        "example": 'id: 7\nevent: split\ndata: {"id": 7, "at": "..."}\n\n',
                    }
                }
            },
            **problem_documents.READS,
            **problem_documents.problems(404, 409),
        },
    )
    async def follow_events(
        request: Request,
        since: Since = None,
        kind: Kinds = [],  # noqa: B006 - FastAPI copies it
        severity: Least = EventSeverity.INFO,
        node: Nodes = [],  # noqa: B006 - the same
        network: OfNetwork = None,
        limit: Annotated[
            int | None, Query(ge=1, le=1_000_000, description="close after as many events")
        ] = None,
    ) -> Response:
        """Server-sent events: each has its `kind` as `event`, and all of it as `data`.

        Last-Event-ID goes on after an event that was read before, also after a restart of
        anything. Without it, `since` says from when on earlier ones are told first; without both,
        only new ones are. What was deleted meanwhile is told as `gap`, with the number `missed`.
        """
        begin = _since(since, default_s=None)
        query = EventQuery(
            since=begin,
            kinds=kind,
            least=severity,
            nodes=await gateway.history.ids_of(node, begin or 0.0),
            network=network,
            limit=PAGE,
        )
        start = await _start(request, gateway, begin)
        gap, following = await _gap(gateway, _Following(query, start, limit))
        content = _follow(gateway, gap, following)
        return Stream(content, gateway.streams, gateway.limits.stall_s, SSE)


@dataclass(frozen=True, slots=True)
class _Following:
    """Where a reader of the stream is.

    Attributes:
        query: what it asks for.
        last: id of the last event that it has passed.
        left: events until it is closed; None: without end.
    """

    query: EventQuery
    last: int
    left: int | None


def moment_of(text: str, entry: str) -> float:
    """The moment that a query parameter names, Unix time, s.

    Raises:
        InvalidInput: it names none.
    """
    try:
        return moment(text, time.time(), UTC)
    except InvalidInput as error:
        raise InvalidInput(
            error.what, error.why, error.remedy, source="query", entry=entry
        ) from None


def _since(text: str | None, *, default_s: float | None) -> float | None:
    if text is None:
        return None if default_s is None else time.time() - default_s
    return moment_of(text, "since")


async def _start(request: Request, gateway: Gateway, since: float | None) -> int:
    """After which event a reader begins."""
    given = request.headers.get("last-event-id")
    if given is None:
        return 0 if since is not None else (await gateway.history.ends())[1]
    if not (given.isascii() and given.isdecimal() and len(given) < 20):
        raise InvalidInput(
            "header Last-Event-ID is refused",
            "it is not the id of an event",
            "Leave it out.",
            entry="Last-Event-ID",
        )
    return min(int(given), _HIGHEST)


async def _follow(gateway: Gateway, gap: bytes, at: _Following) -> AsyncIterator[bytes]:
    yield b": welcome\n\n" + gap
    while at.left != 0:
        try:
            texts, at = await _next(gateway, at)
        except X0Error as error:  # the reader stays; the history may answer again
            yield f": {json.dumps(str(error))}\n\n".encode()
            await asyncio.sleep(gateway.limits.keep_alive_s)
            continue
        yield texts or b": still here\n\n"


async def _gap(gateway: Gateway, at: _Following) -> tuple[bytes, _Following]:
    """What a reader has missed; where it goes on."""
    oldest, newest = await gateway.history.ends()
    if at.last > newest:  # an id of another history
        text = _text("gap", {"missed": None, "why": "the id is of another history"})
        return text, replace(at, last=newest)
    missed = oldest - 1 - at.last
    if at.last and missed > 0:
        why = "they are older than what is kept"
        return _text("gap", {"missed": missed, "why": why}), at
    return b"", at


async def _next(gateway: Gateway, at: _Following) -> tuple[bytes, _Following]:
    """The next events as they are sent; nothing if none has come for a while."""
    history = gateway.history
    if not await history.wait(at.last, gateway.limits.keep_alive_s):
        return b"", at
    newest = (await history.ends())[1]
    limit = at.query.limit if at.left is None else min(at.query.limit, at.left)
    found = await history.find(replace(at.query, after=at.last, limit=limit))
    # What does not fit the query is passed as well, up to what was there before it was asked.
    last = found[-1].id if len(found) == limit else max([newest, *(one.id for one in found)])
    texts = b"".join(_text(one.event.kind, one.as_dict(), one.id) for one in found)
    left = None if at.left is None else at.left - len(found)
    return texts, replace(at, last=last, left=left)


def _text(kind: str, data: object, id_: int | None = None) -> bytes:
    head = "" if id_ is None else f"id: {id_}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
