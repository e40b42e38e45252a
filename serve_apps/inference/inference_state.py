"""What inference knows and does, apart from HTTP: the state behind the routes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from prometheus_client import CollectorRegistry

from actors.runtime.error_handler import ErrorHandler
from actors.runtime.errors import InvalidInput, Unavailable, X0Error
from actors.runtime.metrics import MemoryMetrics
from actors.topology.errors import UnknownNode
from actors.topology.provenance import Network
from serve_apps.inference import asked_network, scoring
from serve_apps.inference.condition import condition_model, node_graph
from serve_apps.inference.explanation import explain
from serve_apps.inference.incident_events import told
from serve_apps.inference.incident_replay import replay
from serve_apps.inference.learnt_ranking import ranker_of
from serve_apps.inference.limits import Limits
from serve_apps.inference.node_features import FEATURES
from serve_apps.inference.settings import InferenceOptions
from serve_apps.web.access import Access
from serve_apps.web.admission import Rate, Slots
from serve_apps.web.errors import TooLarge
from serve_apps.web.request_metrics import RequestMetrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from actors.runtime.metrics import Metrics
    from serve_apps.inference.explanation import Explanation
    from serve_apps.inference.http.documents import NetworkBody, RootCauseBody, TelemetryBody
    from serve_apps.inference.model_file import Model
    from serve_apps.inference.node_graph import NodeGraph
    from serve_apps.inference.scoring import Scores
    from serve_apps.inference.telemetry import Telemetry

PREFIX: Final = "x0tta6bl4_inference"


class RunningNetworks(Protocol):
    """Whoever follows the networks of the running session."""

    async def newest(self, network: Network | None) -> NodeGraph:
        """The nodes of a network as they were in the last interval.

        Args:
            network: which; None: the emulated mesh, or the observed network where nothing is
                emulated.

        Raises:
            X0Error: there is no such network, or nothing has been measured yet.
        """
        ...

    async def incidents(self, network: Network | None) -> list[dict[str, Any]]:
        """The open incidents of a network, the oldest first, as `told` has them.

        Raises:
            X0Error: as `newest`.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One network to be scored by one model."""

    model: Model
    graph: NodeGraph


async def scored_together(jobs: list[Job]) -> list[Scores | X0Error]:
    """Score networks in one evaluation a model; what cannot be scored costs none of the others."""
    return await asyncio.to_thread(_scored, jobs)


def _scored(jobs: Sequence[Job]) -> list[Scores | X0Error]:
    found: dict[int, Scores | X0Error] = {}
    for model in {id(job.model): job.model for job in jobs}.values():
        own = [place for place, job in enumerate(jobs) if job.model is model]
        try:
            made = scoring.scores(model, [jobs[place].graph for place in own])
        except X0Error as error:
            found.update(dict.fromkeys(own, error))
        else:
            found.update(zip(own, made, strict=True))
    return [found[place] for place in range(len(jobs))]


async def _alone(job: Job) -> Scores | X0Error:
    (found,) = await scored_together([job])
    return found


class Inference:
    """State of one inference process.

    Args:
        token: bearer token.
        options: models and names; None: the shipped models, and names of loopback.
        limits: bounds; None: the defaults.
        metrics: where errors are counted; None: in this process alone.
    """

    def __init__(
        self,
        token: str,
        options: InferenceOptions | None = None,
        limits: Limits | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.options = options = options or InferenceOptions()
        self.limits = limits = limits or Limits()
        rate = Rate(limits.requests_per_s, limits.burst, time.monotonic)
        self.access = Access(token.encode(), rate, options.origins)
        self.errors = ErrorHandler("inference", metrics or MemoryMetrics())
        self.registry = CollectorRegistry()
        self.requests = RequestMetrics(self.registry, PREFIX)
        self.in_flight = Slots(limits.in_flight, "requests")
        self.explanations = Slots(limits.explanations, "explanations")
        unusable = partial(self.errors.handle, severity="warning", during="loading models")
        self.condition = condition_model(options.models, unusable)
        self.running: RunningNetworks | None = None
        self.evaluate: Callable[[Job], Awaitable[Scores | X0Error]] = _alone
        self._ranker = ranker_of(options.models, unusable)
        self.root_cause = self._ranker.model
        self._one_explanation = asyncio.Semaphore(1)  # they are made by one core each

    async def network(self, body: NetworkBody) -> NodeGraph:
        """The network that a request is about.

        Raises:
            InvalidInput: it is given in two ways, or breaks a rule.
            TooLarge: it has more nodes, links or values than are allowed.
            Unavailable: the running network is asked about, and nothing is known of it.
        """
        if body.nodes is not None and body.telemetry is not None:
            raise InvalidInput(
                "the request is refused",
                "it has both `nodes` and `telemetry`",
                "Give one of them.",
                source="body",
                entry="telemetry",
            )
        if body.nodes is not None:
            self._check_size(len(body.nodes), len(body.links), 0)
            given = body.nodes, body.links, FEATURES
            return await asyncio.to_thread(asked_network.of_deviations, *given)
        if body.telemetry is not None:
            return await asyncio.to_thread(node_graph, await self.telemetry(body.telemetry))
        asked = None if body.network is None else Network(body.network)
        return await self._followed().newest(asked)

    async def telemetry(self, body: TelemetryBody) -> Telemetry:
        """The telemetry of a request.

        Raises:
            InvalidInput, TooLarge: as `network`.
        """
        values = sum(map(len, body.metrics.values())) * len(body.times)
        self._check_size(len(body.nodes), len(body.links), values)
        return await asyncio.to_thread(asked_network.of_telemetry, body)

    async def incidents(self, body: RootCauseBody) -> list[dict[str, Any]]:
        """The incidents of the network that a request is about, the oldest first.

        Raises:
            InvalidInput, TooLarge, Unavailable: as `network`.
        """
        if body.telemetry is None:
            asked = None if body.network is None else Network(body.network)
            return await self._followed().incidents(asked)
        telemetry = await self.telemetry(body.telemetry)
        found = await asyncio.to_thread(replay, telemetry, self._ranker)
        return [told(incident) for incident in found]

    def _followed(self) -> RunningNetworks:
        if self.running is None:
            raise Unavailable(
                "nothing is known of a running network",
                "none is followed here",
                "Give `nodes` or `telemetry` in the request.",
                retry_after_s=60.0,
            )
        return self.running

    def _check_size(self, nodes: int, links: int, values: int) -> None:
        limits = self.limits
        for what, number, most in (
            ("nodes", nodes, limits.nodes),
            ("links", links, limits.links),
            ("values", values, limits.numbers),
        ):
            if number > most:
                raise TooLarge(
                    f"{number} {what} are refused",
                    f"{most} are allowed",
                    "Ask about a part of the network.",
                )

    async def score(self, graph: NodeGraph) -> tuple[Model, Scores]:
        """The scores of all nodes.

        Raises:
            ModelUnusable: there is no model that scores nodes.
        """
        model = await asyncio.to_thread(self.condition.get)
        found = await self.evaluate(Job(model, graph))
        if isinstance(found, X0Error):
            raise found.with_traceback(None)
        return model, found

    async def explain(self, graph: NodeGraph, node: str) -> tuple[Model, Scores, Explanation]:
        """Why a node has its score, with the scores of all.

        Raises:
            UnknownNode: the network has no such node.
            ModelUnusable: there is no model that scores nodes.
            TooBusy: too many explanations are made.
        """
        if node not in graph.nodes:
            raise UnknownNode(node, known=graph.nodes)
        with self.explanations.one():
            model, scored = await self.score(graph)
            place, output = graph.nodes.index(node), scoring.output_of(model)
            async with self._one_explanation:
                found = await asyncio.to_thread(explain, model, graph, place, output)
        return model, scored, found

    def had(self, graph: NodeGraph) -> tuple[list[str], list[str]]:
        """Names of the features that were measured somewhere in the network, and of the others."""
        known = set(np.flatnonzero(np.isfinite(graph.deviations).any(axis=0)))
        return (
            [name for place, name in enumerate(FEATURES) if place in known],
            [name for place, name in enumerate(FEATURES) if place not in known],
        )
