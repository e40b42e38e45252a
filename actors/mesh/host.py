"""One host of the protocol: any number of mesh nodes around one link-state database.

Sans-IO: time and envelopes come in, envelopes go out. A shard runs one host for many nodes; the
simulator gives every node a host of its own. The code is the same.

A turn is `step(now)`; between turns the shell exchanges envelopes (`outgoing` → the peer's
`handle` → `answered`) and runs SPF (`router.job`, `install`). Whatever a turn changed in a
partition is journaled before the turn ends, and so before anybody can be told of it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages
from actors.mesh import datagram
from actors.mesh.arq import Arq
from actors.mesh.contract import MeshEvent
from actors.mesh.exchange import Exchange, SentEnvelope
from actors.mesh.forwarder import Forwarder
from actors.mesh.frames import Envelope, EnvelopeAnswer, GiveUp, Settlement
from actors.mesh.guard import Guard
from actors.mesh.lies import Archive, Lie, other_story, praised
from actors.mesh.lsdb import LinkStateDatabase
from actors.mesh.medium import RadioMedium
from actors.mesh.multipath import MultipathRouter, Passage
from actors.mesh.neighbours import Change, NeighbourTable
from actors.mesh.node import MeshNode
from actors.mesh.router import MeshRouter
from actors.mesh.screening import credible, speaks_for_itself
from actors.mesh.sync import Synchroniser
from actors.mesh.walk import HERE
from actors.topology.bound import SCAN_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from actors.mesh.batch import MessageBatch
    from actors.mesh.contract import HostOptions
    from actors.mesh.guard import Held
    from actors.mesh.partition import Acceptance, Partition
    from actors.mesh.placement import Placement
    from actors.mesh.router import SpfJob
    from actors.topology.advertisement import Lsa
    from actors.topology.model import Topology
    from actors.topology.spf import Trees

# Arrived messages whose mailbox is full, which are tried again at each scan; beyond this they are
# dropped here, and sent again by their origin.
WAITING_ROOM = 100_000
EVENTS = 100_000  # latest events that are kept for `events`


class MeshHost:
    """Mesh nodes that share one database.

    Args:
        name: name of this host in the placement.
        topology: the radio links that exist.
        placement: the map of partitions to hosts.
        options: options of the host, the same for all hosts.
        now: present time, s.
        guard: makes what the host asks before it believes anything; by default it believes all.
    """

    def __init__(
        self,
        name: str,
        topology: Topology,
        placement: Placement,
        options: HostOptions,
        now: float,
        guard: Callable[[Held], Guard] = lambda _: Guard(),
    ) -> None:
        self.name = name
        self.options = options
        self.topology = topology
        self.placement = placement
        self.partitions: dict[int, Partition] = {}
        self.database = LinkStateDatabase()
        self.guard = guard(self.database.get)
        self.medium = RadioMedium(topology, options.seed)
        self.events: deque[MeshEvent] = deque(maxlen=EVENTS)
        self._sync = Synchroniser(self.database)
        self._nodes: dict[int, MeshNode] = {}
        self._no_room: list[MessageBatch] = []  # arrived messages whose mailbox is full
        self._scan_at = now
        self._unsaid: set[int] = set()  # nodes that owe an advertisement but are silent
        self._lies: frozenset[tuple[int, Lie]] = frozenset()  # drilled
        self._stories: list[Lsa] = []  # what liars among the hosted nodes tell others
        self._archive = Archive()
        self._hops_before = 0
        self._dropped_before = 0
        self._stirred = False  # an envelope brought work for the next turn
        self._build(now)

    # -- shape: which nodes, which links ---------------------------------------------------------

    def _build(self, now: float) -> None:
        """Make the parts that depend on which nodes are hosted and which links there are."""
        topology, placement, options = self.topology, self.placement, self.options
        mine = np.zeros(len(placement.shard_of), bool)
        mine[list(self.partitions)] = True
        self.hosted: NDArray[np.bool_] = mine[placement.partition_of]
        nodes_of = {
            number: np.flatnonzero(placement.partition_of == number).tolist()
            for number in self.partitions
        }
        self.guard.attend(topology, nodes_of)
        names = [self.name, *(shard for shard in placement.shards if shard != self.name)]
        number = {shard: place for place, shard in enumerate(names)}
        owner = np.array([number[shard] for shard in placement.shard_of], np.int16)
        # A partition that this host should have but has not adopted yet belongs to nobody (-1).
        owner = np.where(mine, HERE, np.where(owner == HERE, -1, owner)).astype(np.int16)
        peer = owner[placement.partition_of]
        self.neighbours = NeighbourTable(topology, self.hosted, options.hello_s, options.seed, now)
        self.router = (
            MultipathRouter(topology, alternates=options.failover, liars=options.liars)
            if options.liars
            else MeshRouter(topology, alternates=options.failover)
        )
        believed = self.guard.advertisements.routable(list(self.database), now)
        self.router.start(believed, self.database.version)
        self._arq = Arq(
            topology, peer, self.medium, self.neighbours, feedback=options.feedback, now=now
        )
        self._forwarder = Forwarder(
            topology,
            peer,
            self._arq,
            self.neighbours,
            self.router,
            alternates=options.failover,
            passage=Passage() if options.liars else None,
        )
        self._exchange = Exchange(
            names,
            placement.version,
            peer,
            self.medium,
            self.neighbours,
            self._arq,
            self._forwarder,
            self._sync,
        )
        for partition in self.partitions.values():
            partition.resize(topology.n_nodes)
            for node in nodes_of[partition.number]:
                if node not in self._nodes:
                    vouch = self.guard.advertisements
                    first = vouch.first_incarnation(node, partition.incarnation)
                    self._nodes[node] = MeshNode(node, first)
        for node in [node for node in self._nodes if not self.hosted[node]]:
            del self._nodes[node]

    def _rebuild(self, now: float) -> None:
        """`_build`, keeping the state of the old parts that is still valid."""
        neighbours, forwarder, exchange = self.neighbours, self._forwarder, self._exchange
        self._hops_before += forwarder.hop_count
        self._dropped_before += forwarder.dropped
        self._build(now)
        self.neighbours.keep(neighbours)
        batch = messages.concat(forwarder.withdraw())
        self._forwarder.move_on(batch.take(self.hosted[batch.head["at"]]))
        waiting = messages.concat(self._no_room)
        self._no_room = [waiting.take(self.hosted[waiting.head["destination"]])]
        for settlement in exchange.unsettled():  # the origins may be hosted elsewhere now
            self._settle(settlement)
        for peer in exchange.peers:
            self._sync.part(peer)
        self._readvertise(self.hosted.nonzero()[0], now)
        self._exchange.greet(now)

    def adopt(self, partition: Partition, now: float) -> None:
        """Host a partition that was recovered from its journal."""
        self.partitions[partition.number] = partition
        partition.outbox.hasten()
        self._rebuild(now)

    def release(self, number: int, now: float) -> None:
        """Stop hosting a partition and close its journal, so that another host can adopt it."""
        partition = self.partitions.pop(number, None)
        if partition is not None:
            partition.close()
            self._rebuild(now)

    def replace(self, topology: Topology, placement: Placement, now: float) -> None:
        """Go on with another topology (whose node indices extend the present ones) or placement.

        The nodes that carried messages may be gone, so open messages are sent again.
        """
        same_shape = np.array_equal(self.topology.ends, topology.ends) and (
            self.placement.shard_of == placement.shard_of
            and np.array_equal(self.placement.partition_of, placement.partition_of)
        )
        self.topology, self.placement = topology, placement
        self.medium.replace(topology)
        if same_shape:  # only qualities differ, which the nodes will notice by themselves
            self._exchange.revision = placement.version
            return
        self._rebuild(now)
        for partition in self.partitions.values():
            partition.outbox.hasten()

    @property
    def peers(self) -> tuple[str, ...]:
        """The other hosts."""
        return self._exchange.peers

    @property
    def in_reach(self) -> tuple[str, ...]:
        """The other hosts that links which are up lead to."""
        return self._exchange.in_reach

    # -- faults, injected ------------------------------------------------------------------------

    def inject(
        self,
        silent: Iterable[int],
        cut: Iterable[tuple[int, int]],
        lies: Iterable[tuple[int, Lie]] = (),
    ) -> None:
        """Have exactly these nodes, hosted or not, silent, these pairs' links cut, these lie.

        The radio of a silent node neither sends nor hears. A node's lies begin, and end, with the
        next turn.
        """
        told = frozenset(lies)
        changed = {node for node, _ in told ^ self._lies}
        self._lies, self._stories, self._archive = told, [], Archive()
        if any(lie is Lie.REPLAY for _, lie in told):
            self._archive.keep(self.database)  # as it is now, which will be old
        self._unsaid.update(node for node in changed if node in self._nodes)
        before = self.medium.silent.copy()
        self.medium.fault(silent, cut)
        if (before & ~self.medium.silent & self.hosted).any():
            for partition in self.partitions.values():
                partition.outbox.hasten()  # a node that speaks again has been waiting to send

    # -- applications ----------------------------------------------------------------------------

    def send(self, partition: int, client: int, request: int, batch: MessageBatch) -> Acceptance:
        """Accept messages whose sources are all in `partition`; they survive from here on."""
        custody = self.partitions[partition]
        answer = custody.accept(client, request, batch, self.medium.silent)
        custody.commit()
        return answer

    def read(
        self, partition: int, port: int, node: int | None, limit: int
    ) -> tuple[NDArray[np.int64], MessageBatch]:
        """The oldest unread messages on `port` and their offsets."""
        custody = self.partitions[partition]
        custody.commit()  # otherwise, after a crash, another message could get a reported offset
        return custody.inbox.read(port, node, limit)

    def consume(self, partition: int, port: int, offsets: NDArray[np.int64]) -> None:
        """Mark the messages at these offsets as received by the application."""
        custody = self.partitions[partition]
        custody.consume(port, offsets)
        custody.commit()

    # -- a turn ----------------------------------------------------------------------------------

    def step(self, now: float) -> None:
        """Run everything that is due at `now`."""
        self._stirred = False
        self._say_hello(now)
        self._speak_again(now)
        self._react(self.neighbours.expire(now), now)
        for partition in self.partitions.values():
            due = partition.outbox.due(
                now, self.options.patience_s, numbered=self.options.liars > 0
            )
            speaking = ~self.medium.silent[due.head["source"]]
            self._forwarder.move_on(due if speaking.all() else due.take(speaking))
        for change in self._forwarder.advance(now):
            self._react(change, now)
        self._take_home()
        if now >= self._scan_at:
            self._scan_at = now + SCAN_S
            self._give_up_hopeless(now)
            self._ask_guard(now)
            for partition in self.partitions.values():
                partition.discard_drills(now)
            self._forwarder.home += self._no_room
            self._no_room = []
        for partition in self.partitions.values():
            partition.commit()
            partition.compact(self.options.journal_max_bytes)

    def next_step(self, now: float) -> float:
        """When the next turn is due if no envelope comes before; s."""
        if self._stirred or self._forwarder.is_behind:
            return now
        soonest = min(self._arq.next_retry, self.neighbours.next_hello, self._scan_at)
        return max(now, min(soonest, now + self.options.hello_s / 4))

    def _say_hello(self, now: float) -> None:
        hellos = self.neighbours.hellos(now, self.medium.silent)
        if not len(hellos.links):
            return
        arrived = self.medium.burst(hellos.links, hellos.copies)
        source = self.topology.link_source[hellos.links]
        target = self.topology.link_target[hellos.links]
        beacons = self.guard.beacons.beacons(source, now)
        self._exchange.say_hello((source, target), hellos, arrived, beacons)
        self._react(self.neighbours.hear(hellos, arrived, now), now)

    def _react(self, change: Change, now: float) -> None:
        """Advertise neighbours that came, went or changed; take back messages sent to lost ones."""
        table, silent = self.neighbours, self.medium.silent
        rows = np.concatenate([change.up, change.down, change.cost])
        if not len(rows):
            return
        self._stirred = True
        table.settle_costs(rows)
        self._forwarder.lose(table.link[change.down])
        for kind, some in (("neighbour-up", change.up), ("neighbour-lost", change.down)):
            told = some[~silent[table.node[some]]]
            pairs = zip(table.node[told].tolist(), table.neighbour[told].tolist(), strict=True)
            self.events.extend(MeshEvent(now, kind, a, b, self.database.version) for a, b in pairs)
        self._readvertise(np.unique(table.node[rows]), now)
        if len(change.up) or len(change.down):
            self._exchange.greet(now)
            self._forwarder.reconsider()

    def _readvertise(self, nodes: NDArray[np.intp] | NDArray[np.int32], now: float) -> None:
        """New advertisements of hosted nodes; one that is silent says nothing until it speaks."""
        self._unsaid.update(nodes[self.medium.silent[nodes]].tolist())
        lsas = []
        for node in nodes[~self.medium.silent[nodes]].tolist():
            listed = self._listed(node)
            if (node, Lie.LINKS) in self._lies:
                listed = praised(listed, self.topology)
            fresh = self.guard.advertisements.sign(listed, now)
            if (node, Lie.STORIES) in self._lies:
                story = self.guard.advertisements.sign(other_story(listed), now)
                self._stories += [] if story is None else [story]
            if fresh is not None:
                self._nodes[node].advertised = fresh
                lsas.append(fresh)
        self._learn(lsas, None, now)

    def _listed(self, node: int) -> Lsa:
        """The next advertisement of a hosted node, before it is signed."""
        table = self.neighbours
        rows = table.rows_of(node)
        rows = rows[table.up[rows]]
        return self._nodes[node].advertise(table.neighbour[rows], table.cost[rows])

    def _learn(self, lsas: Sequence[Lsa], peer: str | None, now: float) -> list[Lsa]:
        """Merge what is believed, from `peer` (None: our own); what of it was news."""
        before = [self.database.get(lsa.origin) for lsa in lsas]
        news = self._sync.learn(lsas, peer)
        self._absorb(news, before, now)
        return news

    def _speak_again(self, now: float) -> None:
        """Send the advertisements that nodes owe since they were silent."""
        speaking = [node for node in self._unsaid if not self.medium.silent[node]]
        if speaking:
            self._unsaid.difference_update(speaking)
            hosted = np.array([node for node in speaking if node in self._nodes], np.int32)
            self._readvertise(hosted, now)

    def _hear_sync(self, envelope: Envelope, now: float) -> None:
        frame = envelope.sync
        assert frame is not None  # noqa: S101 - asked by the caller
        over = envelope.sync_link
        link = int(self.topology.link_source[over]), int(self.topology.link_target[over])
        believed = self.guard.advertisements.offer(frame.lsas, *link, now)
        before = [self.database.get(lsa.origin) for lsa in believed]
        news = self._sync.receive(envelope.sender, replace(frame, lsas=tuple(believed)), now)
        self._absorb(news, before, now)
        self._outlive(news, now)

    def believe(self, verdicts: Sequence[bool], now: float) -> None:
        """Use the verdicts of the last job of `guard.advertisements`."""
        for sender, lsa in self.guard.advertisements.install(verdicts, now):
            part = self.placement.partition_of[sender] if sender >= 0 else -1
            peer = self.placement.shard_of[part] if part >= 0 else None
            self._outlive(self._learn([lsa], peer, now), now)

    def _outlive(self, news: list[Lsa], now: float) -> None:
        """Advertise again for hosted nodes of which others know something newer."""
        self._stirred = self._stirred or bool(news)
        mine = [
            lsa.origin
            for lsa in news
            if lsa.origin in self._nodes and self._nodes[lsa.origin].outlive(lsa)
        ]
        if mine:
            self._readvertise(np.array(mine, np.int32), now)

    def _absorb(self, news: list[Lsa], before: list[Lsa | None], now: float) -> None:
        """The database has merged `news`; `before` holds what it held of those origins."""
        if news:
            believed = self.guard.advertisements.routable(news, now)
            self.router.learn(believed, self.database.version)
            if self.options.feedback:
                self._doubt_abandoned(news, {old.origin: old for old in before if old is not None})

    def _doubt_abandoned(self, news: list[Lsa], before: dict[int, Lsa]) -> None:
        """Probe the hosted nodes' links to neighbours that another node has withdrawn."""
        gone: set[int] = set()
        for lsa in news:
            old = before.get(lsa.origin)
            if old is not None:
                gone.update(set(old.neighbours) - set(lsa.neighbours))
        if gone:
            self.neighbours.doubt(np.array(sorted(gone), np.int32))

    def clear_quarantine(self, nodes: Iterable[int], now: float) -> list[int]:
        """Give hosted nodes that were proven to lie another chance; those that now have one."""
        vouch = self.guard.advertisements
        cleared = vouch.clear(nodes)
        for node in cleared:
            partition = self.partitions[int(self.placement.partition_of[node])]
            first = vouch.first_incarnation(node, partition.incarnation)
            self._nodes[node] = MeshNode(node, first)
        if cleared:
            self._readvertise(np.array(cleared, np.int32), now)
        return cleared

    def _ask_guard(self, now: float) -> None:
        """Learn what has changed by the passing of time alone, and what was found out."""
        lapsed = self.guard.advertisements.lapse(now)
        if lapsed:
            self.router.learn(lapsed, self.database.version)
        amended = self.guard.advertisements.amended(now)
        if amended:
            self._readvertise(np.array(amended, np.int32), now)
        version = self.database.version
        found = self.guard.incidents()
        self.events.extend(MeshEvent(now, kind, a, b, version) for kind, a, b in found)

    # -- messages that arrived, and those that cannot --------------------------------------------

    def _take_home(self) -> None:
        batch = messages.concat(self._forwarder.home)
        self._forwarder.home = []
        if not len(batch):
            return
        if self.options.liars:
            batch.head["flags"] &= messages.UNREACHABLE  # it is no copy any more
        silent = self.medium.silent[batch.head["destination"]]
        batch = batch.take(~silent) if silent.any() else batch
        where = self.placement.partition_of[batch.head["destination"]]
        for number, part in messages.parted(batch, where):
            settlement = self.partitions[number].take(part)
            self._settle(settlement)
            if len(settlement.ids) == len(part):
                continue
            full = ~np.isin(part.head["id"], settlement.ids)
            if full.any() and sum(map(len, self._no_room)) < WAITING_ROOM:
                self._no_room.append(part.take(full))

    def _settle(self, settlement: Settlement) -> None:
        """Tell the origins, here or elsewhere, what has become of their messages."""
        for origin, rows in messages.by_origin(settlement.ids):
            part = Settlement(settlement.ids[rows], settlement.delivered[rows])
            if origin in self.partitions:
                self.partitions[origin].settle(part)
            else:
                self._exchange.settle(self.placement.shard_of[origin], part)

    def _give_up_hopeless(self, now: float) -> None:
        """Ask destinations to promise never to take messages that have had no route for long."""
        hopeless = []
        for partition in self.partitions.values():
            for kept in partition.outbox:
                head = kept.batch.head
                cut_off = kept.open & ~self.router.reachable(head["source"], head["destination"])
                kept.doomed_at = np.where(cut_off, np.minimum(kept.doomed_at, now), np.inf)
                hopeless.append(head[kept.doomed_at <= now - self.options.patience_s])
        if hopeless:
            self._give_up(np.concatenate(hopeless))

    def _give_up(self, head: NDArray[np.void]) -> None:
        where = self.placement.partition_of[head["destination"]]
        for number in np.unique(where).tolist():
            wish = GiveUp(number, head["id"][where == number])
            if number in self.partitions:
                self._settle(self.partitions[number].give_up(wish.ids))
            else:  # repeated with each scan until the destination's host has answered
                self._exchange.give_up(self.placement.shard_of[number], wish)

    # -- exchange with peers ---------------------------------------------------------------------

    def has_for(self, peer: str, now: float) -> bool:
        """Whether there is anything to send to `peer` now."""
        return self._exchange.has_for(peer, now)

    def outgoing(self, peer: str, now: float) -> SentEnvelope:
        """Everything to send to `peer`. `answered` must follow before the next call for it."""
        sent = self._exchange.outgoing(peer, now)
        frame = sent.envelope.sync
        if frame is not None and self._lies:
            frame = replace(frame, lsas=(*frame.lsas, *self._stories))
            if any((node, Lie.REPLAY) in self._lies for node in self._nodes):
                frame = self._archive.retold(frame)
            sent.envelope = replace(sent.envelope, sync=frame)
        return sent

    def handle(self, envelope: Envelope, now: float) -> EnvelopeAnswer | None:
        """Process a peer's envelope; None if it refers to another topology than ours."""
        if not self._accepts(envelope):
            return None
        self._hear_hellos(envelope, now)
        heard = self._forwarder.receive(envelope.data, self.medium.silent)
        sync_heard = False
        if envelope.sync is not None:
            target = self.topology.link_target[envelope.sync_link]
            sync_heard = bool(self.hosted[target] and not self.medium.silent[target])
            if sync_heard:
                self._hear_sync(envelope, now)
        for settlement in envelope.settled:
            self._settle(self._credible(settlement, envelope.sender))
        for wish in envelope.give_up:
            if wish.partition in self.partitions:
                self._settle(self.partitions[wish.partition].give_up(wish.ids))
        for partition in self.partitions.values():
            partition.commit()
        return EnvelopeAnswer(heard, sync_heard)

    def _accepts(self, envelope: Envelope) -> bool:
        if envelope.revision != self.placement.version or envelope.sender not in self.peers:
            return False
        return not self.options.liars or speaks_for_itself(envelope, self.topology, self.placement)

    def _credible(self, settlement: Settlement, sender: str) -> Settlement:
        if not self.options.liars:
            return settlement
        return credible(settlement, sender, self.placement, self.partitions)

    def _hear_hellos(self, envelope: Envelope, now: float) -> None:
        if envelope.hellos is None or envelope.arrived is None:
            return
        source = self.topology.link_source[envelope.hellos.links]
        target = self.topology.link_target[envelope.hellos.links]
        listening = self.hosted[target] & ~self.medium.silent[target]
        counted = self.guard.beacons.hear(source, envelope.beacons, now)
        if counted is not None:
            listening &= counted
        arrived = np.where(listening, envelope.arrived, 0)
        self._react(self.neighbours.hear(envelope.hellos, arrived, now), now)

    def answered(
        self, peer: str, sent: SentEnvelope, answer: EnvelopeAnswer | None, now: float
    ) -> None:
        """Process the answer to an envelope; None means that the peer's process did not reply."""
        if peer not in self.peers:
            return  # the peer hosts nothing any more
        if sent.envelope.revision != self.placement.version:
            answer = None  # the answer's links may have other numbers now
        for change in self._exchange.answered(peer, sent, answer, now):
            self._react(change, now)

    # -- routes ----------------------------------------------------------------------------------

    def send_on(
        self, at: NDArray[np.int32], destination: NDArray[np.int32], attempts: int
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Send datagrams on through the hosted nodes; see `datagram.send_on`."""
        return datagram.send_on(
            at, destination, attempts, self.hosted, self.topology, self.router, self.medium
        )

    def install(self, job: SpfJob, trees: Trees, now: float) -> None:
        """Use the result of a job of `router.job()`."""
        self.router.install(job, trees)
        self.events.append(MeshEvent(now, "routes", -1, -1, job.version))
        self._forwarder.reconsider()

    @property
    def in_transit(self) -> int:
        """Copies of messages that this host has custody of."""
        return self._forwarder.in_transit

    @property
    def arrived(self) -> int:
        """Grows with every message or notice that comes into an inbox of this host."""
        return sum(partition.inbox.next_offset for partition in self.partitions.values())

    @property
    def hop_count(self) -> int:
        """Messages times hops, received by hosted nodes over their links."""
        return self._hops_before + self._forwarder.hop_count

    @property
    def dropped(self) -> int:
        """Copies of messages that were dropped here for want of room or of a way."""
        return self._dropped_before + self._forwarder.dropped
