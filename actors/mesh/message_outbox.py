"""Messages accepted and not yet settled: the origin's custody.

An accepted message stays here until its destination has it or has agreed never to take it. Until
then it is sent again whenever it has been under way too long. All state changes come in as calls
that the partition journals, so that replaying the journal gives the same outbox.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.batch import (
    ATTEMPT_SHIFT,
    MAX_ATTEMPT,
    NO_POTENTIAL,
    RECORD,
    UNSTAMPED,
    MessageBatch,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MAX_BACKOFF = 8.0  # longest waiting time before sending again, in units of the first


@dataclass(slots=True)
class Kept:
    """A batch as accepted, with what has become of each message."""

    batch: MessageBatch
    first: int  # sequence number of the first message; the others follow
    open: NDArray[np.bool_]  # True for messages not settled yet
    sent_at: float = -np.inf  # s, when its messages last entered the mesh
    patience: float = 1.0  # factor on the waiting time
    attempt: int = -1  # number of the last copies sent
    doomed_at: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        self.doomed_at = np.full(len(self.batch), np.inf)  # time since when no route exists, s


class Outbox:
    """Accepted messages of one partition, in order of sequence number.

    Args:
        partition: gives the upper bits of ids.
        n_nodes: bounds the node indices.
    """

    def __init__(self, partition: int, n_nodes: int) -> None:
        self._partition = partition
        self.next_sequence = 1  # so that no message has id 0
        self._kept: list[Kept] = []
        self.pending: NDArray[np.int64] = np.zeros(n_nodes, np.int64)  # open messages per source

    def __len__(self) -> int:
        return int(self.pending.sum())

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._kept)

    def resize(self, n_nodes: int) -> None:
        """Make room for nodes that joined."""
        grown = np.zeros(n_nodes, np.int64)
        grown[: len(self.pending)] = self.pending
        self.pending = grown

    @property
    def span(self) -> int:
        """Sequence numbers between the oldest open message and the next to be given."""
        return self.next_sequence - self._kept[0].first if self._kept else 0

    def accept(self, batch: MessageBatch) -> MessageBatch:
        """Take custody of new messages; the batch with their ids."""
        head = messages.copied(batch.head)
        head["id"] = messages.message_ids(self._partition, self.next_sequence, len(head))
        kept = MessageBatch(head, batch.offset, batch.payload, batch.trail).compact()
        self.restore(kept)
        return kept

    def restore(self, batch: MessageBatch) -> None:
        """Take custody again of messages that a journal says were accepted."""
        if not len(batch):
            return
        first = int(messages.sequence(batch.head["id"][:1])[0])
        self._kept.append(Kept(batch, first, np.ones(len(batch), bool)))
        self.next_sequence = max(self.next_sequence, first + len(batch))
        self.pending += np.bincount(batch.head["source"], minlength=len(self.pending))

    def settle(self, ids: NDArray[np.uint64]) -> int:
        """End the custody of messages; the number that were in custody."""
        return sum(len(rows) for _, rows in self._end(ids))

    def withdraw(self, ids: NDArray[np.uint64]) -> MessageBatch:
        """End the custody of messages; those that were in custody."""
        return messages.concat([kept.batch.take(rows) for kept, rows in self._end(ids)])

    def _end(self, ids: NDArray[np.uint64]) -> list[tuple[Kept, NDArray[np.intp]]]:
        ended = []
        done = set()
        for kept, asked in self._find(ids):
            rows = np.flatnonzero(asked & kept.open)
            kept.open[rows] = False
            source = kept.batch.head["source"][rows]
            self.pending -= np.bincount(source, minlength=len(self.pending))
            ended.append((kept, rows))
            if not kept.open.any():
                done.add(kept.first)
        if done:
            self._kept = [kept for kept in self._kept if kept.first not in done]
        return ended

    def is_open(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which messages are still in custody."""
        still: set[int] = set()
        for kept, asked in self._find(ids):
            still.update(kept.batch.head["id"][asked & kept.open].tolist())
        return np.array([value in still for value in ids.tolist()], bool)

    def destination_of(self, ids: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The destination of each message in custody; -1 for those that are not."""
        known: dict[int, int] = {}
        for kept, asked in self._find(ids):
            head = kept.batch.head[asked & kept.open]
            known.update(zip(head["id"].tolist(), head["destination"].tolist(), strict=True))
        return np.array([known.get(number, -1) for number in ids.tolist()], np.int32)

    def _find(self, ids: NDArray[np.uint64]) -> Iterator[tuple[Kept, NDArray[np.bool_]]]:
        """The batches that some of `ids` are in, and which of their messages."""
        if not self._kept or not len(ids):
            return
        sequence = messages.sequence(ids)
        starts = [kept.first for kept in self._kept]
        oldest = max(bisect.bisect_right(starts, sequence.min()) - 1, 0)
        newest = bisect.bisect_right(starts, sequence.max())
        for kept in self._kept[oldest:newest]:
            rows = sequence - kept.first
            rows = rows[rows >= 0]
            asked = np.zeros(len(kept.batch), bool)
            asked[rows[rows < len(asked)]] = True
            if asked.any():
                yield kept, asked

    def due(self, now: float, after_s: float, *, numbered: bool = False) -> MessageBatch:
        """Open messages to send (again): new ones, and those under way longer than `after_s`.

        Each time a batch is sent again its waiting time doubles, up to `MAX_BACKOFF` fold.

        Args:
            now: present time, s.
            after_s: waiting time before a message is sent again, s.
            numbered: whether the copies of a message are to bear numbers: 0, then 1 to
                `MAX_ATTEMPT` in turn.
        """
        out = []
        for kept in self._kept:
            if now - kept.sent_at >= after_s * kept.patience:
                if np.isfinite(kept.sent_at):
                    kept.patience = min(2.0 * kept.patience, MAX_BACKOFF)
                kept.sent_at = now
                kept.attempt = kept.attempt % MAX_ATTEMPT + 1 if kept.attempt >= 0 else 0
                copies = _unstamped(kept.batch.take(kept.open))
                if numbered:
                    copies.head["flags"] |= kept.attempt << ATTEMPT_SHIFT
                out.append(copies)
        return messages.concat(out)

    def hasten(self) -> None:
        """Send all open messages again now: a node or host that carried them is gone."""
        for kept in self._kept:
            kept.sent_at, kept.patience = -np.inf, 1.0


def _unstamped(batch: MessageBatch) -> MessageBatch:
    """Copies as they were before any hop."""
    head = messages.copied(batch.head)
    head["at"] = head["source"]
    head["version"], head["potential"], head["hops"] = UNSTAMPED, NO_POTENTIAL, 0
    trail = None if batch.trail is None else batch.trail[:, :1]
    if trail is not None:
        trail = np.where(trail == RECORD, trail, -1)
    return MessageBatch(head, batch.offset, batch.payload, trail)
