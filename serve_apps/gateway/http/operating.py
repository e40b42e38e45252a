"""How the mesh, its shards and the actors beside it are, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Request  # noqa: TC002 - FastAPI reads it
from fastapi.responses import JSONResponse

from serve_apps.gateway.http import mesh_documents
from serve_apps.gateway.http.parameters import V1
from serve_apps.web import documents as problem_documents

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the route."""

    @app.get(
        f"{V1}/mesh/status",
        tags=["mesh"],
        response_model=mesh_documents.MeshState,
        responses=problem_documents.problems(401, 403, 422, 429, 503),
    )
    async def get_status(request: Request) -> Any:  # noqa: ANN401 - documented by the model
        """How the mesh is now, as `x0 status` shows it: the actors are asked anew.

        A shard that does not answer within 2 s is listed in `down`.
        """
        gateway.access.check(request.headers)
        return JSONResponse(await gateway.state())
