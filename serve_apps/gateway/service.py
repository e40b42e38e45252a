"""What the gateway knows and does, apart from HTTP: the state behind the routes."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from actors.mesh.batch import empty
from actors.runtime.errors import UnknownNode
from serve_apps.gateway.courier import Courier
from serve_apps.gateway.event_log import EventLog
from serve_apps.gateway.limits import Limits, Places, Rate
from serve_apps.gateway.picture import Picture
from serve_apps.gateway.problems import refused
from serve_apps.gateway.receipts import Place, Receipts
from serve_apps.gateway.telemetry import LatestReports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.mesh.client import Mesh, Received
    from serve_apps.gateway.courier import Outcome
    from serve_apps.gateway.decoding import Messages
    from serve_apps.gateway.picture import Look

ALTERNATES = 3  # ways of one answer
CANDIDATES = 8  # neighbours that are asked for an alternate


class RouteFinder(Protocol):
    """Asks the mesh for a route by node indices."""

    async def __call__(self, source: int, destination: int) -> tuple[list[int], int] | None:
        """Nodes from source to destination and the cost in 1/256 ETX; None if there is none."""
        ...


@dataclass(slots=True)
class Counts:
    """What has happened since the start."""

    requests: dict[int, int] = field(default_factory=dict)  # by status
    accepted: int = 0
    refused: int = 0
    acknowledged: int = 0
    reports: int = 0
    largest_lag_s: float = 0.0  # by which the event loop was late


class Gateway:
    """State of one gateway process.

    Args:
        token: bearer token.
        limits: bounds.
    """

    def __init__(self, token: str, limits: Limits | None = None) -> None:
        self.token = token.encode()
        self.limits = limits = limits or Limits()
        self.receipts = Receipts(self.token)
        self.reports = LatestReports()
        self.picture = Picture()
        self.events = EventLog(limits.events, first=time.time_ns() // 1000)
        self.counts = Counts()
        self.rate = Rate(limits.requests_per_s, limits.burst, time.monotonic)
        self.in_flight = Places(limits.in_flight, "requests")
        self.long_polls = Places(limits.long_polls, "long polls")
        self.streams = Places(limits.streams, "event streams")
        self.inbox_streams = Places(limits.inbox_streams, "inbox streams")
        self.uploads = Places(limits.uploads, "bodies in lines")
        self.progress = "looking for the mesh"
        self.ready = False
        self.mesh: Mesh | None = None
        self.find_route: RouteFinder | None = None
        self.courier = Courier(self.joined, limits.queued, limits.answer_s)

    # -- life ------------------------------------------------------------------------------------

    def joined(self) -> Mesh:
        """The mesh.

        Raises:
            Refused: 503 while it starts.
        """
        if not self.ready or self.mesh is None:
            raise refused(
                503,
                "the mesh is not ready",
                self.progress,
                "Retry after the time in Retry-After; GET /readyz shows the progress.",
                retry_after_s=1.0,
            )
        return self.mesh

    async def take(self, look: Look) -> None:
        """Work by a new look at the mesh. Large ones are taken in by a thread."""
        before = self.picture.topology
        large = look.topology.n_links > 5_000
        taken = self.picture.take
        self.events.add(await asyncio.to_thread(taken, look) if large else taken(look))
        if before is not self.picture.topology:
            self.reports.forget(self.picture.index)

    def index_of(self, node: str) -> int:
        """Index of a node.

        Raises:
            UnknownNode: there is none of that id.
        """
        self.joined()
        found = self.picture.index.get(node)
        if found is None:
            raise UnknownNode(node[:64], known=self.picture.index)
        return found

    # -- reading ---------------------------------------------------------------------------------

    def node(self, name: str) -> dict[str, Any]:
        """A node with its neighbours and its latest report."""
        row = self.index_of(name)
        names = self._names()
        return {
            "id": name,
            "state": "up" if self.picture.heard[row] else "silent",
            "neighbours": [
                {"id": names[other], "etx": cost / 256}
                for other, cost in self.picture.neighbours(row)
            ],
            "telemetry": self.reports.of(name),
        }

    async def route(self, source: str, destination: str) -> dict[str, Any]:
        """Path, metric and loop-free alternates between two nodes.

        Raises:
            UnknownNode: one of them does not exist.
            Refused: 404, there is no way.
        """
        start, end = self.index_of(source), self.index_of(destination)
        assert self.find_route is not None  # noqa: S101 - set with `mesh`
        found = await self.find_route(start, end)
        if found is None:
            raise refused(
                404,
                f"no route from {source} to {destination}",
                "the mesh has no way between them now",
                "Retry later; GET /mesh/nodes shows which nodes are silent.",
            )
        path, metric = found
        names = self._names()
        ways = await self._alternates(path, start, end)
        return {
            "source": source,
            "destination": destination,
            "path": [names[row] for row in path],
            "metric": metric / 256,
            "alternates": [
                {"path": [names[row] for row in way], "metric": cost / 256} for cost, way in ways
            ],
        }

    async def _alternates(
        self, path: Sequence[int], start: int, end: int
    ) -> list[tuple[int, list[int]]]:
        """Ways over other neighbours that do not come back to the start, the best first."""
        if start == end:
            return []
        others = [(n, c) for n, c in self.picture.neighbours(start) if n != path[1]]
        others = sorted(others, key=lambda pair: pair[1])[:CANDIDATES]
        assert self.find_route is not None  # noqa: S101 - set with `mesh`
        found = await asyncio.gather(*(self.find_route(n, end) for n, _ in others))
        ways = [
            (cost + way[1], [start, *way[0]])
            for (_, cost), way in zip(others, found, strict=True)
            if way is not None and start not in way[0]
        ]
        return sorted(ways)[:ALTERNATES]

    def _names(self) -> tuple[str, ...]:
        assert self.picture.topology is not None  # noqa: S101 - ready only with a look
        return self.picture.topology.ids

    # -- messages --------------------------------------------------------------------------------

    async def send(self, found: Messages) -> Outcome:
        """Send the messages of a request that can be sent.

        Raises:
            Unavailable: the mesh does not answer.
        """
        outcome = await self.courier.many(found, self._names())
        refused = len(outcome.refusals)
        self.counts.accepted += found.count - refused
        self.counts.refused += refused
        return outcome

    async def inbox(self, node: str, port: int, limit: int, wait_s: float) -> list[dict[str, Any]]:
        """The oldest messages of a node that are not acknowledged, waiting for the first."""
        deadline = time.monotonic() + wait_s
        while True:
            left = deadline - time.monotonic()
            read = await self.read(node, port, limit, max(0.0, left))
            if len(read.batch) or left <= 0.0:
                return self.shown(node, read)

    async def read(self, node: str, port: int, limit: int, wait_s: float) -> Received:
        """What a node has not acknowledged; waits for the first, or answers with nothing sooner."""
        mesh, index = self.joined(), self.index_of(node)
        partition = int(mesh.membership.placement.partition_of[index])
        return await mesh.receive_batch(
            partition, port=port, node=index, limit=limit, wait_s=wait_s
        )

    def shown(self, node: str, read: Received) -> list[dict[str, Any]]:
        """Messages as an answer tells them, with their receipts."""
        rows = zip(self.joined().messages_of(read), read.offsets.tolist(), strict=True)
        return [
            {
                "id": str(message.id),
                "source": message.source,
                "destination": message.destination,
                "port": message.port,
                "hops": message.hops,
                "undeliverable": message.undeliverable,
                **_shown(message.payload),
                "receipt": self.receipts.write(node, Place(read.partition, read.port, offset)),
            }
            for message, offset in rows
        ]

    async def acknowledge(self, node: str, receipts: list[object]) -> int:
        """Take messages out of an inbox; how many receipts that were."""
        from actors.mesh.client import Received  # noqa: PLC0415 - needs Ray

        mesh, _ = self.joined(), self.index_of(node)
        places = self.receipts.read(node, receipts)
        groups: dict[tuple[int, int], list[int]] = {}
        for place in places:
            groups.setdefault((place.partition, place.port), []).append(place.offset)
        for (partition, port), offsets in groups.items():
            taken = Received(partition, port, np.array(offsets, np.int64), empty())
            await mesh.acknowledge(taken)
        self.counts.acknowledged += len(places)
        return len(places)


def _shown(payload: bytes) -> dict[str, str]:
    try:
        return {"payload": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}
