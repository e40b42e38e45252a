"""Health, readiness and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse, Response

from actors.topology.provenance import Network
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
        """Whether all networks of the session can be used and are known as they should be.

        Else 503 with the progress, with what is down, or with what is wrong with the sources.
        """
        gateway.check_ready()
        networks = [str(network) for network in gateway.networks]
        return JSONResponse({"status": "ready", "progress": "ready", "networks": networks})

    @app.get(
        "/health/dependencies",
        tags=["health"],
        response_model=mesh_documents.Dependencies,
        responses=problem_documents.problems(422, 429),
    )
    async def get_dependencies() -> Any:  # noqa: ANN401 - the same
        """How the networks of the session are, the shards of the emulated one, and alerts."""
        mesh = "ready" if gateway.ready else gateway.progress
        observed, troubles = gateway.how_observed()
        return JSONResponse(
            {
                "mesh": mesh if Network.EMULATED in gateway.networks else None,
                "observed": observed,
                "troubles": troubles,
                "shards_down": dict(gateway.view.down),
                "alerts": None if gateway.alerts is None else await gateway.alerts(),
            }
        )

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
