"""How fast nodes are scored and explained: in this process, and over HTTP beside a gateway.

Every score that a comparator computed is checked against ours, and every explanation against the
sum that it must have, or the benchmark fails.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Final

import numpy as np
import typer
from threadpoolctl import threadpool_limits

from actors.runtime import spawn
from actors.runtime.errors import Unavailable
from actors.runtime.flags import Flags
from actors.topology.provenance import Network
from jobs.launch import gateway_opening as opened
from jobs.launch import session
from loadtests import leipzig, open_loop, private_cluster
from loadtests.benchmark import Findings, Progress, Table, benchmark, defect, timed
from loadtests.http_connection import Server
from loadtests.open_loop import Samples, Schedule, percentiles_ms
from loadtests.spread import Spread
from loadtests.twin import mesh
from serve_apps.inference import model_file, shapley
from serve_apps.inference.explanation import explain
from serve_apps.inference.http.application import PATH
from serve_apps.inference.node_graph import NodeGraph
from serve_apps.inference.scoring import scores
from serve_apps.inference.settings import SHIPPED
from serve_apps.web.auth import token_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.http_connection import Connection, HttpAnswer
    from serve_apps.inference.graphsage import GraphSage, Layer
    from serve_apps.inference.model_file import Model
    from serve_apps.settings import Settings

NODES: Final = 10_000
LINKS_PER_NODE: Final = 4
ASKED_NODES: Final = 144  # of the network in each request over HTTP
ASKED_LINKS: Final = 290
RATE: Final = 100.0  # requests a second
SECONDS: Final = 20.0
EXPLAINED: Final = 200
LANES: Final = 16  # connections
RUNS: Final = 20
# HAProxy is started anew for a new application, and the one of before ends its connections.
SETTLE_S: Final = 5.0
SEED: Final = 1
SCORE_10K_MS: Final = 60.0
HTTP_P95_MS: Final = 25.0
EXPLAIN_P95_MS: Final = 50.0
_METHOD: Final = """\
The shipped condition model. In this process: a random mesh of {nodes:,} nodes and {links:,} \
links, every feature drawn; from deviations and links to scores on one core, as in a replica, \
{runs} runs; torch-geometric has the same weights, all cores, and its edges beforehand. Over HTTP: \
requests with a whole network of {asked_nodes} nodes and {asked_links} links, at {rate:g} a second \
for {seconds:g} s in an open loop (latency counts from the time at which a request was due), \
beside the gateway on a cluster of their own. Explanations over HTTP: the first one after the \
start and {explained} more, one after the other, each of another node of the same network, with \
both games; the comparators explain the same nodes in this process: every coalition evaluated on \
the whole network, and shap's KernelExplainer, which samples."""


def drawn(nodes: int, links: int, features: int, seed: int) -> NodeGraph:
    """A random mesh with random deviations, a fifth of them missing."""
    topology = mesh(nodes, links, seed)
    draw = np.random.default_rng(seed)
    deviations = draw.normal(size=(nodes, features)) * 3
    deviations[draw.random(deviations.shape) < 0.2] = np.nan
    unknown = np.full_like(deviations, np.nan)
    return NodeGraph(tuple(topology.ids), topology.ends, deviations, unknown, unknown)


@dataclass(frozen=True, slots=True)
class Served:
    """What was measured over HTTP, s.

    Attributes:
        score: latencies of scores at a fixed rate.
        late: requests that were offered late.
        failed: requests that failed.
        first: latency of the first explanation.
        explained: latencies of all explanations, the first one included.
        ready_s: seconds from the start of inference until it was ready.
    """

    score: tuple[float, ...]
    late: int
    failed: int
    first: float
    explained: tuple[float, ...]
    ready_s: float


