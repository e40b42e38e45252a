"""Moves messages hop by hop, a whole batch at a time.

A hop is a radio frame per link: every message that waits for the link travels in it. A frame is
repeated until acknowledged (stop and wait per link); its sender keeps a copy until then, and
takes the messages back when it gives the neighbour up. A message that may not move is held until
the database changes. Everything here is soft state: the origin keeps each message until its
destination has it, so that a crash, or an overflow, costs a delay and not the message.

Frames to nodes of this host are handed over at once. Frames to another host leave with the next
envelope, one envelope in flight per peer, and count as acknowledged by its answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages
from actors.mesh import router as routing
from actors.mesh.frames import DataFrames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.batch import MessageBatch
    from actors.mesh.medium import RadioMedium, Transmission
    from actors.mesh.neighbours import Change, NeighbourTable
    from actors.mesh.router import MeshRouter
    from actors.topology.model import Topology

RETRY_S = 0.02  # pause before a frame that stayed unacknowledged is tried again
HELD_S = 60.0  # after which a held copy is dropped (its origin has long sent another)
CAPACITY = 2_000_000  # messages in transit on one host

HERE = 0  # the number of this host among its peers


@dataclass(slots=True)
class _Frame:
    """A frame that its receiver has not acknowledged yet."""

    link: int
    number: int
    batch: MessageBatch  # stamped for the hop
    potential: NDArray[np.int32]  # the stamps before the hop, to take it back
    version: NDArray[np.int64]
    retry_at: float

    def taken_back(self) -> MessageBatch:
        """The messages as they were before the hop."""
        head = self.batch.head.copy()
        head["potential"], head["version"] = self.potential, self.version
        head["hops"] -= 1
        return messages.MessageBatch(head, self.batch.offset, self.batch.payload, self.batch.trail)


@dataclass(slots=True)
class Departure:
    """Frames under way to a peer, kept until its answer."""

    frames: list[_Frame]
    links: NDArray[np.int32]
    acknowledged: NDArray[np.bool_]  # by the medium, if the receiver is alive
    shipped: NDArray[np.intp]  # positions of the frames that the medium let through


class Forwarder:
    """Messages in transit through the hosted nodes.

    Args:
        topology: numbers nodes and directed links.
        peer: int16 [n_nodes], the number of each node's host; `HERE` for this one.
        medium: decides which frames arrive.
        neighbours: says which links are up; told what frames reveal about them.
        router: decides next hops.
        feedback: whether unacknowledged frames may betray a dead neighbour.
        alternates: whether to use loop-free alternates while a link does not answer.
        now: s; frame numbers start from it, so they grow across restarts of the host.
    """

    def __init__(
        self,
        topology: Topology,
        peer: NDArray[np.int16],
        medium: RadioMedium,
        neighbours: NeighbourTable,
        router: MeshRouter,
        *,
        feedback: bool,
        alternates: bool,
        now: float,
    ) -> None:
        self._topology = topology
        self._peer = peer
        self._medium = medium
        self._neighbours = neighbours
        self._router = router
        self._feedback = feedback
        self._alternates = alternates
        self._number = int(now * 1e6)
        self._received = np.full(2 * topology.n_links, -1, np.int64)
        self._busy = np.zeros(2 * topology.n_links, bool)
        self._arrivals: list[MessageBatch] = []
        self._held: list[tuple[float, MessageBatch]] = []
        self._waiting: dict[int, list[MessageBatch]] = {}
        self._unacknowledged: dict[int, _Frame] = {}
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
        """The tables or the neighbours changed: everything that was held gets another chance."""
        self._arrivals += [batch for _, batch in self._held]
        self._held = []
        for batches in self._waiting.values():
            self._arrivals += batches
        self._waiting = {}

    def lose(self, links: NDArray[np.int32]) -> None:
        """These links are down: take back what was under way over them."""
        for link in links.tolist():
            frame = self._unacknowledged.pop(link, None)
            self._busy[link] = False
            if frame is not None:
                self.inject(frame.taken_back())

    def withdraw(self) -> list[MessageBatch]:
        """Everything in transit, for a forwarder that takes this one's place."""
        self.reconsider()
        back = [frame.taken_back() for frame in self._unacknowledged.values() if len(frame.batch)]
        departing = [batch for batches in self._departing.values() for batch in batches]
        return self._arrivals + departing + back

    @property
    def in_transit(self) -> int:
        """Messages that this host has custody of."""
        held = sum(len(batch) for _, batch in self._held)
        waiting = sum(len(b) for batches in self._waiting.values() for b in batches)
        leaving = sum(len(b) for batches in self._departing.values() for b in batches)
        return held + waiting + leaving + sum(map(len, self._arrivals))

    @property
    def next_retry(self) -> float:
        """When the next repetition is due, s; infinity if none is."""
        return min((f.retry_at for f in self._unacknowledged.values()), default=np.inf)

    # -- time ------------------------------------------------------------------------------------

    def advance(self, now: float) -> list[Change]:
        """Repeat frames that are due and move everything that can move.

        Returns:
            What unanswered frames revealed about neighbours.
        """
        changes = self._repeat(now)
        if self._feedback:
            self._probe(now)
        self._drop_stale(now)
        batch = messages.concat(self._arrivals)
        self._arrivals = []
        while len(batch):
            batch = self._hop(batch, now, changes)
        return changes

    def _repeat(self, now: float) -> list[Change]:
        due = [
            frame
            for link, frame in self._unacknowledged.items()
            if frame.retry_at <= now and self._peer[self._topology.link_target[link]] == HERE
        ]
        if not due:
            return []
        links = np.array([frame.link for frame in due], np.int32)
        arrived, acknowledged = self._transmit(links)
        for frame, came, known in zip(due, arrived, acknowledged, strict=True):
            if came and self._received[frame.link] < frame.number:
                self._received[frame.link] = frame.number
                self._arrive(frame)
            if known:
                self._release(frame.link)
            else:
                frame.retry_at = now + RETRY_S
        return self._account(links, acknowledged)

    def _transmit(self, links: NDArray[np.int32]) -> Transmission:
        return self._medium.transmit(links, self._neighbours.attempts_over(links))

    def _arrive(self, frame: _Frame) -> None:
        head = frame.batch.head.copy()
        head["at"] = self._topology.link_target[frame.link]
        self.hop_count += len(head)
        self.inject(
            messages.MessageBatch(head, frame.batch.offset, frame.batch.payload, frame.batch.trail)
        )

    def _release(self, link: int) -> None:
        """The frame on `link` is acknowledged: the next may go."""
        self._unacknowledged.pop(link, None)
        self._busy[link] = False
        self._arrivals += self._waiting.pop(link, [])

    def _probe(self, now: float) -> None:
        """Ask suspected neighbours that no frame is under way to for a sign of life."""
        suspects = self._neighbours.link[self._neighbours.suspect & self._neighbours.up]
        for link in suspects[~self._busy[suspects]].tolist():
            self._keep(link, self._next_number(), messages.empty(), now)

    def _keep(
        self, link: int, number: int, batch: MessageBatch, retry_at: float, before: _Before = None
    ) -> _Frame:
        potential, version = before or (np.empty(0, np.int32), np.empty(0, np.int64))
        frame = _Frame(link, number, batch, potential, version, retry_at)
        self._unacknowledged[link] = frame
        self._busy[link] = True
        return frame

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _drop_stale(self, now: float) -> None:
        while self._held and (now - self._held[0][0] > HELD_S or self._overflowing()):
            self.dropped += len(self._held.pop(0)[1])

    def _overflowing(self) -> bool:
        return sum(len(batch) for _, batch in self._held) > CAPACITY

    def _account(self, links: NDArray[np.int32], acknowledged: NDArray[np.bool_]) -> list[Change]:
        if not self._feedback:
            return []
        change = self._neighbours.acknowledge(links, acknowledged)
        return [change] if len(change.down) else []

    # -- one hop ---------------------------------------------------------------------------------

    def _hop(self, batch: MessageBatch, now: float, changes: list[Change]) -> MessageBatch:
        """Move every message one hop; those that can go on."""
        home = batch.head["at"] == batch.head["destination"]
        if home.any():
            self.home.append(batch.take(home))
            batch = batch.take(~home)
        batch, link, potential = self._choose(batch, now)
        if not len(batch):
            return batch
        target = self._topology.link_target[link]
        peer = self._peer[target]
        here = peer == HERE
        if not here.all():
            for away in np.unique(peer[~here]).tolist():
                self._departing.setdefault(away, []).append(batch.take(peer == away))
            batch, link, potential = batch.take(here), link[here], potential[here]
            if not len(batch):
                return batch
        before = batch.head["potential"].copy(), batch.head["version"].copy()
        batch = self._stamp(batch, potential)
        used = np.unique(link)
        arrived, acknowledged = self._transmit(used)
        number = self._next_number()
        self._received[used[arrived]] = number
        changes += self._account(used, acknowledged)
        frame_of = np.searchsorted(used, link)
        for lost in np.flatnonzero(~acknowledged).tolist():
            rows = frame_of == lost
            prior = before[0][rows], before[1][rows]
            self._keep(int(used[lost]), number, batch.take(rows), now + RETRY_S, prior)
        moved = arrived[frame_of]
        if not moved.all():
            batch, link = batch.take(moved), link[moved]
        batch.head["at"] = self._topology.link_target[link]
        self.hop_count += len(batch)
        return batch

    def _choose(
        self, batch: MessageBatch, now: float
    ) -> tuple[MessageBatch, NDArray[np.int32], NDArray[np.int32]]:
        """Each message's link, those that cannot move set aside."""
        link, potential, verdict = self._router.decide(batch.head)
        free = self._free(link)
        if self._alternates and not free.all():
            link, potential, verdict = self._detour(batch, link, potential, verdict, free)
            free = self._free(link)
        if free.all():
            return batch, link, potential
        queued = (verdict == routing.FORWARD) & ~free & self._is_up(link)
        for wanted in np.unique(link[queued]).tolist():
            rows = queued & (link == wanted)
            self._waiting.setdefault(wanted, []).append(batch.take(rows))
        stuck = ~free & ~queued
        if stuck.any():
            self._held.append((now, batch.take(stuck)))
        return batch.take(free), link[free], potential[free]

    def _detour(
        self,
        batch: MessageBatch,
        link: NDArray[np.int32],
        potential: NDArray[np.int32],
        verdict: NDArray[np.int8],
        free: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int8]]:
        rows = np.flatnonzero(~free)
        other = self._router.decide(batch.head[rows], alternate=True)
        usable = self._free(other.link)
        rows = rows[usable]
        link[rows] = other.link[usable]
        potential[rows] = other.potential[usable]
        verdict[rows] = routing.FORWARD
        return link, potential, verdict

    def _is_up(self, link: NDArray[np.int32]) -> NDArray[np.bool_]:
        up = np.zeros(len(link), bool)
        known = np.flatnonzero(link >= 0)
        rows = self._neighbours.row_of_link[link[known]]
        # A link that is not a hosted node's own has no row.
        up[known[rows >= 0]] = self._neighbours.up[rows[rows >= 0]]
        return up

    def _free(self, link: NDArray[np.int32]) -> NDArray[np.bool_]:
        return self._is_up(link) & ~self._busy[link]

    def _stamp(self, batch: MessageBatch, potential: NDArray[np.int32]) -> MessageBatch:
        """The batch as it leaves for its next hop, decided by the installed trees."""
        head = batch.head.copy()
        trail = batch.trail
        if trail is not None:
            trail = self._record(head, trail)
        head["version"] = self._router.version
        head["potential"] = potential
        head["hops"] += 1
        return messages.MessageBatch(head, batch.offset, batch.payload, trail)

    def _record(self, head: NDArray[np.void], trail: NDArray[np.int64]) -> NDArray[np.int64]:
        hops = head["hops"].astype(np.intp)
        width = int(hops.max()) + 1
        if width > trail.shape[1]:
            pad = ((0, 0), (0, max(width, 2 * trail.shape[1]) - trail.shape[1]))
            trail = np.pad(trail, pad, constant_values=-1)
        else:
            trail = trail.copy()
        # A message that does not ask for its route has nothing in the first column.
        asked = (hops == 0) & (trail[:, 0] == messages.RECORD) | (hops > 0) & (trail[:, 0] >= 0)
        rows = np.flatnonzero(asked)
        entry = messages.trail_entry(head["at"][rows], self._router.version)
        trail[rows, hops[rows]] = entry
        return trail

    # -- between hosts ---------------------------------------------------------------------------

    def departs_to(self, peer: int, now: float) -> bool:
        """Whether there is anything to send to `peer` now."""
        return bool(self._departing.get(peer) or self._due(peer, now))

    def _due(self, peer: int, now: float) -> list[_Frame]:
        return [
            frame
            for frame in self._unacknowledged.values()
            if frame.retry_at <= now and self._peer[self._topology.link_target[frame.link]] == peer
        ]

    def depart(self, peer: int, now: float) -> tuple[DataFrames, Departure]:
        """The frames that leave for `peer` now; `answered` must follow, whatever happens."""
        frames = self._due(peer, now)
        batch = messages.concat(self._departing.pop(peer, []))
        if len(batch):
            frames += self._frames(batch, peer, now)
        for frame in frames:
            frame.retry_at = np.inf  # under way
        links = np.array([frame.link for frame in frames], np.int32)
        arrived, acknowledged = self._transmit(links)
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

    def _frames(self, batch: MessageBatch, peer: int, now: float) -> list[_Frame]:
        """New frames for messages that were to leave for `peer`, by the tables of this moment."""
        batch, link, potential = self._choose(batch, now)
        if not len(batch):
            return []
        target = self._topology.link_target[link]
        bound = self._peer[target] == peer
        if not bound.all():
            self.inject(batch.take(~bound))
            batch, link, potential = batch.take(bound), link[bound], potential[bound]
            if not len(batch):
                return []
        before = batch.head["potential"].copy(), batch.head["version"].copy()
        batch = self._stamp(batch, potential)
        number = self._next_number()
        frames = []
        for used in np.unique(link).tolist():
            rows = link == used
            prior = before[0][rows], before[1][rows]
            frames.append(self._keep(used, number, batch.take(rows), now, prior))
        return frames

    def receive(self, data: DataFrames, silent: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Take in frames from a peer; which of them found a hosted node that is not silent.

        None if there is no room for more messages: the peer is to try again.
        """
        if self.in_transit + len(data.batch) > CAPACITY:
            return None
        target = self._topology.link_target[data.links]
        heard: NDArray[np.bool_] = (self._peer[target] == HERE) & ~silent[target]
        fresh = heard & (self._received[data.links] < data.numbers)
        self._received[data.links[fresh]] = data.numbers[fresh]
        if len(data.batch):
            head = data.batch.head.copy()
            head["at"] = target[data.frame_of]
            trail = data.batch.trail
            batch = messages.MessageBatch(head, data.batch.offset, data.batch.payload, trail)
            batch = batch.take(fresh[data.frame_of])
            self.hop_count += len(batch)
            self.inject(batch)
        return heard

    def answered(
        self, departure: Departure, heard: NDArray[np.bool_] | None, now: float
    ) -> list[Change]:
        """The peer's answer to `departure`: `heard` of the frames shipped, None if it has none.

        No answer says something about the peer's process and nothing about the radio, so it is
        not held against the neighbours.
        """
        if heard is None:
            for frame in departure.frames:
                frame.retry_at = now + RETRY_S
            return []
        alive = np.zeros(len(departure.frames), bool)
        alive[departure.shipped] = heard
        known = departure.acknowledged & alive
        for frame, done in zip(departure.frames, known.tolist(), strict=True):
            if self._unacknowledged.get(frame.link) is not frame:
                continue  # the link was given up meanwhile and its messages taken back
            if done:
                self._release(frame.link)
            else:
                frame.retry_at = now + RETRY_S
        return self._account(departure.links, known)


_Before = tuple["NDArray[np.int32]", "NDArray[np.int64]"] | None
