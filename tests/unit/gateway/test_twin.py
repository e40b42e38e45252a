"""The twin over HTTP: answers, refusals and bounds, with the twin in this process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.errors import Unavailable
from actors.topology.model import Topology
from actors.topology.provenance import Network
from actors.twin.intact import Intact
from actors.twin.reply import reply
from actors.twin.results import About, Reply
from serve_apps.gateway.gateway_state import Gateway
from serve_apps.gateway.http.application import build
from serve_apps.gateway.limits import Limits
from serve_apps.gateway.settings import GatewayOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.twin.scenario import Scenario

TOKEN = {"authorization": "Bearer a-token-of-the-tests"}
# a - b - c - d, and a - c: b is spared by a - c, and c cuts d off.
WORLD = Topology.of(["a", "b", "c", "d"], [(0, 1), (1, 2), (2, 3), (0, 2)])


async def twin(scenario: Scenario, *, plot: bool, limit_s: float) -> Reply:
    assert limit_s > 0
    about = About(
        live=True, source="test", nodes=4, links=4, links_down=0, hello_s=1.0, revision=3, age_s=0.1
    )
    return reply(scenario, about, Intact(WORLD), plot=plot)


@pytest.fixture
def asked(start: Callable[..., Any]) -> Callable[..., Any]:
    """A client of a gateway whose twin is `twin` or another."""

    async def started(limits: Limits | None = None, answering: Any = twin) -> Any:
        gateway, client = await start(limits)
        gateway.twins[Network.EMULATED] = answering
        return client

    return started


async def test_single_failures_and_the_mesh_they_are_of(asked: Callable[..., Any]) -> None:
    """GET /v1/twin/single names the cut node and the bridge, and the mesh as it was seen."""
    client = await asked()
    found = (await client.get("/v1/twin/single")).json()
    assert found["mesh"]["live"]
    assert found["mesh"]["revision"] == 3
    assert [one["node"] for one in found["single_failures"]["spof_nodes"]] == ["c"]
    assert [one["link"] for one in found["single_failures"]["bridges"]] == ["c--d"]


async def test_the_impact_of_nodes_and_links(asked: Callable[..., Any]) -> None:
    """GET /v1/twin/impact takes both, several times, and none at all."""
    client = await asked()
    one = (await client.get("/v1/twin/impact?node=c")).json()["impact"]
    assert (one["pairs_lost"], one["failed_nodes"]) == (2, ["c"])
    parameters = [("link", "a,b"), ("link", "c,b"), ("node", "d")]
    both = (await client.get("/v1/twin/impact", params=parameters)).json()["impact"]
    assert both["failed_links"] == ["a--b", "b--c"]
    assert both["newly_isolated_nodes"] == ["b"]
    none = (await client.get("/v1/twin/impact")).json()["impact"]
    assert (none["pairs_lost"], none["connectivity_maintained"]) == (0, True)
    everything = [("node", name) for name in WORLD.ids]
    nobody = (await client.get("/v1/twin/impact", params=everything)).json()["impact"]
    assert (nobody["surviving_nodes"], nobody["loss"]) == (0, None)


async def test_who_loses_the_internet(asked: Callable[..., Any]) -> None:
    """No gateway is known of this mesh, so there is no figure; named ones make them."""
    client = await asked()
    unknown = (await client.get("/v1/twin/single")).json()
    assert unknown["internet"] is None
    assert unknown["single_failures"]["ranked_by"] == "pairs"
    assert [one["cut_off"] for one in unknown["single_failures"]["spof_nodes"]] == [None]
    asked_of = [("gateway", "d"), ("rank_by", "nodes")]
    found = (await client.get("/v1/twin/single", params=asked_of)).json()
    assert found["internet"]["gateways"] == ["d"]
    assert [
        (one["node"], one["cut_off"]["nodes"]) for one in found["single_failures"]["spof_nodes"]
    ] == [("d", 3), ("c", 2)]
    assert found["single_failures"]["spof_nodes"][0]["cut_off"]["clients"] is None
    impact = (await client.get("/v1/twin/impact?node=c&gateway=d")).json()
    assert impact["impact"]["cut_off"] == {"nodes": 2, "clients": None, "clients_known": 0}
    assert impact["internet"]["given"]


async def test_which_two_must_not_fail_together(asked: Callable[..., Any]) -> None:
    """GET /v1/twin/double needs the token, and has what two cost beyond what each does."""
    client = await asked()
    assert (await client.get("/v1/twin/double")).status_code == 401
    answer = await client.get("/v1/twin/double?gateway=a&most=1", headers=TOKEN)
    found = answer.json()["double_failures"]
    assert (found["node_pairs"], found["link_pairs"], found["ranked_by"]) == (0, 3, "nodes")
    assert found["links"] == [
        {
            "a": "a--b",
            "b": "a--c",
            "pairs_lost": 3,
            "cut_off": {"nodes": 3, "clients": None, "clients_known": 0},
        }
    ]
    assert answer.json()["internet"]["gateways"] == ["a"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("gateway=nowhere", 404, "nowhere"),
        ("rank_by=clients", 422, "no gateway is known"),
        ("rank_by=clients&gateway=a", 422, "of no node is it known how many"),
        ("rank_by=size", 422, "rank_by"),
    ],
)
async def test_impossible_rankings(
    asked: Callable[..., Any], query: str, status: int, said: str
) -> None:
    """What is not known cannot be ranked by, and the answer says what is lacking."""
    client = await asked()
    answer = await client.get(f"/v1/twin/single?{query}")
    assert answer.status_code == status
    assert said in answer.text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("node=nowhere", 404, "nowhere"),
        ("link=a,d", 422, "not neighbours"),
        ("link=a,a", 422, "not neighbours"),
        ("link=abc", 422, "two ends"),
        ("link=,ab", 422, "two ends"),
        ("link=a,b,c", 422, "two ends"),
        ('link=a,"b,c"', 404, "b,c"),
        ("node=", 422, "at least 1 character"),
        ("node=" + "x" * 129, 422, "at most 128"),
        ("&".join(["node=a"] * 257), 422, "at most 256"),
    ],
)
async def test_impossible_questions_in_a_url(
    asked: Callable[..., Any], query: str, status: int, said: str
) -> None:
    """Each is a problem document that says what is wrong, for the impact and the picture alike."""
    client = await asked()
    for path in ("/v1/twin/impact", "/v1/twin/picture.png"):
        answer = await client.get(f"{path}?{query}")
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert said in answer.json()["detail"]


async def test_the_picture_is_a_png(asked: Callable[..., Any]) -> None:
    """GET /v1/twin/picture.png draws the failure, or the whole mesh, and they differ."""
    client = await asked()
    pictures = [await client.get(f"/v1/twin/picture.png{query}") for query in ("", "?node=c")]
    assert {answer.headers["content-type"] for answer in pictures} == {"image/png"}
    assert all(answer.content.startswith(b"\x89PNG\r\n") for answer in pictures)
    assert pictures[0].content != pictures[1].content


async def test_a_scenario_is_answered_whole(asked: Callable[..., Any]) -> None:
    """POST /v1/twin/scenarios answers all that it asks, and null for the rest."""
    client = await asked()
    scenario = {
        "name": "all",
        "fail": {"groups": ["mast"]},
        "groups": {"mast": {"nodes": ["c"]}},
        "gateways": ["a"],
        "singles": True,
        "doubles": 2,
        "worst_pairs": 2,
        "random": {"k": 1, "samples": 50},
        "traffic": {"uniform": 1},
        "cascade": {"tolerance": 0.1},
        "availability": {"node": {"mtbf": 99, "mttr": 1}},
        "advice": {"links": 1},
    }
    answer = await client.post("/v1/twin/scenarios", json=scenario, headers=TOKEN)
    assert answer.status_code == 200
    found = answer.json()
    assert found["impact"]["pairs_lost"] == 2
    assert found["availability"]["all_up"] == pytest.approx(0.99**4)
    assert all(found[name] is not None for name in found)
    little = await client.post("/v1/twin/scenarios", json={"singles": True}, headers=TOKEN)
    assert [name for name, value in little.json().items() if value is None] == [
        *("internet", "impact", "double_failures", "worst_pairs", "random_failures", "cascade"),
        *("random_cascades", "availability", "advice"),
    ]


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ({}, "asks nothing"),
        ([], "not an object"),
        ({"fail": {"nodes": ["a"]}, "topology": "/etc/passwd"}, "speaks of a map"),
        ({"singles": True, "vpn": False}, "speaks of a map"),
        ({"random": {"k": 1, "samples": 100_001}}, "100000 samples"),
        ({"random": {"k": 99}}, "cannot draw 99 nodes"),
        ({"fail": {"groups": ["mast"]}}, "no group mast"),
        ({"fail": {"nodes": [1]}}, "fail.nodes.0"),
        ({"nonsense": 1}, "nonsense"),
        ({"fail": {}, "cascade": {}}, "no link has a capacity"),
    ],
)
async def test_scenarios_that_are_refused(
    asked: Callable[..., Any], scenario: Any, said: str
) -> None:
    """Each is a 422 that says what is wrong; nothing is read from the gateway's disk."""
    client = await asked()
    answer = await client.post("/v1/twin/scenarios", json=scenario, headers=TOKEN)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


