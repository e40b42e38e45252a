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
from actors.mesh.batch import HEAD, NO_POTENTIAL, UNSTAMPED, MessageBatch
from actors.mesh.client import Mesh
from actors.mesh.partition import Refusal
from actors.runtime import log
from loadtests import payload
from loadtests.bitset import Bitset
from loadtests.load_plan import PORT, Counters, serials
from loadtests.open_loop import Schedule, offer_batches
from loadtests.sink import Sink

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.load_plan import LoadPlan

FULL_S: Final = 0.002  # wait before offering again when the window or a mailbox is full
_OF_SOURCES: Final = ("sent", "late", "calls", "silent")
_OF_SINKS: Final = ("corrupt", "misdelivered", "hops", "too_near")


class LoadWorker:
    """Source and sink of some partitions.

    Args:
        number: number of this worker.
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
            for _ in range(plan.load.lanes):
                source.lanes.put_nowait(await Mesh.attach())
            self._sources.append(source)
            received, mesh = counters.received[self._number], await Mesh.attach()
            sink = Sink(plan.pairs, plan.load.min_hops, partition, received, mesh)
            self._sinks.append(sink)
        works = [source.run() for source in self._sources] + [sink.run() for sink in self._sinks]
        self._tasks = [asyncio.create_task(work) for work in works]

    async def offered(self) -> None:
        """Return when everything has been offered, and answered by the mesh."""
        sending = self._tasks[: len(self._sources)]
        await asyncio.gather(*sending)
        await self.alive()

    async def alive(self) -> None:
        """Answer, or raise what ended a source or a sink."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    async def finish(self, path: str) -> dict[str, float]:
        """Stop receiving and write the account to `path`; returns its sums."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        columns: dict[str, NDArray[np.generic]] = {}
        for source in self._sources:
            columns[f"accepted-{source.partition}"] = source.accepted.bits()
        for sink in self._sinks:
            columns |= sink.columns()
        totals = {name: sum(getattr(each, name) for each in self._sources) for name in _OF_SOURCES}
        totals |= {name: sum(getattr(each, name) for each in self._sinks) for name in _OF_SINKS}
        totals |= {
            "received": sum(some.count for sink in self._sinks for some in sink.delivered),
            "read": sum(some.count for sink in self._sinks for some in sink.serials),
        }
        self._sources, self._sinks, self._tasks = [], [], []  # this process stays, without them
        np.savez(path, **columns)  # type: ignore[arg-type]  # its stub takes the names for options
        return totals


@dataclass(slots=True)
class Source:
    """Sends from one partition.

    Attributes:
        lanes: clients that are free; each has at most one call under way.
        accepted: sequence numbers of the messages that the mesh accepted.
        sent: number of messages offered.
        late: messages offered later than they were due.
        silent: messages refused because their source had failed.
        calls: calls in which messages were offered.
    """

    plan: LoadPlan
    partition: int
    counters: Counters
    lanes: asyncio.Queue[Mesh] = field(default_factory=asyncio.Queue)
    accepted: Bitset = field(default_factory=Bitset)
    sent: int = 0
    late: int = 0
    silent: int = 0
    calls: int = 0
    _heads: NDArray[np.void] = field(init=False)
    _offset: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        pairs = self.plan.pairs[self.partition]
        rows = np.arange(len(pairs) + self.plan.load.batch) % max(1, len(pairs))
        head = np.zeros(len(rows), HEAD)
        if len(pairs):
            head["source"], head["destination"] = pairs[rows].T
        head["at"] = head["source"]
        head["version"], head["potential"] = UNSTAMPED, NO_POTENTIAL
        head["length"], head["port"] = payload.SIZE, PORT
        self._heads = head
        self._offset = np.arange(self.plan.load.batch, dtype=np.int64) * payload.SIZE

    async def run(self) -> None:
        """Send all that the plan asks of this partition."""
        plan = self.plan
        if not len(plan.pairs[self.partition]):
            return
        if plan.load.rate is None:
            async with asyncio.TaskGroup() as group:
                for _ in range(plan.load.lanes):
                    group.create_task(self._send_without_end())
            return
        schedule = Schedule.lasting(
            plan.start, plan.load.rate * plan.shares[self.partition], plan.end - plan.start
        )

        async def send(first: int, stop: int) -> None:
            await self._send(first, schedule.times(first, stop))

        self.late = await offer_batches(
            schedule,
            send,
            tick_s=plan.load.tick_s,
            lanes=plan.load.lanes,
            largest=plan.load.batch,
            until=plan.end if plan.load.abandon else math.inf,
        )

    async def _send_without_end(self) -> None:
        plan = self.plan
        await asyncio.sleep(max(0.0, plan.start - time.monotonic()))
        while (now := time.monotonic()) < plan.end:
            if self.counters.under_way(self.partition) + plan.load.batch > plan.load.window:
                await asyncio.sleep(FULL_S)
                continue
            refused = await self._send(self.sent, np.full(plan.load.batch, now))
            if refused:
                await asyncio.sleep(FULL_S)

    async def _send(self, first: int, due: NDArray[np.float64]) -> int:
        """Offer messages `first` and following, due at these times; how many were refused."""
        count = len(due)
        self.sent += count
        self.calls += 1
        begin = first % len(self.plan.pairs[self.partition])
        head = self._heads[begin : begin + count].copy()
        head["sent_at"] = due
        words = payload.write(serials(self.partition, first, first + count))
        batch = MessageBatch(head, self._offset[:count], words.reshape(-1).view(np.uint8))
        mesh = await self.lanes.get()
        try:
            ids, refusal = await mesh.send_batch(batch)
        finally:
            self.lanes.put_nowait(mesh)
        taken = refusal == Refusal.NONE
        kept = int(np.count_nonzero(taken))
        self.accepted.add(messages.sequence(ids if kept == count else ids[taken]))
        self.counters.accepted[self.partition] += kept
        self.counters.refused[self.partition] += count - kept
        if kept < count:
            self.silent += int((refusal == Refusal.NODE_SILENT).sum())
        return count - kept
