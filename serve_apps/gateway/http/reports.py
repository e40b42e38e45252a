"""What nodes report about themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002 - FastAPI reads it
from fastapi.responses import JSONResponse

from serve_apps.gateway import telemetry
from serve_apps.gateway.http import mesh_documents
from serve_apps.gateway.http.parameters import V1
from serve_apps.web import bodies
from serve_apps.web import documents as problem_documents

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the route."""

    @app.post(
        f"{V1}/mesh/telemetry",
        tags=["messages"],
        response_model=mesh_documents.ReportKept,
        responses={**problem_documents.CHANGES, **problem_documents.problems(404, 409)},
        openapi_extra={"requestBody": mesh_documents.TELEMETRY_BODY},
    )
    async def report_telemetry(request: Request) -> Any:  # noqa: ANN401 - documented by the model
        """Report what a node measured; the latest of each node is shown with it."""
        gateway.access.check(request.headers)
        found = telemetry.parse(await bodies.read_json(request, gateway.limits.telemetry_bytes))
        node = gateway.exact(found.node)
        gateway.reports.take(found.model_copy(update={"node": node}))
        gateway.counts.reports += 1
        return JSONResponse({"node": node, "kept": True})