@benchmark("inference", "Scores and explanations", ("numpy", "scipy", "shap", "ray"))
def measure(
    progress: Progress,
    *,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="Length of the open loop.")
    ] = SECONDS,
    explained: Annotated[
        int, typer.Option(min=2, max=10_000, help="Explanations after the first.")
    ] = EXPLAINED,
    runs: Annotated[int, typer.Option(min=1, max=1000, help="Runs in this process.")] = RUNS,
) -> Findings:
    """Measure how fast nodes are scored and explained, in this process and over HTTP.

    Exit code 3 when a limit was not kept: 60 ms for 10,000 nodes, 25 ms for scores over HTTP and
    50 ms for explanations (95 of 100).

    Raises:
        Unavailable: there is no model, or the programs disagree.
    """
    model = model_file.load(SHIPPED / "condition")
    ours, torchs = _scored(model, runs, progress)
    rivals = _explained_here(model, progress)
    served = _served(leipzig.settings(None, seed=SEED), model, seconds, explained, progress)
    return _found(runs, seconds, explained, ours, torchs, rivals, served)


def _scored(model: Model, runs: int, progress: Progress) -> tuple[Spread, Spread | None]:
    graph = drawn(NODES, LINKS_PER_NODE * NODES, len(model.card.features), SEED)
    other = _torch(model, graph)
    took, torchs = [], []
    for turn in range(runs):
        progress(f"run {turn + 1} of {runs}: {NODES:,} nodes")
        with threadpool_limits(1, "blas"):  # as in a replica
            ([found], seconds) = timed(lambda: scores(model, [graph]))
        took.append(seconds)
        if other is not None:
            theirs, seconds = timed(other)
            torchs.append(seconds)
            if np.abs(theirs - found.score).max() > 1e-4 * max(1.0, np.abs(theirs).max()):
                raise defect("torch-geometric computes other scores")
    return Spread.of(took), Spread.of(torchs) if torchs else None


def _torch(model: Model, graph: NodeGraph) -> Callable[[], Any] | None:
    """The same weights in torch-geometric; None where it is not installed."""
    try:
        import torch  # noqa: PLC0415 - training's
        from torch_geometric.nn import SAGEConv  # noqa: PLC0415 - the same
    except ImportError:
        return None
    (operator,) = graph.operators(model.card.relations)
    target, source = operator.tocoo().coords
    edges = torch.from_numpy(np.stack([source, target]).astype(np.int64))

    def conv(layer: Layer) -> Any:  # noqa: ANN401 - torch's
        made = SAGEConv(*layer.own.shape, aggr="mean")
        with torch.no_grad():
            made.lin_l.weight.copy_(torch.from_numpy(layer.of_relation[0].T.copy()))
            made.lin_l.bias.copy_(torch.from_numpy(layer.bias))
            made.lin_r.weight.copy_(torch.from_numpy(layer.own.T.copy()))
        return made

    layers = [conv(layer) for layer in model.network.layers]

    def evaluate() -> Any:  # noqa: ANN401 - an array
        with torch.inference_mode():
            h = torch.from_numpy(model.normalisation(graph.deviations))
            for number, layer in enumerate(layers):
                h = layer(h, edges)
                h = torch.relu(h) if number + 1 < len(layers) else h
            return h.numpy()[:, 0]

    return evaluate


# -- explanations ----------------------------------------------------------------------------------


