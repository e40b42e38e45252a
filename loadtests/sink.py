"""The receiving end of a load: reads partitions, checks every message, keeps the account."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.batch import UNREACHABLE, MessageBatch
from loadtests import account, payload
from loadtests.bitset import Bitset
from loadtests.load_plan import PORT, SERIAL_BITS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray

    from actors.mesh.client import Mesh, Received
    from loadtests.account import Account

READ_LIMIT: Final = 32_768
WAIT_S: Final = 1.0  # how long one call waits for the first message of an empty mailbox
DRAIN_S: Final = 60.0  # how long `Receivers` waits for messages after its block
_LOOK_S: Final = 0.02  # pause between two checks whether everything has arrived


@dataclass(slots=True)
class Sink:
    """Receives what arrives in one partition, checks it and keeps the account.

    Attributes:
        pairs: int32 [p, 2] for each sender: source and destination of its messages, in turn.
        min_hops: messages that made fewer hops are counted in `too_near`.
        partition: partition whose nodes are read.
        received: int64, number of messages and notices that came, by partition of origin.
        mesh: client that reads.
        delivered: sequence numbers of messages that arrived here, by partition of origin.
        returned: sequence numbers of this partition's messages that came back as unreachable, by
            partition of origin.
        serials: serial numbers that arrived, by partition of origin.
        corrupt: messages with another payload than their serial number makes.
        misdelivered: messages at another node than they were sent to.
        hops: sum of the hops of all messages.
        too_near: messages that made fewer hops than `min_hops`.
        latency: latency of all messages, s from the time when each was due.
        counts: number of messages that each read brought.
        times: time of each read, s on the monotonic clock.
    """

    pairs: tuple[NDArray[np.int32], ...]
    min_hops: int
    partition: int
    received: NDArray[np.int64]
    mesh: Mesh
    delivered: list[Bitset] = field(default_factory=list)
    returned: list[Bitset] = field(default_factory=list)
    serials: list[Bitset] = field(default_factory=list)
    corrupt: int = 0
    misdelivered: int = 0
    hops: int = 0
    too_near: int = 0
    latency: list[NDArray[np.float32]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        for sets in (self.delivered, self.returned, self.serials):
            sets.extend(Bitset() for _ in self.pairs)

    async def run(self) -> None:
        """Receive until cancelled; what has been noted is acknowledged all the same."""
        noted: Received | None = None
        try:
            while True:
                received = await self.mesh.receive_batch(
                    self.partition, port=PORT, limit=READ_LIMIT, done=noted, wait_s=WAIT_S
                )
                noted = received if len(received.batch) else None
                if noted is not None:
                    self.note(noted, time.monotonic())
        finally:
            if noted is not None:
                await self.mesh.acknowledge(noted)

    def note(self, received: Received, now: float) -> None:
        """Take messages that were read at `now` into the account."""
        batch = received.batch
        notice = (batch.head["flags"] & UNREACHABLE) > 0
        if notice.any():
            self._mark(self.returned, batch.head["id"][notice])
            batch = batch.take(~notice)
        if not len(batch):
            return
        head = batch.head
        self._mark(self.delivered, head["id"])
        self.latency.append((now - head["sent_at"]).astype(np.float32))
        self.counts.append(len(head))
        self.times.append(now)
        self.hops += int(head["hops"].sum(dtype=np.int64))
        self.too_near += int(np.count_nonzero(head["hops"] < self.min_hops))
        self._check(batch)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """The sink's part of the account, as `account.settle` and `account.latencies` read it."""
        columns: dict[str, NDArray[np.generic]] = {}
        for origin in range(len(self.delivered)):
            place = f"{self.partition}-{origin}"
            columns[f"delivered-{place}"] = self.delivered[origin].bits()
            columns[f"returned-{place}"] = self.returned[origin].bits()
            columns[f"serials-{place}"] = self.serials[origin].bits()
        columns[f"latency-{self.partition}"] = _joined(self.latency, np.float32)
        columns[f"count-{self.partition}"] = np.array(self.counts, np.int64)
        columns[f"at-{self.partition}"] = np.array(self.times, np.float64)
        return columns

    def _mark(self, sets: list[Bitset], ids: NDArray[np.uint64]) -> None:
        origin, sequence = messages.origin(ids), messages.sequence(ids)
        for partition, rows in _groups(origin):
            sets[partition].add(sequence[rows])
            self.received[partition] += len(sequence[rows])

    def _check(self, batch: MessageBatch) -> None:
        sized = batch.head["length"] == payload.SIZE
        if not sized.all():
            self.corrupt += int((~sized).sum())
            batch = batch.take(sized)
        batch = batch.compact()
        serial, corrupt = payload.read(batch.payload)
        destination = batch.head["destination"]
        if corrupt is not None:
            self.corrupt += int(corrupt.sum())
            serial, destination = serial[~corrupt], destination[~corrupt]
        number = (serial & np.uint64((1 << SERIAL_BITS) - 1)).astype(np.int64)
        for partition, rows in _groups((serial >> np.uint64(SERIAL_BITS)).astype(np.int64)):
            own = number[rows]
            self.serials[partition].add(own)
            ends = self.pairs[partition][:, 1]
            meant = ends[own % len(ends)]
            self.misdelivered += int(np.count_nonzero(meant != destination[rows]))


