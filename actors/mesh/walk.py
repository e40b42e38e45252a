"""A batch's way through the nodes of one host: several hops in array arithmetic.

A hop is a step of all messages at once, and every link that is used carries one frame with all that
wait for it. On the way only a few columns are touched; a head is written where its message stops.
All hops of a walk are decided by the same trees, so that distances fall from hop to hop: a walk
ends after at most as many hops as the host has nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.batch import MessageBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.arq import Arq
    from actors.mesh.neighbours import NeighbourTable
    from actors.mesh.router import MeshRouter
    from actors.topology.model import Topology

HERE = 0  # the number of this host among its peers
_SPARSE = 8  # links for each message, beyond which sorting the messages' links is cheaper


# Whether a message can go over a link now.
OPEN = 0  # to a node of this host
AWAY = 1  # to a node of another host
BUSY = 2  # up, but a frame is under way
DOWN = 3  # or no link at all


class LinkStates:
    """The state of links, looked up for many messages at once.

    Args:
        topology: numbers nodes and directed links.
        peer: int16 [n_nodes], the number of each node's host; `HERE` for this one.
        arq: says which links have a frame under way.
        neighbours: says which links are up.
    """

    def __init__(
        self, topology: Topology, peer: NDArray[np.int16], arq: Arq, neighbours: NeighbourTable
    ) -> None:
        self._away = peer[topology.link_target] != HERE
        self._arq = arq
        self._neighbours = neighbours
        # What was looked up last; the last cell answers for link -1.
        self._state = np.full(2 * topology.n_links + 1, DOWN, np.uint8)

    def of(self, link: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """The state of each message's link (-1: none), and the distinct open links."""
        used = self.distinct(link)
        row = self._neighbours.row_of_link[used]  # none for a link that is not a hosted node's own
        state = np.where(self._away[used], AWAY, OPEN).astype(np.uint8)
        state[self._arq.busy[used]] = BUSY
        state[(row < 0) | ~self._neighbours.up[row]] = DOWN
        self._state[used] = state
        return self._state.take(link), used[state == OPEN]

    def distinct(self, link: NDArray[np.int32]) -> NDArray[np.int32]:
        """The links among `link`, in ascending order, each once."""
        if _SPARSE * len(link) < len(self._state):
            used = np.unique(link)
            return used[used >= 0]
        seen = np.zeros(len(self._state), bool)
        seen[link] = True
        return np.flatnonzero(seen[:-1]).astype(np.int32)


class Frames(NamedTuple):
    """The next hop of a walk: its messages, a row each, before they move."""

    links: NDArray[np.int32]  # distinct, a frame over each
    link: NDArray[np.int32]  # of each message
    potential: NDArray[np.int32]  # distance left before the hop


