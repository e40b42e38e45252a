"""The routes over a mesh that stands still: statuses, problem documents, bounds."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgpack
import pytest

from actors.topology.model import Topology
from serve_apps.gateway.cluster_watch import ClusterWatch
from serve_apps.gateway.limits import Limits
from tests.unit.gateway.conftest import look

AUTH = {"authorization": "Bearer a-token-of-the-tests"}
ONE = {"source": "a", "destination": "c", "payload": "hi"}
JSON = AUTH | {"content-type": "application/json"}
LINES = AUTH | {"content-type": "application/x-ndjson"}
STREAM = {"accept": "application/x-ndjson"}
PACKED = AUTH | {"content-type": "application/msgpack"}


def is_problem(answer: Any, status: int) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == answer.status_code == status, document
    assert document["remedy"]
    return True


async def test_nothing_but_health_answers_before_the_mesh_is_there(start: Any) -> None:
    """While the mesh starts /healthz is 200, all else a 503 that says the progress and when."""
    gateway, client = await start(ready=False)
    gateway.progress = "waiting for advertisements: 3 of 9"
    assert (await client.get("/healthz")).status_code == 200
    for path in ("/readyz", "/v1/mesh/nodes", "/v1/mesh/routes/a/b"):
        answer = await client.get(path)
        assert is_problem(answer, 503)
        assert answer.headers["retry-after"] == "1"
        assert "3 of 9" in answer.json()["detail"]
    assert is_problem(await client.post("/v1/mesh/messages", json=ONE, headers=AUTH), 503)


async def test_a_shard_that_does_not_answer_is_told(start: Any) -> None:
    """/readyz is a 503 that names it, while the rest of the mesh goes on being used."""
    gateway, client = await start()
    world = gateway.view.topology
    await gateway.take(look(world, down={"mesh-shard-01": "it does not answer"}))
    answer = await client.get("/readyz")
    assert is_problem(answer, 503)
    assert "mesh-shard-01: it does not answer" in answer.json()["detail"]
    told = (await client.get("/health/dependencies")).json()
    assert told["shards_down"] == {"mesh-shard-01": "it does not answer"}
    assert told["alerts"] is None
    assert (await client.post("/v1/mesh/messages", json=ONE, headers=AUTH)).status_code == 200
    await gateway.take(look(world))
    assert (await client.get("/readyz")).status_code == 200


async def test_a_mesh_in_which_no_node_hears_another_is_not_ready(start: Any) -> None:
    """/readyz is a 503 that says so; one link that is heard is enough, and so is a mesh without."""
    gateway, client = await start()
    world = gateway.view.topology
    await gateway.take(look(world, cut=(0, 1, 2, 3)))
    answer = await client.get("/readyz")
    assert is_problem(answer, 503)
    assert "no node hears another" in answer.json()["detail"]
    await gateway.take(look(world, cut=(0, 1, 2)))
    assert (await client.get("/readyz")).status_code == 200
    await gateway.take(look(Topology.of(["a", "b"], [])))
    assert (await client.get("/readyz")).status_code == 200


async def test_a_cluster_that_has_died_is_told(start: Any) -> None:
    """When Ray's control process listens no more: no readiness, no question to it, and why."""
    gateway, client = await start()

    async def status() -> dict[str, Any]:
        return {"healthy": True}

    gateway.operations = status
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    gateway.cluster = ClusterWatch(f"{host}:{port}")
    await gateway.cluster.look()
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.get("/v1/status", headers=AUTH)).status_code == 200
    server.close()
    await server.wait_closed()
    await gateway.cluster.look()
    gateway.ready = False  # as when a shard no longer answers
    for path in ("/readyz", "/v1/status", "/v1/mesh/status"):
        answer = await client.get(path, headers=AUTH)
        assert is_problem(answer, 503)
        assert answer.headers["retry-after"]
        assert "gcs_server" in answer.json()["detail"]
        assert "x0 status" in answer.json()["remedy"]
    gateway.ready = True
    assert (await client.get("/v1/mesh/nodes")).status_code == 200  # what needs no Ray