class Receivers:
    """A sink for each partition in one process, and the account of one stream of messages.

    Args:
        mesh: client that reads.
        pairs: int32 [p, 2], source and destination of the messages, in turn.
        min_hops: messages that made fewer hops are counted.
    """

    def __init__(self, mesh: Mesh, pairs: NDArray[np.int32], min_hops: int) -> None:
        count = len(mesh.membership.placement.shard_of)
        self._accepted = [Bitset() for _ in range(count)]
        self._received = np.zeros(count, np.int64)
        # All serial numbers are those of partition 0; the others send nothing.
        senders = (pairs, *[np.empty((0, 2), np.int32)] * (count - 1))
        self._sinks = [Sink(senders, min_hops, at, self._received, mesh) for at in range(count)]

    def accept(self, ids: NDArray[np.uint64]) -> None:
        """Note the ids of messages that the mesh has accepted; 0 stands for a refused one."""
        ids = ids[ids > 0]
        origin, sequence = messages.origin(ids), messages.sequence(ids)
        for partition, rows in _groups(origin):
            self._accepted[partition].add(sequence[rows])

    @property
    def accepted(self) -> int:
        """Messages that the mesh has accepted."""
        return sum(some.count for some in self._accepted)

    @property
    def delivered(self) -> int:
        """Messages that have arrived, notices of undeliverable ones included."""
        return int(self._received.sum())

    @property
    def last_arrival(self) -> float:
        """When the latest message arrived, s on the monotonic clock; 0 before the first."""
        return max((sink.times[-1] for sink in self._sinks if sink.times), default=0.0)

    @property
    def altered(self) -> int:
        """Messages that arrived with another payload, or at another node."""
        return sum(sink.corrupt + sink.misdelivered for sink in self._sinks)

    @contextlib.asynccontextmanager
    async def receiving(self) -> AsyncIterator[None]:
        """Read and acknowledge at all destinations during the block, and then until all has come.

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

    def account(self) -> Account:
        """What became of every message."""
        columns: dict[str, NDArray[np.generic]] = {}
        for partition, accepted in enumerate(self._accepted):
            columns[f"accepted-{partition}"] = accepted.bits()
        for sink in self._sinks:
            columns |= sink.columns()
        read = sum(some.count for sink in self._sinks for some in sink.serials)
        return account.settle(columns, read)


def _groups(keys: NDArray[np.int64]) -> list[tuple[int, NDArray[np.bool_] | slice]]:
    """Each key and its rows; where there is only one key, without comparing each row."""
    if not len(keys):
        return []
    low, high = int(keys.min()), int(keys.max())
    if low == high:
        return [(low, slice(None))]
    return [(key, rows) for key in range(low, high + 1) if (rows := keys == key).any()]


def _joined(parts: list[NDArray[np.float32]], kind: type[np.float32]) -> NDArray[np.float32]:
    return np.concatenate(parts) if parts else np.empty(0, kind)
