"""Inboxes: reading messages, and acknowledging them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from actors.mesh.contract import MAX_PORT
from serve_apps.gateway import decoding
from serve_apps.gateway.http import mesh_documents
from serve_apps.gateway.http.parameters import V1, NodeId
from serve_apps.gateway.inbox_stream import InboxStream
from serve_apps.gateway.limits import Limits
from serve_apps.web import bodies
from serve_apps.web import documents as problem_documents
from serve_apps.web.parsing import parse
from serve_apps.web.streams import Stream
from serve_apps.web.strict_json import JSON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway

_MESSAGES: Final = 100  # messages of an answer if no limit is given
_BOUNDS: Final = Limits()  # the bounds of parameters, for the OpenAPI document


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes."""
    limits = gateway.limits

    @app.get(
        f"{V1}/mesh/nodes/{{id}}/inbox",
        tags=["messages"],
        response_model=mesh_documents.InboxMessages,
        response_model_exclude_none=True,
        responses={
            **problem_documents.READS,
            **problem_documents.problems(401, 403, 404),
            200: {"content": {decoding.NDJSON: mesh_documents.INBOX_STREAM}},
        },
    )
    async def read_inbox(
        request: Request,
        id: NodeId,  # noqa: A002 - the name in the path
        port: Annotated[int, Query(ge=0, le=MAX_PORT)] = 0,
        limit: Annotated[
            int | None,
            Query(ge=1, le=_BOUNDS.inbox, description="100 if left out; none for a stream"),
        ] = None,
        wait_s: Annotated[float, Query(ge=0, le=_BOUNDS.wait_s)] = 0.0,
    ) -> Any:  # noqa: ANN401 - documented by the model
        """The oldest messages that are not acknowledged, waiting up to `wait_s` for the first.

        They are offered again until their receipts are given to `inbox/ack`: at least once.

        With `Accept: application/x-ndjson` the answer is a stream, a message a line, each once and
        as it comes, until the reader leaves or `limit` is reached; blank lines keep it alive. At
        most 100 messages are ahead of the reader's acknowledgements: then it waits for them. It
        ends, without an error, when a part of the mesh is down for long: open it again.
        """
        gateway.access.check(request.headers)
        node = gateway.inbox_of(id)
        if _accepts_lines(request):
            lines = _lines(InboxStream(gateway, node, port), limit)
            return Stream(lines, gateway.inbox_streams, limits.stall_s, decoding.NDJSON)
        with gateway.long_polls.one():
            found = await gateway.inbox(node, port, limit or _MESSAGES, wait_s)
        return Response(json.dumps({"messages": found}), media_type=JSON)

    @app.post(
        f"{V1}/mesh/nodes/{{id}}/inbox/ack",
        tags=["messages"],
        response_model=mesh_documents.Acknowledged,
        responses={**problem_documents.CHANGES, **problem_documents.problems(404)},
        openapi_extra={"requestBody": mesh_documents.RECEIPTS_BODY},
    )
    async def acknowledge_messages(request: Request, id: NodeId) -> Any:  # noqa: A002, ANN401 - as above
        """Take messages out of an inbox. The same receipts again change nothing."""
        gateway.access.check(request.headers)
        value = await bodies.read_json(request, limits.body_bytes)
        receipts = parse(mesh_documents.ReceiptList, value).receipts
        return JSONResponse(
            {"acknowledged": await gateway.acknowledge(gateway.inbox_of(id), receipts)}
        )


def _accepts_lines(request: Request) -> bool:
    ranges = request.headers.get("accept", "").split(",")
    return decoding.NDJSON in (given.partition(";")[0].strip().lower() for given in ranges)


async def _lines(stream: InboxStream, limit: int | None) -> AsyncIterator[bytes]:
    yield b"\n"  # so that the reader knows at once that it is heard
    async for found in stream.follow(limit):
        yield b"".join(json.dumps(message).encode() + b"\n" for message in found) or b"\n"
