"""The mesh as it is: nodes, links and routes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from fastapi.responses import JSONResponse, Response

from serve_apps.gateway.http import mesh_documents
from serve_apps.gateway.http.parameters import NodeId  # noqa: TC001 - FastAPI reads it
from serve_apps.web import documents as problem_documents
from serve_apps.web.strict_json import JSON

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from serve_apps.gateway.service import Gateway

_LARGE: Final = 2_000  # rows of an answer that a thread builds


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes."""

    @app.get(
        "/mesh/nodes",
        tags=["mesh"],
        response_model=mesh_documents.Nodes,
        responses=problem_documents.problems(429, 503),
    )
    async def nodes() -> Response:
        """All nodes."""
        gateway.joined()
        rows = len(gateway.view.index)
        return await _listed("nodes", rows, gateway.view.nodes)

    @app.get(
        "/mesh/nodes/{id}",
        tags=["mesh"],
        response_model=mesh_documents.NodeDetail,
        responses={**problem_documents.READS, **problem_documents.problems(404)},
    )
    async def node(id: NodeId) -> Any:  # noqa: A002, ANN401 - the name in the path
        """A node, its neighbours, and what it reported last."""
        return JSONResponse(gateway.node(id))

    @app.get(
        "/mesh/links",
        tags=["mesh"],
        response_model=mesh_documents.Links,
        responses=problem_documents.problems(429, 503),
    )
    async def links() -> Response:
        """All links and their costs."""
        gateway.joined()
        return await _listed("links", len(gateway.view.cost) // 2, gateway.view.links)

    @app.get(
        "/mesh/routes/{source}/{destination}",
        tags=["mesh"],
        response_model=mesh_documents.Route,
        responses={**problem_documents.READS, **problem_documents.problems(404)},
    )
    async def route(source: NodeId, destination: NodeId) -> Any:  # noqa: ANN401 - the same
        """The route between two nodes, its metric, and alternates."""
        return JSONResponse(await gateway.route(source, destination))


async def _listed(name: str, rows: int, listing: Callable[[], object]) -> Response:
    def text() -> bytes:
        return json.dumps({name: listing()}).encode()

    body = await asyncio.to_thread(text) if rows > _LARGE else text()
    return Response(body, media_type=JSON)
