"""The OpenAPI document: what FastAPI cannot know is added to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from serve_apps.web import documents
from serve_apps.web.strict_json import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

_SCHEME: Final = "bearer"


def complete(app: FastAPI, schemas: Mapping[str, Any]) -> None:
    """Add problems, the security scheme, and `schemas` by name."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = made()
        parts = document["components"]
        parts["schemas"]["ProblemDocument"] = documents.ProblemDocument.model_json_schema()
        parts["schemas"] |= schemas
        parts["securitySchemes"] = {_SCHEME: {"type": "http", "scheme": "bearer"}}
        for operations in document["paths"].values():
            for operation in operations.values():
                if "401" in operation["responses"]:
                    operation["security"] = [{_SCHEME: []}]
                invalid = operation["responses"].get("422")
                if invalid is not None:
                    invalid["content"].pop(JSON, None)
        app.openapi_schema = document
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way
