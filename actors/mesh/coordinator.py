"""The one actor that decides which shard hosts which nodes.

It owns the membership: reads the topology, follows its source, starts shards, answers them when
they (re)join, moves partitions of a dead shard to a living one (flag FAILOVER) and back, and
injects faults. It takes no part in routing or delivery: while it is down, the mesh goes on.

Every membership is on disk before any shard works by it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from actors.mesh.actor import MeshShard, ShardOptions
from actors.mesh.membership import Faults, Membership
from actors.runtime import ids, log, spawn
from actors.runtime.clock import SystemClock
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.errors import ActorUnavailable, X0Error
from actors.topology.diff import diff
from actors.topology.link_state import Roll
from actors.topology.source import TopologyFeed

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from actors.mesh.telemetry import ShardStatus
    from actors.topology.diff import Event
    from actors.topology.selection import Imported

COORDINATOR = "mesh-coordinator"
REBALANCE_S = 30.0  # after which a shard that came back gets its partitions back
SHARD_TIMEOUT_S = 30.0  # for a shard's answer to an order
STATUS_TIMEOUT_S = 5.0
EVENTS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class MeshOptions:
    """What a mesh is started with."""

    topology: str  # path, URL or radio:N
    vpn: bool
    all_components: bool
    refresh_s: float
    shards: int
    failover: bool
    shard: ShardOptions


@dataclass(frozen=True, slots=True)
class MeshStatus:
    """How the mesh is, as the coordinator sees it."""

    source: str
    format: str
    left_out: Mapping[str, int]  # of the map, by reason
    warnings: tuple[str, ...]
    nodes: int
    links: int
    placement_version: int
    faults: Faults
    shards: tuple[ShardStatus, ...]
    down: Mapping[str, str]  # shards that do not answer, and why
    last_refresh_error: str  # empty if the last poll went well


class MeshCoordinator:
    """Owns the membership of one mesh.

    Args:
        options: what the mesh is started with.
    """

    def __init__(self, options: MeshOptions) -> None:
        log.configure(options.shard.log_level)
        self._options = options
        self._clock = SystemClock()
        self._log = log.get(__name__)
        self._errors = ErrorHandler("mesh-coordinator", spawn.ray_metrics())
        self._path = options.shard.directory / "membership.npz"
        self._shards = tuple(ids.shard_name(number) for number in range(options.shards))
        self._feed = self._new_feed()
        self._imported: Imported | None = None  # None: this life goes by the saved membership
        self._refresh_error = ""
        self._topology_events: list[tuple[float, Event]] = []
        self._lives: dict[str, int] = {}  # of the shards that joined, the latest
        self._deaths: list[tuple[float, str]] = []
        self._changing = asyncio.Lock()
        self._refreshing = asyncio.Lock()
        self._membership: Membership | None = None
        self._started = asyncio.Event()
        self._failure: Exception | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._start(self._live())

    def __repr__(self) -> str:
        return COORDINATOR

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._errors.watch(task)

    # -- life ------------------------------------------------------------------------------------

    async def _live(self) -> None:
        alive = set(self._shards).intersection(spawn.listing())
        for name in self._shards:  # they load while the map is read, then wait for it
            spawn.detached(MeshShard, name, name, self._options.shard)
        try:
            await self._begin(resume=bool(alive))
        except Exception as error:
            self._failure = error
            raise
        finally:
            self._started.set()
        for name in self._shards:
            self._start(self._supervise(name))
        if alive:  # they work by the membership of this actor's previous life
            async with self._changing:
                await self._order("update", await self.membership())
        await self._follow()

    async def _begin(self, *, resume: bool) -> None:
        """Agree on the first membership: the saved one brought up to date, or a new one.

        With `resume`, shards have outlived this actor's previous life. Then a map that cannot be
        read now is no reason to end the mesh: it goes on by the saved membership, and says so.
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
        while True:
            await asyncio.sleep(self._options.refresh_s)
            try:
                await self.refresh()
            except X0Error:
                continue  # handled in `refresh`
            except Exception as error:  # noqa: BLE001 - such as a full disk: the next poll may do
                self._note_refresh_error(error)
                self._feed = self._new_feed()  # the map that was not applied is to be read again

    def _new_feed(self) -> TopologyFeed:
        options = self._options
        return TopologyFeed(
            options.topology, vpn=options.vpn, all_components=options.all_components
        )

    def _note_refresh_error(self, error: Exception) -> None:
        self._refresh_error = str(error)
        self._errors.handle(error, severity="warning")

    async def _supervise(self, shard: str) -> None:
        """Await a shard's death, again and again, and have its nodes taken over meanwhile."""
        while True:
            life = 0
            try:
                handle = spawn.find(shard)
                life = await handle.life.remote()
                if shard not in self._lives:  # it joined in a previous life of this actor
                    self._meet(await self.membership(), shard, life)
                await handle.watch.remote()
            except Exception as error:  # noqa: BLE001 - whatever ended the call, look at the shard
                died = spawn.explained(error, shard)
                self._errors.handle(died, severity="error", shard=shard)
                if life and isinstance(died, ActorUnavailable):
                    await self._bury(shard, life)
                await asyncio.sleep(0.2)

    async def _bury(self, shard: str, life: int) -> None:
        """A shard has died: note it, and have its partitions taken over if it is not back yet."""
        self._deaths.append((self._clock.now(), shard))
        del self._deaths[:-EVENTS_KEPT]
        if not self._options.failover:
            return
        async with self._changing:
            membership = await self.membership()
            if self._lives.get(shard) != life:  # it came back, perhaps while we waited
                return
            partitions = membership.placement.partitions_of(shard)
            survivors = [name for name in self._shards if name != shard]
            if partitions and survivors:
                loads = {s: len(membership.placement.partitions_of(s)) for s in survivors}
                chosen = min(survivors, key=lambda name: loads[name])
                await self._move(membership, partitions, chosen, dead=shard)

    # -- membership ------------------------------------------------------------------------------

    async def membership(self) -> Membership:
        """The present membership.

        Raises:
            TopologyError: the topology could not be read at the start.
        """
        await self._started.wait()
        if self._failure is not None:
            raise self._failure
        assert self._membership is not None  # noqa: S101 - set by _begin, or there is a failure
        return self._membership

    async def roll(self) -> Roll:
        """The nodes and links of the present membership, for who needs no placement.

        Raises:
            TopologyError: the topology could not be read at the start.
        """
        membership = await self.membership()
        return Roll(
            membership.placement.version, self._feed.name, membership.topology, membership.present
        )

    async def options(self) -> MeshOptions:
        """What the mesh was started with."""
        return self._options

    async def join(self, shard: str, life: int) -> Membership:
        """A shard (re)starts: what it has to work by. Nodes moved away come back to it later."""
        membership = await self.membership()
        self._meet(membership, shard, life)
        return membership

    def _meet(self, membership: Membership, shard: str, life: int) -> None:
        self._lives[shard] = life
        if self._away(membership, shard):
            self._start(self._bring_back(shard, life))

    def _away(self, membership: Membership, shard: str) -> list[int]:
        """The partitions that began on `shard` and are elsewhere now."""
        return [
            number
            for number, owner in enumerate(membership.placement.shard_of)
            if self._shards[number % len(self._shards)] == shard != owner
        ]

    async def _bring_back(self, shard: str, life: int) -> None:
        # Not at once: moving is a disturbance too, and what died may die again.
        await asyncio.sleep(REBALANCE_S)
        async with self._changing:
            membership = await self.membership()
            away = self._away(membership, shard)
            if away and self._lives[shard] == life:
                await self._move(membership, away, shard)

    async def _move(
        self, membership: Membership, partitions: list[int], shard: str, *, dead: str = ""
    ) -> None:
        """Have `shard` host partitions of the present membership. Holds `_changing`."""
        self._log.info("partitions move", partitions=partitions, to=shard)
        await self._agree(membership.moved(partitions, shard), dead=dead)

    async def _agree(self, membership: Membership, *, dead: str = "") -> None:
        """Save a membership, then have all shards work by it. Holds `_changing`.

        `dead` is told only if it came back during the saving, and so by the old membership.
        """
        life = self._lives.get(dead)
        await asyncio.to_thread(membership.save, self._path)
        self._membership = membership
        back = self._lives.get(dead)
        if dead and back is not None and back != life:
            self._meet(membership, dead, back)
            dead = ""
        await self._order("update", membership, without=dead)

    async def _order(self, method: str, *args: object, without: str = "") -> dict[str, float]:
        """Call a method of all shards at once; the answers of those that gave one.

        A shard that does not answer is restarting and will ask for the membership itself.
        """

        async def one(shard: str) -> tuple[str, float] | None:
            try:
                async with asyncio.timeout(SHARD_TIMEOUT_S):
                    answer: float = await getattr(spawn.find(shard), method).remote(*args)
            except Exception as error:  # noqa: BLE001 - one shard must not stop the others
                explained = spawn.explained(error, shard)
                self._errors.handle(explained, severity="warning", shard=shard)
                return None
            return shard, answer

        living = [shard for shard in self._shards if shard != without]
        answers = await asyncio.gather(*(one(shard) for shard in living))
        return dict(answer for answer in answers if answer is not None)

    # -- operators -------------------------------------------------------------------------------

    async def refresh(self) -> list[Event]:
        """Read the topology again; what changed.

        Raises:
            TopologyError: it cannot be read; the mesh goes on with the previous one.
        """
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
            if events:
                updated = await asyncio.to_thread(membership.updated, imported.topology)
                await self._agree(updated)
                now = self._clock.now()
                self._topology_events += [(now, event) for event in events]
                del self._topology_events[:-EVENTS_KEPT]
        return events

    async def inject(self, faults: Faults) -> dict[str, float]:
        """Make exactly these faults the injected ones.

        Returns:
            When each shard applied them, s on the monotonic clock of its machine.
        """
        async with self._changing:
            membership = await self.membership()
            membership = replace(membership, faults=faults)
            await asyncio.to_thread(membership.save, self._path)
            self._membership = membership
            return await self._order("inject", faults)

    async def topology_events(self, since: float) -> list[tuple[float, Event]]:
        """Changes of the topology's source after `since`, s on the monotonic clock."""
        return [(at, event) for at, event in self._topology_events if at > since]

    async def deaths(self, since: float) -> list[tuple[float, str]]:
        """Shards whose death was noticed after `since`, s on the monotonic clock."""
        return [(at, shard) for at, shard in self._deaths if at > since]

    async def status(self) -> MeshStatus:
        """How the mesh is."""
        membership = await self.membership()

        async def one(shard: str) -> ShardStatus | str:
            try:
                async with asyncio.timeout(STATUS_TIMEOUT_S):
                    status: ShardStatus = await spawn.find(shard).status.remote()
            except TimeoutError:
                return "no answer yet"
            except Exception as error:  # noqa: BLE001 - a shard that is down is part of the status
                return str(spawn.explained(error, shard))
            return status

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
            faults=membership.faults,
            shards=tuple(answer for answer in answers if not isinstance(answer, str)),
            down={
                name: answer
                for name, answer in zip(self._shards, answers, strict=True)
                if isinstance(answer, str)
            },
            last_refresh_error=self._refresh_error,
        )
