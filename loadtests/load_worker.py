"""A process that sends messages from some partitions and receives them in the same.

It is a Ray actor beside the mesh's own and uses the mesh as any application does, by
`Mesh.send_batch`, `receive_batch` and `acknowledge`. All of its work is on whole columns, so that
what is measured is the mesh and not the load: see `payload` for what a message costs here.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.batch import HEAD, NO_POTENTIAL, UNREACHABLE, UNSTAMPED, MessageBatch
from actors.mesh.client import Mesh
from actors.mesh.partition import Refusal
from actors.runtime import log
from loadtests import payload
from loadtests.load_plan import PORT, SERIAL_BITS, Counters, serials
from loadtests.marks import Marks
from loadtests.open_loop import Schedule, offer_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.client import Received
    from loadtests.load_plan import LoadPlan

READ_LIMIT: Final = 32_768
WAIT_S: Final = 1.0  # of one call, for the first message of an empty mailbox
FULL_S: Final = 0.002  # before offering again when enough is under way, or a mailbox was full


class LoadWorker:
    """Source and sink of some partitions.

    Args:
        number: of this worker.
    """

    def __init__(self, number: int) -> None:
        log.configure("ERROR")
        self._number = number
        self._sources: list[Source] = []
        self._sinks: list[Sink] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, plan: LoadPlan) -> None:
        """Join the mesh and start to receive; sending begins when the plan says."""
        counters = Counters(plan.directory)
        for partition in plan.partitions_of(self._number):
            source = Source(plan, partition, counters)
            for _ in range(plan.lanes):
                source.lanes.put_nowait(await Mesh.attach())
            self._sources.append(source)
            sink = Sink(plan, partition, counters.received[self._number], await Mesh.attach())
            self._sinks.append(sink)
        works = [source.run() for source in self._sources] + [sink.run() for sink in self._sinks]
        self._tasks = [asyncio.create_task(work) for work in works]

    async def offered(self) -> None:
        """Return when everything has been offered, and answered by the mesh."""
        sending = self._tasks[: len(self._sources)]
        await asyncio.gather(*sending)
        self.check()

    def check(self) -> None:
        """Raise what ended a source or a sink, if anything did."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def alive(self) -> None:
        """Answer; raises what ended a source or a sink."""
        self.check()

    async def finish(self, path: str) -> dict[str, float]:
        """Stop receiving and write the account to `path`; what it sums up to."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        columns: dict[str, NDArray[np.generic]] = {}
        making_s = 0.0
        totals = {"sent": 0, "late": 0, "calls": 0, "silent": 0}
        for source in self._sources:
            columns[f"accepted-{source.partition}"] = source.accepted.bits()
            totals["sent"] += source.sent
            totals["late"] += source.late
            totals["calls"] += source.calls
            totals["silent"] += source.silent
            making_s += source.busy_s
        checking_s = sum(sink.busy_s for sink in self._sinks)
        sums = {"corrupt": 0, "misdelivered": 0, "hops": 0, "too_near": 0, "reads": 0}
        for sink in self._sinks:
            for name in sums:
                sums[name] += getattr(sink, name)
            for origin in range(len(sink.delivered)):
                place = f"{sink.partition}-{origin}"
                columns[f"delivered-{place}"] = sink.delivered[origin].bits()
                columns[f"returned-{place}"] = sink.returned[origin].bits()
                columns[f"serials-{place}"] = sink.serials[origin].bits()
            columns[f"latency-{sink.partition}"] = _joined(sink.latency, np.float32)
            columns[f"count-{sink.partition}"] = np.array(sink.counts, np.int64)
            columns[f"at-{sink.partition}"] = np.array(sink.times, np.float64)
        received = sum(marks.count for sink in self._sinks for marks in sink.delivered)
        read = sum(marks.count for sink in self._sinks for marks in sink.serials)
        self._sources, self._sinks, self._tasks = [], [], []  # this process stays, without them
        np.savez(path, **columns)  # type: ignore[arg-type]  # its stub takes the names for options
        spent = {"making_s": making_s, "checking_s": checking_s}
        return {**totals, **sums, **spent, "received": received, "read": read}


@dataclass(slots=True)
class Source:
    """Sends from one partition.

    Attributes:
        lanes: clients that are free; each has one call under way at a time.
        accepted: sequence numbers of what the mesh accepted.
        sent: messages offered.
        late: of them later than they were due.
        silent: refused because their source has failed.
        calls: in which they were offered.
        busy_s: processor time of making messages and of noting their ids.
    """

    plan: LoadPlan
    partition: int
    counters: Counters
    lanes: asyncio.Queue[Mesh] = field(default_factory=asyncio.Queue)
    accepted: Marks = field(default_factory=Marks)
    sent: int = 0
    late: int = 0
    silent: int = 0
    calls: int = 0
    busy_s: float = 0.0
    _heads: NDArray[np.void] = field(init=False)
    _offset: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        pairs = self.plan.pairs[self.partition]
        rows = np.arange(len(pairs) + self.plan.batch) % max(1, len(pairs))
        head = np.zeros(len(rows), HEAD)
        if len(pairs):
            head["source"], head["destination"] = pairs[rows].T
        head["at"] = head["source"]
        head["version"], head["potential"] = UNSTAMPED, NO_POTENTIAL
        head["length"], head["port"] = payload.SIZE, PORT
        self._heads = head
        self._offset = np.arange(self.plan.batch, dtype=np.int64) * payload.SIZE

    async def run(self) -> None:
        """Send all that the plan asks of this partition."""
        plan = self.plan
        if not len(plan.pairs[self.partition]):
            return
        if plan.rate is None:
            async with asyncio.TaskGroup() as group:
                for _ in range(plan.lanes):
                    group.create_task(self._send_without_end())
            return
        schedule = Schedule.lasting(
            plan.start, plan.rate * plan.shares[self.partition], plan.end - plan.start
        )

        async def send(first: int, stop: int) -> None:
            await self._send(first, schedule.times(first, stop))

        self.late = await offer_batches(
            schedule,
            send,
            tick_s=plan.tick_s,
            lanes=plan.lanes,
            largest=plan.batch,
            until=plan.end if plan.abandon else math.inf,
        )

    async def _send_without_end(self) -> None:
        plan = self.plan
        await asyncio.sleep(max(0.0, plan.start - time.monotonic()))
        while (now := time.monotonic()) < plan.end:
            if self.counters.under_way(self.partition) + plan.batch > plan.window:
                await asyncio.sleep(FULL_S)
                continue
            refused = await self._send(self.sent, np.full(plan.batch, now))
            if refused:
                await asyncio.sleep(FULL_S)

    async def _send(self, first: int, due: NDArray[np.float64]) -> int:
        """Offer messages `first` and following, due at these times; how many were refused."""
        count = len(due)
        self.sent += count
        self.calls += 1
        begun = time.thread_time()
        begin = first % len(self.plan.pairs[self.partition])
        head = self._heads[begin : begin + count].copy()
        head["sent_at"] = due
        words = payload.write(serials(self.partition, first, first + count))
        batch = MessageBatch(head, self._offset[:count], words.reshape(-1).view(np.uint8))
        self.busy_s += time.thread_time() - begun
        mesh = await self.lanes.get()
        try:
            ids, refusal = await mesh.send_batch(batch)
        finally:
            self.lanes.put_nowait(mesh)
        begun = time.thread_time()
        taken = refusal == Refusal.NONE
        kept = int(np.count_nonzero(taken))
        self.accepted.add(messages.sequence(ids if kept == count else ids[taken]))
        self.counters.accepted[self.partition] += kept
        self.counters.refused[self.partition] += count - kept
        if kept < count:
            self.silent += int((refusal == Refusal.NODE_SILENT).sum())
        self.busy_s += time.thread_time() - begun
        return count - kept


@dataclass(slots=True)
class Sink:
    """Receives what arrives in one partition, checks it and keeps the account.

    Attributes:
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

    plan: LoadPlan
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
            marks.extend(Marks() for _ in self.plan.pairs)

    async def run(self) -> None:
        """Receive until cancelled."""
        while True:
            received = await self.mesh.receive_batch(
                self.partition, port=PORT, limit=READ_LIMIT, wait_s=WAIT_S
            )
            if len(received.batch):
                begun = time.thread_time()
                self.note(received, time.monotonic())
                self.busy_s += time.thread_time() - begun
                await self.mesh.acknowledge(received)

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
        self.too_near += int(np.count_nonzero(head["hops"] < self.plan.min_hops))
        self._check(batch)

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
            ends = self.plan.pairs[partition][:, 1]
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
