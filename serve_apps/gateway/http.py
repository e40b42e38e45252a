"""The routes: HTTP in, answers of the service out. Pure ASGI; Ray Serve is in `app`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgpack
from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from actors.runtime import log
from actors.runtime.errors import InvalidInput, X0Error
from serve_apps.gateway import bodies, decoding, documents, metrics_text, problems, telemetry
from serve_apps.gateway.auth import is_bearer, is_own_origin
from serve_apps.gateway.limits import Limits
from serve_apps.gateway.meter import Meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serve_apps.gateway.courier import Outcome
    from serve_apps.gateway.problems import Problem
    from serve_apps.gateway.service import Gateway

SSE: Final = "text/event-stream"
RECEIPTS: Final = 10_000  # of one request
_HIGHEST_EVENT: Final = 2**63
_LARGE: Final = 2_000  # rows of an answer that a thread builds

_log = log.get(__name__)

NodeId = Annotated[str, Path(min_length=1, max_length=256, examples=["n0001"])]


def build(gateway: Gateway) -> FastAPI:
    """The application of a gateway."""
    app = FastAPI(
        title="x0tta6bl4 gateway",
        version="1",
        description="HTTP access to a self-healing mesh. Changing calls and inboxes need the "
        "bearer token that `x0 status` names the file of.",
        responses=documents.problems(500),
    )
    _handle_errors(app)
    _health(app, gateway)
    _reading(app, gateway)
    _messages(app, gateway)
    _inboxes(app, gateway)
    _document(app)
    app.add_middleware(Meter, gateway=gateway)
    return app


# -- errors --------------------------------------------------------------------------------------


def _answer(problem: Problem) -> Response:
    headers = dict(problem.headers)
    return Response(problem.body(), problem.status, headers, media_type=problems.MEDIA_TYPE)


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(problems.Refused)
    async def refused(_request: Request, error: problems.Refused) -> Response:
        return _answer(error.problem)

    @app.exception_handler(X0Error)
    async def typed(_request: Request, error: X0Error) -> Response:
        if error.http_status == 500:
            _log.error("a request failed", error=str(error))
        return _answer(problems.of_error(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        why = InvalidInput(f"{name} is refused", str(first["msg"]), "See /docs.", entry=name)
        return _answer(problems.of_error(why))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        found = problems.refused(
            error.status_code,
            f"{request.method} {request.url.path[:128]} is refused",
            str(error.detail),
            "GET /docs lists paths and methods.",
        ).problem
        headers = {**found.headers, **(error.headers or {})}
        return Response(found.body(), found.status, headers, media_type=problems.MEDIA_TYPE)

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, error: Exception) -> Response:
        _log.error("a request failed", error=f"{type(error).__name__}: {error}", exc_info=error)
        return _answer(problems.internal())


def _authorise(request: Request, gateway: Gateway) -> None:
    """Let only the holder of the token through.

    Raises:
        Refused: 401, 403 or 429.
    """
    headers = request.headers
    if not is_bearer(headers.get("authorization"), gateway.token):
        raise problems.refused(
            401,
            "the request is not authorised",
            "it carries no token, or a wrong one",
            "Send `Authorization: Bearer TOKEN`; `x0 status` names the file of the token.",
        )
    if not is_own_origin(headers.get("origin"), headers.get("host")):
        raise problems.refused(
            403,
            "the request is forbidden",
            "a page of another site sent it",
            "Call the gateway from a program, or from a page that it serves itself.",
        )
    gateway.rate.take()


# -- health --------------------------------------------------------------------------------------


def _health(app: FastAPI, gateway: Gateway) -> None:
    @app.get(
        "/healthz",
        tags=["health"],
        response_model=documents.Health,
        responses=documents.problems(429),
    )
    async def healthz() -> Any:  # noqa: ANN401 - documented by the model
        """Whether the process answers; true from its first moment."""
        return JSONResponse({"status": "ok"})

    @app.get(
        "/readyz",
        tags=["health"],
        response_model=documents.Readiness,
        responses=documents.problems(429, 503),
    )
    async def readyz() -> Any:  # noqa: ANN401 - the same
        """Whether the mesh can be used; 503 with the progress until then."""
        gateway.joined()
        return JSONResponse({"status": "ready", "progress": gateway.progress})

    @app.get(
        "/health/dependencies",
        tags=["health"],
        response_model=documents.Dependencies,
        responses=documents.problems(429),
    )
    async def dependencies() -> Any:  # noqa: ANN401 - the same
        """How the mesh and its shards are."""
        down = dict(gateway.picture.down)
        mesh = "ready" if gateway.ready else gateway.progress
        return JSONResponse({"mesh": mesh, "shards_down": down})

    @app.get(
        "/metrics",
        tags=["health"],
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **documents.problems(429),
        },
    )
    async def metrics() -> Response:
        """Prometheus metrics of this process."""
        return Response(metrics_text.exposition(gateway), media_type=metrics_text.MEDIA_TYPE)


# -- reading -------------------------------------------------------------------------------------


def _reading(app: FastAPI, gateway: Gateway) -> None:
    @app.get(
        "/mesh/nodes",
        tags=["mesh"],
        response_model=documents.Nodes,
        responses=documents.problems(429, 503),
    )
    async def nodes() -> Response:
        """All nodes."""
        gateway.joined()
        rows = len(gateway.picture.index)
        return await _listed("nodes", rows, gateway.picture.nodes)

    @app.get(
        "/mesh/nodes/{id}",
        tags=["mesh"],
        response_model=documents.NodeDetail,
        responses={**documents.READS, **documents.problems(404)},
    )
    async def node(id: NodeId) -> Any:  # noqa: A002, ANN401 - the name in the path
        """A node, its neighbours, and what it reported last."""
        return JSONResponse(gateway.node(id))

    @app.get(
        "/mesh/links",
        tags=["mesh"],
        response_model=documents.Links,
        responses=documents.problems(429, 503),
    )
    async def links() -> Response:
        """All links and their costs."""
        gateway.joined()
        return await _listed("links", len(gateway.picture.cost) // 2, gateway.picture.links)

    @app.get(
        "/mesh/routes/{source}/{destination}",
        tags=["mesh"],
        response_model=documents.Route,
        responses={**documents.READS, **documents.problems(404)},
    )
    async def route(source: NodeId, destination: NodeId) -> Any:  # noqa: ANN401 - the same
        """The route between two nodes, its metric, and alternates."""
        return JSONResponse(await gateway.route(source, destination))

    @app.get(
        "/mesh/events",
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
            **documents.READS,
        },
    )
    async def events(
        request: Request,
        limit: Annotated[
            int | None, Query(ge=1, le=1_000_000, description="close after as many events")
        ] = None,
    ) -> Response:
        """Server-sent events: node, link, route, incident, and gap where some were missed.

        Last-Event-ID continues after an event that was read before.
        """
        gateway.joined()
        last = _last_event(request, gateway.events.next - 1)
        gateway.streams.take()
        stream = _Stream(
            _follow(gateway, last, limit),
            media_type=SSE,
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )
        stream.gateway = gateway
        return stream


async def _listed(name: str, rows: int, listing: Any) -> Response:  # noqa: ANN401 - a bound method
    def text() -> bytes:
        return json.dumps({name: listing()}).encode()

    body = await asyncio.to_thread(text) if rows > _LARGE else text()
    return Response(body, media_type=decoding.JSON)


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


class _Stream(StreamingResponse):
    """Gives its place back however it ends, even if it never began."""

    gateway: Gateway

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.gateway.streams.give()


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


# -- messages ------------------------------------------------------------------------------------


def _messages(app: FastAPI, gateway: Gateway) -> None:
    limits = gateway.limits

    @app.post(
        "/mesh/messages",
        tags=["messages"],
        response_model=documents.Accepted,
        responses={
            **documents.CHANGES,
            **documents.problems(404),
            200: {
                "description": "Each message is accepted or refused alone",
                "content": {decoding.MSGPACK: {"schema": {"type": "string", "format": "binary"}}},
            },
        },
        openapi_extra={"requestBody": documents.MESSAGES_BODY},
    )
    async def send(request: Request) -> Response:
        """Send messages: one as JSON, many as NDJSON or msgpack, which is answered in msgpack.

        One message that is refused is a problem. Of many, each is accepted or refused alone.
        """
        _authorise(request, gateway)
        kind = bodies.media_type(request)
        if kind not in {decoding.JSON, decoding.NDJSON, decoding.MSGPACK}:
            raise bodies.unsupported(kind, decoding.JSON, decoding.NDJSON, decoding.MSGPACK)
        body = await bodies.read(request, limits.body_bytes)
        gateway.joined()
        index = gateway.picture.index
        if kind == decoding.JSON:
            value = decoding.loads(body)
            message = decoding.one(value, index)
            number = await gateway.courier.one(message, value["source"])
            gateway.counts.accepted += 1
            text = f'{{"accepted":1,"refused":0,"ids":["{number}"],"refusals":[]}}'
            return Response(text, media_type=decoding.JSON)
        decode = decoding.ndjson if kind == decoding.NDJSON else decoding.packed
        if len(body) > 65_536:
            found = await asyncio.to_thread(decode, body, index, limits.batch)
        else:
            found = decode(body, index, limits.batch)
        assert gateway.picture.topology is not None  # noqa: S101 - `joined`
        outcome = await gateway.courier.many(found, gateway.picture.topology.ids)
        refused = len(outcome.refusals)
        gateway.counts.accepted += found.count - refused
        gateway.counts.refused += refused
        return _outcome(outcome, packed=kind == decoding.MSGPACK)

    @app.post(
        "/mesh/telemetry",
        tags=["messages"],
        response_model=documents.Kept,
        responses={**documents.CHANGES, **documents.problems(404, 409)},
        openapi_extra={"requestBody": documents.TELEMETRY_BODY},
    )
    async def report(request: Request) -> Any:  # noqa: ANN401 - documented by the model
        """Report what a node measured; the latest of each node is shown with it."""
        value = await _json_body(request, gateway, limits.telemetry_bytes)
        found = telemetry.parse(value)
        gateway.index_of(found.node)
        gateway.reports.take(found)
        gateway.counts.reports += 1
        return JSONResponse({"node": found.node, "kept": True})


def _outcome(outcome: Outcome, *, packed: bool) -> Response:
    refused = len(outcome.refusals)
    summary: dict[str, Any] = {
        "accepted": len(outcome.ids) - refused,
        "refused": refused,
        "refusals": [
            {"index": row, "status": why.status, "reason": why.reason, "detail": why.detail}
            for row, why in outcome.refusals.items()
        ],
    }
    if packed:  # numbers, 0 where refused: an id has 64 bits
        body = msgpack.packb({**summary, "ids": outcome.ids}, unicode_errors="surrogatepass")
        return Response(body, media_type=decoding.MSGPACK)
    summary["ids"] = [str(number) if number else None for number in outcome.ids]
    return Response(json.dumps(summary), media_type=decoding.JSON)


async def _json_body(request: Request, gateway: Gateway, most: int) -> Any:  # noqa: ANN401 - JSON is anything
    _authorise(request, gateway)
    kind = bodies.media_type(request)
    if kind != decoding.JSON:
        raise bodies.unsupported(kind, decoding.JSON)
    return decoding.loads(await bodies.read(request, most))


# -- inboxes -------------------------------------------------------------------------------------


_BOUNDS: Final = Limits()  # of parameters, which the document tells


def _inboxes(app: FastAPI, gateway: Gateway) -> None:
    limits = gateway.limits

    @app.get(
        "/mesh/nodes/{id}/inbox",
        tags=["messages"],
        response_model=documents.Inbox,
        response_model_exclude_none=True,
        responses={**documents.READS, **documents.problems(401, 403, 404)},
    )
    async def inbox(
        request: Request,
        id: NodeId,  # noqa: A002 - the name in the path
        port: Annotated[int, Query(ge=0, le=decoding.MAX_PORT)] = 0,
        limit: Annotated[int, Query(ge=1, le=_BOUNDS.inbox)] = 100,
        wait_s: Annotated[float, Query(ge=0, le=_BOUNDS.wait_s)] = 0.0,
    ) -> Any:  # noqa: ANN401 - documented by the model
        """The oldest messages that are not acknowledged, waiting up to `wait_s` for the first.

        They are offered again until their receipts are given to `inbox/ack`: at least once.
        """
        _authorise(request, gateway)
        with gateway.long_polls.one():
            found = await gateway.inbox(id, port, limit, wait_s)
        return Response(json.dumps({"messages": found}), media_type=decoding.JSON)

    @app.post(
        "/mesh/nodes/{id}/inbox/ack",
        tags=["messages"],
        response_model=documents.Acknowledged,
        responses={**documents.CHANGES, **documents.problems(404)},
        openapi_extra={"requestBody": documents.RECEIPTS_BODY},
    )
    async def acknowledge(request: Request, id: NodeId) -> Any:  # noqa: A002, ANN401 - as above
        """Take messages out of an inbox. The same receipts again change nothing."""
        value = await _json_body(request, gateway, limits.body_bytes)
        receipts = value.get("receipts") if isinstance(value, dict) and len(value) == 1 else None
        if not isinstance(receipts, list) or len(receipts) > RECEIPTS:
            raise InvalidInput(
                "the request is refused",
                f"it is not an object with a list of at most {RECEIPTS} receipts",
                "See the examples in /docs.",
                source="body",
                entry="receipts",
            )
        return JSONResponse({"acknowledged": await gateway.acknowledge(id, receipts)})


# -- the document --------------------------------------------------------------------------------

_OPEN: Final = "bearer"


def _document(app: FastAPI) -> None:
    """Add to the OpenAPI document what FastAPI cannot know."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = made()
        parts = document["components"]
        parts["schemas"]["ProblemDocument"] = documents.ProblemDocument.model_json_schema()
        parts["securitySchemes"] = {_OPEN: {"type": "http", "scheme": "bearer"}}
        for operations in document["paths"].values():
            for operation in operations.values():
                if "401" in operation["responses"]:
                    operation["security"] = [{_OPEN: []}]
                invalid = operation["responses"].get("422")
                if invalid is not None:
                    invalid["content"].pop(decoding.JSON, None)
        app.openapi_schema = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way
