"""The application that a drill runs: steady traffic between all pairs, every message accounted.

Each message carries its own serial number and a pattern derived from it, records its route, and
goes to a port of the drill's own, so that no other application's messages are touched. What a drill
that was killed leaves there, the mesh itself discards.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse.csgraph import dijkstra

from actors.mesh import batch as messages
from actors.mesh.batch import UNREACHABLE
from actors.mesh.contract import DRILL_PORTS
from actors.mesh.drill.judgement import revisits
from actors.mesh.partition import Refusal

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from numpy.typing import NDArray

    from actors.mesh.client import Mesh
    from actors.topology.model import Topology

TICK_S = 0.05  # interval between two batches
PAYLOAD = 96  # bytes: the serial number and eleven words derived from it
READ_LIMIT = 50_000
HOPS_PER_S = 80_000.0  # messages times hops; two shards on two cores carry several times that
MAX_RATE = 10_000.0  # messages per second
DISTANCE_SAMPLE = 16  # nodes
_WORDS = np.arange(1, PAYLOAD // 8, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


class SentMessages(NamedTuple):
    """Messages offered, as columns."""

    serial: NDArray[np.uint64]
    pair: NDArray[np.int64]  # row in `DrillTraffic.pairs`
    id: NDArray[np.uint64]  # 0 where refused
    refusal: NDArray[np.uint8]


class ArrivedMessages(NamedTuple):
    """Messages and notices received, as columns."""

    head: NDArray[np.void]
    serial: NDArray[np.uint64]
    corrupt: NDArray[np.bool_]
    looped: int  # recorded routes with a forwarding loop


@dataclass(slots=True)
class DrillTraffic:
    """Sends and receives for one drill.

    Args:
        mesh: the client to use.
        pairs: int32 [p, 2], source and destination of each pair.
        rate: messages per second over all pairs together.
        seed: seed of the order of the pairs and of the port.
    """

    mesh: Mesh
    pairs: NDArray[np.int32]
    rate: float
    seed: int
    port: int = 0
    active: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    sent: list[SentMessages] = field(default_factory=list)
    arrived: list[ArrivedMessages] = field(default_factory=list)
    _serial: int = 0
    _order: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _begun: set[asyncio.Future[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        draw = np.random.default_rng()  # another drill's leftovers are on another port
        self.port = int(draw.integers(*DRILL_PORTS, endpoint=True))
        self.active = np.ones(len(self.pairs), bool)
        self._order = np.random.default_rng(self.seed).permutation(len(self.pairs))

    def exclude(self, nodes: tuple[int, ...]) -> None:
        """Stop offering messages from or to these nodes."""
        self.active &= ~np.isin(self.pairs, nodes).any(axis=1)

    def start(self) -> None:
        """Begin to send and to receive."""
        self._tasks = [asyncio.create_task(self._send_steadily()), *self._receivers()]

    def _receivers(self) -> list[asyncio.Task[None]]:
        count = len(self.mesh.membership.placement.shard_of)
        return [asyncio.create_task(self._receive(number)) for number in range(count)]

    async def pause(self) -> None:
        """Stop sending; a batch under way is completed first."""
        sender = self._tasks[0]
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
        await self._settle()

    async def stop(self) -> None:
        """Stop sending and receiving."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._settle()

    async def _finish(self, work: Coroutine[Any, Any, object]) -> None:
        """Finish a step that has begun, even if the traffic has to stop."""
        begun = asyncio.ensure_future(work)
        self._begun.add(begun)
        begun.add_done_callback(self._begun.discard)
        await asyncio.shield(begun)

    async def _settle(self) -> None:
        """Wait for what was begun."""
        if self._begun:
            await asyncio.wait(tuple(self._begun))

    def check(self) -> None:
        """Raise what ended a sender or receiver, if anything did."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def _send_steadily(self) -> None:
        start, offered = time.monotonic(), 0
        while True:
            await asyncio.sleep(TICK_S)
            due = int((time.monotonic() - start) * self.rate) - offered
            offered += due
            turn = (np.arange(offered - due, offered) % len(self._order)).astype(np.int64)
            pairs = self._order[turn]
            await self._finish(self.offer(pairs[self.active[pairs]]))

    async def roll_call(self) -> list[SentMessages]:
        """One message for each active pair, at the usual rate."""
        pairs = np.flatnonzero(self.active)
        slices = np.array_split(pairs, max(1, int(len(pairs) / (self.rate * TICK_S))))
        called = []
        for part in slices:
            called.append(await self.offer(part))
            await asyncio.sleep(TICK_S)
        return called

    async def offer(self, pairs: NDArray[np.int64]) -> SentMessages:
        """Send one message for each of these rows of `pairs`, now."""
        serial = np.arange(self._serial, self._serial + len(pairs), dtype=np.uint64)
        self._serial += len(pairs)
        ends = self.pairs[pairs]
        batch = messages.build(
            ends[:, 0],
            ends[:, 1],
            [row.tobytes() for row in _payloads(serial)],
            port=self.port,
            sent_at=time.monotonic(),
            record_route=True,
        )
        accepted = await self.mesh.send_batch(batch)
        sent = SentMessages(serial, pairs, accepted.ids, accepted.refusal)
        self.sent.append(sent)
        return sent

    async def _receive(self, partition: int) -> None:
        while True:
            received = await self.mesh.receive_batch(partition, port=self.port, limit=READ_LIMIT)
            if len(received.batch):
                self._note(received.batch)
                await self._finish(self.mesh.acknowledge(received))
            await asyncio.sleep(TICK_S / 2)

    def _note(self, batch: messages.MessageBatch) -> None:
        head = batch.head
        serial = np.zeros(len(head), np.uint64)
        corrupt = np.zeros(len(head), bool)
        notice = (head["flags"] & UNREACHABLE) > 0
        whole = head["length"] == PAYLOAD
        corrupt[~notice & ~whole] = True
        rows = np.flatnonzero(~notice & whole)
        where = batch.offset[rows][:, None] + np.arange(PAYLOAD)
        words = np.ascontiguousarray(batch.payload[where]).view(np.uint64)
        serial[rows] = words[:, 0]
        corrupt[rows] = (words != _payloads(words[:, 0])).any(axis=1)
        looped = 0 if batch.trail is None else revisits(batch.trail)
        self.arrived.append(ArrivedMessages(head.copy(), serial, corrupt, looped))

    # -- the account -----------------------------------------------------------------------------

    def account(self) -> tuple[SentMessages, ArrivedMessages]:
        """Everything offered and everything received so far."""
        sent = SentMessages(*(np.concatenate(column) for column in zip(*self.sent, strict=True)))
        if not self.arrived:
            none = np.zeros(0, np.uint64)
            return sent, ArrivedMessages(np.zeros(0, messages.HEAD), none, np.zeros(0, bool), 0)
        head, serial, corrupt, looped = zip(*self.arrived, strict=True)
        columns = np.concatenate(head), np.concatenate(serial), np.concatenate(corrupt)
        return sent, ArrivedMessages(*columns, sum(looped))

    def unresolved(self) -> int:
        """Accepted messages of which nothing has been heard yet."""
        sent, arrived = self.account()
        accepted = sent.id[sent.refusal == Refusal.NONE]
        return int((~np.isin(accepted, arrived.head["id"])).sum())


def easy_rate(topology: Topology, seed: int) -> float:
    """Messages per second that a mesh of this shape carries without effort.

    What costs is hops: `HOPS_PER_S` of them over the mean distance of nodes, from a sample.
    """
    choose = np.random.default_rng(seed)
    some = choose.choice(topology.n_nodes, min(DISTANCE_SAMPLE, topology.n_nodes), replace=False)
    hops = dijkstra(topology.without().adjacency, unweighted=True, indices=some)
    mean = float(hops[np.isfinite(hops) & (hops > 0)].mean())
    return min(MAX_RATE, HOPS_PER_S / mean)


def _payloads(serial: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The words [n, PAYLOAD / 8] that a message with each serial number carries."""
    return np.concatenate([serial[:, None], serial[:, None] ^ _WORDS[None, :]], axis=1)