async def test_who_may_ask_and_how_much(asked: Callable[..., Any]) -> None:
    """A scenario needs the token, is bounded in size, and is JSON."""
    client = await asked(Limits(twin_bytes=100))
    scenario = {"singles": True}
    assert (await client.post("/v1/twin/scenarios", json=scenario)).status_code == 401
    long = {"singles": True, "name": "x" * 100}
    assert (await client.post("/v1/twin/scenarios", json=long, headers=TOKEN)).status_code == 413
    text = {**TOKEN, "content-type": "text/yaml"}
    refused = await client.post("/v1/twin/scenarios", content="singles: true", headers=text)
    assert refused.status_code == 415


async def test_questions_under_way_are_bounded(asked: Callable[..., Any]) -> None:
    """One question too many is a 429 with Retry-After; the others are answered."""
    going, go = asyncio.Event(), asyncio.Event()

    async def slow(scenario: Scenario, *, plot: bool, limit_s: float) -> Reply:
        going.set()
        await go.wait()
        return await twin(scenario, plot=plot, limit_s=limit_s)

    client = await asked(Limits(twin=1), slow)
    first = asyncio.create_task(client.get("/v1/twin/single"))
    await going.wait()
    second = await client.get("/v1/twin/impact?node=a")
    go.set()
    assert second.status_code == 429
    assert int(second.headers["retry-after"]) >= 1
    assert (await first).status_code == 200
    assert (await client.get("/v1/twin/impact?node=a")).status_code == 200


