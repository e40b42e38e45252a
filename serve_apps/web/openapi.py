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
    """Add problems and the security scheme.

    Args:
        app: the application.
        schemas: schemas of bodies that FastAPI does not know, by name.
    """
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(made(), schemas)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _completed(document: dict[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    parts = document["components"]
    parts["schemas"] |= documents.components(documents.ProblemDocument)
    parts["schemas"] |= schemas
    parts["securitySchemes"] = {_SCHEME: {"type": "http", "scheme": "bearer"}}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"] |= documents.problems(421)
            if "401" in operation["responses"]:
                operation["security"] = [{_SCHEME: []}]
            invalid = operation["responses"].get("422")
            if invalid is not None:
                invalid["content"].pop(JSON, None)
            operation["responses"] = {
                str(status): answer for status, answer in operation["responses"].items()
            }
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, answered otherwise
        parts["schemas"].pop(unused, None)
    _plain_arrays(parts["schemas"])
    return document


def _plain_arrays(part: Any) -> None:  # noqa: ANN401 - JSON is anything
    """Tell arrays of a fixed length whose items are all alike by those items, as tools expect."""
    if isinstance(part, list):
        for value in part:
            _plain_arrays(value)
    elif isinstance(part, dict):
        items = part.get("prefixItems", [])
        if items and all(item == items[0] for item in items):
            part["items"] = part.pop("prefixItems")[0]
        _plain_arrays(list(part.values()))