@pytest.mark.parametrize("ready", [False, True])
async def test_health_answers_head_as_get(start: Any, *, ready: bool) -> None:
    """A load balancer that asks by HEAD gets the status and the headers of GET."""
    _, client = await start(ready=ready)
    for path in ("/healthz", "/readyz", "/health/dependencies", "/metrics"):
        got, asked = await client.get(path), await client.head(path)
        assert asked.status_code == got.status_code, path
        assert asked.headers["content-type"] == got.headers["content-type"]
    assert (await client.head("/readyz")).status_code == (200 if ready else 503)
    assert "head" not in (await client.get("/openapi.json")).json()["paths"]["/healthz"]


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", "Basic a-token-of-the-tests", "Bearer \xff"]
)
async def test_a_wrong_token_changes_nothing(start: Any, given: str) -> None:
    """Without the token nothing is sent or read, and the answer says what to send."""
    gateway, client = await start()
    headers = {"authorization": given.encode("latin-1")}
    for method, path in (
        ("POST", "/v1/mesh/messages"),
        ("GET", "/v1/status"),
        ("POST", "/v1/network/reports"),
        ("POST", "/v1/network/nodes/a/retire"),
        ("GET", "/v1/mesh/nodes/a/inbox"),
        ("POST", "/v1/mesh/nodes/a/inbox/ack"),
    ):
        answer = await client.request(method, path, headers=headers)
        assert is_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert gateway.mesh.batches == []


async def test_a_page_of_another_site_is_forbidden(start: Any) -> None:
    """With the token but from a foreign page, a request is forbidden; from our own it is not."""
    _, client = await start()
    foreign = await client.post(
        "/v1/mesh/messages", json=ONE, headers=AUTH | {"origin": "http://x"}
    )
    assert is_problem(foreign, 403)
    own = await client.post(
        "/v1/mesh/messages", json=ONE, headers=AUTH | {"origin": "http://localhost"}
    )
    assert own.status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\xff\xfe", 422),
        (b'{"source": NaN}', 422),
        (b"[]", 422),
        (b"[" * 5000, 422),
        (b'{"source": ["a"], "destination": {}, "payload": ""}', 422),
        (b'{"source": "a", "destination": "c", "payload": "\\ud800"}', 422),
        (b'{"source": "a", "destination": "c", "payload_base64": "*"}', 422),
        (b'{"source": "a", "destination": "c", "payload": "", "port": true}', 422),
        (b'{"source": "a", "destination": "c", "payload": "", "extra": 1}', 422),
        (b'{"source": "a", "destination": "\\ud800", "payload": ""}', 404),
        (b'{"source": "a", "destination": "c", "payload": "' + b"x" * 65537 + b'"}', 413),
    ],
    ids=range(11),
)
async def test_a_bad_message_is_a_problem(start: Any, body: bytes, status: int) -> None:
    """A single message that cannot be sent is refused with what is wrong; never a 5xx."""
    gateway, client = await start()
    assert is_problem(await client.post("/v1/mesh/messages", content=body, headers=JSON), status)
    assert gateway.mesh.batches == []


async def test_methods_and_media_types_are_told(start: Any) -> None:
    """405 names what is allowed and 415 what is understood."""
    _, client = await start()
    answer = await client.delete("/v1/mesh/nodes")
    assert is_problem(answer, 405)
    assert answer.headers["allow"] == "GET, HEAD"
    text = await client.post("/v1/mesh/messages", content=b"x", headers=AUTH)
    assert is_problem(text, 415)
    assert "application/msgpack" in text.json()["remedy"]
    assert is_problem(await client.get("/nowhere"), 404)


@pytest.mark.parametrize("form", ["ndjson", "columns", "list"])
async def test_a_bad_message_in_a_batch_fails_alone(start: Any, form: str) -> None:
    """Unknown node, full mailbox and silent node are refused in place; the others are sent."""
    gateway, client = await start()
    gateway.mesh.refusing = {1: 1, 2: 2}
    sources, payload = ["a", "nobody", "b", "c", "a"], "hi"
    rows = [{"source": s, "destination": "c", "payload": payload} for s in sources]
    if form == "ndjson":
        body = "\n".join(map(json.dumps, rows)).encode()
        kind = "application/x-ndjson"
    else:
        kind = "application/msgpack"
        columns = {
            "sources": sources,
            "destinations": ["c"] * 5,
            "payloads": [payload.encode()] * 5,
        }
        body = msgpack.packb(columns if form == "columns" else rows)
    headers = AUTH | {"content-type": kind}
    answer = await client.post("/v1/mesh/messages", content=body, headers=headers)
    assert answer.status_code == 200
    found = answer.json() if form == "ndjson" else msgpack.unpackb(answer.content)
    assert (found["accepted"], found["refused"]) == (2, 3)
    told = [(r["index"], r["status"], r["reason"]) for r in found["refusals"]]
    assert told == [(1, 404, "UnknownNode"), (2, 429, "MailboxFull"), (3, 503, "NodeSilent")]
    assert [bool(number) for number in found["ids"]] == [True, False, False, False, True]


@pytest.mark.parametrize(
    "value",
    [
        b"\xc1",
        msgpack.packb(1),
        msgpack.packb({"sources": ["a"], "destinations": [], "payloads": []}),
        msgpack.packb({"sources": "a", "destinations": "b", "payloads": "c"}),
        b"\xa2\xff\xff",
        b"\x81\x90\x01",
    ],
    ids=range(6),
)
async def test_what_is_no_batch_is_refused_whole(start: Any, value: bytes) -> None:
    """A body that is not msgpack, or has no such form, is a 422."""
    _, client = await start()
    assert is_problem(await client.post("/v1/mesh/messages", content=value, headers=PACKED), 422)


