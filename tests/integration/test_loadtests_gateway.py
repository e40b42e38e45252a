"""`python -m loadtests.gateway` on small meshes of its own, and what it compares with."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import msgpack
import numpy as np
import pytest
from ray.serve._private.build_app import build_app

from actors.mesh.batch import SEQUENCE_BITS
from actors.mesh.client import Mesh
from actors.mesh.membership import Membership
from actors.topology import source
from actors.topology.naming import Naming
from loadtests import bare_app, far_pairs, payload
from loadtests.http_connection import Server
from loadtests.http_messages import HttpMessages
from serve_apps.gateway import app as gateway_app
from serve_apps.gateway import decoding
from serve_apps.settings import Settings
from tests.unit.loadtests.http_server import response, serving

if TYPE_CHECKING:
    from pathlib import Path

    from ray.serve import Application

SHARDS = ("mesh-shard-00", "mesh-shard-01")
HOPS = 3


def messages_to(server: Server) -> HttpMessages:
    """A stream of messages whose mesh is known and does not run."""
    topology = source.read("radio:24", vpn=False, all_components=False).topology
    mesh = Mesh(Membership.begin(topology, SHARDS), mailbox_capacity=1000)
    return HttpMessages(server, mesh, far_pairs.choose(topology, HOPS, seed=1), HOPS)


def body_of(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[2]


def test_requests_hold_what_the_receiver_expects() -> None:
    """Singles and batches are one stream of serial numbers, each to the end of its own pair."""
    messages = messages_to(Server("127.0.0.1", 1))
    ids = sorted({node for pair in messages.pairs for node in pair})
    naming = Naming({node: row for row, node in enumerate(ids)}, [""] * len(ids))
    requests = [messages.single(), messages.batch(300), messages.single("/bare")]
    first, many, last = map(body_of, requests)
    found = decoding.packed(many, naming, 300)
    payloads = [
        decoding.one(decoding.loads(first), naming.exact).payload,
        *found.payloads,
        decoding.one(decoding.loads(last), naming.exact).payload,
    ]
    read = payload.read(np.frombuffer(b"".join(payloads), np.uint8))
    assert read.corrupt is None
    assert read.serial.tolist() == list(range(302))
    names = ids
    sent = [(names[a], names[b]) for a, b in zip(found.source, found.destination, strict=True)]
    assert sent == [messages.pairs[k % len(messages.pairs)] for k in range(1, 301)]
    assert requests[2].startswith(b"POST /bare/v1/mesh/messages HTTP/1.1\r\n")


async def test_the_account_goes_by_what_the_gateway_accepted() -> None:
    """Refused messages are not accepted; what was accepted and never arrives is lost."""
    ids = [partition << SEQUENCE_BITS | 1 for partition in range(2)]
    packed = msgpack.packb({"accepted": 2, "refused": 2, "ids": [ids[0], 0, ids[1], 0]})
    answers = iter(
        [
            response(200, packed, "application/msgpack"),
            response(200, json.dumps({"ids": [str(ids[0] + 1)]}).encode(), "application/json"),
            response(503),
        ]
    )
    async with serving(lambda *_: next(answers)) as server, server.connections(1) as (connection,):
        messages = messages_to(server)
        await messages.send_batch(connection, 4)
        await messages.send_single(connection)
        assert messages.received.accepted == 3
        assert (await messages.send_batch(connection, 2)).status == 503
    account = messages.received.account()
    assert (messages.received.accepted, account.accepted, account.lost) == (3, 3, 3)
    assert (account.delivered, messages.received.delivered) == (0, 0)


def test_the_bare_handler_is_served_as_the_gateway_is(tmp_path: Path) -> None:
    """Both have the same replicas, limits, logging and resources; only what answers differs."""
    settings = Settings(state_dir=tmp_path)
    given = {"state_dir": tmp_path, "namespace": settings.namespace}

    def built(application: Application) -> tuple[str, object, object]:
        (deployment,) = build_app(application, name="app").deployments
        options = deployment._replica_config.ray_actor_options
        return deployment.name, deployment._deployment_config, options

    name, *bare = built(bare_app.application(settings))
    gateway_name, *gateway = built(gateway_app.app(given))
    assert (name, gateway_name) == ("bare", "gateway")
    assert bare == gateway


def test_a_small_run() -> None:
    """Every kind of request is answered, and all that was accepted is delivered once, unaltered."""
    options = {
        "--topology": "radio:24",
        "--seconds": "0.5",
        "--rounds": "2",
        "--open-seconds": "6",  # on a busy machine every user is to have a turn
        "--callers": "8",
        "--batch": "500",
        "--batch-callers": "2",
        "--crowd": "50",
        "--starts": "1",
    }
    given = [text for option in options.items() for text in option]
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.gateway", *given, "--json"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    found = json.loads(done.stdout)
    assert done.returncode == (3 if found["shortcomings"] else 0), done.stderr
    assert found["delivered"] == found["accepted"] > 0
    zero = ("lost_accepted", "duplicates", "corrupt")
    assert {name: found[name] for name in zero} == dict.fromkeys(zero, 0)
    for name in ("single", "batch", "route"):
        turns = found["turns"][name]
        assert turns["failed"] == 0
        assert turns["rps"]["min"] > 0
        assert turns["vs_bare"]["min"] <= turns["vs_bare"]["max"]
        assert turns["cores"]["gateway"] > 0
    assert found["single_vs_bare"] == pytest.approx(
        found["single_rps"] / found["turns"]["single"]["bare_rps"]["median"], rel=0.01
    )
    assert found["batched_msgs_per_s"] <= found["batched_accepted_per_s"]["max"]
    assert found["open_loop"]["errors"] == 0
    assert found["open_loop"]["requests"] == pytest.approx(6 * found["open_loop"]["rate"], abs=1)
    scenarios = found["locust"]
    assert {"single message", "batch", "route", "inbox, long poll", "acknowledgement"} <= set(
        scenarios
    )
    assert {name: each["failures"] for name, each in scenarios.items() if each["failures"]} == {}
    kinds = [found["start_together"], found["start_gateway_first"]]
    for kind in kinds:
        assert sum(kind["answers"].values()) == kind["requests"] >= 50
        assert kind["answers"]["/readyz 200"] >= 25
        assert set(kind["lag_ms"]) == set(kind["starved_ms"]) == {"gateway", *SHARDS}
    assert kinds[1]["answers"]["/readyz 503"] >= 25
    assert found["start_requests"] == sum(kind["requests"] for kind in kinds)
    assert found["start_errors"] == 0
    assert found["start_max_loop_lag_ms"] > 0
