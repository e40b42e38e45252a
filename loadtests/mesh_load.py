"""One load on a live mesh: workers started, traffic run, measured for a while, and accounted.

What is measured is the steady middle: messages flow for `WARM_UP_S` before, so that every tree
of routes is computed and every buffer has been touched. What is accounted is everything, from the
first message to the last one drained.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import psutil

from actors.mesh import control
from actors.mesh.actor import MeshShard
from actors.mesh.client import Mesh
from actors.mesh.coordinator import MeshCoordinator
from actors.mesh.membership import Faults
from actors.runtime import remote, spawn
from actors.runtime.errors import Unavailable
from actors.topology.bound import convergence_bound_s
from loadtests import account, far_pairs, footprint, machine
from loadtests.footprint import CoresUsed
from loadtests.load_plan import Counters, LoadPlan
from loadtests.load_worker import LoadWorker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from numpy.typing import NDArray

    from cluster.local import LocalCluster
    from loadtests.account import Account, Latencies
    from loadtests.benchmark import Progress
    from loadtests.load_plan import Load

WARM_UP_S: Final = 2.0
LEAD_S: Final = 0.5  # pause in which workers get their plan before they send
SAMPLE_S: Final = 1.0
FAULT_AFTER: Final = 0.3  # fraction of the measured period after which a node fails
DRAIN_S: Final = 120.0
_READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class InjectedFailure:
    """A node that failed during a load.

    Attributes:
        node: id of the node.
        at: when the failure took effect, s on the monotonic clock.
        bound_s: time in which the mesh must have converged; this window is left out.
    """

    node: str
    at: float
    bound_s: float


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was seen each second while the load ran.

    Attributes:
        at: s on the monotonic clock.
        shard_private: memory of all shards, bytes, without pages of Ray's shared memory.
        received: messages received so far.
        under_way: messages accepted and not yet received.
        refused: messages refused so far.
    """

    at: list[float] = field(default_factory=list)
    shard_private: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    under_way: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def take(self, now: float, shards: Sequence[psutil.Process], counters: Counters) -> None:
        """Take a sample."""
        memory = [process.memory_info() for process in shards]
        self.at.append(now)
        self.shard_private.append(sum(info.rss - info.shared for info in memory))
        self.received.append(int(counters.received.sum()))
        self.under_way.append(max(0, counters.unresolved))
        self.refused.append(int(counters.refused.sum()))

    def shown(self) -> str:
        """What the last two samples say, for people."""
        rate = (self.received[-1] - self.received[-2]) / (self.at[-1] - self.at[-2])
        return (
            f"{rate:,.0f} messages/s, {self.under_way[-1]:,} under way,"
            f" {self.refused[-1]:,} refused"
        )


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a load.

    Attributes:
        load: what was offered.
        nodes, links, shards: size of the mesh.
        pairs: number of pairs that messages went between.
        start, stop: of the measured period, s on the monotonic clock.
        account: what became of all messages.
        refused: number of messages that the mesh did not accept.
        totals: sums of what the workers counted.
        seen: every message received.
        cpu: cores used in the measured period, by kind of process.
        busy: cores of the machine that were busy in that time.
        stolen: cores that the machine's host withheld.
        sampled: samples of each second.
        drained_s: time from the last offer until everything accepted was resolved.
        failure: the failure that was injected, or None.
    """

    load: Load
    nodes: int
    links: int
    shards: int
    pairs: int
    start: float
    stop: float
    account: Account
    refused: int
    totals: dict[str, float]
    seen: Latencies
    cpu: dict[str, float]
    busy: float
    stolen: float
    sampled: Sampled
    drained_s: float
    failure: InjectedFailure | None

    @property
    def seconds(self) -> float:
        """Length of the measured period."""
        return self.stop - self.start

    @property
    def delivered_per_s(self) -> float:
        """Messages that arrived in the measured period, per second."""
        at = self.seen.received_at
        return float(((at >= self.start) & (at < self.stop)).sum()) / self.seconds

    @property
    def sent_per_s(self) -> float:
        """Messages offered per second, warm-up included."""
        return self.totals["sent"] / (self.seconds + WARM_UP_S)

    @property
    def hops_mean(self) -> float:
        """Over all messages delivered."""
        return self.totals["hops"] / max(1.0, self.totals["received"])

    def latency(self, *, outside: bool = False) -> NDArray[np.float32]:
        """Latencies of messages due in the measured period, s.

        Args:
            outside: without those under way at any moment of the convergence window.
        """
        sent, got = self.seen.sent_at, self.seen.received_at
        chosen = (sent >= self.start) & (sent < self.stop)
        if outside and self.failure is not None:
            end = self.failure.at + self.failure.bound_s
            chosen &= (got < self.failure.at) | (sent > end)
        return self.seen.latency[chosen]


@dataclass(slots=True)
class _Run:
    """One load under way."""

    cluster: LocalCluster
    mesh: Mesh
    load: Load
    progress: Progress
    directory: Path
    workers: list[LoadWorker] = field(default_factory=list)

    async def complete(self, number: int) -> Ran:
        load, mesh = self.load, self.mesh
        topology, placement = mesh.membership.topology, mesh.membership.placement
        routes = far_pairs.choose(topology, load.min_hops, load.seed, load.destinations)
        where = placement.partition_of[routes.pairs[:, 0]]
        partitions = range(len(placement.shard_of))
        count = load.workers or len(placement.shards)
        names = [f"load-{number}-{worker:02d}" for worker in range(count)]
        self.progress(f"starting {count} processes that send and receive")
        started = [
            spawn.detached(LoadWorker, name, worker, max_restarts=0)
            for worker, name in enumerate(names)
        ]
        await asyncio.to_thread(spawn.wait_ready, started, timeout_s=_READY_S)
        self.workers = [remote.proxy(LoadWorker, name) for name in names]
        groups = self._groups()
        start = time.monotonic() + LEAD_S
        plan = LoadPlan(
            load=load,
            workers=count,
            pairs=tuple(routes.pairs[where == partition] for partition in partitions),
            shares=tuple(float((where == partition).mean()) for partition in partitions),
            start=start,
            measured=start + WARM_UP_S,
            end=start + WARM_UP_S + load.seconds,
            directory=self.directory,
        )
        counters = Counters(self.directory)
        await self._all(lambda worker: worker.begin(plan))
        self.progress("warming up")
        await asyncio.sleep(max(0.0, plan.measured - time.monotonic()))
        breaking = asyncio.create_task(self._fail(routes, plan)) if load.fail_node else None
        cpu, (busy, stolen), sampled = await self._watch(plan, counters, groups)
        failure = None if breaking is None else await breaking
        await self._all(lambda worker: worker.offered())
        if failure is not None:
            # Messages that the failed node had accepted can be resolved once it speaks again.
            await control.coordinator().inject(Faults())
        drained_s = await self._drain(counters, plan.end)
        paths = [self.directory / f"account-{worker}.npz" for worker in range(count)]
        summed = await asyncio.gather(
            *(worker.finish(str(path)) for worker, path in zip(self.workers, paths, strict=True))
        )
        totals = {name: sum(each[name] for each in summed) for name in summed[0]}
        columns = account.load(paths)
        return Ran(
            load=load,
            nodes=topology.n_nodes,
            links=topology.n_links,
            shards=len(placement.shards),
            pairs=len(routes.pairs),
            start=plan.measured,
            stop=plan.end,
            account=account.settle(columns, int(totals["read"])),
            refused=int(counters.refused.sum()),
            totals=totals,
            seen=account.latencies(columns),
            cpu=cpu,
            busy=busy,
            stolen=stolen,
            sampled=sampled,
            drained_s=drained_s,
            failure=failure,
        )

    async def _all(self, call: Callable[[LoadWorker], Awaitable[None]]) -> None:
        """Make a call of every worker at once."""
        await asyncio.gather(*map(call, self.workers))

    def _groups(self) -> dict[str, list[psutil.Process]]:
        """Processes by kind. Looking at every process of the machine takes a while."""
        groups = {
            "shards": footprint.actors(self.cluster, [MeshShard.__name__]),
            "coordinator": footprint.actors(self.cluster, [MeshCoordinator.__name__]),
            "load": footprint.actors(self.cluster, [LoadWorker.__name__]),
        }
        known = {process.pid for group in groups.values() for process in group}
        everything = footprint.everything(self.cluster)
        groups["ray"] = [p for p in everything if p.pid not in known]
        groups["driver"] = [psutil.Process()]
        return groups

    async def _watch(
        self, plan: LoadPlan, counters: Counters, groups: dict[str, list[psutil.Process]]
    ) -> tuple[dict[str, float], tuple[float, float], Sampled]:
        """Sample until the end of the measured period."""
        used, processors, sampled = CoresUsed(groups), machine.Processors(), Sampled()
        with used:
            while (now := time.monotonic()) < plan.end:
                sampled.take(now, groups["shards"], counters)
                if len(sampled.at) > 1:
                    self.progress(f"{plan.end - now:.0f} s left: {sampled.shown()}")
                    await self._all(lambda worker: worker.alive())
                await asyncio.sleep(min(SAMPLE_S, max(0.0, plan.end - time.monotonic())))
        return used.cores(), processors.cores(), sampled

    async def _drain(self, counters: Counters, since: float) -> float:
        """Wait until all that was accepted is resolved, or time is up; seconds since then."""
        deadline = time.monotonic() + DRAIN_S
        while counters.unresolved > 0 and time.monotonic() < deadline:
            self.progress(f"draining: {counters.unresolved:,} messages under way")
            await self._all(lambda worker: worker.alive())
            await asyncio.sleep(0.05)
        return time.monotonic() - since

    async def _fail(self, routes: far_pairs.FarPairs, plan: LoadPlan) -> InjectedFailure:
        topology = self.mesh.membership.topology
        if self.load.victim:
            node = self.mesh.index_of(self.load.victim)
        else:
            node = far_pairs.busiest(topology, routes)
        options = await control.coordinator().options()
        truth = topology.without(nodes=[node])
        bound = convergence_bound_s(options.shard.host.hello_s, truth.diameter())
        at = plan.measured + FAULT_AFTER * (plan.end - plan.measured)
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        self.progress(f"{topology.ids[node]} fails")
        faults = Faults(silent=frozenset([node]))
        applied = await control.coordinator().inject(faults)
        if not applied:
            raise Unavailable(
                "the fault was not injected", "no shard answered", "Run it again.", retry_after_s=1
            )
        failed_at = min(applied.values())
        await asyncio.sleep(max(0.0, min(failed_at + bound, plan.end) - time.monotonic()))
        return InjectedFailure(topology.ids[node], failed_at, bound)


async def run(cluster: LocalCluster, load: Load, progress: Progress, number: int = 0) -> Ran:
    """Offer a load to the mesh that this process has joined, which must be ready.

    Args:
        cluster: cluster that the mesh runs in.
        load: what to offer.
        progress: is told what is being done.
        number: a number that no other load on the same mesh has.

    Raises:
        Unavailable: a worker or the mesh gave up.
        InvalidInput: no pair of nodes is far enough apart.
    """
    mesh = await Mesh.attach()
    directory = Path(tempfile.mkdtemp(prefix="x0-load-"))
    under_way = _Run(cluster, mesh, load, progress, directory)
    try:
        return await under_way.complete(number)
    finally:
        shutil.rmtree(directory)


def thirds_mib(series: Sequence[int]) -> tuple[float, float]:
    """Means of the first and of the last third of samples of memory, MiB; NaN without samples."""
    third = max(1, len(series) // 3)
    first, last = (np.mean(part) if part else np.nan for part in (series[:third], series[-third:]))
    return float(first) / 2**20, float(last) / 2**20
