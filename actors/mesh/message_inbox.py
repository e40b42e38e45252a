"""Messages that arrived: taken exactly once, kept until the application has acknowledged them.

Whether a message was taken before is known from a sliding window of sequence numbers per origin
partition. The origin never has more than `WINDOW` messages between its oldest open one and its
newest, so a number below the window belongs to a message that is settled: a late duplicate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.mailbox_space import admit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from actors.mesh.batch import MessageBatch

WINDOW = 1 << 21  # sequence numbers remembered per origin partition, a byte each


class SeenWindow:
    """Which sequence numbers of one origin were seen, for the newest `size` of them."""

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self.high = -1  # the highest number seen
        self._seen = np.zeros(size, bool)

    def unseen(self, sequence: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which numbers were not seen; they must be distinct."""
        recent = sequence > self.high - self._size
        return recent & ~((sequence <= self.high) & self._seen[sequence % self._size])

    def mark(self, sequence: NDArray[np.int64]) -> None:
        """Remember numbers as seen."""
        if not len(sequence):
            return
        top = int(sequence.max())
        if top > self.high:
            if top - self.high >= self._size:
                self._seen[:] = False
            else:
                self._seen[np.arange(self.high + 1, top + 1) % self._size] = False
            self.high = top
        self._seen[sequence[sequence > self.high - self._size] % self._size] = True

    def dump(self) -> bytes:
        """The window as bytes, for a snapshot."""
        return np.packbits(self._seen).tobytes()

    @classmethod
    def load(cls, high: int, packed: bytes, size: int = WINDOW) -> SeenWindow:
        """The inverse of `dump`."""
        window = cls(size)
        window.high = high
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=size)
        window._seen = bits.astype(bool)
        return window


@dataclass(slots=True)
class Chunk:
    """Messages taken together, for one port."""

    first: int  # offset of the first message; the others follow
    batch: MessageBatch
    unread: NDArray[np.bool_]
    seen_at: float | None = None  # when `Inbox.unfetched` first met it, s


