"""The observed network over HTTP: a real observer of a real file, in this process."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest

from actors.observe.actor import ObserverActor
from actors.observe.contract import ObserverOptions, ObserverRules
from actors.runtime.metrics import MemoryMetrics
from actors.topology.provenance import Network
from jobs.launch import sources
from serve_apps.gateway.gateway_state import Gateway
from serve_apps.gateway.http.application import build
from serve_apps.gateway.settings import GatewayOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOKEN = "a-token-of-the-tests"  # noqa: S105 - opens nothing
AUTH = {"authorization": f"Bearer {TOKEN}"}
POLL_S = 1.0
NODES = {"a1": "Kirchturm Süd", "a2": "school", "a3": "", "a4": "depot", "a5": "", "a6": "hill"}
# The last one is a record that is left out.
LINKS = [("a1", "a2"), ("a2", "a3"), ("a3", "a5"), ("a5", "a6"), ("a6", "a1"), ("a3", "nowhere")]


def network(*, at: float | None = None) -> bytes:
    """A meshviewer map of a ring, and of a4 which is offline."""
    said = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(at or time.time()))
    nodes = [
        {"node_id": node, "hostname": name, "is_online": node != "a4", "lastseen": said}
        for node, name in NODES.items()
    ]
    links = [
        {"source": a, "target": b, "source_tq": 0.9, "target_tq": 0.8, "type": "wifi"}
        for a, b in LINKS
    ]
    return json.dumps({"timestamp": said, "nodes": nodes, "links": links}).encode()


@pytest.fixture
def observed(tmp_path: Path) -> Callable[..., Any]:
    """Observe a map; the gateway that tells of it, and a client."""

    async def start(body: bytes, **rules: Any) -> Any:
        file = tmp_path / "map.json"
        file.write_bytes(body)
        opened = sources.given([str(file)], None)
        options = ObserverOptions(opened, tmp_path / "known", POLL_S, ObserverRules(**rules))
        actor = ObserverActor(options, metrics=MemoryMetrics())
        gateway = Gateway(TOKEN, options=GatewayOptions(networks=(Network.OBSERVED,)))
        gateway.observed.observer = actor
        await gateway.observed.now()
        transport = httpx.ASGITransport(build(gateway), raise_app_exceptions=False)
        return gateway, httpx.AsyncClient(transport=transport, base_url="http://localhost"), file

    return start


async def get(client: httpx.AsyncClient, path: str, status: int = 200) -> Any:
    answer = await client.get(path, headers=AUTH)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_network_is_told_with_all_that_was_left_out(observed: Any) -> None:
    """Every answer says that it speaks of the observed one."""
    _, client, _ = await observed(network())
    found = await get(client, "/v1/network")
    assert found["network"] == "observed"
    assert found["members"] == 6
    assert found["nodes"]["up"] == 5
    assert sum(found["left_out"].values()) == 1
    assert found["troubles"] == []
    nodes = await get(client, "/v1/network/nodes")
    assert nodes["network"] == "observed"
    assert {node["id"]: node["name"] for node in nodes["nodes"]} == NODES
    links = (await get(client, "/v1/network/links"))["links"]
    assert {(link["a"], link["b"]) for link in links} == {
        *(("a1", "a2"), ("a2", "a3"), ("a3", "a5"), ("a5", "a6"), ("a1", "a6"))
    }
    (source,) = (await get(client, "/v1/network/sources"))["sources"]
    assert (source["state"], len(source["examples"])) == ("ok", 1)
    page = await get(client, f"/v1/network/left-out?source={quote(source['name'], safe='')}")
    assert page["records"] == [{**source["examples"][0], "used": False}]
    assert (page["total"], page["next"]) == (1, None)
    await get(client, "/v1/network/left-out?source=nobody", 422)
    await get(client, "/v1/network/left-out", 422)


async def test_a_sender_without_headers_reports_by_a_key(observed: Any) -> None:
    """As OpenWISP does, in the query; the key opens nothing else, and the token is not one."""
    gateway, client, _ = await observed(network())
    assert (await client.get("/v1/network/reports/key")).status_code == 401
    told = await get(client, "/v1/network/reports/key")
    collection = {"type": "NetworkGraph", "protocol": "olsr", "version": "1", "metric": "ETX"}
    body = json.dumps(collection | {"nodes": [{"id": "b1"}], "links": []})
    text = {"content-type": "text/plain"}
    sent = await client.post(f"{told['path']}&source=openwisp", content=body, headers=text)
    assert (sent.status_code, sent.json()["nodes"]) == (200, 1), sent.text
    await gateway.observed.now(0.0)
    assert (await get(client, "/v1/network/nodes/b1"))["id"] == "b1"
    for path in (
        *("/v1/network/reports?key=", f"/v1/network/reports?key={TOKEN}"),
        *("/v1/network/reports", "/v1/network/reports?key=%F0%9F%98%80"),
    ):
        assert (await client.post(path, content=body, headers=text)).status_code == 401
    retire = await client.post(f"/v1/network/nodes/a4/retire?key={told['key']}")
    assert retire.status_code in {401, 422}


async def test_a_node_is_found_by_its_name(observed: Any) -> None:
    """Also percent-encoded; a name that nobody has is a 404."""
    _, client, _ = await observed(network())
    assert (await get(client, "/v1/network/nodes/Kirchturm%20S%C3%BCd"))["id"] == "a1"
    assert (await get(client, "/v1/network/nodes/a4"))["state"] == "silent"
    await get(client, "/v1/network/nodes/nobody", 404)


async def test_without_an_emulated_mesh_its_routes_say_so(observed: Any) -> None:
    """A 409, and where to ask instead: retrying would not help."""
    _, client, _ = await observed(network())
    for path in ("nodes", "links", "nodes/a1", "routes/a1/a2", "status"):
        problem = await get(client, f"/v1/mesh/{path}", 409)
        assert problem["type"].endswith(":NoEmulatedMesh")
        assert "/v1/network" in problem["remedy"]
    message = {"source": "a1", "destination": "a2", "payload": "x"}
    sent = await client.post("/v1/mesh/messages", json=message, headers=AUTH)
    assert sent.status_code == 409


async def test_without_an_observed_network_its_routes_say_so(start: Any) -> None:
    """In a session that only emulates a mesh."""
    _, client = await start()
    for path in ("", "/nodes", "/links", "/sources", "/nodes/a"):
        problem = await get(client, f"/v1/network{path}", 409)
        assert problem["type"].endswith(":NoObserver")
    sent = await client.post("/v1/network/reports", content=network(), headers=AUTH | JSON)
    assert sent.status_code == 409


JSON = {"content-type": "application/json"}


async def test_ready_means_that_the_network_is_known(observed: Any) -> None:
    """And not that a mesh is emulated, of which there is none here."""
    gateway, client, _ = await observed(network())
    assert (await get(client, "/readyz"))["networks"] == ["observed"]
    assert (await get(client, "/health/dependencies"))["observed"] == "ready"
    assert gateway.how_observed() == ("ready", [])


async def test_a_stale_map_is_not_ready(observed: Any) -> None:
    """It is said by readiness, in the summary and in the metrics."""
    _, client, _ = await observed(network(at=time.time() - 86_400))
    problem = await get(client, "/readyz", 503)
    assert problem["type"].endswith(":NetworkNotWell")
    assert "stale" in problem["detail"]
    found = await get(client, "/v1/network")
    assert found["age_s"] > 80_000
    assert found["troubles"]
    metrics = (await client.get("/metrics")).text
    assert 'x0tta6bl4_gateway_network_nodes{state="unknown"}' in metrics
    assert "x0tta6bl4_gateway_network_troubles 0.0" not in metrics


async def test_a_network_in_which_nobody_is_up_is_not_ready(observed: Any) -> None:
    """All silent is not healthy."""
    body = network().replace(b'"is_online": true', b'"is_online": false')
    _, client, _ = await observed(body)
    assert "no node is up" in (await get(client, "/readyz", 503))["detail"]


async def test_nothing_known_yet_is_not_ready() -> None:
    """The observer has just been started, or does not answer."""
    gateway = Gateway(TOKEN, options=GatewayOptions(networks=(Network.OBSERVED,)))
    transport = httpx.ASGITransport(build(gateway), raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
    problem = await get(client, "/readyz", 503)
    assert problem["type"].endswith(":MeshNotReady")
    assert "observer" in problem["detail"]


async def test_a_report_is_one_more_source(observed: Any) -> None:
    """A part of the network that no map shows, with an age and a state of its own."""
    _, client, _ = await observed(network())
    body = {
        "type": "NetworkGraph",
        "protocol": "OLSR",
        "version": "0.9.6",
        "metric": "ETX",
        "nodes": [{"id": "a3"}, {"id": "b1", "label": "yard"}],
        "links": [{"source": "a3", "target": "b1", "cost": 1.0}],
    }
    sent = await client.post("/v1/network/reports?source=east", json=body, headers=AUTH)
    assert sent.json()["nodes"] == 2, sent.text
    await asyncio.sleep(2.1)  # until an answer is asked for anew
    found = await get(client, "/v1/network")
    assert [source["name"] for source in found["sources"]][1:] == ["east"]
    assert found["members"] == 7
    assert (await get(client, "/v1/network/nodes/yard"))["id"] == "b1"


async def test_a_node_reports_what_it_measured(observed: Any) -> None:
    """By its id or name; what breaks a rule is refused, and the network stays as it was."""
    _, client, _ = await observed(network())

    async def report(status: int, **values: Any) -> None:
        body = {"node": "school", "measured_at": time.time(), "measurements": {"load": 0.5}}
        sent = await client.post("/v1/network/reports", json=body | values, headers=AUTH)
        assert sent.status_code == status, sent.text

    await report(200)
    await asyncio.sleep(2.1)
    node = await get(client, "/v1/network/nodes/a2")
    assert node["telemetry"]["load"] == 0.5
    assert (node["name"], node["state"]) == ("school", "up")
    await report(422, measurements={"Bad Name": 1.0})
    await report(422, measurements={f"m{n}": 1.0 for n in range(33)})
    await report(422, node="")
    too_long = b'{"x": "' + b"y" * 17 * 2**20 + b'"}'
    sent = await client.post("/v1/network/reports", content=too_long, headers=AUTH | JSON)
    assert sent.status_code == 413


async def test_only_who_has_the_token_reports_or_retires(observed: Any) -> None:
    """A map that anybody could change would be worth nothing."""
    _, client, _ = await observed(network())
    for path in ("reports", "nodes/a4/retire"):
        assert (await client.post(f"/v1/network/{path}", content=b"{}")).status_code == 401


async def test_a_node_is_retired_by_name(observed: Any) -> None:
    """One that is silent; one that works is a 409, one that nobody knows a 404."""
    _, client, _ = await observed(network())

    async def retire(node: str) -> int:
        answer = await client.post(f"/v1/network/nodes/{node}/retire", headers=AUTH)
        return answer.status_code

    assert await retire("depot") == 200
    assert "a4" not in {node["id"] for node in (await get(client, "/v1/network/nodes"))["nodes"]}
    assert await retire("school") == 409
    assert await retire("nobody") == 404


async def test_the_old_route_names_the_new_one(start: Any) -> None:
    """Of what has taken over, whoever still uses the old one learns."""
    _, client = await start()
    answer = await client.post("/v1/mesh/telemetry", json={}, headers=AUTH)
    assert answer.status_code == 410
    assert "/v1/network/reports" in answer.json()["remedy"]
