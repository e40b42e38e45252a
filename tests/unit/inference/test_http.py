"""Inference over HTTP: answers, refusals and bounds, in this process, without Ray."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from actors.runtime.error_handler import ERRORS_TOTAL
from actors.runtime.errors import Unavailable
from actors.runtime.metrics import MemoryMetrics
from actors.topology.provenance import Network
from serve_apps.inference.asked_network import of_telemetry
from serve_apps.inference.condition import node_graph
from serve_apps.inference.errors import ModelSchemaMismatch
from serve_apps.inference.http import documents
from serve_apps.inference.http.application import build
from serve_apps.inference.http.documents import TelemetryBody
from serve_apps.inference.inference_state import Inference, Job, scored_together
from serve_apps.inference.limits import Limits
from serve_apps.inference.model_file import CARD, WEIGHTS, save
from serve_apps.inference.node_graph import NodeGraph
from serve_apps.inference.received_figures import ReceivedFigure
from serve_apps.inference.settings import SHIPPED, InferenceOptions
from tests.unit.inference.drawn import FEATURES, drawn_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from actors.runtime.metrics import Metrics

TOKEN = {"authorization": "Bearer a-token-of-the-tests"}
NODES: dict[str, Any] = {"a": {"loss_rate": 9.0, "cpu": None}, "b": {"rssi": -3.0}, "c": {}}
LINKS = [["a", "b"], ["b", "c"]]
WARNED = {"context": "inference", "severity": "warning"}
TELEMETRY: dict[str, Any] = {
    "nodes": ["a", "b"],
    "links": [{"id": "l", "ends": ["a", "b"]}, {"id": "up", "ends": ["b"], "directed": True}],
    "times": [60.0, 120.0, 180.0, 240.0, 300.0],
    "metrics": {
        "cpu": {"a": [0.1, 0.1, 0.1, 0.1, 0.9], "b": [None, None, None, None, 0.2]},
        "frames_out": {"a/l": [1, 2, 3, 4, 5], "b/l": [3, 4, 5, 6, 7], "b/up": [5] + 4 * [None]},
        "octets": {"b/eth0": [7, 8, 9, 10, 11]},
    },
}


@pytest.fixture(name="start")
def starting(tmp_path: Path) -> Callable[..., tuple[Inference, httpx.AsyncClient]]:
    """Make an inference with limits of its own, and a client of it."""
    save(drawn_model(), tmp_path / "condition")

    def started(
        limits: Limits | None = None, metrics: Metrics | None = None
    ) -> tuple[Inference, httpx.AsyncClient]:
        options = InferenceOptions(tmp_path)
        made = Inference("a-token-of-the-tests", options, limits, metrics)
        transport = httpx.ASGITransport(
            build(made), raise_app_exceptions=False, root_path="/inference"
        )
        return made, httpx.AsyncClient(
            transport=transport, base_url="http://localhost/inference", headers=TOKEN
        )

    return started


async def test_all_nodes_of_a_network_are_scored(start: Callable[..., Any]) -> None:
    """With the probability, and with how much of each was known."""
    _, client = start()
    answer = await client.post("/score", json={"nodes": NODES, "links": LINKS})
    found = answer.json()
    assert answer.status_code == 200, found
    assert list(found["nodes"]) == ["a", "b", "c"]
    assert [found["nodes"][node]["known"] for node in "abc"] == [1, 1, 0]
    assert found["features"]["known"] == ["rssi", "loss_rate"]
    assert found["model"]["purpose"] == "condition"
    for one in found["nodes"].values():
        assert one["anomalous"] == (one["score"] >= 0.5)
        assert 0.02 <= one["probability"] <= 0.98
    scores = [found["nodes"][node]["score"] for node in found["anomalous"]]
    assert scores == sorted(scores, reverse=True)


async def test_neighbours_count_and_their_order_does_not(start: Callable[..., Any]) -> None:
    _, client = start()
    turned = dict(reversed(NODES.items()))
    bodies = [
        {"nodes": NODES, "links": LINKS},
        {"nodes": turned, "links": [["c", "b"], ["b", "a"], ["a", "b"]]},
        {"nodes": NODES},
    ]
    first, same, apart = [
        (await client.post("/score", json=body)).json()["nodes"] for body in bodies
    ]
    for node in NODES:
        assert same[node]["score"] == pytest.approx(first[node]["score"], abs=1e-6)
    assert apart["b"]["score"] != first["b"]["score"]


async def test_a_score_is_explained(start: Callable[..., Any]) -> None:
    """What features and nodes add makes up the score that the node has."""
    _, client = start()
    answer = await client.post("/explain", json={"nodes": NODES, "links": LINKS, "node": "a"})
    found = answer.json()
    assert answer.status_code == 200, found
    scored = (await client.post("/score", json={"nodes": NODES, "links": LINKS})).json()
    assert found["score"] == pytest.approx(scored["nodes"]["a"]["score"], abs=1e-5)
    for base, parts in (("base", "features"), ("nodes_base", "nodes")):
        total = found[base] + sum(part["contribution"] for part in found[parts])
        assert total == pytest.approx(found["score"], abs=1e-9)
    assert {part["feature"] for part in found["features"]} == set(FEATURES)
    assert found["sentences"][0] == found["features"][0]["text"]
    assert any("is not measured" in part["text"] for part in found["features"])
    assert any("7 features are not measured" in text for text in found["sentences"])


async def test_telemetry_is_scored(start: Callable[..., Any]) -> None:
    """Series of nodes, of ends of links and of interfaces; null is not measured."""
    _, client = start()
    answer = await client.post("/score", json={"telemetry": TELEMETRY})
    found = answer.json()
    assert answer.status_code == 200, found
    assert found["features"]["known"] == ["cpu"]
    assert found["at"] == 300.0
    body = {"telemetry": TELEMETRY, "node": "a"}
    explained = (await client.post("/explain", json=body)).json()
    assert any(text.startswith("cpu 0.8 above its normal") for text in explained["sentences"])


async def test_the_running_network_is_asked_about_by_default(start: Callable[..., Any]) -> None:
    inference, client = start()
    answer = await client.post("/explain", json={"node": "a"})
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    asked = []

    class Source:
        async def newest(self, network: Network | None) -> NodeGraph:
            asked.append(network)
            return node_graph(of_telemetry(TelemetryBody.model_validate(TELEMETRY)))

    inference.running = Source()
    assert (await client.post("/explain", json={"node": "a"})).status_code == 200
    assert (await client.post("/score", json={"network": "observed"})).status_code == 200
    assert asked == [None, Network.OBSERVED]


REFUSED: list[tuple[str, bytes, int, str]] = [
    ("score", b'{"nodes": {}}', 422, "none"),
    ("score", b'{"nodes": {"a": {"rssi": NaN}}}', 422, "NaN"),
    ("score", b'{"nodes": {"a": {"rssi": Infinity}}}', 422, "Infinity"),
    ("score", b'{"nodes": {"a": {"rssi": 1e999}}}', 422, "finite"),
    ("score", b'{"nodes": {"a": {"rssi": "9"}}}', 422, "nodes.a.rssi"),
    ("score", b'{"nodes": {"a": {"rsi": 1.0}}}', 422, "rsi"),
    ("score", b'{"nodes": {"a": {}}, "links": [["a", "x"]]}', 422, "links.0"),
    ("score", b'{"nodes": {"a": {}}, "links": [["a"]]}', 422, "links.0"),
    ("score", b'{"nodes": {"a": {}}, "colour": 1}', 422, "colour"),
    ("score", b'{"nodes": {"a": {}}, "telemetry": {"nodes":[],"times":[],"metrics":{}}}', 422, ""),
    ("score", b'{"telemetry": {"nodes": [], "times": [1], "metrics": {}}}', 422, "none"),
    ("score", b'{"telemetry": {"nodes": ["a"], "times": [], "metrics": {}}}', 422, "times"),
    ("score", b'{"telemetry": {"nodes": ["a", "a"], "times": [1], "metrics": {}}}', 422, "twice"),
    ("score", b'{"telemetry": {"nodes":["a"],"times":[2,1],"metrics":{}}}', 422, "ascend"),
    ("score", b'{"telemetry": {"nodes":["a"],"times":[1],"metrics":{"m":{"b":[1]}}}}', 422, "b is"),
    ("score", b'{"telemetry": {"nodes":["a"],"times":[1],"metrics":{"m":{"a":[]}}}}', 422, "0 val"),
    ("explain", b'{"nodes": {"a": {}}}', 422, "node"),
    ("explain", b'{"nodes": {"a": {}}, "node": "b"}', 404, "no mesh node b"),
    ("score", b"[]", 422, ""),
    ("score", b"{", 422, "JSON"),
    ("score", b'{"nodes": ' + b"[" * 100_000, 422, ""),
    ("score", b"\xff", 422, "UTF-8"),
]


async def test_what_cannot_be_answered_is_refused_and_named(start: Callable[..., Any]) -> None:
    """NaN, infinities, unknown features, missing nodes, an empty graph; then it goes on."""
    _, client = start()
    for path, body, status, why in REFUSED:
        answer = await client.post(
            f"/{path}", content=body, headers={"content-type": "application/json"}
        )
        problem = answer.json()
        assert answer.status_code == status, (body[:80], problem)
        assert answer.headers["content-type"] == "application/problem+json"
        assert why in problem["detail"], body[:80]
        assert problem["remedy"]
    assert (await client.post("/score", json={"nodes": NODES})).status_code == 200


async def test_a_harmed_model_takes_the_last_good_one_away_from_nobody(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    """The answer, the readiness, the list of models and the counted errors say so; a good pair of
    files is taken up without a restart."""
    _, client = start(metrics=(metrics := MemoryMetrics()))
    asked = {"nodes": NODES, "links": LINKS}
    first = (await client.post("/score", json=asked)).json()
    assert first["model"]["why"] == ""
    card = (tmp_path / "condition.json").read_text()
    (tmp_path / "condition.json").write_text(card.replace('"condition"', '"root-cause"'))
    for path, body in (("/score", asked), ("/explain", {**asked, "node": "a"})):
        found = (await client.post(path, json=body)).json()
        assert "it is for root-cause" in found.pop("model")["why"]
        assert str(tmp_path) not in str(found)
        if path == "/score":
            assert found["nodes"] == first["nodes"]
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert "model condition cannot be used" in ready.json()["why"]
    state = (await client.get("/model")).json()["models"]["condition"]
    assert state["usable"]
    assert "it is for root-cause" in state["why"]
    assert state["card"]["seed"] == 0
    assert metrics.value(ERRORS_TOTAL, error_type="ModelSchemaMismatch", **WARNED) == 1
    save(drawn_model(1), tmp_path / "condition")
    found = (await client.post("/score", json=asked)).json()
    assert found["model"]["why"] == ""
    assert found["nodes"] != first["nodes"]
    assert (await client.get("/model")).json()["models"]["condition"]["card"]["seed"] == 1


async def test_both_models_are_told_and_the_root_cause_one_is_read_anew(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    """Without one the evidence ranks, which is said; readiness does not depend on it."""
    _, client = start()
    body = documents.ROOT_CAUSE_BODY["content"]["application/json"]["examples"]["telemetry"]
    ready = await client.get("/readyz")
    assert ready.status_code == 200
    assert "model root-cause cannot be used" in ready.json()["why"]
    state = (await client.get("/model")).json()["models"]
    assert list(state) == ["condition", "root-cause"]
    assert not state["root-cause"]["usable"]
    for suffix in (WEIGHTS, CARD):
        shutil.copy(SHIPPED / f"root-cause{suffix}", tmp_path)
    told = (await client.post("/root-cause", json=body["value"])).json()["model"]
    state = (await client.get("/model")).json()["models"]["root-cause"]
    assert state["usable"]
    assert state["card"]["weights_sha256"] == told["weights_sha256"]
    assert (await client.get("/readyz")).json() == {"status": "ready", "why": ""}
    weights = tmp_path / f"root-cause{WEIGHTS}"
    weights.write_bytes(weights.read_bytes()[:100])
    harmed = (await client.post("/root-cause", json=body["value"])).json()["model"]
    assert harmed["weights_sha256"] == told["weights_sha256"]
    assert "root-cause.safetensors" in harmed["why"]


async def test_a_model_that_cannot_be_used_is_told_until_it_can(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    """No restart is needed: its files are looked at again."""
    weights = tmp_path / "condition.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:100])
    _, client = start()
    for path, body in (("/score", {"nodes": NODES}), ("/explain", {"nodes": NODES, "node": "a"})):
        answer = await client.post(path, json=body)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith(":ModelFileCorrupt")
        assert str(tmp_path) not in answer.text
    state = (await client.get("/model")).json()["models"]
    assert not state["condition"]["usable"]
    assert "condition.safetensors" in state["condition"]["why"]
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/healthz")).status_code == 200
    weights.write_bytes(good)
    assert (await client.post("/score", json={"nodes": NODES})).status_code == 200
    card = (await client.get("/model")).json()["models"]["condition"]["card"]
    assert card["features"] == list(FEATURES)


async def test_a_model_that_needs_unknown_features_is_refused(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    save(drawn_model(features=("weather",)), tmp_path / "condition")
    _, client = start()
    problem = (await client.post("/score", json={"nodes": NODES})).json()
    assert problem["type"].endswith(":ModelSchemaMismatch")
    assert "weather" in problem["detail"]


async def test_networks_are_scored_together_as_alone() -> None:
    """One evaluation for many requests, that keeps them apart, and one of another model."""
    rng = np.random.default_rng(0)
    model, other = drawn_model(), drawn_model(1)
    unfit = dataclasses.replace(model, card=model.card.model_copy(update={"outputs": ("weather",)}))

    def graph(n: int) -> NodeGraph:
        values = rng.normal(size=(n, len(FEATURES)))
        nodes = tuple(map(str, range(n)))
        return NodeGraph(nodes, rng.integers(n, size=(2 * n, 2)), values, values, values)

    jobs = [Job(model, graph(5)), Job(other, graph(3)), Job(model, graph(1))]
    jobs.append(Job(drawn_model(relations=()), graph(2)))
    jobs.append(Job(unfit, graph(2)))
    *together, refused = await scored_together(jobs)
    assert isinstance(refused, ModelSchemaMismatch)
    for job, found in zip(jobs, together, strict=False):
        (alone,) = await scored_together([job])
        np.testing.assert_allclose(found.score, alone.score, atol=1e-6)  # type: ignore[union-attr]


async def test_root_causes_of_telemetry(start: Callable[..., Any]) -> None:
    """A node that falls silent is named, with the evidence and when it began."""
    _, client = start()
    body = documents.ROOT_CAUSE_BODY["content"]["application/json"]["examples"]["telemetry"]
    answer = await client.post("/root-cause", json=body["value"])
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["incidents"]
    assert found["root"]["nodes"][0]["node"] == "n0002"
    assert found["root"]["cause"] == "node"
    assert found["since"] == 360.0
    assert found["silent"] == {"n0002": 360.0}
    assert {(one["heard_by"], one["from"]) for one in found["links"]} >= {
        ("n0001", "n0002"), ("n0003", "n0002"),
    }  # fmt: skip
    assert "n0002" in found["text"]
    documents.RootCauseReply.model_validate(answer.json())


async def test_telemetry_by_which_nothing_is_seen_is_no_calm(start: Callable[..., Any]) -> None:
    """Nothing to judge by is refused; nothing unusual is an empty list."""
    _, client = start()
    answer = await client.post("/root-cause", json={"telemetry": TELEMETRY})
    assert answer.status_code == 422
    assert "node_up" in answer.json()["detail"]
    calm = {**TELEMETRY, "metrics": {"quality": {"a/l": 5 * [0.9], "b/up": [0.1] + 4 * [0.9]}}}
    answer = await client.post("/root-cause", json={"telemetry": calm})
    assert answer.json() == {"model": None, "incidents": []}
    assert (await client.post("/root-cause", json={})).status_code == 503


async def test_only_the_holder_of_the_token_asks(start: Callable[..., Any]) -> None:
    _, client = start()
    stranger = {"authorization": "Bearer wrong"}
    answer = await client.post("/score", json={"nodes": NODES}, headers=stranger)
    assert answer.status_code == 401
    site = {"origin": "http://elsewhere.example"}
    assert (await client.post("/score", json={"nodes": NODES}, headers=site)).status_code == 403
    host = {"host": "elsewhere.example"}
    assert (await client.get("/model", headers=host)).status_code == 421
    assert (await client.get("/model", headers={"authorization": ""})).status_code == 200


async def test_bounds(start: Callable[..., Any]) -> None:
    _, client = start(Limits(nodes=2, links=1, numbers=3, body_bytes=2_000))
    assert (await client.post("/score", json={"nodes": NODES})).status_code == 413
    links = {"nodes": {"a": {}}, "links": [["a", "a"], ["a", "a"]]}
    assert (await client.post("/score", json=links)).status_code == 413
    assert (await client.post("/score", json={"telemetry": TELEMETRY})).status_code == 413
    long = {"nodes": {"a" * 100: {}}, "links": [["a" * 100] * 2] * 30}
    answer = await client.post("/score", json=long)
    assert answer.status_code == 413
    assert "too long" in answer.json()["detail"]


async def test_explanations_are_bounded(start: Callable[..., Any]) -> None:
    inference, client = start(Limits(explanations=1))
    inference.explanations.take()
    answer = await client.post("/explain", json={"nodes": NODES, "node": "a"})
    assert answer.status_code == 429
    inference.explanations.give()
    assert (await client.post("/explain", json={"nodes": NODES, "node": "a"})).status_code == 200


async def test_the_document_tells_of_all_that_is_answered(start: Callable[..., Any]) -> None:
    """Paths, bodies with examples that work, problems; every reference of it leads somewhere."""
    _, client = start()
    document = (await client.get("/openapi.json")).json()
    assert {"/score", "/explain", "/root-cause", "/model"} <= set(document["paths"])
    assert document["servers"] == [{"url": "/inference"}]
    text = json.dumps(document)
    for part in text.split('"#/components/schemas/')[1:]:
        assert part.partition('"')[0] in document["components"]["schemas"]
    for path, operations in document["paths"].items():
        body = operations.get("post", {}).get("requestBody")
        if body is None:
            continue
        for example in body["content"]["application/json"]["examples"].values():
            answer = await client.post(path, json=example["value"])
            assert answer.status_code in {200, 503}, answer.text


async def test_the_live_source_may_be_down(start: Callable[..., Any]) -> None:
    inference, client = start()

    class Down:
        async def newest(self, _network: Network | None) -> NodeGraph:
            await asyncio.sleep(0)
            raise Unavailable("nothing is seen", "it starts", "Retry.", retry_after_s=2.0)

    inference.running = Down()
    answer = await client.post("/score", json={})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"


async def test_what_hosts_receive_stands_beside_scores_where_any_counts(
    start: Callable[..., Any],
) -> None:
    """Of the node that is asked about alone; without it the answers have no such key."""
    inference, client = start()
    unknown = np.full((3, len(FEATURES)), np.nan)
    links = np.array([[0, 1], [1, 2]])
    plain = NodeGraph(("a", "b", "c"), links, unknown, unknown, unknown, 7.0)
    figure = ReceivedFigure("xdp_throughput", "bytes/s", "a", "b", 120.0, 200.0, -3.5)

    class Source:
        graph = plain

        async def newest(self, _: Network | None) -> NodeGraph:
            return self.graph

    inference.running = source = Source()
    before = (await client.post("/score", json={})).json()
    assert "received" not in before
    source.graph = dataclasses.replace(plain, received=(figure,))
    score = (await client.post("/score", json={})).json()
    assert documents.ScoreReply.model_validate(score)
    (told,) = score.pop("received")
    assert score == before
    assert told == {
        "feature": "xdp_throughput",
        "unit": "bytes/s",
        "heard_by": "a",
        "from": "b",
        "value": 120.0,
        "normal": 200.0,
        "deviation": -3.5,
        "text": "xdp_throughput 120 bytes/s, 80 below its normal",
    }
    for node, has in (("a", True), ("b", True), ("c", False)):
        explained = (await client.post("/explain", json={"node": node})).json()
        assert documents.ExplainReply.model_validate(explained)
        assert ("received" in explained) == has
