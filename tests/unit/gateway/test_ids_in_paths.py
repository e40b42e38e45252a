"""Ids that mean something to a URL: every route finds the node, and no other one."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from actors.topology.model import Topology
from tests.unit.gateway.conftest import StillMesh, look

AUTH = {"authorization": "Bearer a-token-of-the-tests"}
ODD = [
    "q/4+Zw0uE1bd7cJ3A=",
    "!a1b2c3d4",
    "Kirchturm Süd",
    "fe80::1%eth0",
    "a%2Fb",
    "a/b",
    "a,b",
    "x/inbox",
    "/",
    "..",
    "?x=1#y",
    '"quoted"',
]


@pytest.fixture
async def odd(start: Any) -> Any:
    """A gateway over a chain of nodes with those ids, and its client."""
    gateway, client = await start(ready=False)
    world = Topology.of(ODD, [(n, n + 1) for n in range(len(ODD) - 1)])
    await gateway.take(look(world))
    gateway.mesh = mesh = StillMesh(world)
    pairs = [(a, b) for a in range(len(ODD)) for b in range(len(ODD))]
    mesh.known = {(a, b): [([a, b], 256)] for a, b in pairs}
    gateway.ready = True
    return gateway, client


@pytest.mark.parametrize("name", ODD)
async def test_a_node_is_found_by_its_percent_encoded_id(odd: Any, name: str) -> None:
    """`/v1/mesh/nodes/{id}`: the id comes back as it is, whatever is in it."""
    _, client = odd
    path = f"/v1/mesh/nodes/{quote(name, safe='')}"
    if name == "..":  # what a client resolves before it asks (RFC 3986, section 6.2.2.3)
        path = "/v1/mesh/nodes/%2E%2E"
    answer = await client.get(path)
    assert answer.json().get("id") == name, answer.text


@pytest.mark.parametrize("name", ODD[:-1])
async def test_a_route_is_told_between_ids_with_slashes(odd: Any, name: str) -> None:
    """Where one id ends and the other begins is not guessed."""
    _, client = odd
    for a, b in ((name, ODD[-1]), (ODD[-1], name), (name, "a/b")):
        path = "/v1/mesh/routes/" + "/".join(quote(each, safe="") for each in (a, b))
        if ".." in (a, b):
            path = path.replace("..", "%2E%2E")
        found = (await client.get(path)).json()
        assert (found["source"], found["destination"]) == (a, b)


async def test_an_inbox_of_an_id_with_a_slash(odd: Any) -> None:
    """`x/inbox` as an id is no inbox, and its inbox is its own."""
    _, client = odd
    inbox = "/v1/mesh/nodes/x%2Finbox/inbox"
    assert (await client.get(inbox)).status_code == 401
    acknowledging = await client.post(f"{inbox}/ack", json={}, headers=AUTH)
    assert (acknowledging.status_code, "receipts" in acknowledging.text) == (422, True)
    unknown = await client.get("/v1/mesh/nodes/x/inbox", headers=AUTH)
    assert unknown.status_code == 404
    assert "no mesh node x:" in unknown.json()["detail"]


async def test_a_plain_slash_still_parts_two_segments(odd: Any) -> None:
    """`a/b` unencoded is a path that no route has, and the answer repeats it as it was sent."""
    _, client = odd
    assert (await client.get("/v1/mesh/nodes/a/b")).status_code == 404
    answer = await client.get("/nowhere/a%2Fb")
    assert "/nowhere/a%2Fb is refused" in answer.json()["detail"]


async def test_messages_and_lists_have_ids_as_they_are(odd: Any) -> None:
    """In bodies nothing is encoded but what JSON encodes."""
    gateway, client = odd
    for name in ODD[1:]:
        message = {"source": name, "destination": ODD[0], "payload": "hi"}
        answer = await client.post("/v1/mesh/messages", json=message, headers=AUTH)
        assert answer.json()["accepted"] == 1, answer.text
    assert [node["id"] for node in (await client.get("/v1/mesh/nodes")).json()["nodes"]] == ODD
    assert gateway.counts.accepted == len(ODD) - 1
