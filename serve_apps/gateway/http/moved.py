"""Paths of before: they lead to where their operations are now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import RedirectResponse

from serve_apps.gateway.http.parameters import V1

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

_MOVED: Final = ("mesh", "twin", "payments")
_STREAM: Final = (f"{V1}/mesh/events", f"{V1}/events/stream")


def add(app: FastAPI) -> None:
    """Add the redirects, which keep the method, the body and the query of a request."""

    async def moved(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        path = V1 + request.scope["raw_path"].decode("ascii").removeprefix(root)
        return to(request, path)

    async def stream(request: Request) -> Response:
        return to(request, _STREAM[1])

    def to(request: Request, path: str) -> Response:
        root = request.scope.get("root_path", "")
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{root}{path}{query}", status_code=308)

    for part in _MOVED:
        app.add_route(
            f"/{part}/{{rest:path}}", moved, methods=["GET", "POST"], include_in_schema=False
        )
    app.add_route(_STREAM[0], stream, methods=["GET"], include_in_schema=False)