async def test_a_twin_that_is_not_there_is_a_503(asked: Callable[..., Any]) -> None:
    """Not ready, or no answer in time: 503 with Retry-After."""

    async def unready(_: Scenario, *, plot: bool, limit_s: float) -> Reply:
        raise Unavailable("the twin is not ready", f"{plot} {limit_s}", "Retry.", retry_after_s=2.0)

    async def mute(_: Scenario, *, plot: bool, limit_s: float) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError(f"{plot} {limit_s}")

    for answering in (unready, mute):
        client = await asked(Limits(twin_s=0.01), answering)
        answer = await client.get("/v1/twin/single")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "2"
        assert "the twin" in answer.json()["detail"]


async def test_nothing_is_asked_before_the_mesh_is_ready(start: Callable[..., Any]) -> None:
    """While the mesh starts, every question is a 503."""
    gateway, client = await start(ready=False)
    gateway.twins[Network.EMULATED] = twin
    for path in ("/v1/twin/single", "/v1/twin/impact?node=a", "/v1/twin/picture.png"):
        assert (await client.get(path)).status_code == 503


async def test_each_network_has_its_twin(start: Callable[..., Any]) -> None:
    """`?network=` chooses; without it, the emulated mesh; what a session lacks is refused."""
    both = GatewayOptions(networks=(Network.EMULATED, Network.OBSERVED))
    gateway, client = await start(options=both)
    gateway.twins[Network.EMULATED] = twin

    async def observed(scenario: Scenario, *, plot: bool, limit_s: float) -> Reply:
        found = await twin(scenario, plot=plot, limit_s=limit_s)
        return replace(found, about=replace(found.about, network=Network.OBSERVED))

    gateway.twins[Network.OBSERVED] = observed
    asked = {"fail": {"nodes": ["a"]}}
    for query, network in (
        ("", "map"),
        ("network=emulated", "map"),
        ("network=observed", "observed"),
    ):
        for path in ("single", "impact", "double"):
            answer = await client.get(f"/v1/twin/{path}?{query}", headers=TOKEN)
            assert answer.json()["mesh"]["network"] == network
        answer = await client.post(f"/v1/twin/scenarios?{query}", json=asked, headers=TOKEN)
        assert answer.json()["mesh"]["network"] == network
    gateway.ready = False  # the observed network can be asked about while the mesh starts
    assert (await client.get("/v1/twin/single?network=observed")).status_code == 200
    assert (await client.get("/v1/twin/single")).status_code == 503
    assert (await client.get("/v1/twin/single?network=map")).status_code == 422
    for networks, refused in (((Network.EMULATED,), "observed"), ((Network.OBSERVED,), "emulated")):
        gateway, client = await start(options=GatewayOptions(networks=networks))
        answer = await client.get(f"/v1/twin/single?network={refused}")
        assert (answer.status_code, bool(answer.json()["remedy"])) == (409, True)


async def test_the_document_tells_of_the_twin(asked: Callable[..., Any]) -> None:
    """The scenario's schema is whole, names no map, and has the bounds of this gateway."""
    client = await asked()
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/twin/scenarios"]["post"]
    assert operation["security"]
    body = operation["requestBody"]["content"]["application/json"]
    schemas = document["components"]["schemas"]
    assert body["schema"] == {"$ref": "#/components/schemas/Scenario"}
    assert not {"topology", "vpn", "all_components"} & schemas["Scenario"]["properties"].keys()
    assert schemas["Random"]["properties"]["samples"]["maximum"] == Limits().twin_samples
    for example in body["examples"].values():
        answer = await client.post("/v1/twin/scenarios", json=example["value"], headers=TOKEN)
        assert answer.status_code in {200, 404, 422}  # their nodes are of another mesh
        assert "the scenario" not in answer.json().get("detail", "")


def test_that_a_network_may_not_be_there_is_documented() -> None:
    """A session that only emulates has no observed network, and one that only watches no mesh."""
    paths = build(Gateway("t" * 43)).openapi()["paths"]
    asking = [one for path, all_ in paths.items() if "/twin/" in path for one in all_.values()]
    assert len(asking) >= 5
    assert all("409" in one["responses"] for one in asking)
