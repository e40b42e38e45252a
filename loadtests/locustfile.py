"""Locust scenarios for any gateway, also of a mesh that is in use.

    GATEWAY_TOKEN=$(cat ~/.local/state/x0tta6bl4/gateway.token) \
        locust -f loadtests/locustfile.py --host http://127.0.0.1:PORT

All messages go to `READ` nodes on one port of their own, and the readers acknowledge everything
there, so mailboxes do not fill however long it runs. Any of the classes can be named alone.
Locust's loop is closed: its latencies are those of so many users, not those of a rate.
"""

from __future__ import annotations

import itertools
import os
import random
from typing import Any, Final

import msgpack
from locust import FastHttpUser, constant_throughput, task

from loadtests.http_connection import TOKEN

READ: Final = 4  # nodes that messages go to
PORT: Final = 40_004
BATCH: Final = 500
PAYLOAD: Final = "x" * 100
_WAIT_S: Final = 1.0  # length of one long poll
_readers: Final = itertools.count()


class _User(FastHttpUser):
    """Knows the token and the nodes."""

    abstract = True
    nodes: list[str]

    def on_start(self) -> None:
        """Learn the nodes."""
        token = os.environ.get(TOKEN, "")
        self.client.auth_header = f"Bearer {token}"
        self.nodes = [node["id"] for node in self.client.get("/v1/mesh/nodes").json()["nodes"]]

    def ends(self) -> tuple[str, str]:
        """A source, and one of the nodes that are read."""
        return random.choice(self.nodes), random.choice(self.nodes[:READ])


class SingleSender(_User):
    """Sends one message after the other."""

    weight = 4

    @task
    def send(self) -> None:
        """One message as JSON."""
        source, destination = self.ends()
        message = {"source": source, "destination": destination, "payload": PAYLOAD, "port": PORT}
        self.client.post("/v1/mesh/messages", json=message, name="single message")


class BatchSender(_User):
    """Sends a batch a second, no faster than the readers read."""

    weight = 1
    wait_time = constant_throughput(1)

    @task
    def send(self) -> None:
        """Many messages as columns in msgpack; one that is refused fails the request."""
        ends = [self.ends() for _ in range(BATCH)]
        columns = {
            "sources": [source for source, _ in ends],
            "destinations": [destination for _, destination in ends],
            "payloads": [PAYLOAD.encode()] * BATCH,
            "ports": PORT,
        }
        with self.client.post(
            "/v1/mesh/messages",
            data=msgpack.packb(columns),
            headers={"content-type": "application/msgpack"},
            name="batch",
            catch_response=True,
        ) as answer:
            if answer.status_code == 200 and (
                refused := msgpack.unpackb(answer.content)["refused"]
            ):
                answer.failure(f"{refused} messages refused")


class RouteReader(_User):
    """Asks for routes."""

    weight = 1

    @task
    def read(self) -> None:
        """The route between two nodes."""
        source, destination = random.sample(self.nodes, 2)
        self.client.get(f"/v1/mesh/routes/{source}/{destination}", name="route")


class InboxReader(_User):
    """Reads the nodes that messages go to in turn, and acknowledges all it gets."""

    fixed_count = READ
    node: itertools.cycle[str]

    def on_start(self) -> None:
        """Begin at another node than the reader before."""
        super().on_start()
        first = next(_readers) % READ
        self.node = itertools.cycle(self.nodes[first:READ] + self.nodes[:first])

    @task
    def read(self) -> None:
        """A long poll, and the receipts of what it brought."""
        inbox = f"/v1/mesh/nodes/{next(self.node)}/inbox"
        query = f"?port={PORT}&limit=1000&wait_s={_WAIT_S:g}"
        answer: Any = self.client.get(inbox + query, name="inbox, long poll")
        receipts = [m["receipt"] for m in answer.json()["messages"]] if answer.ok else []
        if receipts:
            self.client.post(f"{inbox}/ack", json={"receipts": receipts}, name="acknowledgement")
