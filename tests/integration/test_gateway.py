"""The gateway on a real mesh, through Ray Serve and HAProxy, on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import msgpack
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from leaks import carrying
from living_mesh import MeshStarter, ask, ready
from schemathesis.specs.openapi import checks as openapi_checks

from actors.history.actor import HistorianActor
from actors.history.contract import HISTORIAN
from actors.mesh.contract import COORDINATOR
from actors.mesh.membership import Faults
from actors.payments.chains.money import Network
from actors.runtime import spawn
from actors.twin.actor import TwinActor
from actors.twin.contract import TWIN
from cluster import processes
from cluster.local import LocalCluster
from cluster.ray_start import HeadOptions
from jobs.launch import gateway_opening
from jobs.launch.history_companion import history_options
from jobs.launch.options import twin_options
from serve_apps.settings import Settings
from serve_apps.web.auth import token_path
from tests.unit.payments.bot_shop import BotShop

if TYPE_CHECKING:
    from collections.abc import Iterator

NODES = 24


@dataclass(frozen=True, slots=True)
class Live:
    """A gateway that answers, and what it said while the mesh was starting."""

    url: str
    auth: dict[str, str] = field(repr=False)
    early: list[httpx.Response]
    shop: BotShop
    temp_dir: str
    session: int | None

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    def send(self, source: str, destination: str, payload: str, port: int = 0) -> httpx.Response:
        message = {"source": source, "destination": destination, "payload": payload, "port": port}
        with self.client() as client:
            return client.post("/v1/mesh/messages", json=message, headers=self.auth)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The gateway is opened first and the mesh after it, so that it is seen starting.

    On a cluster of its own, with which all of Serve ends, as under `x0 down`.
    """
    spawn.disconnect()
    namespace = f"test-{uuid.uuid4().hex[:12]}"
    state = tmp_path_factory.mktemp("gateway")
    shop = BotShop(state)
    settings = Settings(
        state_dir=state,
        namespace=namespace,
        log_level="WARNING",
        tron_wallet=shop.shop.chain(Network.TRON).wallet,
        ton_wallet=shop.shop.chain(Network.TON).wallet,
        public_url="http://127.0.0.1",
    )
    cluster = LocalCluster.start(state, HeadOptions(num_cpus=2))
    try:
        spawn.connect(cluster.address, namespace)
        opening = gateway_opening.begin(gateway_opening.with_port(settings))
        early = [
            _first_answer(opening.url, path) for path in ("/healthz", "/readyz", "/v1/mesh/nodes")
        ]
        starter = MeshStarter(namespace, state)
        options = starter.options(topology=f"radio:{NODES}")
        starter.begin(options)
        spawn.detached(TwinActor, TWIN, twin_options(options))
        spawn.detached(HistorianActor, HISTORIAN, history_options(settings))
        asyncio.run(ready(options.shard.host.hold_s))
        opening.wait(lambda _: None)
        token = token_path(state).read_text()
        auth = {"authorization": f"Bearer {token}"}
        yield Live(opening.url, auth, early, shop, cluster.temp_dir, cluster.session)
    finally:
        shop.ledger.close()
        spawn.disconnect()
        cluster.stop()
        assert carrying(cluster.temp_dir) == []


def _first_answer(url: str, path: str) -> httpx.Response:
    deadline = time.monotonic() + 180
    while True:
        try:
            return httpx.get(url + path, trust_env=False)
        except httpx.TransportError:  # the port is closed
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_it_answers_before_the_mesh_is_there(live: Live) -> None:
    """Once the port is open, /healthz is 200, and /readyz and all else a 503 with the progress.

    From the first answer on it is the gateway's: HAProxy opens the port when it knows the gateway.
    """
    health, ready_, nodes = live.early
    assert health.status_code == 200
    for answer in (ready_, nodes):
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"]
    with live.client() as client:
        assert client.get("/readyz").json()["status"] == "ready"


