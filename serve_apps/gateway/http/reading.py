"""The mesh as it is: nodes, links and routes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from serve_apps.gateway import pages
from serve_apps.gateway.http import mesh_documents
from serve_apps.gateway.http.parameters import V1, NodeId
from serve_apps.web import documents as problem_documents
from serve_apps.web.representations import Representation, Representations, answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway

_LARGE: Final = 2_000  # rows of an answer that a thread builds
_CACHED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "Nothing has changed since the answer that `If-None-Match` names"},
    **problem_documents.problems(409, 422, 429, 503),
}
Limit = Annotated[int | None, Query(ge=1, le=10_000, description="rows of a page; all if left out")]
Cursor = Annotated[
    str | None, Query(max_length=64, description="`next` of the page before; else the first page")
]


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes."""
    whole = Representations()

    async def listed(
        request: Request,
        name: str,
        page: pages.Page,
        rows: Callable[[pages.Page], pages.Rows],
    ) -> Response:
        """A page of nodes or links, or all of them, which many ask for again and again."""
        gateway.joined()
        view = gateway.view

        def made() -> bytes:
            found, following = rows(page)
            return json.dumps({name: found, "next": following}).encode()

        if page.limit is None and page.cursor is None:
            large = len(view.index) + len(view.cost) > _LARGE
            document = await whole.get(name, view.version, made, large=large)
        else:
            document = Representation.of(made())
        return answer(request.headers, document)

    @app.get(
        f"{V1}/mesh/nodes",
        tags=["mesh"],
        response_model=mesh_documents.NodeList,
        responses=_CACHED,
    )
    async def list_nodes(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
        """All nodes, or a page of them.

        The answer has an ETag and is compressed for whoever accepts gzip: a poller that sends
        `If-None-Match` gets a 304 while nothing has changed.
        """
        page = pages.Page(limit, cursor)
        return await listed(request, "nodes", page, lambda page: pages.nodes(gateway.view, page))

    @app.get(
        f"{V1}/mesh/links",
        tags=["mesh"],
        response_model=mesh_documents.LinkList,
        responses=_CACHED,
    )
    async def list_links(request: Request, limit: Limit = None, cursor: Cursor = None) -> Response:
        """All links and their costs, or a page of them, as of nodes.

        Links are numbered by the map: a cursor that is older than the map is a 409.
        """
        page = pages.Page(limit, cursor)
        return await listed(request, "links", page, lambda page: pages.links(gateway.view, page))

    @app.get(
        f"{V1}/mesh/nodes/{{id}}",
        tags=["mesh"],
        response_model=mesh_documents.NodeDetail,
        responses={**problem_documents.READS, **problem_documents.problems(404)},
    )
    async def get_node(id: NodeId) -> Any:  # noqa: A002, ANN401 - the name in the path
        """A node and its neighbours."""
        return JSONResponse(gateway.node(id))

    @app.get(
        f"{V1}/mesh/routes/{{source}}/{{destination}}",
        tags=["mesh"],
        response_model=mesh_documents.Route,
        responses={**problem_documents.READS, **problem_documents.problems(404)},
    )
    async def get_route(source: NodeId, destination: NodeId) -> Any:  # noqa: ANN401 - the same
        """The route between two nodes, its metric, and alternates."""
        return JSONResponse(await gateway.route(source, destination))
