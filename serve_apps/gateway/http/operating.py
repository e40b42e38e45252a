"""How the session is, its networks and the actors beside them, for operators."""

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
        f"{V1}/status",
        tags=["session"],
        response_model=dict[str, Any],
        responses=problem_documents.problems(401, 403, 422, 429, 503),
    )
    async def get_session_status(request: Request) -> Any:  # noqa: ANN401 - documented by the text
        """How the session is now, as `x0 status --json` shows it: the actors are asked anew.

        `networks` says what there is. `observed` is as GET /v1/network, or null; of an emulated
        mesh, the rest is as GET /v1/mesh/status.
        """
        gateway.access.check(request.headers)
        return JSONResponse(await gateway.state())

    @app.get(
        f"{V1}/mesh/status",
        tags=["mesh"],
        response_model=mesh_documents.MeshState,
        responses=problem_documents.problems(401, 403, 409, 422, 429, 503),
    )
    async def get_status(request: Request) -> Any:  # noqa: ANN401 - documented by the model
        """How the emulated mesh is now: the actors are asked anew.

        A shard that does not answer within 2 s is listed in `down`.
        """
        gateway.access.check(request.headers)
        gateway.check_emulated()
        state = await gateway.state()
        return JSONResponse({name: value for name, value in state.items() if name != "observed"})
