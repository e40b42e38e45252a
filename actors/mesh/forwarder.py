"""Moves messages hop by hop, a whole batch at a time.

A hop is a radio frame per link: every message that waits for the link travels in it. A message
that may not move is held until the tables or the neighbours change. Everything here is soft state:
the origin keeps each message until its destination has it, so that a crash, or an overflow, costs
a delay and not the message.

Frames to nodes of this host are handed over at once. Frames to another host leave with the next
envelope, one envelope in flight per peer, and count as acknowledged by its answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.arq import RETRY_S, Arq, Frame
from actors.mesh.frames import DataFrames
from actors.mesh.walk import AWAY, BUSY, DOWN, HERE, HOME, LinkStates, Walk, stamp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.batch import MessageBatch
    from actors.mesh.multipath import Passage
    from actors.mesh.neighbours import Change, NeighbourTable
    from actors.mesh.router import MeshRouter
    from actors.topology.model import Topology

HELD_S = 60.0  # time after which a held copy is dropped (its origin has sent another)
CAPACITY = 2_000_000  # largest number of messages in transit on one host

HOPS_PER_TURN = 200_000  # messages times hops, so that a backlog does not block the loop
TOGETHER = 16_384  # messages moved in one walk: their columns fit the core's cache
MAX_DEPARTING = 32_768  # messages in one envelope, so that Hellos do not wait long behind them


@dataclass(slots=True)
class Departure:
    """Frames under way to a peer, kept until its answer."""

    frames: list[Frame]
    links: NDArray[np.int32]
    acknowledged: NDArray[np.bool_]  # frames that the medium acknowledges if the receiver lives
    shipped: NDArray[np.intp]  # positions of the frames that the medium let through


class Forwarder:
    """Messages in transit through the hosted nodes.

    Args:
        topology: numbers nodes and directed links.
        peer: int16 [n_nodes], the number of each node's host; `HERE` for this one.
        arq: carries frames over links.
        neighbours: says which links are up.
        router: decides next hops.
        alternates: whether to use loop-free alternates while a link does not answer.
        passage: keeps messages from coming in twice, where a liar may send them back; None: not.
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
        passage: Passage | None = None,
    ) -> None:
        self._passage = passage
        self._topology = topology
        self._target = topology.link_target
        self._peer = peer
        self._arq = arq
        self._states = LinkStates(topology, peer, arq, neighbours)
        self._router = router
        self._alternates = alternates
        self._arrivals: list[MessageBatch] = []
        self._held: list[tuple[float, MessageBatch]] = []
        self._look_again = False
        self._waiting: dict[int, list[MessageBatch]] = {}  # messages that wait for a busy link
        self._departing: dict[int, list[MessageBatch]] = {}
        self.home: list[MessageBatch] = []  # arrived at their destination, for the host to take
        self.dropped = 0  # copies dropped so far because there was no room or no route
        self.hop_count = 0  # messages times hops so far

    # -- what the host tells ---------------------------------------------------------------------

    def move_on(self, batch: MessageBatch) -> None:
        """Messages to forward from the nodes they are at."""
        if len(batch):
            self._arrivals.append(batch)

    def reconsider(self) -> None:
        """Retry held messages after a change of the tables or the neighbours."""
        self._look_again = True
        for batches in self._waiting.values():
            self._arrivals += batches
        self._waiting = {}

    def lose(self, links: NDArray[np.int32]) -> None:
        """Take back the messages that were under way over links that went down."""
        for batch in self._arq.lose(links):
            self.move_on(batch)

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
            batch = messages.concat(_first(self._arrivals, TOGETHER))
            budget -= len(batch) + self._walk(batch, now, changes)
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
                batch = frame.batch
                self._arrive(batch, np.repeat(over, len(batch)))
            self._conclude(frame, acknowledged=known, now=now)
        return self._arq.account(links, acknowledged)

    def _arrive(self, batch: MessageBatch, link: NDArray[np.intp] | NDArray[np.int32]) -> None:
        batch.head["at"] = self._target[link]  # our own copy, taken out of a frame
        self.hop_count += len(batch)
        self.move_on(batch)

    def _conclude(self, frame: Frame, *, acknowledged: bool, now: float) -> None:
        if self._arq.conclude(frame, acknowledged=acknowledged, now=now):
            self._arrivals += self._waiting.pop(frame.link, [])

    def _review(self, now: float) -> None:
        """Release held messages that can move now; drop those held for too long."""
        kept = []
        room = CAPACITY
        for since, batch in reversed(self._held):
            stay = batch
            if self._look_again:
                _, _, state = self._way(batch.head)
                if (moving := state != DOWN).any():
                    self.move_on(batch.take(moving))
                    stay = batch.take(~moving)
            room -= len(stay)
            if now - since > HELD_S or room < 0:
                self.dropped += len(stay)
            elif len(stay):
                kept.append((since, stay))
        self._held = kept[::-1]
        self._look_again = False

    # -- through the hosted nodes ----------------------------------------------------------------

    def _walk(self, batch: MessageBatch, now: float, changes: list[Change]) -> int:
        """Move every message as far as it gets on hosted nodes; messages times hops."""
        walk = Walk(
            batch, self._router, self._topology, self._states.all(), alternates=self._alternates
        )
        if len(walk.links):
            fate = self._arq.transmit(walk.links)
            number = self._arq.next_number()
            for lost in walk.meet(fate):
                frame = Frame(lost.link, number, now + RETRY_S, lost.stamped, lost.unstamped)
                self._arq.keep(frame)
                if lost.arrived:  # so that its repetition is recognised
                    self._arq.receive(np.array([lost.link]), number)
            sent = walk.sent()
            changes += self._arq.account(walk.links[sent], fate.acknowledged[sent])
        self.hop_count += walk.hops
        for where, part, link in walk.parts():
            if where == HOME:
                self.home.append(part)
            else:
                self._set_aside(where, part, link, now)
        return walk.hops

    def _set_aside(
        self, state: int, batch: MessageBatch, link: NDArray[np.int32], now: float
    ) -> None:
        """Queue messages that cannot move now by what they wait for: a link, a peer, a route."""
        if state == AWAY:
            for peer, part in messages.parted(batch, self._peer[self._target[link]]):
                self._departing.setdefault(peer, []).append(part)
        elif state == BUSY:
            for wanted, part in messages.parted(batch, link):
                self._waiting.setdefault(wanted, []).append(part)
        else:
            self._held.append((now, batch))

    def _way(
        self, head: NDArray[np.void]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]]:
        """Each message's link, the distance left before it, and the link's state."""
        link, potential, _ = self._router.decide(head)
        states = self._states.all()
        state = states.take(link, mode="wrap")
        if self._alternates and (state >= BUSY).any():
            rows = np.flatnonzero(state >= BUSY)
            other = self._router.decide(head.take(rows), alternate=True)
            found = states.take(other.link, mode="wrap")
            free = found < BUSY
            rows = rows[free]
            link[rows], potential[rows] = other.link[free], other.potential[free]
            state[rows] = found[free]
        return link, potential, state

    # -- between hosts ---------------------------------------------------------------------------

    def departs_to(self, peer: int, now: float) -> bool:
        """Whether there is anything to send to `peer` now."""
        return bool(self._departing.get(peer) or self._arq.due(peer, now))

    def depart(self, peer: int, now: float) -> tuple[DataFrames, Departure]:
        """The frames that leave for `peer` now; `answered` must follow, whatever happens."""
        frames = self._arq.due(peer, now)
        repeated = len(frames)
        leaving = self._departing.get(peer, [])
        batch = messages.concat(_first(leaving, MAX_DEPARTING))
        stamped, frame_of = messages.empty(), np.empty(0, np.int32)
        if len(batch):
            stamped, frame_of = self._fill(batch, peer, now, frames)
        self._arq.launch(frames)
        links = np.array([frame.link for frame in frames], np.int32)
        arrived, acknowledged = self._arq.transmit(links)
        shipped = arrived.nonzero()[0]
        place = np.cumsum(arrived, dtype=np.int32) - 1  # of each shipped frame: its number
        again = [number for number in range(repeated) if arrived[number]]
        going = arrived[frame_of]
        if not going.all():
            stamped, frame_of = stamped.take(going), frame_of[going]
        copies = [frames[number].batch for number in again]
        old = np.repeat(place[again], [len(copy) for copy in copies])
        data = DataFrames(
            links[shipped],
            np.array([frames[number].number for number in shipped.tolist()], np.int64),
            np.concatenate([old, place[frame_of]]).astype(np.int32),
            messages.concat([*copies, stamped]).compact(),
        )
        return data, Departure(frames, links, acknowledged, shipped)

    def _fill(
        self, batch: MessageBatch, peer: int, now: float, frames: list[Frame]
    ) -> tuple[MessageBatch, NDArray[np.int32]]:
        """Append new frames with messages that were to leave for `peer`, by the present tables.

        Returns:
            The messages, stamped for the hop, and which of `frames` each is in.
        """
        link, potential, state = self._way(batch.head)
        bound = (state == AWAY) & (self._peer[self._target[link]] == peer)
        if not bound.all():
            other = ~bound & (state < BUSY)  # the tables have changed meanwhile
            self.move_on(batch.take(other))
            rest = ~bound & ~other
            for what in (BUSY, DOWN):
                some = rest & (state == what)
                if some.any():
                    self._set_aside(what, batch.take(some), link[some], now)
            batch, link, potential = batch.take(bound), link[bound], potential[bound]
        if not len(batch):
            return batch, np.empty(0, np.int32)
        stamped = stamp(batch, potential, self._router.version)
        number = self._arq.next_number()
        used = self._states.distinct(link)
        frame_of = (len(frames) + np.searchsorted(used, link)).astype(np.int32)
        frames += [Frame(over, number, now, stamped, batch, link) for over in used.tolist()]
        return stamped, frame_of

    def receive(self, data: DataFrames, silent: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Process frames from a peer; which of them reached a hosted node that is not silent.

        None if there is no room for more messages: the peer is to try again.
        """
        if self.in_transit + len(data.batch) > CAPACITY:
            return None
        target = self._target[data.links]
        heard: NDArray[np.bool_] = (self._peer[target] == HERE) & ~silent[target]
        fresh = np.zeros(len(heard), bool)
        fresh[heard] = self._arq.receive(data.links[heard], data.numbers[heard])
        rows = fresh[data.frame_of]
        batch, links = data.batch.take(rows), data.links[data.frame_of[rows]]
        if self._passage is not None:
            new = self._passage.admit(batch.head, links, self._router.version)
            batch, links = batch.take(new), links[new]
        self._arrive(batch, links)
        return heard

    def answered(
        self, departure: Departure, heard: NDArray[np.bool_] | None, now: float
    ) -> list[Change]:
        """Process the peer's answer to `departure`: `heard` is bool [shipped frames], None if none.

        A missing answer concerns the peer's process and not the radio, so it is not counted against
        the neighbours.
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
