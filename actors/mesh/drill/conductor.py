"""Runs a drill on a live mesh: traffic, fault, observation, roll call, mending.

The fault is silent: nothing tells the mesh but its own protocol. Times are read on the machine's
monotonic clock, from the moment the first shard applied the fault; routes are sampled, so that
`healed_s` errs on the late side by up to one sample.

Everything is judged by the map as it was before. The coordinator reads no new one while faults are
injected, unless it is told to: then, and before the fault, the map may change, which is told.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import control
from actors.mesh.drill import judgement
from actors.mesh.drill.drill_plan import DrillPlan, DrillScenario
from actors.mesh.drill.report import DrillReport
from actors.mesh.drill.traffic import DrillTraffic, SentMessages, easy_rate
from actors.mesh.membership import Faults
from actors.mesh.partition import Refusal
from actors.runtime.errors import Conflict, Unavailable
from actors.topology import diff
from actors.topology.bound import convergence_bound_s, detection_bound_s

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray

    from actors.mesh.client import Mesh
    from actors.mesh.contract import MeshOptions
    from actors.mesh.membership import Membership
    from actors.topology.surviving import Surviving

MAX_PAIRS = 25_000  # ordered pairs; of larger meshes as many are chosen at random
MAX_DESTINATIONS = 64  # destinations in such a choice
SAMPLE_S = 0.03  # interval between two reads of the tables
WARM_UP_S = 2.0
CALM_S = 1.0  # time that routes must stay whole to count as healed
WHOLE_TIMEOUT_S = 60.0
LOSS_RETRIES = 3  # retries of a datagram over each hop
LOSS_DATAGRAMS = 100_000  # least number in one measurement: standard error below 0.002
TIDY_S = 10.0  # longest wait for open messages when a drill ends early
RESTART_S = 15.0  # time for a killed shard to restart, beyond the convergence bound


@dataclass(slots=True)
class Conductor:
    """One drill.

    Args:
        mesh: attached to the mesh to drill.
        plan: what to break.
        rate: messages per second over all pairs; None for what the mesh carries easily.
        seed: seed of the traffic.
        progress: called with a short text at each step of the drill.
        before_fault: is awaited before anything is broken.

    Attributes:
        fault_at: when the fault took effect, on the monotonic clock, s; NaN before.
    """

    mesh: Mesh
    plan: DrillPlan
    rate: float | None
    seed: int
    progress: Callable[[str], None]
    before_fault: Callable[[], Awaitable[None]] | None = None
    fault_at: float = field(init=False, default=math.nan)
    _before: Membership = field(init=False)

    def __post_init__(self) -> None:
        self._before = self.mesh.membership

    async def run(self) -> DrillReport:
        """Drill, mend, report.

        Raises:
            Conflict: faults are injected already, which would spoil the measurement; or a node is
                to lie in a mesh that believes all.
            Unavailable: the routes are not whole before the drill.
        """
        options = await self._permitted()
        topology = self._before.topology
        before, truth = topology.without(), self.plan.truth(topology)
        destinations, pairs = self._choose_pairs()
        rate = easy_rate(topology, self.seed) if self.rate is None else self.rate
        traffic = DrillTraffic(self.mesh, pairs, rate, self.seed)
        self.progress("traffic starts; waiting for all routes")
        traffic.start()
        broken = False
        try:
            survive = ~np.isin(pairs, self.plan.nodes).any(axis=1)
            loss_before = await self._before_fault(destinations, before, pairs[survive])
            attracted = [await self._attracted(destinations)]
            bound = convergence_bound_s(options.shard.host.hello_s, truth.diameter())
            self.progress(f"breaking {', '.join(self.plan.labels(topology)[:3])}")
            broken = True
            self.fault_at = fault_at = await self._break()
            traffic.exclude(self.plan.nodes)
            healed = await self._observe(destinations, truth, fault_at, bound)
            attracted.append(await self._attracted(destinations))
            traffic.check()
            self.progress("roll call: every pair once")
            await traffic.pause()
            called = await traffic.roll_call()
            loss_after = await self._loss(pairs[traffic.active])
            patience = options.shard.host.patience_s
            await self._drain(traffic, 2 * patience + bound + RESTART_S)
            restored = await self._mend(destinations, before)
            broken = False
            # Messages of a node that was silent can be settled only now that it speaks again.
            await self._drain(traffic, 2 * patience + RESTART_S)
            traffic.check()
            detected = await self._first_notice(fault_at)
            map_changes = await self._map_changes()
        finally:
            await self._leave(traffic, broken=broken)
        sent, arrived = traffic.account()
        ids = sent.id[sent.refusal == Refusal.NONE]
        fate = judgement.fate(ids, arrived.head)
        call = SentMessages(*(np.concatenate(column) for column in zip(*called, strict=True)))
        blackholed, unreachable = self._judge_roll_call(
            judgement.fate(call.id, arrived.head), pairs[call.pair], truth
        )
        components = truth.components
        judged = np.sort(pairs[traffic.active], axis=1)
        apart = judged[components[judged[:, 0]] != components[judged[:, 1]]]
        arrivals = arrived.head[arrived.head["flags"] == 0]
        n = int(self._before.present.sum())
        return DrillReport(
            nodes=n,
            links=topology.n_links,
            diameter=before.diameter(),
            scenario=self.plan.scenario,
            failed=list(self.plan.failed),
            hello_s=options.shard.host.hello_s,
            feedback=options.shard.host.feedback,
            failover=options.failover,
            shards=options.shards,
            seed=self.seed,
            pairs=len(np.unique(judged, axis=0)),
            all_pairs=len(pairs) == n * (n - 1),
            rate_per_s=round(rate, 1),
            detected_s=_rounded(detected, fault_at),
            healed_s=_rounded(healed, fault_at),
            restored_s=restored,
            detection_bound_s=round(detection_bound_s(options.shard.host.hello_s), 3),
            convergence_bound_s=round(bound, 3),
            sent=len(sent.id),
            accepted=len(ids),
            delivered=int((fate.delivered > 0).sum()),
            returned=int((fate.returned > 0).sum()),
            refused=len(sent.id) - len(ids),
            lost_accepted=fate.lost,
            duplicates=fate.duplicates,
            corrupt=int(arrived.corrupt.sum()),
            loops=arrived.looped,
            blackholed_pairs_after_bound=blackholed,
            unreachable_pairs_reported=unreachable,
            unreachable_pairs_truth=len(np.unique(apart, axis=0)),
            predicted_pairs_separated=self.plan.pairs_separated,
            retries=LOSS_RETRIES,
            loss_before=loss_before,
            loss_after=loss_after,
            hops_mean=round(float(arrivals["hops"].mean()), 2) if len(arrivals) else 0.0,
            attracted_before=attracted[0],
            attracted_after=attracted[1],
            map_changes=map_changes,
        )

    async def _permitted(self) -> MeshOptions:
        """The options of the mesh, if it may be drilled now."""
        options = await control.coordinator().options()
        if self.plan.liar >= 0 and not options.shard.host.liars:
            raise Conflict(
                "cannot drill nodes that lie",
                "this mesh believes every node",
                "Start it with X0TTA6BL4_BYZANTINE=1.",
            )
        if self.mesh.membership.faults != Faults():
            raise Conflict(
                "cannot drill",
                "faults are injected into this mesh already",
                "Wait for the other drill to end; if it was killed, `x0 drill --mend`.",
            )
        return options

    def _choose_pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Destinations to watch, and ordered pairs [p, 2] for traffic (both ways of each)."""
        nodes = np.flatnonzero(self._before.present).astype(np.int32)
        n = len(nodes)
        if n * (n - 1) <= MAX_PAIRS:
            source, destination = np.nonzero(~np.eye(n, dtype=bool))
            return nodes, np.stack([nodes[source], nodes[destination]], axis=1)
        choose = np.random.default_rng(self.seed)
        # Few destinations, because each needs a tree of routes in every shard.
        chosen = choose.choice(nodes, min(MAX_DESTINATIONS, n), replace=False)
        others = choose.choice(chosen, MAX_PAIRS // 2)
        source = choose.choice(chosen, MAX_PAIRS // 2)
        keep = source != others
        pairs = np.stack([source[keep], others[keep]], axis=1)
        return chosen, np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)

    async def _before_fault(
        self, destinations: NDArray[np.int32], before: Surviving, pairs: NDArray[np.int32]
    ) -> float | None:
        """Wait until all is as it should be; the share of datagrams between pairs that is lost."""
        await self._wait_whole(destinations, before, WHOLE_TIMEOUT_S)
        await asyncio.sleep(WARM_UP_S)
        lost = await self._loss(pairs)
        if self.before_fault is not None:
            await self.before_fault()
        return lost

    # -- the fault -------------------------------------------------------------------------------

    async def _break(self) -> float:
        """Inject the fault; the moment it took effect."""
        if self.plan.scenario is DrillScenario.SHARD_KILL:
            at = time.monotonic()
            await control.kill(self.plan.shard)
            return at
        faults = self.plan.faults(self._before.topology)  # links are renumbered by a new map
        applied = await control.coordinator().inject(faults)
        if not applied:
            raise Unavailable(
                "the fault was not injected",
                "no shard answered",
                "See `x0 status`.",
                retry_after_s=1.0,
            )
        return min(applied.values())

    async def _mend(self, destinations: NDArray[np.int32], before: Surviving) -> float | None:
        """Remove the fault and wait until the mesh is as before; how long that took, s.

        None if there was none to remove, or if the map has changed meanwhile.
        """
        if self.plan.scenario is DrillScenario.SHARD_KILL:
            return None
        self.progress("mending")
        at = time.monotonic()
        await control.coordinator().inject(Faults())
        await self._pardon()
        try:
            if not await self._map_changes():
                await self._wait_whole(destinations, before, WHOLE_TIMEOUT_S)
                return round(time.monotonic() - at, 3)
        except Unavailable:
            if not await self._map_changes():
                raise
        return None  # it never is as before again

    async def _pardon(self) -> None:
        """Take the node that lied, if that was proven, out of quarantine."""
        if self.plan.scenario is DrillScenario.EQUIVOCATOR:
            for shard in self.mesh.membership.placement.shards:
                await control.shard(shard).clear_quarantine([self.plan.liar])

    # -- observation -----------------------------------------------------------------------------

    async def _attracted(self, destinations: NDArray[np.int32]) -> float | None:
        """The share of routes that lead through the node that lies; None if none does."""
        if self.plan.liar < 0:
            return None
        table = await self._tables(destinations)
        if table is None:
            return None
        return round(judgement.share_through(table, destinations, self.plan.liar), 4)

    async def _map_changes(self) -> list[str]:
        """What has changed in the map since the drill began, in words."""
        now = await control.coordinator().membership()
        old, new = (
            each.topology.subgraph(each.present) if each.present.any() else each.topology
            for each in (self._before, now)
        )

        def label(node: str) -> str:
            return (new if node in new else old).naming.label(node)

        return [diff.in_words(event, label) for event in diff.diff(old, new)]

    async def _tables(self, destinations: NDArray[np.int32]) -> NDArray[np.int32] | None:
        """Next hops [destination, node], each node's by its own shard; None if one is missing."""
        membership = self.mesh.membership
        shards = {*membership.placement.shards}

        async def one(shard: str) -> tuple[tuple[int, ...], NDArray[np.int32]] | None:
            try:
                return await control.shard(shard).routes(destinations)
            except Unavailable:
                return None

        answers = await asyncio.gather(*(one(shard) for shard in shards))
        n = self._before.topology.n_nodes  # a new map may have more, with higher numbers
        table = np.full((len(destinations), n), -1, np.int32)
        missing = set(range(len(membership.placement.shard_of)))
        for answer in answers:
            if answer is not None:
                partitions, hops = answer
                mine = np.isin(self._before.placement.partition_of, partitions)
                table[:, mine] = np.where(hops[:, :n] < n, hops[:, :n], -1)[:, mine]
                missing -= set(partitions)
        return None if missing else table

    async def _whole(self, destinations: NDArray[np.int32], truth: Surviving) -> bool:
        table = await self._tables(destinations)
        return table is not None and await asyncio.to_thread(
            judgement.is_whole, table, destinations, truth
        )

    async def _wait_whole(
        self, destinations: NDArray[np.int32], truth: Surviving, timeout_s: float
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while not await self._whole(destinations, truth):
            if time.monotonic() > deadline:
                raise Unavailable(
                    "the mesh is not whole",
                    f"after {timeout_s:g} s its routes still differ from its topology",
                    "See `x0 status`; a link may be too poor to be heard both ways.",
                    retry_after_s=timeout_s,
                )
            await asyncio.sleep(SAMPLE_S)

    async def _observe(
        self, destinations: NDArray[np.int32], truth: Surviving, fault_at: float, bound: float
    ) -> float | None:
        """Look at the tables until well after the bound; since when they are whole, or None."""
        whole_since = math.inf
        end = fault_at + bound + CALM_S
        if self.plan.scenario is DrillScenario.SHARD_KILL:
            end += RESTART_S
        told = False
        while True:
            whole = await self._whole(destinations, truth)
            now = time.monotonic()
            whole_since = min(whole_since, now) if whole else math.inf
            if whole and not told:
                told = True
                self.progress(f"routes whole {now - fault_at:.2f} s after the fault")
            calm = now - whole_since >= CALM_S and now > fault_at + bound
            if calm or now > end:
                return whole_since if math.isfinite(whole_since) else None
            await asyncio.sleep(SAMPLE_S)

    async def _loss(self, pairs: NDArray[np.int32]) -> float | None:
        """Share of datagrams between `pairs`, one after the other, that is lost; None without."""
        if not len(pairs):
            return None
        source, destination = np.tile(pairs, (-(-LOSS_DATAGRAMS // len(pairs)), 1)).T
        arrived = await self.mesh.send_datagrams(source, destination, LOSS_RETRIES + 1)
        return round(1.0 - float(arrived.mean()), 4)

    async def _first_notice(self, fault_at: float) -> float | None:
        """When the first node noticed what failed (or the coordinator that a shard died)."""
        if self.plan.scenario is DrillScenario.SHARD_KILL:
            deaths = await control.coordinator().deaths(fault_at)
            return min((at for at, shard in deaths if shard == self.plan.shard), default=None)
        topology = self._before.topology
        nodes = set(self.plan.nodes)
        links = {tuple(sorted(topology.ends[link].tolist())) for link in self.plan.links}
        found = []
        for shard in self.mesh.membership.placement.shards:
            events = await control.shard(shard).events(fault_at)
            found += [
                event.at
                for event in events
                if (event.kind == "quarantined" and event.node == self.plan.liar)
                or (
                    event.kind == "neighbour-lost"
                    and (
                        event.neighbour in nodes
                        or tuple(sorted((event.node, event.neighbour))) in links
                    )
                )
            ]
        return min(found, default=None)

    async def _drain(self, traffic: DrillTraffic, timeout_s: float) -> None:
        """Wait until everything accepted has been delivered or returned, or time is up."""
        deadline = time.monotonic() + timeout_s
        while (left := traffic.unresolved()) and time.monotonic() < deadline:
            self.progress(f"{left} messages under way")
            await asyncio.sleep(0.25)

    async def _leave(self, traffic: DrillTraffic, *, broken: bool) -> None:
        """End the traffic; of a drill that is interrupted, leave the mesh as it was found."""
        try:
            if broken:
                self.progress("mending what was broken")
                await control.coordinator().inject(Faults())
                await self._pardon()
            await traffic.pause()
            if traffic.sent:  # only this drill reads this port: later messages would stay unread
                await self._drain(traffic, TIDY_S)
        finally:
            await traffic.stop()

    def _judge_roll_call(
        self, fate: judgement.Fate, pairs: NDArray[np.int32], truth: Surviving
    ) -> tuple[int, int]:
        """Black-holed pairs and pairs reported unreachable, by what became of one message each."""
        components = truth.components
        ordered = np.sort(pairs, axis=1)
        connected = components[pairs[:, 0]] == components[pairs[:, 1]]
        blackholed = ordered[connected & (fate.delivered == 0)]
        reported = ordered[fate.returned > 0]
        return len(np.unique(blackholed, axis=0)), len(np.unique(reported, axis=0))


def _rounded(at: float | None, start: float) -> float | None:
    return None if at is None else round(max(0.0, at - start), 3)