def test_it_listens_on_loopback_alone(live: Live) -> None:
    """No port of the cluster is on another address: the gateway's, HAProxy's pages, the replica's,
    the dashboard's, those of gRPC and of Ray's metrics.

    Serve gives its replica a port of gRPC on all addresses, and no choice about it.
    """
    ours = {p.pid: p.name() for p in processes.members(Path(live.temp_dir), live.session)}
    listening = [
        (ours[connection.pid], *connection.laddr)
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.pid in ours
    ]
    assert httpx.URL(live.url).port in {port for _, _, port in listening}
    assert len(listening) > 10
    foreign = [one for one in listening if one[1] not in {"127.0.0.1", "::ffff:127.0.0.1"}]
    assert [name[:8] for name, *_ in foreign] in ([], ["ray::Ser"]), foreign


def test_a_half_sent_head_is_not_held(live: Live) -> None:
    """Whoever does not finish the head of a request is told so and closed."""
    host, port = str(httpx.URL(live.url).host), httpx.URL(live.url).port
    assert port is not None
    with socket.create_connection((host, port), timeout=120) as raw:
        raw.sendall(b"GET /healthz HTTP/1.1\r\nhost: local")
        assert raw.recv(64).startswith(b"HTTP/1.1 408")


def test_the_mesh_can_be_read(live: Live) -> None:
    """Nodes, links, routes with alternates, metrics and the health of what it stands on."""
    with live.client() as client:
        nodes = client.get("/v1/mesh/nodes").json()["nodes"]
        assert [n["id"] for n in nodes] == [f"n{i:04d}" for i in range(NODES)]
        assert client.get("/v1/mesh/links").json()["links"]
        route = client.get("/v1/mesh/routes/n0000/n0023").json()
        for way in (route, *route["alternates"]):
            assert (way["path"][0], way["path"][-1]) == ("n0000", "n0023")
            assert len(set(way["path"])) == len(way["path"])
            assert way["metric"] >= route["metric"] >= len(route["path"]) - 1
        assert client.get("/v1/mesh/routes/n0000/nowhere").status_code == 404
        well = {"mesh": "ready", "shards_down": {}, "observed": None, "troubles": []}
        well |= {"alerts": None}  # it is switched off here
        assert client.get("/health/dependencies").json() == well
        metrics = client.get("/metrics").text
        assert f"x0tta6bl4_gateway_mesh_nodes_up {NODES}" in metrics


