"""Sending messages. `fast_path` takes those that come as one JSON document."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgpack
from fastapi import Request  # noqa: TC002 - FastAPI reads it
from fastapi.responses import Response

from serve_apps.gateway import decoding
from serve_apps.gateway.http import mesh_documents
from serve_apps.gateway.http.fast_path import PATH
from serve_apps.gateway.line_stream import LineStream
from serve_apps.web import bodies
from serve_apps.web import documents as problem_documents
from serve_apps.web.strict_json import JSON

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serve_apps.gateway.send_batcher import SendOutcome
    from serve_apps.gateway.service import Gateway

_LARGE = 65_536  # bytes of a body that a thread decodes


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the route."""

    @app.post(
        PATH,
        tags=["messages"],
        response_model=mesh_documents.Accepted,
        responses={
            **problem_documents.CHANGES,
            **problem_documents.problems(404),
            200: {
                "description": "Each message is accepted or refused alone",
                "content": {decoding.MSGPACK: {"schema": {"type": "string", "format": "binary"}}},
            },
        },
        openapi_extra={"requestBody": mesh_documents.MESSAGES_BODY},
    )
    async def send_messages(request: Request) -> Response:
        """Send messages: one as JSON, many as NDJSON or msgpack, which is answered in msgpack.

        One message that is refused is a problem. Of many, each is accepted or refused alone.

        NDJSON may come for as long as its sender likes, up to a million messages or 256 MiB, and
        its messages are sent while it comes. If the sender leaves before the answer, what was
        accepted by then stays accepted. If the gateway stops reading before the end, the last of
        `refusals` says why: its message and all after it were not sent.
        """
        gateway.access.check(request.headers)
        match bodies.media_type(request.headers):
            case decoding.NDJSON:
                return await _lines(request, gateway)
            case decoding.MSGPACK:
                return await _packed(request, gateway)
            case kind:
                raise bodies.unsupported(kind, JSON, decoding.NDJSON, decoding.MSGPACK)


async def _lines(request: Request, gateway: Gateway) -> Response:
    gateway.joined()
    with gateway.uploads.one():
        body = bodies.parts(request.headers, request.receive, gateway.limits.upload_bytes)
        tally = await LineStream(gateway).send(body)
    # What was not read is still under way, so the connection cannot be used again.
    headers = {"connection": "close"} if tally.cut_off else None
    return Response(tally.document(), headers=headers, media_type=JSON)


async def _packed(request: Request, gateway: Gateway) -> Response:
    limits = gateway.limits
    body = await bodies.read(request.headers, request.receive, limits.body_bytes)
    gateway.joined()
    index = gateway.view.index
    if len(body) > _LARGE:
        found = await asyncio.to_thread(decoding.packed, body, index, limits.batch)
    else:
        found = decoding.packed(body, index, limits.batch)
    return _outcome(await gateway.send(found))


def _outcome(outcome: SendOutcome) -> Response:
    refused = len(outcome.refusals)
    summary: dict[str, Any] = {
        "accepted": len(outcome.ids) - refused,
        "refused": refused,
        "refusals": [why.shown(row) for row, why in outcome.refusals.items()],
        "ids": outcome.ids,  # numbers, 0 where refused: an id has 64 bits
    }
    body = msgpack.packb(summary, unicode_errors="surrogatepass")
    return Response(body, media_type=decoding.MSGPACK)
