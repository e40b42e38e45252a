"""Stop and wait: a frame over a radio link is repeated until it is acknowledged.

One frame at a time is under way per link (automatic repeat request, as in 802.11's data link).
The sender keeps a copy; the receiver knows a repetition by its number, which only grows. What
stays unacknowledged is evidence against the neighbour: see `neighbours`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.batch import MessageBatch
    from actors.mesh.medium import RadioMedium, Transmission
    from actors.mesh.neighbours import Change, NeighbourTable
    from actors.topology.model import Topology

RETRY_S = 0.005  # pause before a frame that stayed unacknowledged is tried again


@dataclass(slots=True)
class Frame:
    """A frame that its receiver has not acknowledged yet; without messages it is a probe."""

    link: int
    number: int
    retry_at: float  # time of the next attempt, s; infinite while an answer is awaited
    stamped: MessageBatch = field(default_factory=messages.empty)  # messages after the hop
    unstamped: MessageBatch = field(default_factory=messages.empty)  # before the hop
    link_of: NDArray[np.int32] | None = None  # link of each message of a shared batch

    @property
    def batch(self) -> MessageBatch:
        """What the frame carries."""
        return self._mine(self.stamped)

    @property
    def before(self) -> MessageBatch:
        """The same messages with the hop taken back."""
        return self._mine(self.unstamped)

    def _mine(self, batch: MessageBatch) -> MessageBatch:
        # Most frames are acknowledged at once, and nobody ever asks which rows were theirs.
        rows = np.arange(len(batch)) if self.link_of is None else self.link_of == self.link
        return batch.take(rows)


class Arq:
    """The frames under way over the links of hosted nodes.

    Args:
        topology: numbers nodes and directed links.
        peer: int16 [n_nodes], the number of each node's host.
        medium: decides which frames arrive.
        neighbours: told what frames reveal about them.
        feedback: whether unacknowledged frames may betray a dead neighbour.
        now: s; frame numbers start from it, so they grow across restarts of the host.
    """

    def __init__(
        self,
        topology: Topology,
        peer: NDArray[np.int16],
        medium: RadioMedium,
        neighbours: NeighbourTable,
        *,
        feedback: bool,
        now: float,
    ) -> None:
        self._target = topology.link_target
        self._peer = peer
        self._medium = medium
        self._neighbours = neighbours
        self._feedback = feedback
        self._number = int(now * 1e6)
        self._received = np.full(2 * topology.n_links, -1, np.int64)
        self._under_way: dict[int, Frame] = {}
        self.busy: NDArray[np.bool_] = np.zeros(2 * topology.n_links, bool)
        """Links with a frame that is to be repeated: what would use them waits for that."""

    def next_number(self) -> int:
        """A number for new frames, one a link."""
        self._number += 1
        return self._number

    def transmit(self, links: NDArray[np.int32]) -> Transmission:
        """Put one frame on each link, as often as the link's quality asks for."""
        return self._medium.transmit(links, self._neighbours.attempts_over(links))

    def account(self, links: NDArray[np.int32], acknowledged: NDArray[np.bool_]) -> list[Change]:
        """What frames over `links`, acknowledged or not, reveal about the neighbours."""
        if not self._feedback:
            return []
        change = self._neighbours.acknowledge(links, acknowledged)
        return [change] if len(change.down) else []

    def keep(self, frame: Frame) -> None:
        """Keep a frame that is to be repeated, until it is acknowledged or given up."""
        self._under_way[frame.link] = frame
        self.busy[frame.link] = True

    def launch(self, frames: list[Frame]) -> None:
        """Keep frames whose answer is awaited; what would use their links can follow them."""
        for frame in frames:
            self._under_way[frame.link] = frame
            self.busy[frame.link] = False
            frame.retry_at = np.inf

    def due(self, peer: int, now: float) -> list[Frame]:
        """The frames to nodes of `peer` that are to be repeated now."""
        return [
            frame
            for frame in self._under_way.values()
            if frame.retry_at <= now and self._peer[self._target[frame.link]] == peer
        ]

    @property
    def next_retry(self) -> float:
        """When the next repetition is due, s; infinity if none is."""
        return min((frame.retry_at for frame in self._under_way.values()), default=np.inf)

    def conclude(self, frame: Frame, *, acknowledged: bool, now: float) -> bool:
        """Whether `frame` is done with its link; if not, it will be repeated."""
        if self._under_way.get(frame.link) is not frame:
            return False  # the link was given up meanwhile and its messages taken back
        if acknowledged:
            del self._under_way[frame.link]
            self.busy[frame.link] = False
        else:
            self.busy[frame.link] = True
            frame.retry_at = now + RETRY_S
        return acknowledged

    def lose(self, links: NDArray[np.int32]) -> list[MessageBatch]:
        """Give links up; the messages that were under way over them, as before the hop."""
        self.busy[links] = False
        frames = (self._under_way.pop(link, None) for link in links.tolist())
        return [frame.before for frame in frames if frame is not None]

    def lose_all(self) -> list[MessageBatch]:
        """Give up all links."""
        return self.lose(np.array(list(self._under_way), np.int32))

    def probe(self, now: float) -> None:
        """Ask suspected neighbours that no frame is under way to for a sign of life."""
        if self._feedback:
            suspects = self._neighbours.link[self._neighbours.suspect & self._neighbours.up]
            for link in suspects.tolist():
                if link not in self._under_way:
                    self.keep(Frame(link, self.next_number(), now))

    def receive(
        self, links: NDArray[np.int32], numbers: NDArray[np.int64] | int
    ) -> NDArray[np.bool_]:
        """Which of the frames that came over `links` are no repetitions."""
        fresh: NDArray[np.bool_] = self._received[links] < numbers
        self._received[links] = np.maximum(self._received[links], numbers)
        return fresh
