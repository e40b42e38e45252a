"""The page that shows all operations (Swagger UI), from files that are installed with us."""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from fastapi import Request  # noqa: TC002 - FastAPI reads it
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import RedirectResponse, Response

from serve_apps.web.representations import Representation, answer

if TYPE_CHECKING:
    from fastapi import FastAPI

_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}


def add(app: FastAPI) -> None:
    """Add the page, its files, and a way to it from `/`.

    Its links are relative, so that it works behind a prefix too.
    """
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=app.title,
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="data:,",
    )

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("docs")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return page

    for name, media_type in _FILES.items():
        _add_file(app, name, media_type)


def _add_file(app: FastAPI, name: str, media_type: str) -> None:
    @functools.cache
    def read() -> Representation:
        return Representation.of((files("fastapi_offline") / "static" / name).read_bytes())

    @app.get(f"/docs/{name}", include_in_schema=False)
    def docs_file(request: Request) -> Response:
        return answer(request.headers, read(), media_type)
