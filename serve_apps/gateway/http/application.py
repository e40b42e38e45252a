"""The application: all routes of a gateway, and what stands around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from serve_apps.gateway.http import (
    alert_routes,
    events,
    health,
    history_routes,
    inboxes,
    mesh_documents,
    moved,
    network_documents,
    network_routes,
    operating,
    payment_documents,
    payment_routes,
    probes,
    reading,
    sending,
    twin_documents,
    twin_routes,
)
from serve_apps.gateway.http.fast_path import FastPath
from serve_apps.web import docs_page, documents, openapi
from serve_apps.web.error_answers import ErrorAnswers
from serve_apps.web.head_as_get import HeadAsGet
from serve_apps.web.hosts import KnownHosts
from serve_apps.web.meter import Meter
from serve_apps.web.path_segments import EncodedSlashes
from serve_apps.web.routing import StrictRoute, operation_id

if TYPE_CHECKING:
    from serve_apps.gateway.gateway_state import Gateway


_TAGS: Final = [
    {"name": "session", "description": "What was started: its networks and its actors."},
    {"name": "network", "description": "The real network, as it is observed; it is only read."},
    {"name": "mesh", "description": "The emulated mesh as it is, and what happens in it."},
    {"name": "history", "description": "What has happened, and what was measured."},
    {"name": "alerts", "description": "What is wrong now, and who was told."},
    {"name": "messages", "description": "Sending messages, and reading inboxes."},
    {"name": "twin", "description": "What a failure would cost: questions to the digital twin."},
    {"name": "payments", "description": "The shop: plans, orders, reviews and sums."},
    {"name": "downloads", "description": "What was bought, for whoever has the link."},
    {"name": "health", "description": "Whether the gateway and the mesh work; metrics."},
]
# First what comes most often: Serve matches each request against the routes in this order.
_PARTS: Final = (
    *(sending, health, reading, operating, events, alert_routes),
    *(network_routes, inboxes, probes, payment_routes, twin_routes, history_routes),
)
_COMPONENTS: Final = (
    mesh_documents.COMPONENTS
    | network_documents.COMPONENTS
    | payment_documents.COMPONENTS
    | twin_documents.COMPONENTS
)


def build(gateway: Gateway) -> FastAPI:
    """The application of a gateway."""
    app = FastAPI(
        title="x0tta6bl4 gateway",
        version="1",
        description="HTTP access to an observed network, and to a self-healing mesh that is "
        "emulated. Changing calls, inboxes and payments need the bearer token that `x0 status` "
        "names the file of.",
        responses=documents.problems(500),
        openapi_tags=_TAGS,
        generate_unique_id_function=operation_id,
        docs_url=None,
        redoc_url=None,
    )
    app.router.route_class = StrictRoute
    answers = ErrorAnswers(gateway.errors, gateway.cause)
    answers.install(app)
    for part in _PARTS:
        part.add(app, gateway)
    docs_page.add(app)
    moved.add(app)
    openapi.complete(app, _COMPONENTS)
    # Each stands around those before it.
    app.add_middleware(FastPath, gateway=gateway, answers=answers)
    options = gateway.options
    if options.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "idempotency-key", "last-event-id"],
            expose_headers=["etag", "retry-after"],
        )
    app.add_middleware(
        KnownHosts, names=options.names, answers=answers, setting="X0TTA6BL4_GATEWAY_NAMES"
    )
    app.add_middleware(
        Meter,
        metrics=gateway.metrics.requests,
        in_flight=gateway.in_flight,
        answers=answers,
    )
    app.add_middleware(HeadAsGet)
    app.add_middleware(EncodedSlashes)
    return app
