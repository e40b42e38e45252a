"""Scores, explanations, and the models that they come from."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from fastapi import Request  # noqa: TC002 - FastAPI reads it
from fastapi.responses import JSONResponse, Response
from prometheus_client import generate_latest
from pydantic import BaseModel

from serve_apps.inference.errors import ModelUnusable
from serve_apps.inference.http import documents
from serve_apps.web import bodies
from serve_apps.web import documents as problem_documents
from serve_apps.web.parsing import parse
from serve_apps.web.strict_json import JSON

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastapi import FastAPI

    from serve_apps.inference.explanation import Explanation
    from serve_apps.inference.inference_state import Inference
    from serve_apps.inference.kept_model import KeptModel
    from serve_apps.inference.model_file import Model
    from serve_apps.inference.node_graph import NodeGraph
    from serve_apps.inference.received_figures import ReceivedFigure
    from serve_apps.inference.scoring import Scores

Body = TypeVar("Body", bound=BaseModel)
METRICS: str = "text/plain; version=0.0.4; charset=utf-8"


def add(app: FastAPI, inference: Inference) -> None:
    """Add the routes."""

    @app.post(
        "/score",
        tags=["inference"],
        response_model=documents.ScoreReply,
        responses={**problem_documents.CHANGES, **problem_documents.problems(409)},
        openapi_extra={"requestBody": documents.SCORE_BODY},
    )
    async def score_nodes(request: Request) -> Response:
        """How anomalous each node of a network is.

        Of a network that is given by the deviations of its nodes or by telemetry, or of the
        running one.
        """
        body = await _asked(request, inference, documents.ScoreBody)
        graph = await inference.network(body)
        model, scored = await inference.score(graph)
        return await _answer(lambda: _scored(inference, model, graph, scored))

    @app.post(
        "/explain",
        tags=["inference"],
        response_model=documents.ExplainReply,
        responses={**problem_documents.CHANGES, **problem_documents.problems(404, 409)},
        openapi_extra={"requestBody": documents.EXPLAIN_BODY},
    )
    async def explain_node(request: Request) -> Response:
        """Why a node has its score: by its features and by its neighbours.

        Contributions are exact Shapley values.
        """
        body = await _asked(request, inference, documents.ExplainBody)
        graph = await inference.network(body)
        model, scored, found = await inference.explain(graph, body.node)
        return await _answer(lambda: _explained(inference, model, graph, scored, found))

    @app.post(
        "/root-cause",
        tags=["inference"],
        response_model=documents.RootCauseReply,
        responses={**problem_documents.CHANGES, **problem_documents.problems(409)},
        openapi_extra={"requestBody": documents.ROOT_CAUSE_BODY},
    )
    async def find_root_causes(request: Request) -> Response:
        """Where incidents began: ranked nodes with confidence, or outside, and the evidence.

        Of telemetry, all incidents as they are at its end; of the running network, those that are
        open now.
        """
        body = await _asked(request, inference, documents.RootCauseBody)
        found = await inference.incidents(body)
        return await _answer(
            lambda: {"model": _shown_if_any(inference.root_cause), "incidents": found}
        )

    @app.get(
        "/model",
        tags=["inference"],
        response_model=documents.ModelReply,
        responses=problem_documents.problems(422, 429),
    )
    async def get_models() -> Any:  # noqa: ANN401 - documented by the model
        """The cards of the models that answer here; of one that cannot be used, why."""
        kept = (inference.condition, inference.root_cause)
        states = await asyncio.to_thread(lambda: {str(each.purpose): _state(each) for each in kept})
        return JSONResponse({"models": states})

    @app.get(
        "/healthz",
        tags=["health"],
        response_model=documents.Status,
        responses=problem_documents.problems(422, 429),
    )
    async def get_health() -> Any:  # noqa: ANN401 - the same
        """Whether the process answers."""
        return JSONResponse({"status": "ok"})

    @app.get(
        "/readyz",
        tags=["health"],
        response_model=documents.Readiness,
        responses=problem_documents.problems(422, 429, 503),
    )
    async def get_readiness() -> Any:  # noqa: ANN401 - the same
        """Whether nodes can be scored; else 503 with the reason.

        Why files of a model are not used stands in `why`: an older model still answers, or the
        evidence alone ranks root causes.
        """
        return JSONResponse(
            {"status": "ready", "why": await asyncio.to_thread(_lacking, inference)}
        )

    @app.get(
        "/metrics",
        tags=["health"],
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
            **problem_documents.problems(422, 429),
        },
    )
    async def get_metrics() -> Response:
        """Prometheus metrics of this process."""
        return Response(generate_latest(inference.registry), media_type=METRICS)


async def _asked(request: Request, inference: Inference, kind: type[Body]) -> Body:
    inference.access.check(request.headers)
    given = await bodies.read_json(request, inference.limits.body_bytes)
    return await asyncio.to_thread(parse, kind, given)


async def _answer(make: Callable[[], dict[str, Any]]) -> Response:
    body = await asyncio.to_thread(lambda: json.dumps(make(), allow_nan=False))
    return Response(body, media_type=JSON)


def _state(kept: KeptModel) -> dict[str, Any]:
    try:
        model, why = kept.look()
    except ModelUnusable as error:
        return {"usable": False, "why": str(error), "card": None}
    return {"usable": True, "why": why, "card": model.card.model_dump(mode="json")}


def _lacking(inference: Inference) -> str:
    """Why models are not as their files say.

    Raises:
        ModelUnusable: no node can be scored.
    """
    _, condition = inference.condition.look()
    return "; ".join(filter(None, (condition, _state(inference.root_cause)["why"])))


def _shown(model: Model, why: str) -> dict[str, Any]:
    card = model.card.model_dump(mode="json", include={"purpose", "trained_at", "weights_sha256"})
    return {**card, "why": why}


def _shown_if_any(kept: KeptModel) -> dict[str, Any] | None:
    try:
        return _shown(*kept.look())
    except ModelUnusable:
        return None


def _about(inference: Inference, model: Model, graph: NodeGraph, had: str) -> dict[str, Any]:
    known, missing = inference.had(graph)
    _, why = inference.condition.look()
    at = None if np.isnan(graph.at) else graph.at
    return {"model": _shown(model, why), had: {"known": known, "missing": missing}, "at": at}


def _scored(inference: Inference, model: Model, graph: NodeGraph, scored: Scores) -> dict[str, Any]:
    order = np.argsort(-scored.score, kind="stable")
    worst = [graph.nodes[each] for each in order if scored.anomalous[each]]
    columns = {
        "score": scored.score.tolist(),
        "probability": _or_null(scored.probability, len(graph.nodes)),
        "anomalous": scored.anomalous.tolist(),
        "known": scored.known.tolist(),
    }
    rows = zip(*columns.values(), strict=True)
    nodes = {
        node: dict(zip(columns, row, strict=True))
        for node, row in zip(graph.nodes, rows, strict=True)
    }
    return {
        **_about(inference, model, graph, "features"),
        "anomalous": worst,
        "nodes": nodes,
        **_received(graph.received),
    }


def _or_null(values: Any, number: int) -> list[float | None]:  # noqa: ANN401 - an array or None
    found: list[float | None] = [None] * number if values is None else values.tolist()
    return found


def _explained(
    inference: Inference, model: Model, graph: NodeGraph, scored: Scores, found: Explanation
) -> dict[str, Any]:
    place = graph.nodes.index(found.node)
    return {
        **_about(inference, model, graph, "features_had"),
        "node": found.node,
        "score": found.score,
        "probability": None if scored.probability is None else float(scored.probability[place]),
        "anomalous": bool(scored.anomalous[place]),
        "base": found.base,
        "features": [
            {
                "feature": part.feature,
                "contribution": part.contribution,
                "value": part.value,
                "normal": part.normal,
                "deviation": part.deviation,
                "text": str(part),
            }
            for part in found.features
        ],
        "nodes_base": found.nodes_base,
        "nodes": [
            {
                "nodes": list(part.nodes),
                "contribution": part.contribution,
                "itself": part.itself,
                "text": str(part),
            }
            for part in found.nodes
        ],
        "sentences": list(found.sentences()),
        **_received(one for one in graph.received if found.node in {one.heard_by, one.sender}),
    }


def _received(figures: Iterable[ReceivedFigure]) -> dict[str, Any]:
    """What hosts count, where any does."""
    told = [one.as_dict() for one in figures]
    return {"received": told} if told else {}
