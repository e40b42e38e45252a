"""Probes: one message each, and what became of it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from serve_apps.gateway import decoding
from serve_apps.gateway.http import mesh_documents
from serve_apps.gateway.http.parameters import V1
from serve_apps.gateway.limits import Limits
from serve_apps.web import bodies, idempotency
from serve_apps.web import documents as problem_documents
from serve_apps.web.strict_json import JSON, loads

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway

_BOUNDS = Limits()  # the bounds of parameters, for the OpenAPI document


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the route."""

    @app.post(
        f"{V1}/mesh/probes",
        tags=["messages"],
        response_model=mesh_documents.ProbeOutcome,
        responses={**problem_documents.CHANGES, **problem_documents.problems(404, 409)},
        openapi_extra={
            "requestBody": mesh_documents.PROBE_BODY,
            "parameters": [mesh_documents.IDEMPOTENCY_KEY],
        },
    )
    async def send_probe(
        request: Request,
        wait_s: Annotated[float, Query(ge=0, le=_BOUNDS.wait_s)] = _BOUNDS.wait_s,
    ) -> Response:
        """Send one message and wait up to `wait_s` for what becomes of it, as `x0 send` does.

        Nodes are named as people do: by id, by name, or by a beginning that no other node has.
        Without a port the message is sent to a random one and taken out of the inbox again. A
        notice that it came back is taken too. With an `Idempotency-Key` it is sent once.
        """
        headers = request.headers
        gateway.access.check(headers)
        if (kind := bodies.media_type(headers)) != JSON:
            raise bodies.unsupported(kind, JSON)
        body = await bodies.read(headers, request.receive, gateway.limits.body_bytes)

        async def answer() -> bytes:
            value = loads(body)
            gateway.joined()
            message = decoding.one(value, gateway.view.naming.find)
            port = message.port if "port" in value else None
            source, destination = map(gateway.id_at, (message.source, message.destination))
            sent = await gateway.probe(source, destination, message.payload, port, wait_s)
            return json.dumps({**asdict(sent), "id": str(sent.id)}).encode()

        key = headers.get(idempotency.HEADER)
        with gateway.long_polls.one():
            if key is None:
                return Response(await answer(), media_type=JSON)
            asked = f"probe {wait_s} ".encode() + body
            return Response(await gateway.idempotent.once(key, asked, answer), media_type=JSON)
