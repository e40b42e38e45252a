"""The receiving end of a load: reads one partition, checks every message, keeps the account."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.batch import UNREACHABLE, MessageBatch
from loadtests import payload
from loadtests.load_plan import PORT, SERIAL_BITS
from loadtests.marks import Marks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.client import Mesh, Received

READ_LIMIT: Final = 32_768
WAIT_S: Final = 1.0  # of one call, for the first message of an empty mailbox


@dataclass(slots=True)
class Sink:
    """Receives what arrives in one partition, checks it and keeps the account.

    Attributes:
        pairs: int32 [p, 2] for each sender: who sends to whom, taken in turn.
        min_hops: messages that made fewer are counted.
        partition: of the destinations.
        received: int64, by partition of origin; counts all that came, notices too.
        mesh: client that reads.
        delivered, returned: sequence numbers of messages that arrived here, and of our own that
            could not be delivered, by partition of origin.
        serials: serial numbers that arrived, by partition of origin.
        corrupt: messages with another payload than their serial number makes.
        misdelivered: messages at another node than they were sent to.
        hops: of all messages together.
        too_near: messages that made fewer hops than were asked for.
        latency: of all messages, from when each was due, s.
        counts, times: how many came with each read, and when.
        reads: calls that brought something.
        busy_s: processor time of checking and accounting.
    """

    pairs: tuple[NDArray[np.int32], ...]
    min_hops: int
    partition: int
    received: NDArray[np.int64]
    mesh: Mesh
    delivered: list[Marks] = field(default_factory=list)
    returned: list[Marks] = field(default_factory=list)
    serials: list[Marks] = field(default_factory=list)
    corrupt: int = 0
    misdelivered: int = 0
    hops: int = 0
    too_near: int = 0
    reads: int = 0
    busy_s: float = 0.0
    latency: list[NDArray[np.float32]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        for marks in (self.delivered, self.returned, self.serials):
            marks.extend(Marks() for _ in self.pairs)

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
                    begun = time.thread_time()
                    self.note(noted, time.monotonic())
                    self.busy_s += time.thread_time() - begun
        finally:
            if noted is not None:
                await self.mesh.acknowledge(noted)

    def note(self, received: Received, now: float) -> None:
        """Take messages that were read at `now` into the account."""
        batch = received.batch
        self.reads += 1
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
        """Its part of the account, as `account.settle` and `account.latencies` read it."""
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

    def _mark(self, marks: list[Marks], ids: NDArray[np.uint64]) -> None:
        origin, sequence = messages.origin(ids), messages.sequence(ids)
        for partition, rows in _groups(origin):
            marks[partition].add(sequence[rows])
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


def _groups(keys: NDArray[np.int64]) -> list[tuple[int, NDArray[np.bool_] | slice]]:
    """The rows of each key; of a single key, without looking at each row twice."""
    if not len(keys):
        return []
    low, high = int(keys.min()), int(keys.max())
    if low == high:
        return [(low, slice(None))]
    return [(key, rows) for key in range(low, high + 1) if (rows := keys == key).any()]


def _joined(parts: list[NDArray[np.float32]], kind: type[np.float32]) -> NDArray[np.float32]:
    return np.concatenate(parts) if parts else np.empty(0, kind)
