"""The application: all routes of a gateway, and what stands around them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from serve_apps.gateway.http import (
    events,
    health,
    inboxes,
    payments,
    reading,
    reports,
    sending,
    twin,
    twin_documents,
)
from serve_apps.gateway.http.fast_path import FastPath
from serve_apps.web import documents, openapi
from serve_apps.web.error_answers import ErrorAnswers
from serve_apps.web.meter import Meter

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
    answers = ErrorAnswers(gateway.errors)
    answers.install(app)
    # First what comes most often: Serve matches each request against the routes in this order.
    for part in (sending, health, reading, events, reports, inboxes, payments, twin):
        part.add(app, gateway)
    openapi.complete(app, twin_documents.PARTS)
    app.add_middleware(FastPath, gateway=gateway, answers=answers)
    app.add_middleware(
        Meter,
        metrics=gateway.metrics.requests,
        in_flight=gateway.in_flight,
        answers=answers,
    )
    return app
