"""A batch's way through the nodes of one host: all its hops in a few array operations.

A hop is a step of all messages at once, and every link that is used in a step carries one frame
with all that take it. The way is planned first, as if every frame were acknowledged, since most
are; the medium then decides about all frames together, and only the messages that meet a lost frame
are looked at again. All hops of a walk are decided by the same trees, so that distances fall from
hop to hop: a walk ends after at most as many hops as the host has nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.batch import MessageBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from actors.mesh.arq import Arq
    from actors.mesh.medium import Transmission
    from actors.mesh.neighbours import NeighbourTable
    from actors.mesh.router import MeshRouter
    from actors.topology.model import Topology

HERE = 0  # the number of this host among its peers
_SPARSE = 8  # cells per entry above which sorting the entries is cheaper

# Whether a message can go over a link now, and so where it stops.
OPEN = 0  # up and free, to a node of this host
AWAY = 1  # up and free, to a node of another host
BUSY = 2  # up, but a frame is under way
DOWN = 3  # down, or there is no link
# Where else a walk ends.
HOME = 4  # the message is at its destination
KEPT = 5  # the message is in a frame that is to be repeated


class LinkStates:
    """The state of links for many messages at once.

    Args:
        topology: numbers nodes and directed links.
        peer: int16 [n_nodes], the number of each node's host; `HERE` for this one.
        arq: says which links have a frame under way.
        neighbours: says which links are up.
    """

    def __init__(
        self, topology: Topology, peer: NDArray[np.int16], arq: Arq, neighbours: NeighbourTable
    ) -> None:
        self._arq = arq
        self._neighbours = neighbours
        self._free = np.where(peer[topology.link_target] == HERE, OPEN, AWAY).astype(np.uint8)

    def all(self) -> NDArray[np.uint8]:
        """The state of every directed link; the last cell answers for link -1."""
        table = self._neighbours
        state = np.full(len(self._free) + 1, DOWN, np.uint8)
        up = table.link[table.up]  # a link that is not a hosted node's own is not in the table
        state[up] = np.where(self._arq.busy[up], BUSY, self._free[up])
        return state

    def distinct(self, link: NDArray[np.int32]) -> NDArray[np.int32]:
        """The links among `link`, in ascending order, each once."""
        if _SPARSE * len(link) < len(self._free):
            return np.unique(link)
        seen = np.zeros(len(self._free), bool)
        seen[link] = True
        return seen.nonzero()[0].astype(np.int32)


class Unacknowledged(NamedTuple):
    """A frame of a walk that its receiver has not acknowledged, though it may have arrived."""

    link: int
    arrived: bool
    stamped: MessageBatch  # the messages, stamped for the hop
    unstamped: MessageBatch  # the messages before the hop


@dataclass(slots=True)
class _Plan:
    """The way of messages that can move, a column each, as if every frame were acknowledged.

    Attributes:
        rows: [n], row of each message in its batch.
        base: [n], position in the tables of the tree of each message's destination.
        at: [n], node where each message stops.
        link: int32 [n], next link of each message from that node, or -1.
        last: int32 [n], link of each message's last hop; undefined without a hop.
        made: [n], number of hops made.
        kept: bool [n], in a frame that is to be repeated: the way ends before that hop.
        busy: bool [n], stopped before a link whose frame of an earlier step is to be repeated.
        over: int32 [n] for each step, the link of each hop; the number of links once it has
            stopped.
    """

    rows: NDArray[np.intp]
    base: NDArray[np.intp]
    at: NDArray[np.intp]
    link: NDArray[np.int32]
    last: NDArray[np.int32]
    made: NDArray[np.intp]
    kept: NDArray[np.bool_]
    busy: NDArray[np.bool_]
    over: list[NDArray[np.int32]] = field(default_factory=list)


class Walk:
    """One batch on its way through hosted nodes.

    Used so: transmit a frame over each of `links`, `meet` what became of them, then take what
    stopped (`parts`).

    Args:
        batch: the messages; the batch is not changed.
        router: decides the next hops.
        topology: numbers nodes and directed links.
        states: state of each directed link, see `LinkStates.all`.
        alternates: whether to use loop-free alternates for links that are not free.
    """

    def __init__(
        self,
        batch: MessageBatch,
        router: MeshRouter,
        topology: Topology,
        states: NDArray[np.uint8],
        *,
        alternates: bool,
    ) -> None:
        self._batch = batch
        self._router = router
        self._source, self._target = topology.link_source, topology.link_target
        self._states = states
        self._alternates = alternates
        self._n_links = len(self._target)
        head = batch.head
        at = head["at"].astype(np.intp)
        base, link = router.first_hop(head)
        state = self._turned(base, at, link)
        state[at == head["destination"]] = HOME
        self._first = link, state  # used for messages that stay; those in `go` follow the plan
        go = np.flatnonzero(state == OPEN)
        self._plan, hops = self._planned(go, base.take(go), link.take(go))
        self._frames, self._riders = self._frames_of(hops)  # numbered step * (n_links + 1) + link
        step, over = np.divmod(self._frames, self._n_links + 1)
        self._step: NDArray[np.intp] = step
        self.links: NDArray[np.int32] = over.astype(np.int32)
        """The link of each planned frame, step by step."""

    # -- the plan --------------------------------------------------------------------------------

    def _turned(
        self, base: NDArray[np.intp], at: NDArray[np.intp], link: NDArray[np.int32]
    ) -> NDArray[np.uint8]:
        """The states of links, those that are not free replaced by alternates where there are."""
        state = self._states.take(link, mode="wrap")
        if self._alternates:
            rows = np.flatnonzero(state >= BUSY)
            other = self._router.links(base.take(rows), at.take(rows), alternate=True)
            found = self._states.take(other, mode="wrap")
            free = (found < BUSY) & (link[rows] >= 0)  # -1: it may not move at all
            link[rows[free]], state[rows[free]] = other[free], found[free]
        return state

    def _planned(
        self, rows: NDArray[np.intp], base: NDArray[np.intp], link: NDArray[np.int32]
    ) -> tuple[_Plan, NDArray[np.intp]]:
        """The way of `rows`, whose first links are open, and each hop's frame."""
        n, target = len(rows), self._target.astype(np.intp)
        plan = _Plan(
            rows,
            base,
            at=np.empty(n, np.intp),
            link=np.empty(n, np.int32),
            last=np.empty(n, np.int32),
            made=np.zeros(n, np.intp),
            kept=np.zeros(n, bool),
            busy=np.zeros(n, bool),
        )
        frames: list[NDArray[np.intp]] = [np.empty(0, np.intp)]
        live = np.arange(n)
        while len(live):
            last, over = link, np.full(n, self._n_links, np.int32)
            over[live] = last
            frames.append(last.astype(np.intp) + len(plan.over) * (self._n_links + 1))
            plan.over.append(over)
            at = target.take(last)
            link = self._router.links(base, at)
            moves = self._turned(base, at, link) == OPEN
            if not moves.all():
                end = (~moves).nonzero()[0]
                stopped = live.take(end)
                plan.at[stopped], plan.link[stopped] = at.take(end), link.take(end)
                plan.last[stopped], plan.made[stopped] = last.take(end), len(plan.over)
                go = moves.nonzero()[0]
                live, base, link = live.take(go), base.take(go), link.take(go)
        return plan, np.concatenate(frames)

    def _frames_of(self, hops: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The frames of these hops, each once, and how many messages ride in each."""
        cells = len(self._plan.over) * (self._n_links + 1)
        if _SPARSE * len(hops) < cells:
            return np.unique(hops, return_counts=True)
        count = np.bincount(hops, minlength=cells)
        frames = count.nonzero()[0]
        return frames, count[frames]

    # -- what became of it -----------------------------------------------------------------------

    def meet(self, fate: Transmission) -> list[Unacknowledged]:
        """Let the medium's verdict on the frames over `links` take effect.

        Returns:
            The frames to be repeated. Messages in them that have not arrived end their walk there;
            so do later ones that find the link busy.
        """
        failing = (~fate.acknowledged).nonzero()[0]
        if not len(failing):
            return []
        plan, kept = self._plan, []
        planned = plan.made.copy()
        busy = np.zeros(self._n_links + 1, bool)
        for step in range(int(self._step[failing[0]]), len(plan.over)):
            lost = failing[self._step[failing] == step]
            watched = busy.copy()
            watched[self.links[lost]] = True
            rows = np.flatnonzero(watched.take(plan.over[step]))
            rows = rows[plan.made[rows] > step]
            link = plan.over[step].take(rows)
            late = busy.take(link)
            self._stop(rows[late], step, busy=True)
            for frame in lost[~busy[self.links[lost]]].tolist():
                over = int(self.links[frame])
                riders = rows[link == over]
                if not len(riders):
                    continue  # all of its messages have been stopped before
                busy[over] = True
                arrived = bool(fate.arrived[frame])
                kept.append(Unacknowledged(over, arrived, *self._copies(riders, step)))
                if not arrived:
                    self._stop(riders, step, busy=False)
        self._dismiss(planned)
        return kept

    def _stop(self, rows: NDArray[np.intp], step: int, *, busy: bool) -> None:
        plan = self._plan
        link = plan.over[step].take(rows)
        plan.made[rows], plan.link[rows] = step, link
        plan.at[rows] = self._source.take(link)
        if step:
            plan.last[rows] = plan.over[step - 1].take(rows)
        (plan.busy if busy else plan.kept)[rows] = True

    def _dismiss(self, planned: NDArray[np.intp]) -> None:
        """Take messages that were stopped out of the frames of their later hops."""
        plan = self._plan
        rows = np.flatnonzero(plan.made < planned)
        first = plan.made[rows] + plan.kept[rows]  # a lost frame carried them too
        for step in range(int(first.min(initial=len(plan.over))), len(plan.over)):
            over = plan.over[step].take(rows)
            missed = over[(first <= step) & (over < self._n_links)] + step * (self._n_links + 1)
            place = np.searchsorted(self._frames, missed)
            self._riders -= np.bincount(place, minlength=len(self._riders))

    def _copies(self, rows: NDArray[np.intp], step: int) -> tuple[MessageBatch, MessageBatch]:
        """The messages of a frame: stamped for the hop, and as before it."""
        before = self._batch.take(self._plan.rows.take(rows))
        if step:
            last = self._plan.over[step - 1].take(rows)
            before = self._write(before, rows, last, np.full(len(rows), step))
        potential = self._router.distance(
            self._plan.base.take(rows), before.head["at"].astype(np.intp)
        )
        return stamp(before, potential, self._router.version), before

    def sent(self) -> NDArray[np.bool_]:
        """Which of the planned frames were sent: those in which at least one message rode."""
        return self._riders > 0

    @property
    def hops(self) -> int:
        """Messages times hops that arrived."""
        return int(self._plan.made.sum())

    # -- the end ---------------------------------------------------------------------------------

    def parts(self) -> Iterator[tuple[int, MessageBatch, NDArray[np.int32]]]:
        """The messages by where they stopped, and the link that each would take (or -1).

        Not those in frames to be repeated, which are the frames' now.
        """
        plan = self._plan
        link, state = self._first
        for where in (HOME, AWAY, BUSY, DOWN):
            rows = (state == where).nonzero()[0]
            if len(rows):
                yield where, self._batch.take(rows), link.take(rows)
        state = self._states.take(plan.link, mode="wrap")
        destination = self._batch.head["destination"].take(plan.rows)
        state[plan.at == destination] = HOME
        state[plan.busy], state[plan.kept] = BUSY, KEPT
        for where in (HOME, AWAY, BUSY, DOWN):
            rows = (state == where).nonzero()[0]
            if len(rows):
                part = self._batch.take(plan.rows.take(rows))
                last, made = plan.last.take(rows), plan.made.take(rows)
                yield where, self._write(part, rows, last, made), plan.link.take(rows)

    def _write(
        self,
        part: MessageBatch,
        rows: NDArray[np.intp],
        last: NDArray[np.int32],
        made: NDArray[np.intp],
    ) -> MessageBatch:
        """Bring copies of the messages `rows` to where they are after `made` hops."""
        moved: slice | NDArray[np.intp] = slice(None)
        if not made.all():
            moved = made.nonzero()[0]
            rows, last, made = rows[moved], last[moved], made[moved]
        plan, head = self._plan, part.head
        if part.trail is not None:
            part = self._recorded(part, moved, rows, made)
        before = self._source.take(last).astype(np.intp)
        head["at"][moved] = self._target.take(last)
        head["potential"][moved] = self._router.distance(plan.base.take(rows), before)
        head["version"][moved] = self._router.version
        head["hops"][moved] += made.astype(np.uint16)
        return part

    def _recorded(
        self,
        part: MessageBatch,
        moved: slice | NDArray[np.intp],
        rows: NDArray[np.intp],
        made: NDArray[np.intp],
    ) -> MessageBatch:
        """The same messages with the nodes that forwarded them in their trails."""
        place = np.arange(len(part))[moved]
        hops = part.head["hops"][moved].astype(np.intp)
        trail = part.trail
        assert trail is not None  # noqa: S101 - asked by the caller
        trail = messages.room_for(trail, int((hops + made).max(initial=0)))
        for step in range(int(made.max(initial=0))):
            chosen = (made > step).nonzero()[0]
            node = self._source.take(self._plan.over[step].take(rows[chosen]))
            messages.record(trail, place[chosen], hops[chosen] + step, node, self._router.version)
        return MessageBatch(part.head, part.offset, part.payload, trail)


def stamp(batch: MessageBatch, potential: NDArray[np.int32], version: int) -> MessageBatch:
    """The batch as it leaves for its next hop, decided by trees of `version`."""
    head = messages.copied(batch.head)
    trail = batch.trail
    if trail is not None and len(head):
        hops = head["hops"].astype(np.intp)
        trail = messages.room_for(trail, int(hops.max()) + 1)
        messages.record(trail, np.arange(len(head)), hops, head["at"], version)
    head["version"] = version
    head["potential"] = potential
    head["hops"] += 1
    return MessageBatch(head, batch.offset, batch.payload, trail)
