"""The one actor that decides which shard hosts which nodes.

It owns the membership: reads the topology, follows its source, starts shards, answers them when
they (re)join, moves partitions of a dead shard to a living one (flag FAILOVER) and back, and
injects faults. It takes no part in routing or delivery: while it is down, the mesh goes on.

Every membership is on disk before any shard uses it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from actors.mesh import control
from actors.mesh.actor import MeshShard
from actors.mesh.contract import (
    COORDINATOR,
    STATUS_S,
    CoordinatorContract,
    MeshStatus,
    ShardContract,
    shard_name,
)
from actors.mesh.formation import joined
from actors.mesh.membership import Faults, Membership
from actors.runtime import remote, spawn
from actors.runtime.errors import ActorUnavailable, X0Error
from actors.runtime.shell import ActorShell
from actors.topology.diff import diff, renamed
from actors.topology.link_state import Roster
from actors.topology.network_feed import NetworkFeed
from actors.topology.provenance import Network, Provenance
from actors.topology.source import TopologyFeed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.mesh.contract import MeshOptions, ShardStatus
    from actors.topology.diff import Event
    from actors.topology.selection import Imported

REBALANCE_S = 30.0  # delay before a restarted shard gets its partitions back
SHARD_TIMEOUT_S = 30.0  # longest wait for a shard's answer to an order
DEATHS_KEPT = 10_000
_HELD = "held while faults are injected, as by a drill; `x0 drill --mend` takes them back"


class MeshCoordinator(ActorShell):
    """Owns the membership of one mesh.

    Args:
        options: what the mesh is started with.
    """

    def __init__(self, options: MeshOptions) -> None:
        super().__init__(COORDINATOR, log_level=options.shard.log_level)
        self._options = options
        self._path = options.shard.directory / "membership.npz"
        self._shards = tuple(shard_name(number) for number in range(options.shards))
        self._feed = self._new_feed()
        self._imported: Imported | None = None  # None: this incarnation uses the saved membership
        self._refresh_error = ""
        self._incarnations: dict[str, int] = {}  # latest incarnation of each shard that joined
        self._deaths: list[tuple[float, str]] = []
        self._changing = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        self._membership: Membership | None = None
        self._alive = set(self._shards).intersection(spawn.listing())
        self._begin(self._live(), CoordinatorContract)
        self._vital(self._follow())

    # -- start and end ---------------------------------------------------------------------------

    async def _live(self) -> None:
        for name in self._shards:  # they load while the map is read, then wait for it
            spawn.detached(MeshShard, name, name, self._options.shard)
        self._waits_for = "the map of the network"
        await self._agree_at_first(resume=bool(self._alive))
        for name in self._shards:
            self._vital(self._supervise(name))

    async def _agree_at_first(self, *, resume: bool) -> None:
        """Agree on the first membership: the saved one brought up to date, or a new one.

        With `resume`, shards have outlived this actor's previous incarnation. Then a map that
        cannot be read now is no reason to end the mesh: it keeps the saved membership and logs a
        warning.
        """
        saved = await asyncio.to_thread(Membership.load, self._path)
        try:
            self._imported = await self._feed.poll()
        except X0Error as error:
            if saved is None or not resume:
                raise
            self._note_refresh_error(error)
        if self._imported is None:
            assert saved is not None  # noqa: S101 - the first poll of a feed has a map, or raises
            membership = saved
        elif saved is None:
            topology = self._imported.topology
            membership = await asyncio.to_thread(Membership.begin, topology, self._shards)
        else:
            membership = saved.updated(self._imported.topology)
            if not resume:
                membership = membership.restarted(self._shards)
        await asyncio.to_thread(membership.save, self._path)
        self._membership = membership

    async def _follow(self) -> None:
        """Poll the topology's source; a bad answer leaves the mesh as it was."""
        try:
            await self._ready()
        except X0Error:
            await asyncio.Event().wait()  # the start failed, which every caller is told
        if self._alive:  # shards that work by the membership of this actor's previous incarnation
            membership = await self.membership()
            async with self._changing:
                await self._order(lambda shard: shard.update(membership))
        while True:
            await asyncio.sleep(self._options.refresh_s)
            if (await self.membership()).faults != Faults():
                self._refresh_error = _HELD  # else a drill would be judged by another map
                continue
            try:
                await self.refresh()
            except X0Error:
                continue  # handled in `refresh`
            except Exception as error:  # noqa: BLE001 - such as a full disk: the next poll may do
                self._note_refresh_error(error)
                self._feed = self._new_feed()  # read the map again that was not applied

    def _new_feed(self) -> TopologyFeed | NetworkFeed:
        options = self._options
        if options.observed is not None:
            return NetworkFeed(
                options.observed,
                options.topology,
                vpn=options.vpn,
                all_components=options.all_components,
            )
        return TopologyFeed(
            options.topology,
            vpn=options.vpn,
            all_components=options.all_components,
            quality=options.quality,
        )

    def _note_refresh_error(self, error: Exception) -> None:
        self._refresh_error = str(error)
        self._errors.handle(error, severity="warning")

    async def _supervise(self, name: str) -> None:
        """Await each death of a shard, and move its partitions until it is back."""
        # Ray alone knows whether an actor has died: a connection may end for other reasons.
        shard = remote.proxy(ShardContract, name, over_ray=True)
        while True:
            incarnation = 0
            try:
                incarnation = (await shard.health()).incarnation
                if name not in self._incarnations:  # it joined in a previous incarnation
                    self._meet(await self.membership(), name, incarnation)
                await shard.watch()
            except X0Error as error:  # whatever ended the call, check the shard
                self._errors.handle(error, severity="error", shard=name)
                if incarnation and isinstance(error, ActorUnavailable):
                    await self._bury(name, incarnation)
                await asyncio.sleep(0.2)

    async def _bury(self, shard: str, incarnation: int) -> None:
        """Record a shard's death, and move its partitions if it has not restarted yet."""
        self._deaths.append((self._clock.now(), shard))
        del self._deaths[:-DEATHS_KEPT]
        if not self._options.failover:
            return
        async with self._changing:
            membership = await self.membership()
            if (
                self._incarnations.get(shard) != incarnation
            ):  # the shard came back, perhaps while we waited
                return
            partitions = membership.placement.partitions_of(shard)
            survivors = [name for name in self._shards if name != shard]
            if partitions and survivors:
                loads = {s: len(membership.placement.partitions_of(s)) for s in survivors}
                chosen = min(survivors, key=lambda name: loads[name])
                await self._move(membership, partitions, chosen, dead=shard)

    # -- membership ------------------------------------------------------------------------------

    async def membership(self) -> Membership:
        """See `CoordinatorContract.membership`."""
        await self._ready()
        assert self._membership is not None  # noqa: S101 - set at the start, or there is a failure
        return self._membership

    async def roster(self) -> Roster:
        """See `CoordinatorContract.roster`."""
        membership = await self.membership()
        return Roster(
            membership.placement.version,
            self._feed.name,
            membership.topology,
            membership.present,
            self._shards,
        )

    async def options(self) -> MeshOptions:
        """See `CoordinatorContract.options`."""
        return self._options

    async def provenance(self) -> Provenance:
        """See `CoordinatorContract.provenance`."""
        await self.membership()
        imported, error = self._imported, self._refresh_error
        warnings = () if imported is None else tuple(imported.warnings)
        return Provenance(
            Network.EMULATED,
            self._feed.name,
            {} if imported is None else dict(imported.left_out),
            (*warnings, f"the last refresh failed: {error}") if error else warnings,
        )

    async def join(self, shard: str, incarnation: int) -> Membership:
        """See `CoordinatorContract.join`."""
        membership = await self.membership()
        self._meet(membership, shard, incarnation)
        return membership

    def _meet(self, membership: Membership, shard: str, incarnation: int) -> None:
        self._incarnations[shard] = incarnation
        if self._away(membership, shard):
            self._start(self._bring_back(shard, incarnation))

    def _away(self, membership: Membership, shard: str) -> list[int]:
        """The partitions that began on `shard` and are elsewhere now."""
        return [
            number
            for number, owner in enumerate(membership.placement.shard_of)
            if self._shards[number % len(self._shards)] == shard != owner
        ]

    async def _bring_back(self, shard: str, incarnation: int) -> None:
        # Not at once: moving disturbs the mesh too, and the shard may die again.
        await asyncio.sleep(REBALANCE_S)
        async with self._changing:
            membership = await self.membership()
            away = self._away(membership, shard)
            if away and self._incarnations[shard] == incarnation:
                await self._move(membership, away, shard)

    async def _move(
        self, membership: Membership, partitions: list[int], shard: str, *, dead: str = ""
    ) -> None:
        """Move partitions of the present membership to `shard`. The caller holds `_changing`."""
        self._log.info("partitions move", partitions=partitions, to=shard)
        await self._agree(membership.moved(partitions, shard), dead=dead)

    async def _agree(self, membership: Membership, *, dead: str = "") -> None:
        """Save a membership, then make all shards use it. The caller holds `_changing`.

        The shard `dead` gets it only if it restarted, with the old one, during the saving.
        """
        incarnation = self._incarnations.get(dead)
        await asyncio.to_thread(membership.save, self._path)
        self._membership = membership
        back = self._incarnations.get(dead)
        if dead and back is not None and back != incarnation:
            self._meet(membership, dead, back)
            dead = ""
        await self._order(lambda shard: shard.update(membership), without=dead)

    async def _order(
        self, order: Callable[[ShardContract], Awaitable[float]], *, without: str = ""
    ) -> dict[str, float]:
        """Call a method of all shards at once; the answers of those that gave one.

        A shard that does not answer is restarting and will ask for the membership itself.
        """

        async def one(name: str) -> tuple[str, float] | None:
            try:
                return name, await order(control.shard(name, timeout_s=SHARD_TIMEOUT_S))
            except X0Error as error:  # one shard must not stop the others
                self._errors.handle(error, severity="warning", shard=name)
                return None

        living = [shard for shard in self._shards if shard != without]
        answers = await asyncio.gather(*(one(shard) for shard in living))
        return dict(answer for answer in answers if answer is not None)

    # -- operators -------------------------------------------------------------------------------

    async def refresh(self) -> list[Event]:
        """See `CoordinatorContract.refresh`."""
        await self.membership()
        async with self._refreshing:  # so that maps are applied in the order they were read
            try:
                imported = await self._feed.poll()
            except X0Error as error:
                self._note_refresh_error(error)
                raise
            self._refresh_error = ""
            return [] if imported is None else await self._apply(imported)

    async def _apply(self, imported: Imported) -> list[Event]:
        async with self._changing:
            membership = await self.membership()
            present = membership.topology.subgraph(membership.present)
            events = list(diff(present, imported.topology))
            self._imported = imported
            if events or renamed(present, imported.topology):
                updated = await asyncio.to_thread(membership.updated, imported.topology)
                await self._agree(updated)
        return events

    async def inject(self, faults: Faults) -> dict[str, float]:
        """See `CoordinatorContract.inject`."""
        async with self._changing:
            membership = await self.membership()
            membership = replace(membership, faults=faults)
            await asyncio.to_thread(membership.save, self._path)
            self._membership = membership
            return await self._order(lambda shard: shard.inject(faults))

    async def deaths(self, since: float) -> list[tuple[float, str]]:
        """See `CoordinatorContract.deaths`."""
        return [(at, shard) for at, shard in self._deaths if at > since]

    async def status(self) -> MeshStatus:
        """See `CoordinatorContract.status`."""
        membership = await self.membership()

        async def one(name: str) -> ShardStatus | str:
            try:
                return await control.shard(name, timeout_s=STATUS_S).status()
            except X0Error as error:  # a shard that is down is part of the status
                return error.why

        answers = await asyncio.gather(*(one(shard) for shard in self._shards))
        imported = self._imported
        return MeshStatus(
            source=self._feed.name,
            format=imported.format if imported else "saved",
            left_out=dict(imported.left_out) if imported else {},
            warnings=tuple(imported.warnings) if imported else (),
            nodes=int(membership.present.sum()),
            links=membership.topology.n_links,
            placement_version=membership.placement.version,
            joined=joined(membership),
            faults=membership.faults,
            shards=tuple(answer for answer in answers if not isinstance(answer, str)),
            down={
                name: answer
                for name, answer in zip(self._shards, answers, strict=True)
                if isinstance(answer, str)
            },
            last_refresh_error=self._refresh_error,
        )


_KEEPS: type[CoordinatorContract] = MeshCoordinator
