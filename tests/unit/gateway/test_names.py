"""Names of nodes over HTTP: asked by name, answered with ids and names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgpack
import pytest

from actors.topology.model import Topology
from actors.topology.node_table import NodeTable
from tests.unit.gateway.conftest import StillMesh, look

AUTH = {"authorization": "Bearer a-token-of-the-tests"}
PACKED = AUTH | {"content-type": "application/msgpack"}
NAMES = ("Kirchturm Süd", "school", "school", "")
TOWN = Topology.of(
    ["a1", "b1", "b2", "c/1"],
    [(0, 1), (1, 2), (2, 3)],
    nodes=replace(NodeTable.unknown(4), names=NAMES),
)


@pytest.fixture
async def town(start: Any) -> Any:
    """A gateway over a chain of four nodes, of which three have names and two the same."""
    gateway, client = await start(ready=False)
    await gateway.take(look(TOWN))
    gateway.mesh = mesh = StillMesh(TOWN)
    mesh.known = {(0, 3): [([0, 1, 2, 3], 768)], (3, 0): []}
    gateway.ready = True
    return gateway, client


@pytest.mark.parametrize("text", ["a1", "Kirchturm Süd", "kirch", "Kirchturm Süd (a1)", "a"])
async def test_a_node_is_asked_for_as_people_do(town: Any, text: str) -> None:
    """By id, name, label or beginning; the answer has its id and its name, and its neighbours'."""
    _, client = town
    found = (await client.get(f"/v1/mesh/nodes/{quote(text, safe='')}")).json()
    assert (found["id"], found["name"]) == ("a1", "Kirchturm Süd")
    assert [(each["id"], each["name"]) for each in found["neighbours"]] == [("b1", "school")]


async def test_an_ambiguous_name_lists_the_candidates(town: Any) -> None:
    """422, with their ids."""
    _, client = town
    for path in ("/v1/mesh/nodes/school", "/v1/mesh/routes/kirch/school"):
        answer = await client.get(path)
        assert answer.status_code == 422
        assert "school (b1), school (b2)" in answer.json()["detail"]


async def test_lists_have_ids_and_names(town: Any) -> None:
    """A node without a name says so."""
    _, client = town
    nodes = (await client.get("/v1/mesh/nodes")).json()["nodes"]
    assert [(node["id"], node["name"]) for node in nodes] == [
        (node, name or None) for node, name in zip(TOWN.ids, NAMES, strict=True)
    ]
    last = (await client.get("/v1/mesh/links")).json()["links"][-1]
    assert (last["a"], last["a_name"], last["b"], last["b_name"]) == ("b2", "school", "c/1", None)


async def test_a_route_has_the_names_of_its_nodes(town: Any) -> None:
    """Where there is none, the problem names both ends."""
    _, client = town
    found = (await client.get("/v1/mesh/routes/kirch/c%2F1")).json()
    assert found["path"] == list(TOWN.ids)
    assert found["names"] == dict(list(zip(TOWN.ids, NAMES, strict=True))[:3])
    none = await client.get("/v1/mesh/routes/c/Kirchturm%20S%C3%BCd")
    assert none.status_code == 404
    assert "Kirchturm Süd (a1)" in none.json()["detail"]


async def test_programs_send_by_id_or_whole_name(town: Any) -> None:
    """A beginning, which may be another node's tomorrow, is not taken; one bad message is one."""
    gateway, client = town
    message = {"source": "Kirchturm Süd", "destination": "c/1", "payload": "hi"}
    answer = await client.post("/v1/mesh/messages", json=message, headers=AUTH)
    assert answer.json()["accepted"] == 1
    assert gateway.mesh.batches[0].head["source"].tolist() == [0]
    for text, status in (("kirch", 404), ("school", 422)):
        refused = {**message, "source": text}
        answer = await client.post("/v1/mesh/messages", json=refused, headers=AUTH)
        assert answer.status_code == status
    columns = {
        "sources": ["a1", "Kirchturm Süd", "school", "kirch"],
        "destinations": ["c/1"] * 4,
        "payloads": [b"x"] * 4,
    }
    answer = await client.post("/v1/mesh/messages", content=msgpack.packb(columns), headers=PACKED)
    told = msgpack.unpackb(answer.content)
    assert (told["accepted"], told["refused"]) == (2, 2)
    assert [(row["index"], row["status"]) for row in told["refusals"]] == [(2, 422), (3, 404)]


async def test_a_new_name_is_taken_over(town: Any) -> None:
    """The same mesh with another name: the old name leads nowhere."""
    gateway, client = town
    named = replace(TOWN.nodes, names=("belfry", *NAMES[1:]))
    await gateway.take(look(Topology.of(TOWN.ids, TOWN.ends, nodes=named)))
    assert (await client.get("/v1/mesh/nodes/belfry")).json()["id"] == "a1"
    assert (await client.get("/v1/mesh/nodes/kirch")).status_code == 404
