"""Messages that are sent over HTTP and received through the mesh's client, and their account.

Payloads can be checked by themselves as in every load here (see `payload`). Accepted messages are
counted by the ids in the gateway's answers, delivered ones by the mesh's client; both must agree.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

import msgpack
import numpy as np

from loadtests import payload
from loadtests.load_plan import PORT, serials
from loadtests.sink import Receivers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.client import Mesh
    from loadtests.far_pairs import FarPairs
    from loadtests.http_connection import Connection, HttpAnswer, Server

PATH: Final = "/v1/mesh/messages"
JSON: Final = {"content-type": "application/json"}
MSGPACK: Final = {"content-type": "application/msgpack"}
_SENDER: Final = 0  # partition in all serial numbers, as `Receivers` expects


class HttpMessages:
    """One stream of messages between far nodes; what was accepted of it, and what arrived.

    Args:
        server: the gateway.
        mesh: a client of its mesh.
        routes: the pairs of nodes that messages are sent between.
        min_hops: hops that each message makes at least.

    Attributes:
        received: reads what arrives, and keeps the account.
        pairs: ids of source and destination of the messages, in turn.
    """

    def __init__(self, server: Server, mesh: Mesh, routes: FarPairs, min_hops: int) -> None:
        self.server = server
        self.received = Receivers(mesh, routes.pairs, min_hops)
        names = mesh.membership.topology.ids
        self.pairs = [(names[source], names[end]) for source, end in routes.pairs.tolist()]
        self._next = 0
        self._next_route = 0

    def single(self, prefix: str = "") -> bytes:
        """A request with the next message, as JSON; `prefix` stands before the path."""
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
        """The next serial numbers, and the ids of each message's ends; `Sink` derives the same."""
        first, self._next = self._next, self._next + count
        pairs = [self.pairs[number % len(self.pairs)] for number in range(first, self._next)]
        return serials(_SENDER, first, self._next), pairs

    async def send_single(self, connection: Connection) -> HttpAnswer:
        """Send the next message."""
        answer = await connection.ask(self.single())
        if answer.status == 200:
            self.received.accept(
                np.array(list(map(int, json.loads(answer.body)["ids"])), np.uint64)
            )
        return answer

    async def send_batch(self, connection: Connection, size: int) -> HttpAnswer:
        """Send the next `size` messages; any of them may be refused."""
        answer = await connection.ask(self.batch(size))
        if answer.status == 200:
            self.received.accept(np.array(msgpack.unpackb(answer.body)["ids"], np.uint64))
        return answer