class Inbox:
    """Messages taken by the nodes of one partition.

    Args:
        n_nodes: bounds the node indices.
    """

    def __init__(self, n_nodes: int) -> None:
        self.windows: dict[int, SeenWindow] = {}  # window of each origin partition
        self.given_up: set[int] = set()  # ids that will never be taken, as their origin asked
        self.next_offset = 0
        self._ports: dict[int, list[Chunk]] = {}
        self.waiting: NDArray[np.int64] = np.zeros(n_nodes, np.int64)  # unread messages per node

    def __len__(self) -> int:
        return int(self.waiting.sum())

    def __iter__(self) -> Iterator[Chunk]:
        return (chunk for chunks in self._ports.values() for chunk in chunks)

    def resize(self, n_nodes: int) -> None:
        """Make room for nodes that joined."""
        grown = np.zeros(n_nodes, np.int64)
        grown[: len(self.waiting)] = self.waiting
        self.waiting = grown

    def _window(self, origin: int) -> SeenWindow:
        if origin not in self.windows:
            self.windows[origin] = SeenWindow()
        return self.windows[origin]

    def sort_out(
        self, batch: MessageBatch, capacity: int
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which messages are new and find room, and which were taken (or given up) before."""
        ids = batch.head["id"]
        new, known = np.zeros(len(ids), bool), np.zeros(len(ids), bool)
        for origin, rows in messages.by_origin(ids):
            sequence = messages.sequence(ids[rows])
            unseen = self._window(origin).unseen(sequence)
            new[rows], known[rows] = unseen & messages.first_of_each(sequence), ~unseen
        new[new] = admit(batch.head["destination"][new], capacity - self.waiting)
        return new, known

    def mark(self, ids: NDArray[np.uint64]) -> None:
        """Remember messages as taken."""
        for origin, rows in messages.by_origin(ids):
            window = self._window(origin)
            window.mark(messages.sequence(ids[rows]))

    def give_up(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Promise never to take messages; which of them had been taken already (bool [n])."""
        ids = messages.distinct(ids)
        taken = np.zeros(len(ids), bool)
        for origin, rows in messages.by_origin(ids):
            window = self._window(origin)
            taken[rows] = ~window.unseen(messages.sequence(ids[rows]))
        taken &= ~self.was_given_up(ids)
        self.given_up.update(ids[~taken].tolist())
        self.mark(ids[~taken])
        self._forget_old()
        return taken

    def was_given_up(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which messages this inbox has promised never to take."""
        if not self.given_up:
            return np.zeros(len(ids), bool)
        return np.array([value in self.given_up for value in ids.tolist()], bool)

    def _forget_old(self) -> None:
        """Drop promises below the windows: their origins have settled them long ago."""
        if len(self.given_up) > WINDOW // 16:
            ids = np.array(sorted(self.given_up), np.uint64)
            high = {origin: window.high for origin, window in self.windows.items()}
            limit = np.array([high.get(o, 0) - WINDOW for o in messages.origin(ids).tolist()])
            self.given_up = set(ids[messages.sequence(ids) > limit].tolist())

    def append(self, batch: MessageBatch, first: int | None = None) -> int:
        """Keep messages for the application, all for one port; the offset of the first."""
        offset = self.next_offset if first is None else first
        port = int(batch.head["port"][0])
        self._ports.setdefault(port, []).append(Chunk(offset, batch, np.ones(len(batch), bool)))
        self.next_offset = max(self.next_offset, offset + len(batch))
        self.waiting += np.bincount(batch.head["destination"], minlength=len(self.waiting))
        return offset

    def read(
        self, port: int, node: int | None, limit: int
    ) -> tuple[NDArray[np.int64], MessageBatch]:
        """The oldest unread messages and their offsets; reading changes nothing."""
        offsets, found, left = [], [], limit
        for chunk in self._ports.get(port, []):
            rows = chunk.unread
            if node is not None:
                rows = rows & (chunk.batch.head["destination"] == node)
            chosen = rows.nonzero()[0][:left]
            if len(chosen):
                offsets.append(chunk.first + chosen)
                found.append(chunk.batch.take(chosen))
                left -= len(chosen)
            if left <= 0:
                break
        joined = np.concatenate(offsets) if offsets else np.empty(0, np.int64)
        return joined, messages.concat(found)

    def unfetched(
        self, ports: tuple[int, int], now: float, patience_s: float
    ) -> dict[int, NDArray[np.int64]]:
        """Offsets of unread messages that nobody has fetched for long, by port.

        Args:
            ports: the first and the last port to look at.
            now: time of any steady clock, s; each call notes what it meets first.
            patience_s: how long is long, s.
        """
        found: dict[int, NDArray[np.int64]] = {}
        first, last = ports
        for port in [port for port in self._ports if first <= port <= last]:
            old = []
            for chunk in self._ports[port]:
                if chunk.seen_at is None:
                    chunk.seen_at = now
                elif now - chunk.seen_at >= patience_s:
                    old.append(chunk.first + chunk.unread.nonzero()[0])
            if old:
                found[port] = np.concatenate(old)
        return found

    def consume(self, port: int, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
        """Mark these messages as received; the offsets that were unread until now."""
        offsets = messages.distinct(offsets)
        news = []
        for chunk in self._ports.get(port, []):
            low, high = np.searchsorted(offsets, (chunk.first, chunk.first + len(chunk.batch)))
            rows = offsets[low:high] - chunk.first
            rows = rows[chunk.unread[rows]]
            chunk.unread[rows] = False
            freed = chunk.batch.head["destination"][rows]
            self.waiting -= np.bincount(freed, minlength=len(self.waiting))
            news.append(chunk.first + rows)
        if port in self._ports:
            self._ports[port] = [c for c in self._ports[port] if c.unread.any()]
            if not self._ports[port]:
                del self._ports[port]
        return np.concatenate(news) if news else np.empty(0, np.int64)