def test_messages_arrive_once_and_stay_until_acknowledged(live: Live) -> None:
    """A message sent over HTTP is offered again until acknowledged, and then never again."""
    assert live.send("n0000", "n0023", "héllo", port=7).status_code == 200
    lines = [
        {"source": "n0001", "destination": d, "payload": "x", "port": 7} for d in ("n0023", "n9")
    ]
    with live.client() as client:
        batch = client.post(
            "/v1/mesh/messages",
            content="\n".join(map(json.dumps, lines)),
            headers=live.auth | {"content-type": "application/x-ndjson"},
        ).json()
        assert (batch["accepted"], batch["refusals"][0]["index"]) == (1, 1)

        def inbox(**query: Any) -> list[dict[str, Any]]:
            answer = client.get(
                "/v1/mesh/nodes/n0023/inbox", params={"port": 7, **query}, headers=live.auth
            )
            found: list[dict[str, Any]] = answer.json()["messages"]
            return found

        deadline = time.monotonic() + 180
        while len(found := inbox(wait_s=5)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert {m["payload"] for m in found} == {"héllo", "x"}
        assert inbox() == found
        receipts = {"receipts": [m["receipt"] for m in found]}
        stolen = client.post("/v1/mesh/nodes/n0001/inbox/ack", json=receipts, headers=live.auth)
        assert stolen.status_code == 422
        for _ in range(2):
            done = client.post("/v1/mesh/nodes/n0023/inbox/ack", json=receipts, headers=live.auth)
            assert done.json() == {"acknowledged": 2}
        assert inbox() == []
        assert client.get("/v1/mesh/nodes/n0023/inbox").status_code == 401


def test_a_packed_batch_is_taken_whole(live: Live) -> None:
    """Ten thousand messages in columns are accepted in one request."""
    count = 10_000
    columns = {
        "sources": [f"n{i % NODES:04d}" for i in range(count)],
        "destinations": [f"n{(i + 1) % NODES:04d}" for i in range(count)],
        "payloads": [b"x" * 100] * count,
        "ports": 9,
    }
    headers = live.auth | {"content-type": "application/msgpack"}
    with live.client() as client:
        answer = client.post("/v1/mesh/messages", content=msgpack.packb(columns), headers=headers)
    found = msgpack.unpackb(answer.content)
    assert (found["accepted"], found["refused"]) == (count, 0)
    assert len(set(found["ids"])) == count


def test_a_body_in_lines_is_sent_while_it_comes(live: Live) -> None:
    """A line is in the inbox of its node before the body has ended; ten thousand more follow."""
    line = b'{"source":"n0002","destination":"n0003","payload":"x","port":11}\n'
    arrived: list[dict[str, Any]] = []

    def body() -> Iterator[bytes]:
        yield line
        with live.client() as reader:
            arrived.extend(
                reader.get(
                    "/v1/mesh/nodes/n0003/inbox",
                    params={"port": 11, "wait_s": 20},
                    headers=live.auth,
                ).json()["messages"]
            )
        for _ in range(10):
            yield line * 1000

    headers = live.auth | {"content-type": "application/x-ndjson"}
    with live.client() as client:
        found = client.post("/v1/mesh/messages", content=body(), headers=headers).json()
    assert (found["accepted"], found["refused"]) == (10_001, 0)
    assert len(set(found["ids"])) == 10_001
    assert [m["id"] for m in arrived] == found["ids"][:1]


def test_an_inbox_can_be_followed(live: Live) -> None:
    """A stream offers each message once as it comes, acknowledged or not, and ends at its limit."""
    seen: list[dict[str, Any]] = []
    headers = live.auth | {"accept": "application/x-ndjson"}
    query = {"port": 13, "limit": 5}
    with live.client() as client:
        with client.stream(
            "GET", "/v1/mesh/nodes/n0020/inbox", params=query, headers=headers
        ) as stream:
            assert stream.headers["content-type"] == "application/x-ndjson"
            for line in stream.iter_lines():
                if line:
                    seen.append(json.loads(line))
                if len(seen) == 2:
                    receipts = {"receipts": [seen[0]["receipt"]]}
                    client.post("/v1/mesh/nodes/n0020/inbox/ack", json=receipts, headers=live.auth)
                if len(seen) < 5:
                    assert live.send("n0004", "n0020", str(len(seen)), port=13).status_code == 200
        assert len({m["id"] for m in seen}) == 5
        unread = client.get(
            "/v1/mesh/nodes/n0020/inbox", params={"port": 13}, headers=live.auth
        ).json()["messages"]
        assert seen[0]["id"] not in {m["id"] for m in unread}
        assert {m["id"] for m in seen[1:]} <= {m["id"] for m in unread}
    assert _gauges(live, "inbox_streams") == [0]


def test_the_event_stream_goes_on_whatever_is_killed(live: Live) -> None:
    """A silent node is told; with Last-Event-ID nothing is missed or doubled by a SIGKILL.

    The historian is killed while the node is silent, and so does not see it come back.
    """
    seen: list[str] = []
    opened = threading.Event()

    def listen() -> None:
        with live.client() as client, client.stream("GET", "/v1/events/stream") as stream:
            for line in stream.iter_lines():
                opened.set()
                seen.append(line)
                if line == "event: node_silent":
                    return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert opened.wait(120)
    asyncio.run(ask(COORDINATOR, "inject", Faults(silent=frozenset({5}))))
    try:
        listener.join(120)
        assert not listener.is_alive()
        refused = live.send("n0005", "n0001", "x")
        assert (refused.status_code, bool(refused.headers["retry-after"])) == (503, True)
        killed = asyncio.run(ask(HISTORIAN, "health")).pid
        os.kill(killed, signal.SIGKILL)
    finally:
        asyncio.run(ask(COORDINATOR, "inject", Faults()))
    last = [line for line in seen if line.startswith("id: ")][-1].removeprefix("id: ")
    back = {"kind": "node_back", "node": "n0005", "limit": 1}
    with live.client() as client:
        rest = client.get("/v1/events/stream", params=back, headers={"last-event-id": last}).text
        assert "event: node_back" in rest
        told = client.get("/v1/events", params={"node": "n0005"}).json()["events"]
    kinds = [one["kind"] for one in told if one["kind"].startswith("node")]
    assert kinds == ["node_silent", "node_back"]
    assert asyncio.run(ask(HISTORIAN, "health")).pid != killed
    deadline = time.monotonic() + 180
    while httpx.get(f"{live.url}/v1/mesh/nodes/n0005", trust_env=False).json()["state"] != "up":
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_line_of_100_mb_is_refused_alone(live: Live) -> None:
    """A line without end is read and forgotten, and the message after it is sent."""
    (before,) = _gauges(live, "resident_memory_bytes")

    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 2**20
        yield b'\n{"source":"n0000","destination":"n0001","payload":"after it"}'

    headers = live.auth | {"content-type": "application/x-ndjson"}
    with live.client() as client:
        found = client.post("/v1/mesh/messages", content=parts(), headers=headers).json()
    assert [(r["index"], r["status"]) for r in found["refusals"]] == [(0, 413)]
    assert found["accepted"] == 1
    assert _gauges(live, "resident_memory_bytes")[0] - before < 50 * 2**20


def test_a_huge_body_is_refused_unread(live: Live) -> None:
    """100 MB, announced or streamed, are refused, and the gateway's memory does not grow by it."""

    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 2**20

    (before,) = _gauges(live, "resident_memory_bytes")
    headers = live.auth | {"content-type": "application/json"}
    with live.client() as client:
        answer = client.post("/v1/mesh/messages", content=parts(), headers=headers)
    assert answer.status_code == 413
    assert _gauges(live, "resident_memory_bytes")[0] - before < 50 * 2**20
    host, port = str(httpx.URL(live.url).host), httpx.URL(live.url).port
    assert port is not None
    with socket.create_connection((host, port), timeout=10) as raw:
        head = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
        length = 100 * 2**20
        raw.sendall(
            f"POST /v1/mesh/messages HTTP/1.1\r\nhost: {host}:{port}\r\n{head}\r\n"
            f"content-length: {length}\r\n\r\n".encode()
        )
        assert raw.recv(64).startswith(b"HTTP/1.1 413")  # before a byte of it was sent
    assert httpx.get(f"{live.url}/healthz", trust_env=False).status_code == 200


def test_a_shard_that_is_stopped_is_told_soon(live: Live) -> None:
    """/readyz names it seconds after it has stopped, and is 200 again once it goes on."""
    status = asyncio.run(ask(COORDINATOR, "status"))
    (pid,) = (shard.pid for shard in status.shards if shard.name == "mesh-shard-01")

    def answers(status: int, within_s: float) -> str:
        deadline = time.monotonic() + within_s
        while True:
            answer = httpx.get(f"{live.url}/readyz", trust_env=False)
            if answer.status_code == status:
                return answer.text
            assert time.monotonic() < deadline
            time.sleep(0.1)

    os.kill(pid, signal.SIGSTOP)
    try:
        assert "mesh-shard-01" in answers(503, within_s=180)
    finally:
        os.kill(pid, signal.SIGCONT)
    answers(200, within_s=180)


def test_half_open_and_slow_clients_hold_nobody_up(live: Live) -> None:
    """Sockets that send half a request, and readers that do not read, leave others served.

    Their places are free once they have gone.
    """
    host, port = str(httpx.URL(live.url).host), httpx.URL(live.url).port
    assert port is not None
    sockets = [socket.create_connection((host, port), timeout=10) for _ in range(30)]
    bearer = f"host: localhost\r\nauthorization: {live.auth['authorization']}\r\n"
    requests = [
        "POST /v1/mesh/messages HTTP/1.1\r\nhost: localhost\r\ncontent-le",
        "GET /v1/events/stream HTTP/1.1\r\nhost: localhost\r\n\r\n",
        f"GET /v1/mesh/nodes/n0001/inbox HTTP/1.1\r\n{bearer}accept: application/x-ndjson\r\n\r\n",
        (
            f"POST /v1/mesh/messages HTTP/1.1\r\n{bearer}content-type: application/json\r\n"
            'content-length: 90\r\n\r\n{"source'
        ),
    ]
    try:
        for number, each in enumerate(sockets):
            each.sendall(requests[number % len(requests)].encode())
        for _ in range(20):
            answer = httpx.get(f"{live.url}/healthz", trust_env=False, timeout=60)
            assert answer.status_code == 200
        assert _gauges(live, "event_streams", "inbox_streams") == [8, 7]
    finally:
        for each in sockets:
            each.close()
    deadline = time.monotonic() + 180
    while _gauges(live, "event_streams", "inbox_streams", "requests_in_flight") != [0, 0, 1]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _gauges(live: Live, *names: str) -> list[float]:
    text = httpx.get(f"{live.url}/metrics", trust_env=False).text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    return [float(values[f"x0tta6bl4_gateway_{name}"]) for name in names]


def test_the_twin_answers_about_the_live_mesh(live: Live) -> None:
    """Impact, single failures, scenarios and pictures of the mesh that runs."""
    with live.client() as client:
        single = client.get("/v1/twin/single").json()
        assert single["mesh"]["live"]
        assert single["mesh"]["nodes"] == NODES
        worst = single["single_failures"]["spof_nodes"][0]
        impact = client.get("/v1/twin/impact", params={"node": worst["node"]}).json()["impact"]
        assert impact["pairs_lost"] == worst["pairs_lost"]
        assert impact["recovery"]["hello_s"] == 0.2
        scenario = {"fail": {"nodes": [worst["node"]]}, "random": {"k": 2}}
        asked = client.post("/v1/twin/scenarios", json=scenario, headers=live.auth)
        assert asked.json()["impact"]["pairs_lost"] == worst["pairs_lost"]
        assert client.post("/v1/twin/scenarios", json=scenario).status_code == 401
        picture = client.get("/v1/twin/picture.png", params={"node": worst["node"]})
        assert picture.content.startswith(b"\x89PNG")
        several = client.get("/v1/twin/impact", params={"node": "n000"})
        assert several.status_code == 422  # the beginning of more than one id
        unknown = client.get("/v1/twin/impact", params={"node": "n0000x"})
        assert (unknown.status_code, unknown.json()["status"]) == (404, 404)
        assert "Did you mean" in unknown.json()["remedy"]


def test_wrong_tokens_and_bytes_that_are_no_text(live: Live) -> None:
    """A wrong token is a 401 and invalid UTF-8 a 422, both as problem documents."""
    with live.client() as client:
        wrong = {"authorization": "Bearer wrong"}
        headers = live.auth | {"content-type": "application/json"}
        answers = [
            client.post("/v1/mesh/messages", json={}, headers=wrong),
            client.post("/v1/mesh/messages", content=b"\xff\xfe{", headers=headers),
            client.get("/v1/mesh/nodes/n0000/inbox", headers=wrong),
        ]
    assert [a.status_code for a in answers] == [401, 422, 401]
    assert {a.headers["content-type"] for a in answers} == {"application/problem+json"}


def test_an_order_is_paid_and_its_file_fetched(live: Live) -> None:
    """An order made over HTTP, paid in the ledger by another process, opens its download; the
    replica works with the settings that the gateway was opened with."""
    with live.client() as client:
        wanted = {"plan": "month", "method": "ton"}
        made = client.post("/v1/payments/orders", json=wanted, headers=live.auth).json()
        live.shop.pay(live.shop.ledger.orders.get(made["id"]))
        paid = client.get(f"/v1/payments/orders/{made['id']}", headers=live.auth).json()
        assert paid["state"] == "confirmed"
        answer = client.get(httpx.URL(paid["goods"]).path)
        assert (answer.status_code, answer.content) == (200, b"what was bought")


def test_whatever_the_document_allows_is_answered_as_it_says(live: Live) -> None:
    """schemathesis finds no 5xx and no undocumented status, media type or body.

    But the 503 of a scan: no watcher of payments runs here.
    """
    schema = schemathesis.openapi.from_url(f"{live.url}/openapi.json")
    checks = [
        schemathesis.checks.not_a_server_error,
        openapi_checks.status_code_conformance,
        openapi_checks.content_type_conformance,
        openapi_checks.response_schema_conformance,
    ]
    tried = set()
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:

        @hypothesis_settings(
            max_examples=15,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @_given(operation)
        def check(case: Any) -> None:
            if case.path == "/v1/events/stream":
                case.query = {**(case.query or {}), "limit": 0}  # else it never ends
            if "wait_s" in (case.query or {}):
                case.query = {**case.query, "wait_s": 0}
            answer = case.call(headers=live.auth, timeout=10)
            absent = case.path == "/v1/payments/scans" and answer.status_code == 503
            case.validate_response(answer, checks=checks[absent:])
            tried.add((case.method, case.path))

        check()
    assert tried == {(one.method.upper(), one.path) for one in operations}
    assert len(tried) > 25


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())
