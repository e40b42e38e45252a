"""Health, readiness and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse, Response

from serve_apps.gateway import gateway_metrics
from serve_apps.gateway.http import mesh_documents
from serve_apps.web import documents as problem_documents

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes."""

    @app.get(
        "/healthz",
        tags=["health"],
        response_model=mesh_documents.Health,
        responses=problem_documents.problems(422, 429),
    )
    async def get_health() -> Any:  # noqa: ANN401 - documented by the model
        """Whether the process answers; true from its first moment."""
        return JSONResponse({"status": "ok"})

    @app.get(
        "/readyz",
        tags=["health"],
        response_model=mesh_documents.Readiness,
        responses=problem_documents.problems(422, 429, 503),
    )
    async def get_readiness() -> Any:  # noqa: ANN401 - the same
        """Whether the whole mesh can be used; else 503 with the progress, or with what is down."""
        gateway.check_ready()
        return JSONResponse({"status": "ready", "progress": gateway.progress})

    @app.get(
        "/health/dependencies",
        tags=["health"],
        response_model=mesh_documents.Dependencies,
        responses=problem_documents.problems(422, 429),
    )
    async def get_dependencies() -> Any:  # noqa: ANN401 - the same
        """How the mesh and its shards are."""
        down = dict(gateway.view.down)
        mesh = "ready" if gateway.ready else gateway.progress
        return JSONResponse({"mesh": mesh, "shards_down": down})

    @app.get(
        "/metrics",
        tags=["health"],
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **problem_documents.problems(422, 429),
        },
    )
    async def get_metrics() -> Response:
        """Prometheus metrics of this process."""
        return Response(gateway.metrics.exposition(), media_type=gateway_metrics.MEDIA_TYPE)