async def test_odd_columns_are_refused_message_by_message(start: Any) -> None:
    """Unhashable ids, text for bytes and ports out of range fail alone in a batch of columns."""
    _, client = await start()
    body = msgpack.packb(
        {
            "sources": [["a"], "a", "a", None, "a"],
            "destinations": ["c"] * 5,
            "payloads": [b"x", b"x", 7, b"x", b"x"],
            "ports": [0, 70000, 0, 0, 9],
        }
    )
    answer = await client.post("/v1/mesh/messages", content=body, headers=PACKED)
    found = msgpack.unpackb(answer.content)
    assert [r["index"] for r in found["refusals"]] == [0, 1, 2, 3]
    assert found["accepted"] == 1


async def test_bounds_are_kept(start: Any) -> None:
    """Too long, too many, too fast: 413 and 429, with Retry-After where waiting helps."""
    limits = Limits(
        body_bytes=1000,
        upload_bytes=1000,
        batch=2,
        requests_per_s=0.5,
        burst=5,
        long_polls=0,
        streams=0,
        inbox_streams=0,
    )
    _, client = await start(limits)
    columns = {"sources": ["a"] * 3, "destinations": ["c"] * 3, "payloads": [b"x"] * 3}

    async def endless() -> Any:
        while True:
            yield b" " * 300

    for headers, content in (
        (PACKED, msgpack.packb(columns)),
        (LINES, b" " * 1001),
        (LINES, endless()),
    ):
        sent = await client.post("/v1/mesh/messages", content=content, headers=headers)
        assert is_problem(sent, 413)
    for headers in (AUTH, AUTH | STREAM):
        assert is_problem(await client.get("/v1/mesh/nodes/a/inbox", headers=headers), 429)
    assert is_problem(await client.get("/v1/events/stream"), 429)
    answer = await client.post("/v1/mesh/messages", json=ONE, headers=AUTH)
    assert is_problem(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1


async def test_requests_under_way_are_bounded(start: Any) -> None:
    """A request too many is a 429 problem too, and its place is given back afterwards."""
    gateway, client = await start(Limits(in_flight=1))
    with gateway.in_flight.one():
        assert is_problem(await client.get("/healthz"), 429)
    assert (await client.get("/healthz")).status_code == 200


async def test_single_messages_travel_together(start: Any) -> None:
    """Requests that come at once share a batch, and each gets its own answer."""
    gateway, client = await start()
    gateway.mesh.refusing = {1: 1}
    bad = ONE | {"source": "b"}
    sent = [client.post("/v1/mesh/messages", json=m, headers=AUTH) for m in [ONE] * 20 + [bad]]
    answers = await asyncio.gather(*sent)
    assert [a.status_code for a in answers] == [200] * 20 + [429]
    assert len(gateway.mesh.batches) < 10


async def test_a_route_is_told_with_its_alternates(start: Any) -> None:
    """By node ids and in transmissions; where there is none, or no such node, a 404."""
    gateway, client = await start()
    gateway.mesh.known = {(0, 2): [([0, 1, 2], 640), ([0, 2], 768)], (2, 0): []}
    assert (await client.get("/v1/mesh/routes/a/c")).json() == {
        "source": "a",
        "destination": "c",
        "path": ["a", "b", "c"],
        "metric": 2.5,
        "alternates": [{"path": ["a", "c"], "metric": 3.0}],
        "names": {},
    }
    for path, why in (("c/a", "no path between them"), ("c/nobody", "no node has such")):
        answer = await client.get(f"/v1/mesh/routes/{path}")
        assert is_problem(answer, 404)
        assert why in answer.json()["detail"]


async def test_a_route_of_a_part_that_is_down_is_a_503(start: Any) -> None:
    """The shard is waited for no longer than the mesh may take to answer."""
    gateway, client = await start(Limits(answer_s=0.05))

    async def never(*_asked: int) -> None:
        await asyncio.Event().wait()

    gateway.mesh.paths = never
    answer = await client.get("/v1/mesh/routes/a/c")
    assert is_problem(answer, 503)
    assert answer.headers["retry-after"] == "1"


async def test_every_operation_documents_its_problems(start: Any) -> None:
    """The OpenAPI document has an example or a schema for each answer, and the security scheme."""
    _, client = await start()
    document = (await client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert "500" in operation["responses"], path
            secured = "401" in operation["responses"]
            assert ("security" in operation) == secured, path
    assert document["components"]["schemas"]["ProblemDocument"]["examples"]
