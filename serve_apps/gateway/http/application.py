"""The application: all routes of a gateway, and what stands around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from serve_apps.gateway.http import (
    documents,
    errors,
    events,
    health,
    inboxes,
    openapi,
    payments,
    reading,
    reports,
    sending,
    twin,
)
from serve_apps.gateway.http.express import Express
from serve_apps.gateway.http.meter import Meter

if TYPE_CHECKING:
    from serve_apps.gateway.service import Gateway


def build(gateway: Gateway) -> FastAPI:
    """The application of a gateway."""
    app = FastAPI(
        title="x0tta6bl4 gateway",
        version="1",
        description="HTTP access to a self-healing mesh. Changing calls, inboxes and payments need "
        "the bearer token that `x0 status` names the file of.",
        responses=documents.problems(500),
    )
    errors.handle(app)
    # First what comes most often: Serve matches each request against the routes in this order.
    for part in (sending, health, reading, events, reports, inboxes, payments, twin):
        part.add(app, gateway)
    openapi.complete(app)
    app.add_middleware(Express, gateway=gateway)
    app.add_middleware(Meter, gateway=gateway)
    return app
