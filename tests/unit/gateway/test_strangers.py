"""What a client, a browser or a generator that has never seen the gateway may rely on."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.runtime.error_handler import ERRORS_TOTAL
from actors.runtime.metrics import MemoryMetrics
from serve_apps.gateway.http.application import build
from serve_apps.gateway.settings import GatewayOptions
from tests.unit.gateway.conftest import StillMesh, look

AUTH = {"authorization": "Bearer a-token-of-the-tests"}
ONE = {"source": "a", "destination": "c", "payload": "hi"}
_INLINE = ("title", "description", "default", "example", "examples")


async def document(start: Any) -> dict[str, Any]:
    _, client = await start()
    found: dict[str, Any] = (await client.get("/openapi.json")).json()
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method} {path}": operation
        for path, found in document["paths"].items()
        for method, operation in found.items()
    }


# -- the document ----------------------------------------------------------------------------------


async def test_every_operation_has_a_name_a_tag_and_a_description(start: Any) -> None:
    """A generated client reads well: the names are camelCase, and no two are the same."""
    found = await document(start)
    names = [operation["operationId"] for operation in operations(found).values()]
    assert len(names) == len(set(names)) >= 20
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name) for name in names), names
    tags = {tag["name"] for tag in found["tags"] if tag["description"]}
    for what, operation in operations(found).items():
        assert set(operation["tags"]) <= tags, what
        assert operation["description"], what
        assert all(answer["description"] for answer in operation["responses"].values()), what


async def test_all_but_health_and_downloads_is_under_v1(start: Any) -> None:
    """What may change incompatibly one day has a version in its path."""
    for what, operation in operations(await document(start)).items():
        free = set(operation["tags"]) & {"health", "downloads"}
        assert bool(free) != what.partition(" ")[2].startswith("/v1/"), what


async def test_enumerations_and_objects_have_names(start: Any) -> None:
    """Every set of values and every object stands under a name of its own among the schemas."""
    found = await document(start)
    schemas = found["components"]["schemas"]
    assert {
        "NodeState",
        "MeshNodeState",
        "LinkState",
        "OrderState",
        "ReviewDecision",
        "Scenario",
    } <= set(schemas)
    bodies = {
        name: {key: value for key, value in schema.items() if key != "enum"}
        for name, schema in schemas.items()
    }
    assert _unnamed({**bodies, "paths": found["paths"]}, "") == []


def _unnamed(part: Any, path: str) -> list[str]:
    """Where in a part of the document sets of values stand without a name."""
    here = [path] if isinstance(part, dict) and len(part.get("enum", ())) > 1 else []
    items = part.items() if isinstance(part, dict) else enumerate(part)
    deeper = [
        (f"{path}/{name}", value)
        for name, value in items
        if name not in _INLINE and isinstance(value, (dict, list))
    ]
    return here + [found for where, value in deeper for found in _unnamed(value, where)]


async def test_every_array_tells_what_it_holds(start: Any) -> None:
    """As linters and generators expect it."""

    def arrays(part: Any) -> list[Any]:
        parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        own = [part] if isinstance(part, dict) and part.get("type") == "array" else []
        return own + [found for each in parts for found in arrays(each)]

    found = arrays((await document(start))["components"])
    assert len(found) > 20
    assert all("items" in array for array in found)


async def test_every_reference_of_the_document_leads_somewhere(start: Any) -> None:
    """No schema is named that is not there, and none is there that nothing names."""
    found = await document(start)
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(found)))
    assert named == set(found["components"]["schemas"])


# -- paths and methods -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_old_paths_lead_to_the_new_ones(start: Any, method: str) -> None:
    """308 keeps method, body and query."""
    _, client = await start()
    answer = await client.request(method, "/mesh/nodes/a%20b/inbox?port=7&wait_s=1")
    assert answer.status_code == 308
    assert answer.headers["location"] == "/v1/mesh/nodes/a%20b/inbox?port=7&wait_s=1"
    sent = await client.post("/mesh/messages", json=ONE, headers=AUTH, follow_redirects=True)
    assert sent.json()["accepted"] == 1


async def test_head_is_answered_wherever_get_is(start: Any) -> None:
    """With the status and the headers of GET and no content, also of what would never end."""
    gateway, client = await start()
    gateway.mesh.known = {(0, 2): [([0, 1, 2], 640)]}
    paths = ("/", "/docs", "/openapi.json", "/v1/mesh/nodes", "/v1/mesh/routes/a/c", "/nowhere")
    for path in (*paths, "/v1/mesh/links?limit=1", "/docs/swagger-ui.css", "/mesh/nodes"):
        got, asked = await client.get(path), await client.head(path)
        assert (asked.status_code, asked.content) == (got.status_code, b""), path
        for name in ("content-type", "content-length", "location", "etag"):
            assert asked.headers.get(name) == got.headers.get(name), path
    stream = await client.head("/v1/events/stream")
    assert (stream.status_code, gateway.streams.taken) == (200, 0)
    assert stream.headers["content-type"].startswith("text/event-stream")


async def test_an_unknown_query_parameter_is_refused(start: Any) -> None:
    """By all routes, with what was probably meant; known ones are not."""
    _, client = await start()
    paths = {
        "/v1/mesh/nodes?limits=1": "Did you mean limit?",
        "/v1/mesh/nodes/a?x=1": "This path takes none.",
        "/v1/mesh/nodes/a/inbox?limt=1": "Did you mean limit?",
        "/healthz?verbose=1": "This path takes none.",
        "/v1/twin/impact?nodes=a": "Did you mean node?",
    }
    for path, remedy in paths.items():
        answer = await client.get(path, headers=AUTH)
        assert (answer.status_code, answer.json()["remedy"]) == (422, remedy), path
    sent = await client.post("/v1/mesh/messages?prot=1", json=ONE, headers=AUTH)
    assert (sent.status_code, sent.json()["remedy"]) == (422, "This path takes none.")
    assert (await client.get("/v1/mesh/nodes?limit=1")).status_code == 200


async def test_a_missing_field_is_told_as_missing(start: Any) -> None:
    """And not as malformed, by whichever door the body comes."""
    _, client = await start()
    for path, body, field in (
        ("/v1/mesh/messages", {"destination": "c", "payload": ""}, "source"),
        ("/v1/mesh/messages", {"source": "a", "destination": "c"}, "payload"),
        ("/v1/mesh/nodes/a/inbox/ack", {}, "receipts"),
    ):
        answer = await client.post(path, json=body, headers=AUTH)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith(f"field {field} is missing"), path


async def test_one_failure_has_one_type_by_every_door(start: Any) -> None:
    """A message to nobody is the same problem alone, in lines and of another path."""
    _, client = await start()
    bad = ONE | {"destination": "nobody"}
    alone = (await client.post("/v1/mesh/messages", json=bad, headers=AUTH)).json()
    lines = await client.post(
        "/v1/mesh/messages",
        content=json.dumps(bad),
        headers=AUTH | {"content-type": "application/x-ndjson"},
    )
    node = (await client.get("/v1/mesh/nodes/nobody")).json()
    assert alone["type"] == node["type"] == "urn:x0tta6bl4:problem:UnknownNode"
    (refusal,) = lines.json()["refusals"]
    assert (refusal["reason"], refusal["detail"]) == ("UnknownNode", alone["detail"])


# -- maps ------------------------------------------------------------------------------------------


async def test_an_unchanged_map_is_not_sent_again(start: Any) -> None:
    """A poller that names the ETag gets a 304, until a link changes."""
    gateway, client = await start()
    world = gateway.view.topology
    for path in ("/v1/mesh/nodes", "/v1/mesh/links", "/v1/mesh/nodes?limit=2"):
        await gateway.take(look(world))
        first = await client.get(path)
        known = {"if-none-match": f'"other", {first.headers["etag"]}'}
        again = await client.get(path, headers=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        await gateway.take(look(world, cut=(0, 1)))
        assert (await client.get(path, headers=known)).status_code == 200


async def test_large_maps_are_compressed_for_whoever_takes_it(start: Any) -> None:
    """gzip only where it is accepted and worth it, and the same document either way."""
    gateway, client = await start()
    from actors.topology.model import Topology

    names = [f"n{number}" for number in range(300)]
    world = Topology.of(names, [(n, n + 1) for n in range(299)])
    await gateway.take(look(world))
    gateway.mesh = StillMesh(world)
    plain = await client.get("/v1/mesh/links", headers={"accept-encoding": "gzip;q=0, br"})
    assert "content-encoding" not in plain.headers
    async with client.stream(
        "GET", "/v1/mesh/links", headers={"accept-encoding": "gzip"}
    ) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        raw = b"".join([part async for part in packed.aiter_raw()])
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 5
    assert packed.headers["vary"] == "Accept-Encoding"


async def test_pages_make_up_the_whole(start: Any) -> None:
    """Followed by `next`, pages give each row once; a cursor of another map of links is a 409."""
    gateway, client = await start()
    for name in ("nodes", "links"):
        path = f"/v1/mesh/{name}"
        whole = (await client.get(path)).json()
        assert whole["next"] is None
        rows: list[Any] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
            page = (await client.get(path, params=query)).json()
            rows += page[name]
            cursor = page["next"]
        assert rows == whole[name]
        assert (await client.get(path, params={"cursor": "x"})).status_code == 422
    cursor = (await client.get("/v1/mesh/links?limit=1")).json()["next"]
    from actors.topology.model import Topology

    await gateway.take(look(Topology.of(["a", "b", "c"], [(0, 2), (1, 2)])))
    assert (await client.get("/v1/mesh/links", params={"cursor": cursor})).status_code == 409
    assert (await client.get("/v1/mesh/nodes", params={"cursor": cursor})).status_code == 200


# -- browsers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST.", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8000", 200),
        ("192.168.7.7", 200),
        ("mesh.example:8000", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ],
)
async def test_only_requests_for_this_host_are_answered(start: Any, host: str, status: int) -> None:
    """A name that a page points here (DNS rebinding) reads nothing and changes nothing."""
    gateway, client = await start(options=GatewayOptions(names=frozenset({"Mesh.example"})))
    origin = {"origin": f"http://{host}"}
    for _ in range(2):
        answer = await client.get("/v1/mesh/nodes", headers={"host": host})
        assert answer.status_code == status
        sent = await client.post(
            "/v1/mesh/messages", json=ONE, headers=AUTH | origin | {"host": host}
        )
        assert sent.status_code == status
    assert bool(gateway.mesh.batches) == (status == 200)
    if status == 421:
        assert answer.headers["content-type"] == "application/problem+json"
        assert "X0TTA6BL4_GATEWAY_NAMES" in answer.json()["remedy"]


@pytest.mark.parametrize("allowed", [False, True])
async def test_pages_of_other_sites_are_let_in_only_if_asked_for(
    start: Any, *, allowed: bool
) -> None:
    """No CORS by default; an origin that is set may read, and change with the token."""
    page = "https://console.example"
    options = GatewayOptions(cors_origins=(page,) if allowed else ())
    _, client = await start(options=options)
    got = await client.get("/v1/mesh/nodes", headers={"origin": page})
    assert got.headers.get("access-control-allow-origin") == (page if allowed else None)
    wanted = {"origin": page, "access-control-request-method": "POST"}
    asked = await client.options(
        "/v1/mesh/messages",
        headers=wanted | {"access-control-request-headers": "authorization, idempotency-key"},
    )
    assert asked.status_code == (200 if allowed else 405)
    sent = await client.post("/v1/mesh/messages", json=ONE, headers=AUTH | {"origin": page})
    assert sent.status_code == (200 if allowed else 403)
    other = {"origin": "https://other.example"}
    assert (
        await client.post("/v1/mesh/messages", json=ONE, headers=AUTH | other)
    ).status_code == 403


async def test_the_documentation_needs_no_internet(start: Any) -> None:
    """`/` leads to a page all of whose files this gateway serves."""
    _, client = await start()
    page = await client.get("/", follow_redirects=True)
    assert page.url.path == "/docs"
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 3
    for link in links:
        assert "//" not in link
        if not link.startswith("data:"):
            file = await client.get(httpx.URL("http://localhost/docs").join(link))
            assert (file.status_code, len(file.content) > 10_000) == (200, True)
            assert file.headers["etag"]
    assert "SwaggerUIBundle" in (await client.get("/docs/swagger-ui-bundle.js")).text
    assert re.search(r"""url: ['"]openapi\.json""", page.text)


# -- what is measured ------------------------------------------------------------------------------


async def test_requests_are_measured_by_route(start: Any) -> None:
    """A histogram for each route, the fast one too; what is no path gets no series of its own."""
    _, client = await start()
    for path in ("/v1/mesh/nodes/a", "/v1/mesh/nodes/b", "/nowhere", "/elsewhere"):
        await client.get(path)
    await client.post("/v1/mesh/messages", json=ONE, headers=AUTH)
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    counts = {
        (sample.labels["method"], sample.labels["route"]): sample.value
        for sample in families["x0tta6bl4_gateway_request_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert counts == {
        ("GET", "/v1/mesh/nodes/{id}"): 2,
        ("POST", "/v1/mesh/messages"): 1,
        ("", "(none)"): 2,
    }
    by_status = families["x0tta6bl4_gateway_requests"].samples
    assert {s.labels["status"]: s.value for s in by_status if s.name.endswith("total")} == {
        "200": 3,
        "404": 2,
    }
    assert families["x0tta6bl4_gateway_messages_accepted"].samples[0].value == 1


@pytest.mark.parametrize("path", ["/v1/mesh/nodes/a", "/v1/mesh/messages"])
async def test_errors_of_routes_are_counted(start: Any, path: str) -> None:
    """What nobody expected is a 500 without details, and reaches the counter of all errors."""
    metrics = MemoryMetrics()
    gateway, _ = await start(metrics=metrics)

    def broken(*_given: Any) -> Any:
        raise RuntimeError("secret")

    gateway.node = gateway.joined = broken
    transport = httpx.ASGITransport(build(gateway), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        method = "POST" if path.endswith("messages") else "GET"
        answer = await client.request(
            method, path, json=ONE if method == "POST" else None, headers=AUTH
        )
    assert (answer.status_code, "secret" in answer.text) == (500, False)
    labels = {"error_type": "RuntimeError", "context": "gateway", "severity": "error"}
    assert metrics.value(ERRORS_TOTAL, **labels) == 1
