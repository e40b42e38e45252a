"""The application: all routes of inference, and what stands around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from serve_apps.inference.http import documents, routes
from serve_apps.web import docs_page, openapi
from serve_apps.web import documents as problem_documents
from serve_apps.web.error_answers import ErrorAnswers
from serve_apps.web.head_as_get import HeadAsGet
from serve_apps.web.hosts import KnownHosts
from serve_apps.web.meter import Meter
from serve_apps.web.routing import StrictRoute, operation_id

if TYPE_CHECKING:
    from serve_apps.inference.inference_state import Inference

PATH: Final = "/inference"  # all its paths begin with it
_TAGS: Final = [
    {"name": "inference", "description": "How nodes are, why, and where incidents began."},
    {"name": "health", "description": "Whether inference works; metrics."},
]


def build(inference: Inference) -> FastAPI:
    """The application of inference; its paths begin with `PATH`, which Serve takes away."""
    app = FastAPI(
        title="x0tta6bl4 inference",
        version="1",
        description="How anomalous the nodes of a network are, and why. Questions need the bearer"
        " token that `x0 status` names the file of.",
        responses=problem_documents.problems(500),
        openapi_tags=_TAGS,
        generate_unique_id_function=operation_id,
        docs_url=None,
        redoc_url=None,
    )
    app.router.route_class = StrictRoute
    answers = ErrorAnswers(inference.errors)
    answers.install(app)
    routes.add(app, inference)
    docs_page.add(app)
    openapi.complete(app, documents.COMPONENTS)
    # Each stands around those before it.
    options = inference.options
    if options.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
            expose_headers=["retry-after"],
        )
    app.add_middleware(
        KnownHosts, names=options.names, answers=answers, setting="X0TTA6BL4_GATEWAY_NAMES"
    )
    app.add_middleware(
        Meter, metrics=inference.requests, in_flight=inference.in_flight, answers=answers
    )
    app.add_middleware(HeadAsGet)
    return app