def _explained_here(model: Model, progress: Progress) -> dict[str, Spread]:
    """Seconds for an explanation in this process, by program."""
    shapley.warm_up()
    graph = drawn(ASKED_NODES, ASKED_LINKS, len(model.card.features), SEED)
    inputs = model.normalisation(graph.deviations)
    operators = graph.operators(model.card.relations)
    took: dict[str, list[float]] = {"both games": [], "whole network": [], "shap: Kernel": []}
    for node in range(20):
        progress(f"explaining node {node + 1} of 20")
        found, seconds = timed(lambda node=node: explain(model, graph, node))  # type: ignore[misc]
        took["both games"].append(seconds)
        whole = _Whole(model.network, operators, inputs, node)
        exact, seconds = timed(lambda whole=whole: shapley.shapley(whole, whole.players))  # type: ignore[misc]
        took["whole network"].append(seconds)
        by_name = {part.feature: part.contribution for part in found.features}
        ours = [by_name[name] for name in model.card.features]
        if np.abs(np.array(ours) - exact.values).max() > 1e-4:
            raise defect("the receptive field gives other Shapley values than the whole network")
        took["shap: Kernel"].append(timed(whole.kernel)[1])
    return {name: Spread.of(values) for name, values in took.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Whole:
    """A score of which every coalition is evaluated on the whole network."""

    network: GraphSage
    operators: Any
    inputs: Any
    node: int

    @property
    def players(self) -> int:
        """Number of features."""
        return int(self.inputs.shape[1]) // 2

    def __call__(self, coalitions: Any) -> Any:  # noqa: ANN401 - arrays
        x = self.inputs.copy()
        found = []
        for coalition in np.asarray(coalitions):
            x[self.node] = self.inputs[self.node] * np.tile(coalition, 2)
            found.append(self.network(x, self.operators)[self.node, 0])
        return np.array(found, np.float64)

    def kernel(self) -> None:
        """Explain by shap's KernelExplainer."""
        from shap import KernelExplainer  # noqa: PLC0415 - takes seconds

        explainer = KernelExplainer(self, np.zeros((1, self.players)))
        explainer.shap_values(np.ones((1, self.players)), silent=True)


# -- over HTTP -------------------------------------------------------------------------------------


def _served(
    settings: Settings, model: Model, seconds: float, explained: int, progress: Progress
) -> Served:
    with (
        private_cluster.started(progress),
        session.ephemeral(settings, Flags.from_env(), progress=progress) as own,
        TemporaryDirectory() as directory,
    ):
        model_file.save(model, Path(directory) / "condition")
        given = opened.with_port(own.settings).model_copy(
            update={"inference_models": Path(directory)}
        )
        opened.begin(given).wait(progress)
        progress("starting inference")
        began = time.monotonic()
        errand = spawn.run_once(_deploy, given.for_orders())
        why = errand.wait(private_cluster.READY_TIMEOUT_S)
        if why != "":
            why = why or "it took too long"
            raise Unavailable("inference did not start", why, "See its log.", retry_after_s=1.0)
        ready_s = time.monotonic() - began
        time.sleep(SETTLE_S)
        token = token_path(own.settings.state_dir).read_text().strip()
        server = Server(given.gateway_host, given.gateway_port, token)
        graph = drawn(ASKED_NODES, ASKED_LINKS, len(model.card.features), SEED)
        body = _body(graph, model.card.features)
        return asyncio.run(_asked(server, body, graph.nodes, seconds, explained, ready_s))


def _deploy(settings: Settings) -> None:
    from serve_apps.inference.app import deploy  # noqa: PLC0415 - in a process of the cluster

    deploy(settings, (Network.EMULATED,), time.time())


def _body(graph: NodeGraph, features: tuple[str, ...]) -> dict[str, Any]:
    nodes = {
        node: {
            name: float(value)
            for name, value in zip(features, row, strict=True)
            if not np.isnan(value)
        }
        for node, row in zip(graph.nodes, graph.deviations, strict=True)
    }
    links = [[graph.nodes[a], graph.nodes[b]] for a, b in graph.links.tolist()]
    return {"nodes": nodes, "links": links}


async def _asked(
    server: Server,
    body: dict[str, Any],
    nodes: tuple[str, ...],
    seconds: float,
    explained: int,
    ready_s: float,
) -> Served:
    headers = {"content-type": "application/json"}

    def request(path: str, asked: dict[str, Any]) -> bytes:
        return server.request("POST", f"{PATH}{path}", json.dumps(asked).encode(), headers)

    took = []
    async with server.connections(LANES) as connections:
        for number in range(explained + 1):
            asked = request("/explain", {**body, "node": nodes[number % len(nodes)]})
            took.append(_explanation(await connections[0].ask(asked)))
        score = request("/score", body)
        for connection in connections:  # each has been used before it counts
            _score(await connection.ask(score), len(nodes))
        samples = Samples()
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in connections:
            free.put_nowait(connection)

        async def one(_number: int) -> None:
            connection = await free.get()
            try:
                _score(await connection.ask(score), len(nodes))
            finally:
                free.put_nowait(connection)

        schedule = Schedule.lasting(time.monotonic() + 0.1, RATE, seconds)
        await open_loop.offer_singly(schedule, one, samples)
    return Served(
        tuple(samples.latency), samples.late, samples.errors, took[0], tuple(took), ready_s
    )


def _explanation(answer: HttpAnswer) -> float:
    """Seconds that an explanation took, which must add up."""
    found = json.loads(answer.body)
    if answer.status != 200:
        raise defect(f"an explanation was refused: {found}")
    total = found["base"] + sum(part["contribution"] for part in found["features"])
    if abs(total - found["score"]) > 1e-6:
        raise defect("an explanation does not add up")
    return answer.seconds


def _score(answer: HttpAnswer, nodes: int) -> None:
    if answer.status != 200:
        raise ConnectionError(f"status {answer.status}")
    if len(json.loads(answer.body)["nodes"]) != nodes:
        raise defect("a score misses nodes")


# -- figures ---------------------------------------------------------------------------------------


def _found(
    runs: int,
    seconds: float,
    explained: int,
    ours: Spread,
    torchs: Spread | None,
    rivals: dict[str, Spread],
    served: Served,
) -> Findings:
    score = percentiles_ms(np.array(served.score))
    explanation = percentiles_ms(np.array(served.explained))
    values: dict[str, Any] = {
        "score_10k_ms": 1000 * ours.median,
        "score_10k_torch_ms": None if torchs is None else 1000 * torchs.median,
        "http_score_p50_ms": score[0],
        "http_score_p95_ms": score[1],
        "http_score_p99_ms": score[2],
        "http_requests": len(served.score),
        "http_late": served.late,
        "http_failed": served.failed,
        "explain_first_ms": 1000 * served.first,
        "explain_p50_ms": explanation[0],
        "explain_p95_ms": explanation[1],
        "explain_here_ms": {name: 1000 * each.median for name, each in rivals.items()},
        "ready_s": served.ready_s,
    }
    broken = [
        f"{name} is {values[name]:.1f}, more than {most:g}"
        for name, most in (
            ("score_10k_ms", SCORE_10K_MS),
            ("http_score_p95_ms", HTTP_P95_MS),
            ("explain_p95_ms", EXPLAIN_P95_MS),
        )
        if not values[name] <= most
    ]
    if served.failed:
        broken.append(f"{served.failed} requests failed")
    here = [
        [f"one explanation here, {name}", str(each.times(1000))] for name, each in rivals.items()
    ]
    table = Table(
        ["", "ms"],
        [
            [f"{NODES:,} nodes scored", str(ours.times(1000))],
            [
                "the same by torch-geometric",
                "not installed" if torchs is None else str(torchs.times(1000)),
            ],
            [
                f"score of {ASKED_NODES} nodes over HTTP, p50, p95, p99",
                ", ".join(f"{each:.1f}" for each in score),
            ],
            ["first explanation over HTTP", f"{1000 * served.first:.1f}"],
            ["explanations over HTTP, p50, p95", f"{explanation[0]:.1f}, {explanation[1]:.1f}"],
            *here,
        ],
    )
    method = _METHOD.format(
        nodes=NODES,
        links=LINKS_PER_NODE * NODES,
        runs=runs,
        asked_nodes=ASKED_NODES,
        asked_links=ASKED_LINKS,
        rate=RATE,
        seconds=seconds,
        explained=explained,
    )
    findings = [
        f"{NODES:,} nodes are scored in {ours.times(1000)} ms.",
        f"At {RATE:g} requests a second, 95 of 100 scores over HTTP take {score[1]:.1f} ms.",
        f"95 of 100 explanations over HTTP take {explanation[1]:.1f} ms.",
        f"The first takes {1000 * served.first:.1f} ms, {served.ready_s:.0f} s after the start.",
    ]
    return Findings(
        method=method,
        tables=[table],
        findings=findings,
        values=values,
        shortcomings=broken,
        kept="" if broken else "All limits were kept.",
    )


if __name__ == "__main__":
    measure.main()
