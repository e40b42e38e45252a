"""Messages that are sent over HTTP and received through the mesh's client, and their account.

Payloads prove themselves as in every load here (`payload`), ids come from the gateway's answers,
and destinations are read in columns: what is accepted and what is delivered are counted apart, by
two interfaces, and must agree.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from typing import TYPE_CHECKING, Final

import msgpack
import numpy as np

from actors.mesh import batch as messages
from loadtests import account, payload
from loadtests.load_plan import PORT, serials
from loadtests.marks import Marks
from loadtests.sink import Sink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from actors.mesh.client import Mesh
    from loadtests.account import Account
    from loadtests.far_pairs import Routes
    from loadtests.http_connection import Answer, Connection, Server

PATH: Final = "/v1/mesh/messages"
JSON: Final = {"content-type": "application/json"}
MSGPACK: Final = {"content-type": "application/msgpack"}
DRAIN_S: Final = 60.0
_LOOK_S: Final = 0.02
_SENDER: Final = 0  # of all serial numbers; others have no pairs


class HttpMessages:
    """One stream of messages between far nodes; what was accepted of it, and what arrived.

    Args:
        server: the gateway.
        mesh: a client of its mesh.
        routes: between the nodes that messages are sent from and to.
        min_hops: that each message makes.
    """

    def __init__(self, server: Server, mesh: Mesh, routes: Routes, min_hops: int) -> None:
        self.server = server
        names = mesh.membership.topology.ids
        count = len(mesh.membership.placement.shard_of)
        self.pairs = [(names[source], names[end]) for source, end in routes.pairs.tolist()]
        self._next = 0
        self._next_route = 0
        self._accepted = [Marks() for _ in range(count)]
        self._received = np.zeros(count, np.int64)
        others = [np.empty((0, 2), np.int32)] * (count - 1)
        self._sinks = [
            Sink((routes.pairs, *others), min_hops, partition, self._received, mesh)
            for partition in range(count)
        ]

    # -- sending ---------------------------------------------------------------------------------

    def single(self, prefix: str = "") -> bytes:
        """A request with the next message, as JSON.

        Args:
            prefix: of the path.
        """
        serial, ((source, destination),) = self._take(1)
        message = {
            "source": source,
            "destination": destination,
            "payload_base64": base64.b64encode(payload.write(serial).tobytes()).decode(),
            "port": PORT,
        }
        return self.server.request("POST", prefix + PATH, json.dumps(message).encode(), JSON)

    def batch(self, size: int, prefix: str = "") -> bytes:
        """A request with the next `size` messages, as columns in msgpack."""
        serial, pairs = self._take(size)
        raw = payload.write(serial).tobytes()
        columns = {
            "sources": [source for source, _ in pairs],
            "destinations": [destination for _, destination in pairs],
            "payloads": [raw[at : at + payload.SIZE] for at in range(0, len(raw), payload.SIZE)],
            "ports": PORT,
        }
        return self.server.request("POST", prefix + PATH, msgpack.packb(columns), MSGPACK)

    def route(self, prefix: str = "") -> bytes:
        """A request for the route between the next two nodes."""
        self._next_route += 1
        source, destination = self.pairs[self._next_route % len(self.pairs)]
        return self.server.request("GET", f"{prefix}/v1/mesh/routes/{source}/{destination}")

    def _take(self, count: int) -> tuple[NDArray[np.uint64], list[tuple[str, str]]]:
        """The next serial numbers, and between whom each goes (`Sink` knows it as well)."""
        first, self._next = self._next, self._next + count
        pairs = [self.pairs[number % len(self.pairs)] for number in range(first, self._next)]
        return serials(_SENDER, first, self._next), pairs

    async def send_single(self, connection: Connection) -> Answer:
        """Send the next message."""
        answer = await connection.ask(self.single())
        if answer.status == 200:
            self._note(np.array(list(map(int, json.loads(answer.body)["ids"])), np.uint64))
        return answer

    async def send_batch(self, connection: Connection, size: int) -> Answer:
        """Send the next `size` messages; any of them may be refused."""
        answer = await connection.ask(self.batch(size))
        if answer.status == 200:
            self._note(np.array(msgpack.unpackb(answer.body)["ids"], np.uint64))
        return answer

    def _note(self, ids: NDArray[np.uint64]) -> None:
        ids = ids[ids > 0]  # 0 where refused
        origin, sequence = messages.origin(ids), messages.sequence(ids)
        for partition, accepted in enumerate(self._accepted):
            accepted.add(sequence[origin == partition])

    # -- receiving -------------------------------------------------------------------------------

    @property
    def accepted(self) -> int:
        """Messages that the gateway has accepted."""
        return sum(marks.count for marks in self._accepted)

    @property
    def delivered(self) -> int:
        """Messages that have arrived, notices of undeliverable ones included."""
        return int(self._received.sum())

    @property
    def last_arrival(self) -> float:
        """When the latest arrived, s on the monotonic clock; 0 before the first."""
        return max((sink.times[-1] for sink in self._sinks if sink.times), default=0.0)

    @contextlib.asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Read and acknowledge at all destinations for the length of a block, and to the end.

        Raises:
            X0Error: the mesh gave up.
        """
        tasks = [asyncio.create_task(sink.run()) for sink in self._sinks]
        try:
            yield
            deadline = time.monotonic() + DRAIN_S
            while self.delivered < self.accepted and time.monotonic() < deadline:
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(_LOOK_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def drain(self) -> None:
        """Receive all that was accepted, or as much as comes until patience ends."""
        async with self.receiving():
            pass

    def account(self) -> Account:
        """What became of every message."""
        columns: dict[str, NDArray[np.generic]] = {}
        for partition, accepted in enumerate(self._accepted):
            columns[f"accepted-{partition}"] = accepted.bits()
        for sink in self._sinks:
            columns |= sink.columns()
        read = sum(marks.count for sink in self._sinks for marks in sink.serials)
        return account.settle(columns, read)

    @property
    def altered(self) -> int:
        """Messages that arrived with another payload, or at another node."""
        return sum(sink.corrupt + sink.misdelivered for sink in self._sinks)
