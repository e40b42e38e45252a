"""Moves messages hop by hop, a whole batch at a time.

A hop is a radio frame per link: every message that waits for the link travels in it. A message
that may not move is held until the tables or the neighbours change. Everything here is soft state:
the origin keeps each message until its destination has it, so that a crash, or an overflow, costs
a delay and not the message.

Frames to nodes of this host are handed over at once. Frames to another host leave with the next
envelope, one envelope in flight per peer, and count as acknowledged by its answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.arq import RETRY_S, Arq, Frame
from actors.mesh.frames import DataFrames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.batch import MessageBatch
    from actors.mesh.neighbours import Change, NeighbourTable
    from actors.mesh.router import MeshRouter
    from actors.topology.model import Topology

HELD_S = 60.0  # after which a held copy is dropped (its origin has long sent another)
CAPACITY = 2_000_000  # messages in transit on one host

HOPS_PER_TURN = 50_000  # messages times hops, so that a backlog does not hold the host's loop
MAX_DEPARTING = 10_000  # messages in one envelope, so that Hellos do not wait long behind them

HERE = 0  # the number of this host among its peers


@dataclass(slots=True)
class Departure:
    """Frames under way to a peer, kept until its answer."""

    frames: list[Frame]
    links: NDArray[np.int32]
    acknowledged: NDArray[np.bool_]  # by the medium, if the receiver is alive
    shipped: NDArray[np.intp]  # positions of the frames that the medium let through


class _Way(NamedTuple):
    """Where messages can go now, a row each."""

    link: NDArray[np.int32]
    potential: NDArray[np.int32]
    free: NDArray[np.bool_]  # the link is up and takes a frame now
    queued: NDArray[np.bool_]  # the link is up, but a frame is under way


class Forwarder:
    """Messages in transit through the hosted nodes.

    Args:
        topology: numbers nodes and directed links.
        peer: int16 [n_nodes], the number of each node's host; `HERE` for this one.
        arq: carries frames over links.
        neighbours: says which links are up.
        router: decides next hops.
        alternates: whether to use loop-free alternates while a link does not answer.
    """

    def __init__(
        self,
        topology: Topology,
        peer: NDArray[np.int16],
        arq: Arq,
        neighbours: NeighbourTable,
        router: MeshRouter,
        *,
        alternates: bool,
    ) -> None:
        self._target = topology.link_target
        self._peer = peer
        self._arq = arq
        self._neighbours = neighbours
        self._router = router
        self._alternates = alternates
        self._arrivals: list[MessageBatch] = []
        self._held: list[tuple[float, MessageBatch]] = []
        self._look_again = False
        self._waiting: dict[int, list[MessageBatch]] = {}  # for a link that is busy
        self._departing: dict[int, list[MessageBatch]] = {}
        self.home: list[MessageBatch] = []  # arrived at their destination, for the host to take
        self.dropped = 0  # copies dropped for want of room or of a way, for ever
        self.hop_count = 0  # messages times hops

    # -- what the host tells ---------------------------------------------------------------------

    def inject(self, batch: MessageBatch) -> None:
        """Messages to forward from the nodes they are at."""
        if len(batch):
            self._arrivals.append(batch)

    def reconsider(self) -> None:
        """The tables or the neighbours changed: what was held may be able to move."""
        self._look_again = True
        for batches in self._waiting.values():
            self._arrivals += batches
        self._waiting = {}

    def lose(self, links: NDArray[np.int32]) -> None:
        """These links are down: take back what was under way over them."""
        for batch in self._arq.lose(links):
            self.inject(batch)

    def withdraw(self) -> list[MessageBatch]:
        """Everything in transit, for a forwarder that takes this one's place."""
        self.reconsider()
        departing = [batch for batches in self._departing.values() for batch in batches]
        held = [batch for _, batch in self._held]
        return self._arrivals + held + departing + self._arq.lose_all()

    @property
    def in_transit(self) -> int:
        """Messages that this host has custody of."""
        held = sum(len(batch) for _, batch in self._held)
        waiting = sum(len(b) for batches in self._waiting.values() for b in batches)
        leaving = sum(len(b) for batches in self._departing.values() for b in batches)
        return held + waiting + leaving + sum(map(len, self._arrivals))

    # -- time ------------------------------------------------------------------------------------

    def advance(self, now: float) -> list[Change]:
        """Repeat frames that are due and move everything that can move.

        Returns:
            What unanswered frames revealed about neighbours.
        """
        changes = self._repeat(now)
        self._arq.probe(now)
        self._review(now)
        budget = HOPS_PER_TURN
        while self._arrivals and budget > 0:
            batch = messages.concat(_first(self._arrivals, budget))
            while len(batch) and budget > 0:
                budget -= len(batch)
                batch = self._hop(batch, now, changes)
            self.inject(batch)
        return changes

    @property
    def is_behind(self) -> bool:
        """Whether messages could move on in another turn at once."""
        return bool(self._arrivals)

    def _repeat(self, now: float) -> list[Change]:
        due = self._arq.due(HERE, now)
        if not due:
            return []
        links = np.array([frame.link for frame in due], np.int32)
        arrived, acknowledged = self._arq.transmit(links)
        for frame, came, known in zip(due, arrived.tolist(), acknowledged.tolist(), strict=True):
            over = np.array([frame.link])
            if came and self._arq.receive(over, frame.number).all():
                self._arrive(frame.batch, np.repeat(over, len(frame.batch)))
            self._conclude(frame, acknowledged=known, now=now)
        return self._arq.account(links, acknowledged)

    def _arrive(self, batch: MessageBatch, link: NDArray[np.intp] | NDArray[np.int32]) -> None:
        head = batch.head.copy()
        head["at"] = self._target[link]
        self.hop_count += len(head)
        self.inject(replace(batch, head=head))

    def _conclude(self, frame: Frame, *, acknowledged: bool, now: float) -> None:
        if self._arq.conclude(frame, acknowledged=acknowledged, now=now):
            self._arrivals += self._waiting.pop(frame.link, [])

    def _review(self, now: float) -> None:
        """Let go of held messages that can move by now, and of those held for too long."""
        kept = []
        room = CAPACITY
        for since, batch in reversed(self._held):
            stay = batch
            if self._look_again:
                way = self._way(batch.head)
                if (moving := way.free | way.queued).any():
                    self.inject(batch.take(moving))
                    stay = batch.take(~moving)
            room -= len(stay)
            if now - since > HELD_S or room < 0:
                self.dropped += len(stay)
            elif len(stay):
                kept.append((since, stay))
        self._held = kept[::-1]
        self._look_again = False

    # -- one hop ---------------------------------------------------------------------------------

    def _hop(self, batch: MessageBatch, now: float, changes: list[Change]) -> MessageBatch:
        """Move every message one hop; those that can go on."""
        home = batch.head["at"] == batch.head["destination"]
        if home.any():
            self.home.append(batch.take(home))
            batch = batch.take(~home)
        batch, link, potential = self._choose(batch, now)
        peer = self._peer[self._target[link]]
        here = peer == HERE
        if not here.all():
            for away in np.unique(peer[~here]).tolist():
                self._departing.setdefault(away, []).append(batch.take(peer == away))
            batch, link, potential = batch.take(here), link[here], potential[here]
        if not len(batch):
            return batch
        stamped = self._stamp(batch, potential)
        used = np.unique(link)
        arrived, acknowledged = self._arq.transmit(used)
        number = self._arq.next_number()
        self._arq.receive(used[arrived], number)
        changes += self._arq.account(used, acknowledged)
        frame_of = np.searchsorted(used, link)
        for lost in np.flatnonzero(~acknowledged).tolist():
            rows = frame_of == lost
            copies = stamped.take(rows), batch.take(rows)
            self._arq.keep(Frame(int(used[lost]), number, now + RETRY_S, *copies))
        moved = arrived[frame_of]
        if not moved.all():
            stamped, link = stamped.take(moved), link[moved]
        stamped.head["at"] = self._target[link]
        self.hop_count += len(stamped)
        return stamped

    def _choose(
        self, batch: MessageBatch, now: float
    ) -> tuple[MessageBatch, NDArray[np.int32], NDArray[np.int32]]:
        """Each message's link, those that cannot move set aside."""
        way = self._way(batch.head)
        if way.free.all():
            return batch, way.link, way.potential
        for wanted in np.unique(way.link[way.queued]).tolist():
            rows = way.queued & (way.link == wanted)
            self._waiting.setdefault(wanted, []).append(batch.take(rows))
        stuck = ~way.free & ~way.queued
        if stuck.any():
            self._held.append((now, batch.take(stuck)))
        return batch.take(way.free), way.link[way.free], way.potential[way.free]

    def _way(self, head: NDArray[np.void]) -> _Way:
        link, potential, _ = self._router.decide(head)
        up = self._is_up(link)
        free = up & ~self._arq.busy[link]
        if self._alternates and not free.all():
            rows = np.flatnonzero(~free)
            other = self._router.decide(head[rows], alternate=True)
            usable = self._is_up(other.link) & ~self._arq.busy[other.link]
            rows = rows[usable]
            link[rows], potential[rows] = other.link[usable], other.potential[usable]
            free[rows] = True
        return _Way(link, potential, free, up & ~free)

    def _is_up(self, link: NDArray[np.int32]) -> NDArray[np.bool_]:
        up = np.zeros(len(link), bool)
        known = np.flatnonzero(link >= 0)
        rows = self._neighbours.row_of_link[link[known]]
        # A link that is not a hosted node's own has no row.
        up[known[rows >= 0]] = self._neighbours.up[rows[rows >= 0]]
        return up

    def _stamp(self, batch: MessageBatch, potential: NDArray[np.int32]) -> MessageBatch:
        """The batch as it leaves for its next hop, decided by the installed trees."""
        head = batch.head.copy()
        trail = batch.trail
        if trail is not None:
            trail = messages.record(head, trail, self._router.version)
        head["version"] = self._router.version
        head["potential"] = potential
        head["hops"] += 1
        return replace(batch, head=head, trail=trail)

    # -- between hosts ---------------------------------------------------------------------------

    def departs_to(self, peer: int, now: float) -> bool:
        """Whether there is anything to send to `peer` now."""
        return bool(self._departing.get(peer) or self._arq.due(peer, now))

    def depart(self, peer: int, now: float) -> tuple[DataFrames, Departure]:
        """The frames that leave for `peer` now; `answered` must follow, whatever happens."""
        frames = self._arq.due(peer, now)
        leaving = self._departing.get(peer, [])
        batch = messages.concat(_first(leaving, MAX_DEPARTING))
        if len(batch):
            frames += self._frames(batch, peer, now)
        for frame in frames:
            frame.retry_at = np.inf
        links = np.array([frame.link for frame in frames], np.int32)
        arrived, acknowledged = self._arq.transmit(links)
        shipped = np.flatnonzero(arrived)
        going = [frames[i] for i in shipped.tolist()]
        sizes = [len(frame.batch) for frame in going]
        data = DataFrames(
            links[shipped],
            np.array([frame.number for frame in going], np.int64),
            np.repeat(np.arange(len(going), dtype=np.int32), sizes),
            messages.concat([frame.batch for frame in going]).compact(),
        )
        return data, Departure(frames, links, acknowledged, shipped)

    def _frames(self, batch: MessageBatch, peer: int, now: float) -> list[Frame]:
        """New frames for messages that were to leave for `peer`, by the tables of this moment."""
        batch, link, potential = self._choose(batch, now)
        bound = self._peer[self._target[link]] == peer
        if not bound.all():
            self.inject(batch.take(~bound))
            batch, link, potential = batch.take(bound), link[bound], potential[bound]
        if not len(batch):
            return []
        stamped = self._stamp(batch, potential)
        number = self._arq.next_number()
        frames = []
        for used in np.unique(link).tolist():
            rows = link == used
            frames.append(Frame(used, number, now, stamped.take(rows), batch.take(rows)))
            self._arq.keep(frames[-1])
        return frames

    def receive(self, data: DataFrames, silent: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Take in frames from a peer; which of them found a hosted node that is not silent.

        None if there is no room for more messages: the peer is to try again.
        """
        if self.in_transit + len(data.batch) > CAPACITY:
            return None
        target = self._target[data.links]
        heard: NDArray[np.bool_] = (self._peer[target] == HERE) & ~silent[target]
        fresh = np.zeros(len(heard), bool)
        fresh[heard] = self._arq.receive(data.links[heard], data.numbers[heard])
        rows = fresh[data.frame_of]
        self._arrive(data.batch.take(rows), data.links[data.frame_of[rows]])
        return heard

    def answered(
        self, departure: Departure, heard: NDArray[np.bool_] | None, now: float
    ) -> list[Change]:
        """The peer's answer to `departure`: `heard` of the frames shipped, None if it has none.

        No answer says something about the peer's process and nothing about the radio, so it is
        not held against the neighbours.
        """
        known = np.zeros(len(departure.frames), bool)
        if heard is not None:
            known[departure.shipped] = heard
            known &= departure.acknowledged
        for frame, done in zip(departure.frames, known.tolist(), strict=True):
            self._conclude(frame, acknowledged=done, now=now)
        return [] if heard is None else self._arq.account(departure.links, known)


def _first(batches: list[MessageBatch], count: int) -> list[MessageBatch]:
    """Take batches from the front of the list until they have `count` messages, or it is empty."""
    first: list[MessageBatch] = []
    while batches and sum(map(len, first)) < count:
        first.append(batches.pop(0))
    return first
