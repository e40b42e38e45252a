"""What the OpenAPI document of any application says about problems."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from serve_apps.web.problems import MEDIA_TYPE
from serve_apps.web.strict_json import JSON

_SCHEMAS: Final = "#/components/schemas/"


def example(**values: Any) -> ConfigDict:  # noqa: ANN401 - JSON is anything
    """The configuration of a model that has one example."""
    return ConfigDict(json_schema_extra={"examples": [values]})


class ProblemDocument(BaseModel):
    """A problem (RFC 9457): what failed, why, and what to do."""

    model_config = example(
        type="urn:x0tta6bl4:problem:UnknownNode",
        title="Not Found",
        status=404,
        detail="no mesh node n001: no node has such an id or name",
        remedy="Did you mean n0001?",
    )
    type: str
    title: str
    status: int
    detail: str
    remedy: str = Field(description="what the caller can do")


WHY: Final = {
    400: "The request cannot be read",
    401: "No token, or a wrong one: send `Authorization: Bearer TOKEN`",
    403: "Sent by a page of another site",
    404: "There is no such thing, or no such path",
    405: "The path has no such method",
    408: "The body does not come",
    409: "What is there now forbids it",
    410: "Another path has taken over; the document names it",
    413: "The request is too large",
    415: "A media type that is not understood here",
    416: "The file has no such part",
    421: "The gateway is not known by the host that the request names",
    422: "The request breaks a rule; the document says which",
    429: "Too much at once: retry after Retry-After",
    500: "An internal error, which the log has",
    502: "Another server that was asked contradicts itself",
    503: "Not ready, off, or a part is down: the document says which; retry after Retry-After",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document problem answers."""
    return {
        status: {
            "description": WHY[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in statuses
    }


def components(*models: type[BaseModel]) -> dict[str, Any]:
    """The schemas of models that stand in bodies of requests, and of their parts, by name."""
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template=_SCHEMAS + "{model}")
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    return found


def body(name: str, **values: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON is anything
    """The body of a request: a JSON document of a schema, with examples."""
    return {
        "required": True,
        "content": {JSON: {"schema": {"$ref": _SCHEMAS + name}, **values}},
    }


READS: Final = problems(422, 429, 503)
CHANGES: Final = problems(401, 403, 408, 413, 415, 422, 429, 503)
