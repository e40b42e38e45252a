"""Inference beside a mesh that `x0 up` has started: one start, used as people use it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from commands import answer, x0

from serve_apps.inference.model_file import save
from serve_apps.web.auth import token_path
from tests.unit.inference.drawn import drawn_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NODES = 12
WAIT_S = 300.0
UP = ("up", "--topology", f"radio:{NODES}", "--hello", "0.2", "--shards", "1", "--detach")
ASKED: dict[str, Any] = {
    "nodes": {"a": {"loss_rate": 9.0}, "b": {"rssi": -3.0}, "c": {}},
    "links": [["a", "b"], ["b", "c"]],
}
REFUSED = [
    (b'{"nodes": {"a": {"rssi": NaN}}}', 422),
    (b'{"nodes": {"a": {"rssi": 1e999}}}', 422),
    (b'{"nodes": {"a": {"weather": 1.0}}}', 422),
    (b'{"nodes": {"a": {}}, "links": [["a", "b"]]}', 422),
    (b'{"nodes": {}}', 422),
]


@pytest.fixture(name="state", scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """State directory of a session with inference, whose model lies beside its other files."""
    state = tmp_path_factory.mktemp("x0")
    save(drawn_model(), state / "condition")
    try:
        answer(state, *UP, INFERENCE="1", INFERENCE_MODELS=str(state))
        yield state
    finally:
        x0(state, "down")


@pytest.fixture(name="client")
def of_session(state: Path) -> Iterator[httpx.Client]:
    """A client that holds the token, of inference that is ready."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = answer(state, "status")
        if found["companions"]["inference"]["state"] == "ready":
            break
        assert time.monotonic() < deadline, found["companions"]["inference"]
        time.sleep(1)
    with httpx.Client(
        base_url=f"{found['gateway_url']}/inference",
        headers={"authorization": f"Bearer {token_path(state).read_text().strip()}"},
        timeout=60,
    ) as client:
        yield client


def test_inference_answers_and_stays_up(state: Path, client: httpx.Client) -> None:
    """Scores together and alone, refusals, a harmed model that is mended: by one process."""
    expected = client.post("/score", json=ASKED).json()["nodes"]

    async def many() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            base_url=client.base_url, headers=client.headers, timeout=60
        ) as crowd:
            return await asyncio.gather(*(crowd.post("/score", json=ASKED) for _ in range(30)))

    for response in asyncio.run(many()):
        assert response.status_code == 200
        for node, one in response.json()["nodes"].items():
            assert one["score"] == pytest.approx(expected[node]["score"], abs=1e-5)
    explained = client.post("/explain", json={**ASKED, "node": "b"}).json()
    total = explained["base"] + sum(part["contribution"] for part in explained["features"])
    assert total == pytest.approx(expected["b"]["score"], abs=1e-5)

    for body, status in REFUSED:
        refused = client.post("/score", content=body, headers={"content-type": "application/json"})
        assert refused.status_code == status, refused.text
        assert refused.json()["remedy"]
    weights = state / "condition.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(b"noise")
    harmed = client.post("/score", json=ASKED).json()
    assert "condition.safetensors" in harmed["model"]["why"]
    assert harmed["nodes"].keys() == expected.keys()
    told = answer(state, "status")["companions"]["inference"]
    assert told["state"] == "ready"
    assert "model condition cannot be used" in told["why"]
    weights.write_bytes(good)
    assert client.post("/score", json=ASKED).json()["model"]["why"] == ""
    counted = client.get("/metrics").text
    # A process that had been started again would have forgotten these.
    assert f'x0tta6bl4_inference_requests_total{{status="422"}} {len(REFUSED)}.0' in counted


def test_a_node_of_the_running_mesh_is_explained(state: Path, client: httpx.Client) -> None:
    """Once an interval has ended in which it was seen; nothing is wrong, so no incident is open."""
    deadline = time.monotonic() + WAIT_S
    while client.post("/score", json={}).status_code != 200:
        assert time.monotonic() < deadline, client.post("/score", json={}).text
        time.sleep(1)
    found = client.post("/score", json={}).json()
    assert len(found["nodes"]) == NODES
    assert found["at"] == pytest.approx(time.time(), abs=60)
    node = next(iter(found["nodes"]))
    told = answer(state, "explain", node)
    assert told["node"] == node
    assert told["about"]["network"] == "emulated"
    assert client.post("/root-cause", json={}).json()["incidents"] == []
    observed = client.post("/score", json={"network": "observed"})
    assert observed.json()["type"].endswith(":NoObserver")
    assert "no mesh node zz" in x0(state, "explain", "zz").stderr
