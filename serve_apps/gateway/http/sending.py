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
from serve_apps.web import bodies, idempotency
from serve_apps.web import documents as problem_documents
from serve_apps.web.strict_json import JSON

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway
    from serve_apps.gateway.tally import Tally

_LARGE = 65_536  # bytes of a body that a thread decodes


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the route."""

    @app.post(
        PATH,
        tags=["messages"],
        response_model=mesh_documents.Accepted,
        responses={
            **problem_documents.CHANGES,
            **problem_documents.problems(404, 409),
            200: {
                "description": "Each message is accepted or refused alone",
                "content": {decoding.MSGPACK: {"schema": {"type": "string", "format": "binary"}}},
            },
        },
        openapi_extra={
            "requestBody": mesh_documents.MESSAGES_BODY,
            "parameters": [mesh_documents.IDEMPOTENCY_KEY],
        },
    )
    async def send_messages(request: Request) -> Response:
        """Send messages: one as JSON, many as NDJSON or msgpack, which is answered in msgpack.

        One message that is refused is a problem. Of many, each is accepted or refused alone.

        NDJSON may come for as long as its sender likes, up to a million messages or 256 MiB, and
        its messages are sent while it comes. If the sender leaves before the answer, what was
        accepted by then stays accepted. If the gateway stops reading before the end, the last of
        `refusals` says why: its message and all after it were not sent.

        With an `Idempotency-Key` the same request has one effect and one answer, however often and
        whenever it comes within ten minutes of its first answer, while the gateway lives; lines are
        then read to their end before they are sent, up to 16 MiB.
        """
        headers = request.headers
        gateway.access.check(headers)
        kind = bodies.media_type(headers)
        key = headers.get(idempotency.HEADER)
        if kind not in {decoding.NDJSON, decoding.MSGPACK}:
            raise bodies.unsupported(kind, JSON, decoding.NDJSON, decoding.MSGPACK)
        if kind == decoding.NDJSON and key is None:
            limit = gateway.limits.upload_bytes
            tally = await _lines(gateway, bodies.parts(headers, request.receive, limit))
            # What was not read is still under way, so the connection cannot be used again.
            closing = {"connection": "close"} if tally.cut_off else None
            return Response(tally.document(), headers=closing, media_type=JSON)
        body = await bodies.read(headers, request.receive, gateway.limits.body_bytes)

        async def sent() -> bytes:
            if kind == decoding.MSGPACK:
                return await _packed(gateway, body)
            return (await _lines(gateway, _at_once(body))).document()

        if key is None:
            answer = await sent()
        else:
            answer = await gateway.idempotent.once(key, kind.encode() + b"\0" + body, sent)
        return Response(answer, media_type=JSON if kind == decoding.NDJSON else kind)


async def _at_once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _lines(gateway: Gateway, body: AsyncIterator[bytes]) -> Tally:
    gateway.joined()
    with gateway.uploads.one():
        return await LineStream(gateway).send(body)


async def _packed(gateway: Gateway, body: bytes) -> bytes:
    gateway.joined()
    naming, most = gateway.view.naming, gateway.limits.batch
    if len(body) > _LARGE:
        found = await asyncio.to_thread(decoding.packed, body, naming, most)
    else:
        found = decoding.packed(body, naming, most)
    outcome = await gateway.send(found)
    refused = len(outcome.refusals)
    summary: dict[str, Any] = {
        "accepted": len(outcome.ids) - refused,
        "refused": refused,
        "refusals": [why.shown(row) for row, why in outcome.refusals.items()],
        "ids": outcome.ids,  # numbers, 0 where refused: an id has 64 bits
    }
    packed: bytes = msgpack.packb(summary, unicode_errors="surrogatepass")
    return packed
