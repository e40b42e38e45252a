"""The Ray actor that hosts mesh nodes: a shard.

A thin shell around one `MeshHost`: it runs the host's turns, carries its envelopes to other
shards, runs its SPF in a thread, keeps partitions' journals on disk, and answers applications. It
decides nothing about routing or delivery.

Ray restarts a shard that dies and runs the constructor again, in which no state survives: the
shard asks the coordinator for the membership and recovers its partitions from their journals.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import pickle
import signal
from typing import TYPE_CHECKING, Any

import numpy as np

from actors.mesh import control, pacing
from actors.mesh.contract import COORDINATOR, ShardContract
from actors.mesh.errors import NothingSealed, ShardUnavailable
from actors.mesh.guard import guard_of
from actors.mesh.host import MeshHost
from actors.mesh.journal import FileJournal
from actors.mesh.partition import Partition
from actors.mesh.shard_metrics import ShardMetrics
from actors.runtime.bell import Bell
from actors.runtime.errors import Unavailable, X0Error
from actors.runtime.shell import ActorShell
from actors.topology.disjoint import DisjointPaths
from actors.topology.link_state import LinkState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.batch import MessageBatch
    from actors.mesh.contract import MeshEvent, ShardOptions, ShardStatus
    from actors.mesh.frames import Envelope, EnvelopeAnswer
    from actors.mesh.membership import Faults, Membership
    from actors.mesh.partition import Acceptance

EXCHANGE_TIMEOUT_S = 10.0  # longest wait for a peer's answer; Ray reports a dead peer sooner
RETRY_PEER_S = 0.1
METRICS_S = 1.0
ROUTE_S = 1.0  # longest wait for routes to a destination asked for the first time
POLL_S = 0.01
LONGEST_WAIT_S = 10.0  # longest call for messages, so that a dead client frees its place


class MeshShard(ActorShell):
    """Hosts the nodes of the partitions that the coordinator gives it.

    Args:
        name: name of this actor.
        options: options of the shard, the same for all shards.
    """

    def __init__(self, name: str, options: ShardOptions) -> None:
        super().__init__(name, log_level=options.log_level, context="mesh-shard")
        self._options = options
        self._shard_metrics = ShardMetrics(name, self._metrics, self._lag)
        self._host: MeshHost | None = None
        self._channel = (
            None
            if options.guard is None
            else options.guard.channel(name, options.directory, self._metrics)
        )
        self._present = np.zeros(0, bool)  # which nodes the map has, of all that it ever had
        self._routes_due = asyncio.Event()
        self._checks_due = asyncio.Event()
        self._wake = asyncio.Event()
        self._due = 0.0  # time of the next scheduled turn, s
        self._arrivals, self._room = Bell(), Bell()  # rung for waiting readers
        self._arrived = 0
        self._changing = asyncio.Lock()
        self._admitting = asyncio.Lock()  # one call at a time, and turns between them
        self._peers: dict[str, asyncio.Event] = {}
        self._begin(self._live(), ShardContract)

    # -- loops -----------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Join the mesh, then run."""
        if self._channel is not None:
            await self._channel.open()
        await self.update(await self._join())
        for work in (self._turn_for_ever(), self._route(), self._check()):
            self._vital(work)
        self._start(self._report())

    async def _turn_for_ever(self) -> None:
        host = self._hosting()
        while True:
            await self._turn(host)

    async def _join(self) -> Membership:
        while True:
            try:
                return await control.coordinator().join(self._name, self._incarnation)
            except Unavailable as error:
                self._waits_for = f"{COORDINATOR}: {error.why}"
                await asyncio.sleep(RETRY_PEER_S)  # the coordinator is restarting itself

    async def _turn(self, host: MeshHost) -> None:
        self._wake.clear()
        now = self._clock.now()
        host.step(now)
        self._due = now  # no second wake-up for work that is not due yet
        self._follow(host, now)
        await asyncio.sleep(pacing.rest_after_turn_s(self._clock.now() - now))
        self._due = host.next_step(self._clock.now())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(self._due - self._clock.now(), 0.0)):
                await self._wake.wait()

    def _follow(self, host: MeshHost, now: float) -> None:
        """Start what the host needs now: routes, envelopes to peers, the next turn."""
        if host.arrived != self._arrived:
            self._arrived = host.arrived
            self._arrivals.ring()
        for peer in host.peers:
            if host.has_for(peer, now):
                self._peers[peer].set()
        if host.router.due:
            self._routes_due.set()
        if host.guard.advertisements.due:
            self._checks_due.set()
        if host.next_step(now) < self._due:
            self._wake.set()

    async def _route(self) -> None:
        """Compute routes in a thread whenever the database has changed."""
        host = self._hosting()
        while True:
            await self._routes_due.wait()
            self._routes_due.clear()
            while (job := host.router.job()) is not None:
                started = self._clock.now()
                router = host.router
                trees = await asyncio.to_thread(job.run)
                if router is host.router:  # otherwise the topology has been replaced meanwhile
                    host.install(job, trees, self._clock.now())
                    self._shard_metrics.spf(self._clock.now() - started)
                self._wake.set()

    async def _check(self) -> None:
        """Check signatures in a thread whenever some have come."""
        host = self._hosting()
        while True:
            await self._checks_due.wait()
            self._checks_due.clear()
            while (job := host.guard.advertisements.job(self._clock.now())) is not None:
                verdicts = await asyncio.to_thread(job.run)
                host.believe(verdicts, self._clock.now())
                self._follow(host, self._clock.now())

    async def _converse(self, peer: str) -> None:
        """Carry envelopes to one peer, one at a time."""
        host, to = self._hosting(), control.shard(peer, timeout_s=EXCHANGE_TIMEOUT_S)
        while True:
            await self._peers[peer].wait()
            self._peers[peer].clear()
            now = self._clock.now()
            if peer not in host.peers or not host.has_for(peer, now):
                continue
            sent = host.outgoing(peer, now)
            answer: EnvelopeAnswer | None = None
            try:
                answer = await self._carry(peer, to, sent.envelope)
            except X0Error as error:  # whatever it is, the envelope did not arrive
                self._errors.handle(error, severity="warning")
                await asyncio.sleep(RETRY_PEER_S)
            now = self._clock.now()
            host.answered(peer, sent, answer, now)
            self._follow(host, now)

    async def _carry(
        self, peer: str, to: ShardContract, envelope: Envelope
    ) -> EnvelopeAnswer | None:
        """Have a peer process an envelope, sealed where there is a channel."""
        if self._channel is None:
            return await to.exchange(envelope)
        content = pickle.dumps(envelope, protocol=pickle.HIGHEST_PROTOCOL)
        answer: EnvelopeAnswer | None = pickle.loads(  # noqa: S301 - the seal proves whose it is
            await self._channel.carry(peer, content, to.converse)
        )
        return answer

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(METRICS_S)
            self._shard_metrics.publish(self._hosting(), self._present)

    def _hosting(self) -> MeshHost:
        if self._host is None:
            raise ShardUnavailable(self._name)
        return self._host

    # -- membership ------------------------------------------------------------------------------

    async def update(self, membership: Membership) -> float:
        """See `ShardContract.update`."""
        async with self._changing:
            now = self._clock.now()
            host = self._host
            newer = host is None or membership.placement.version > host.placement.version
            if newer:
                self._present = membership.present
            if host is None:
                host = await asyncio.to_thread(
                    MeshHost,
                    self._name,
                    membership.topology,
                    membership.placement,
                    self._options.host,
                    now,
                    functools.partial(
                        guard_of,
                        self._options.guard,
                        self._name,
                        self._options.directory,
                        self._metrics,
                    ),
                )
            elif newer:
                host.replace(membership.topology, membership.placement, now)
            wanted = host.placement.partitions_of(self._name)
            for number in [number for number in host.partitions if number not in wanted]:
                host.release(number, now)
                self._log.info("partition released", partition=number)
            if newer:  # an answer to `join` may arrive after a newer order
                faults = membership.faults
                host.inject(faults.silent, faults.cut, faults.lies)
            for number in [number for number in wanted if number not in host.partitions]:
                partition = await asyncio.to_thread(self._recover, number, host.topology.n_nodes)
                host.adopt(partition, self._clock.now())
                self._log.info(
                    "partition adopted", partition=number, incarnation=partition.incarnation
                )
            self._host = host
            for peer in host.peers:
                if peer not in self._peers:
                    self._peers[peer] = asyncio.Event()
                    self._vital(self._converse(peer))
            for bell in self._arrivals, self._room:
                bell.ring()  # the readers' nodes may have moved to another shard
            self._wake.set()
            return self._clock.now()

    def _recover(self, number: int, n_nodes: int) -> Partition:
        journal = FileJournal(self._options.directory / f"partition-{number:02d}")
        try:
            partition = Partition(number, n_nodes, journal, self._options.mailbox_capacity)
            partition.recover()
        except BaseException:
            journal.close()
            raise
        return partition

    async def inject(self, faults: Faults) -> float:
        """See `ShardContract.inject`."""
        await self._ready()
        self._hosting().inject(faults.silent, faults.cut, faults.lies)
        self._wake.set()
        return self._clock.now()

    # -- other shards ----------------------------------------------------------------------------

    async def exchange(self, envelope: Envelope) -> EnvelopeAnswer | None:
        """See `ShardContract.exchange`."""
        await self._ready()
        if self._channel is not None:
            raise self._channel.unsealed(envelope.sender)
        return self._handle(envelope)

    async def converse(self, message: bytes) -> bytes:
        """See `ShardContract.converse`."""
        await self._ready()
        if self._channel is None:
            raise NothingSealed(self._name)
        return await self._channel.take(message, self._handle_sealed)

    def _handle_sealed(self, peer: str, content: bytes) -> bytes:
        envelope = pickle.loads(content)  # noqa: S301 - the seal proves whose it is
        if envelope.sender != peer:
            return pickle.dumps(None)  # it speaks for another: not answered
        return pickle.dumps(self._handle(envelope), protocol=pickle.HIGHEST_PROTOCOL)

    def _handle(self, envelope: Envelope) -> EnvelopeAnswer | None:
        host = self._hosting()
        now = self._clock.now()
        answer = host.handle(envelope, now)
        self._follow(host, now)
        return answer

    # -- applications ----------------------------------------------------------------------------

    async def send(
        self, partition: int, version: int, client: int, request: int, batch: MessageBatch
    ) -> Acceptance:
        """See `ShardContract.send`."""
        async with self._admitting:
            host = await self._host_of(partition, version)
            began = self._clock.now()
            answer = host.send(partition, client, request, batch)
            accepted = int((answer.refusal == 0).sum())
            self._shard_metrics.accepted(accepted)
            self._wake.set()
            length_s, refused = self._clock.now() - began, accepted < len(batch)
            await asyncio.sleep(pacing.rest_after_send_s(length_s, refused=refused))
        return answer

    async def receive(
        self,
        partition: int,
        version: int,
        port: int,
        node: int | None,
        limit: int,
        after: int,
        done: NDArray[np.int64] | None,
        wait_s: float,
    ) -> tuple[NDArray[np.int64], MessageBatch]:
        """See `ShardContract.receive`."""
        deadline = self._clock.now() + min(wait_s, LONGEST_WAIT_S)
        if done is not None:
            await self.consume(partition, version, port, done)
        while True:
            host = await self._host_of(partition, version)
            offsets, batch = host.read(partition, port, node, limit)
            given = int(np.searchsorted(offsets, after, side="right"))
            left = deadline - self._clock.now()
            if given < len(offsets) or left <= 0.0:
                new = batch.take(np.arange(given, len(offsets))) if given else batch
                return offsets[given:], new.compact()
            await (self._arrivals if len(offsets) < limit else self._room).wait(left)

    async def consume(
        self, partition: int, version: int, port: int, offsets: NDArray[np.int64]
    ) -> None:
        """See `ShardContract.consume`."""
        host = await self._host_of(partition, version)
        host.consume(partition, port, offsets)
        self._room.ring()
        self._shard_metrics.delivered(len(offsets))

    async def pending(
        self, partition: int, version: int, ids: NDArray[np.uint64]
    ) -> NDArray[np.bool_]:
        """See `ShardContract.pending`."""
        host = await self._host_of(partition, version)
        return host.partitions[partition].outbox.is_open(ids)

    async def send_on(
        self,
        partition: int,
        version: int,
        at: NDArray[np.int32],
        destination: NDArray[np.int32],
        attempts: int,
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """See `ShardContract.send_on`."""
        host = await self._host_of(partition, version)
        return host.send_on(at, destination, attempts)

    async def _host_of(self, partition: int, version: int) -> MeshHost:
        await self._ready()
        host = self._hosting()
        host.placement.check(partition, version, self._name)
        if partition not in host.partitions or version > host.placement.version:
            # The partition is being recovered, or a membership with more nodes is about to arrive.
            raise ShardUnavailable(self._name)
        return host

    # -- operators -------------------------------------------------------------------------------

    async def status(self) -> ShardStatus:
        """See `ShardContract.status`."""
        await self._ready()
        return self._shard_metrics.status(self._hosting(), self._present)

    async def protection(self) -> dict[str, Any]:
        """See `ShardContract.protection`."""
        await self._ready()
        beacons = self._hosting().guard.beacons.report()
        return beacons if self._channel is None else beacons | self._channel.report()

    async def routes(
        self, destinations: NDArray[np.int32]
    ) -> tuple[tuple[int, ...], NDArray[np.int32]]:
        """See `ShardContract.routes`."""
        await self._ready()
        host = self._hosting()
        host.router.want(destinations.tolist())
        self._wake.set()
        return tuple(host.partitions), host.router.next_hops(destinations)

    async def paths(
        self, partition: int, version: int, source: int, destination: int, most: int
    ) -> list[tuple[list[int], int]]:
        """See `ShardContract.paths`."""
        host = await self._host_of(partition, version)
        host.router.want([destination])
        due = self._clock.now() + ROUTE_S
        while destination not in host.router.destinations and self._clock.now() < due:
            self._routes_due.set()
            await asyncio.sleep(POLL_S)
        return host.router.paths(source, destination, most)

    async def link_state(self, known: tuple[int, int] | None = None) -> LinkState | None:
        """See `ShardContract.link_state`."""
        await self._ready()
        host = self._hosting()
        revision, digest = host.placement.version, host.database.digest
        if (revision, digest) == known:
            return None
        table = host.neighbours
        return LinkState(
            revision=revision,
            digest=digest,
            link=table.link.copy(),
            cost=np.where(table.up, np.maximum(table.cost, 1), 0).astype(np.int32),
            heard=table.measured,
            incarnation=self._incarnation,
        )

    async def quarantine(self) -> dict[str, Any]:
        """See `ShardContract.quarantine`."""
        await self._ready()
        return self._hosting().guard.advertisements.report(self._clock.now())

    async def clear_quarantine(self, nodes: list[int]) -> list[int]:
        """See `ShardContract.clear_quarantine`."""
        await self._ready()
        cleared = self._hosting().clear_quarantine(nodes, self._clock.now())
        self._wake.set()
        return cleared

    async def disjoint_paths(
        self, source: int, destinations: NDArray[np.int32], most: int
    ) -> NDArray[np.int32]:
        """See `ShardContract.disjoint_paths`."""
        await self._ready()
        host = self._hosting()
        topology, cost = host.topology, host.router.cost

        def counted() -> NDArray[np.int32]:
            search = DisjointPaths(topology, cost)
            found = (search.between(source, to, most) for to in destinations.tolist())
            return np.array([len(paths) for paths in found], np.int32)

        return await asyncio.to_thread(counted)

    async def events(self, since: float) -> list[MeshEvent]:
        """See `ShardContract.events`."""
        await self._ready()
        return [event for event in self._hosting().events if event.at > since]

    async def watch(self) -> None:
        """See `ShardContract.watch`."""
        await asyncio.Event().wait()

    async def die(self) -> None:
        """See `ShardContract.die`."""
        os.kill(os.getpid(), signal.SIGKILL)


_KEEPS: type[ShardContract] = MeshShard