class Walk:
    """One batch on its way through hosted nodes.

    Used so: while `frames` returns any, transmit them, `copies` what is to be repeated, then `move`
    what arrived. Then everything is where it stops: `home`, `away`, `queued` or `held`.

    Args:
        batch: not changed.
        router: decides.
        states: of the links.
        alternates: whether to use loop-free alternates for links that are not free.
    """

    def __init__(
        self, batch: MessageBatch, router: MeshRouter, states: LinkStates, *, alternates: bool
    ) -> None:
        self._router = router
        self._states = states
        self._alternates = alternates
        head = messages.copied(batch.head)
        self._batch = MessageBatch(head, batch.offset, batch.payload, batch.trail)
        self._hops = head["hops"].astype(np.intp)
        at_home = head["at"] == head["destination"]
        self._rows = np.flatnonzero(~at_home)
        self._at = head["at"].take(self._rows).astype(np.intp)
        self._courses = router.courses(head.take(self._rows))
        self._step = 0
        self._home = [np.flatnonzero(at_home)]
        self._stopped: list[tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.uint8]]] = []

    def frames(self) -> Frames | None:
        """What can move on now, all else set aside; None if nothing can."""
        if not len(self._rows):
            return None
        link, potential = self._router.onward(self._courses, self._at)
        state, links = self._states.of(link)
        if self._alternates:
            links = self._detour(link, state, links)
        go = np.flatnonzero(state == OPEN)
        if len(go) == len(state):
            return Frames(links, link, potential)
        stay = np.flatnonzero(state != OPEN)
        self._write(stay)
        # Before its first hop nothing is at home (see `__init__`); a message that may not move has
        # a distance too, or none that means anything.
        home = (potential[stay] == 0) & (self._step > 0)
        self._home.append(self._rows[stay[home]])
        stay = stay[~home]
        self._stopped.append((self._rows[stay], link[stay], state[stay]))
        self._keep(go)
        return Frames(links, link.take(go), potential.take(go)) if len(go) else None

    def _detour(
        self, link: NDArray[np.int32], state: NDArray[np.uint8], links: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Turn messages whose link is not free to alternates; all open links in use then."""
        rows = np.flatnonzero(state >= BUSY)
        if not len(rows):
            return links
        other, _ = self._router.onward(
            self._courses.take(rows), self._at.take(rows), alternate=True
        )
        found, more = self._states.of(other)
        free = found < BUSY
        link[rows[free]], state[rows[free]] = other[free], found[free]
        return np.union1d(links, more)

    def copies(self, frames: Frames, over: int, version: int) -> tuple[MessageBatch, MessageBatch]:
        """The messages in the frame over one link: stamped for the hop, and as before it."""
        chosen = np.flatnonzero(frames.link == over)
        self._write(chosen)
        before = self._batch.take(self._rows.take(chosen))
        stamped = stamp(before, frames.potential.take(chosen), version)
        return stamped, before

    def move(self, frames: Frames, arrived: NDArray[np.bool_], target: NDArray[np.int32]) -> int:
        """Put the messages of the frames that arrived at their next hops; how many."""
        if self._batch.trail is not None:
            self._record()
        link, potential = frames.link, frames.potential
        if not arrived.all():
            go = np.flatnonzero(~np.isin(link, frames.links[~arrived]))
            self._keep(go)
            link, potential = link.take(go), potential.take(go)
        self._at = target.take(link).astype(np.intp)
        self._courses = self._courses._replace(bound=potential)
        self._step += 1
        return len(self._rows)

    def _record(self) -> None:
        hops = self._hops.take(self._rows) + self._step
        trail = self._batch.trail
        assert trail is not None  # noqa: S101 - asked by the caller
        trail = messages.room_for(trail, int(hops.max()) + 1)
        messages.record(trail, self._rows, hops, self._at, self._router.version)
        self._batch = MessageBatch(self._batch.head, self._batch.offset, self._batch.payload, trail)

    def _keep(self, chosen: NDArray[np.intp]) -> None:
        self._rows = self._rows.take(chosen)
        self._at = self._at.take(chosen)
        self._courses = self._courses.take(chosen)

    def _write(self, chosen: NDArray[np.intp]) -> None:
        """Write down where messages are; those that have not moved are as they came."""
        if self._step:
            rows, head = self._rows.take(chosen), self._batch.head
            head["at"][rows] = self._at.take(chosen)
            head["potential"][rows] = self._courses.bound.take(chosen)
            head["version"][rows] = self._router.version
            head["hops"][rows] = self._hops.take(rows) + self._step

    # -- the end ---------------------------------------------------------------------------------

    def home(self) -> MessageBatch:
        """Messages at their destinations."""
        return self._batch.take(np.concatenate(self._home))

    def stopped(self) -> tuple[MessageBatch, NDArray[np.int32], NDArray[np.uint8]]:
        """All other messages, the link that each would take (or -1), and its state."""
        if not self._stopped:
            return messages.empty(), np.empty(0, np.int32), np.empty(0, np.uint8)
        rows, link, state = (np.concatenate(column) for column in zip(*self._stopped, strict=True))
        return self._batch.take(rows), link, state


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
