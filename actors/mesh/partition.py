"""The durable state of a group of nodes, which survives a crash.

A partition is the unit that moves between shards. It owns its nodes' outbox and inbox and a
journal; every change is journaled before it is reported to anybody, so after `recover` a successor
has the state of its predecessor. A record is applied whole or not at all.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actors.mesh.batch import UNREACHABLE, MessageBatch, copied, distinct, parted
from actors.mesh.contract import DRILL_PORTS
from actors.mesh.frames import Settlement
from actors.mesh.mailbox_space import admit
from actors.mesh.message_inbox import WINDOW, Inbox, SeenWindow
from actors.mesh.message_outbox import Outbox
from actors.runtime.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from actors.mesh.journal import Buffer, Journal

DRILL_UNFETCHED_S = 60.0  # after so long on a port of drills, a message's drill was killed
CLIENTS = 512  # clients whose last request is remembered, so that repeating it changes nothing


class Refusal(IntEnum):
    """Why a message was not accepted."""

    NONE = 0
    MAILBOX_FULL = 1
    NODE_SILENT = 2


class Acceptance(NamedTuple):
    """The answer to a request to send, a value for each message."""

    ids: NDArray[np.uint64]  # message ids; 0 where refused
    refusal: NDArray[np.uint8]  # `Refusal`


class _Kind(IntEnum):
    INCARNATION = 1  # incarnation, next sequence number, next offset
    ACCEPTED = 2  # client, request number, refusals, batch
    SETTLED = 3  # ids
    TAKEN = 4  # offset of the first, batch for one port
    CONSUMED = 5  # port, offsets
    GIVEN_UP = 6  # ids of messages that will never be taken
    RETURNED = 7  # as TAKEN, for notices; the record also settles their ids
    WINDOW = 8  # origin, highest number, bits
    REQUEST = 9  # client, request number, ids, refusals
    KEPT = 10  # batch accepted earlier; the answer to its request is no longer needed


_INCARNATION = struct.Struct("<Qqq")
_REQUEST = struct.Struct("<QQI")
_PORT = struct.Struct("<H")
_OFFSET = struct.Struct("<q")
_WINDOW = struct.Struct("<qq")


class Partition:
    """Nodes' custody of messages, journaled.

    Args:
        number: number of the partition, unique in the mesh.
        n_nodes: number of nodes of the topology; bounds the node indices.
        journal: read by `recover`, then written.
        capacity: open messages, and unread messages, that each node may have.
    """

    def __init__(self, number: int, n_nodes: int, journal: Journal, capacity: int) -> None:
        self.number = number
        self.outbox = Outbox(number, n_nodes)
        self.inbox = Inbox(n_nodes)
        self.incarnation = 0
        self._journal = journal
        self._capacity = capacity
        self._answers: OrderedDict[int, tuple[int, Acceptance]] = OrderedDict()

    # -- start and end ---------------------------------------------------------------------------

    def recover(self) -> None:
        """Replay the journal and begin a new incarnation."""
        for kind, body in self._journal.replay():
            self._apply(_Kind(kind), body)
        self.incarnation += 1
        self._journal.append(_Kind.INCARNATION, self._counters())
        self._journal.commit()

    def resize(self, n_nodes: int) -> None:
        """Make room for nodes that joined."""
        self.outbox.resize(n_nodes)
        self.inbox.resize(n_nodes)

    def commit(self) -> None:
        """Make every change so far survive."""
        self._journal.commit()

    def close(self) -> None:
        """Commit and let another process take the partition over."""
        self._journal.close()

    def compact(self, max_bytes: int) -> None:
        """Begin to replace a journal larger than that, and than twice its last snapshot."""
        journal = self._journal
        if not journal.is_rewriting and journal.size > max(max_bytes, 2 * journal.base):
            journal.rewrite(self._snapshot())

    # -- the sender's side -----------------------------------------------------------------------

    def accept(
        self, client: int, request: int, batch: MessageBatch, silent: NDArray[np.bool_]
    ) -> Acceptance:
        """Take custody of messages, each alone, in their order.

        Args:
            client: random number of the asking client, which has one request at a time.
            request: grows with each request of the client; the last one again gets its answer
                again and changes nothing.
            batch: sources are nodes of this partition.
            silent: bool [n_nodes], nodes that accept nothing.

        Raises:
            Conflict: the client has made a later request; this one was answered long ago.
        """
        last = self._answers.get(client)
        if last is not None and request < last[0]:
            raise Conflict(
                f"request {request} is out of date",
                f"the client has made request {last[0]} since, so it has the answer to this one",
                "Nothing is to be done.",
            )
        if last is not None and last[0] == request:
            return last[1]
        source = batch.head["source"]
        refusal = np.full(len(batch), Refusal.NONE, np.uint8)
        refusal[silent[source]] = Refusal.NODE_SILENT
        able = refusal == Refusal.NONE
        room = self._capacity - self.outbox.pending
        able[able] = admit(source[able], room) & (self.outbox.span + int(able.sum()) <= WINDOW)
        refusal[~able & (refusal == Refusal.NONE)] = Refusal.MAILBOX_FULL
        kept = self.outbox.accept(batch.take(able))
        head = _REQUEST.pack(client, request, len(refusal))
        self._journal.append(_Kind.ACCEPTED, head, refusal.tobytes(), *kept.to_buffers())
        return self._answer(client, request, kept.head["id"], refusal)

    def _answer(
        self, client: int, request: int, given: NDArray[np.uint64], refusal: NDArray[np.uint8]
    ) -> Acceptance:
        ids = np.zeros(len(refusal), np.uint64)
        ids[refusal == Refusal.NONE] = given
        answer = Acceptance(ids, refusal)
        self._answers[client] = request, answer
        self._answers.move_to_end(client)
        if len(self._answers) > CLIENTS:
            self._answers.popitem(last=False)
        return answer

    def settle(self, settlement: Settlement) -> None:
        """Close messages that their destination has taken, or has refused for good.

        For those that never will be, a notice goes to the sender's own inbox.
        """
        done = settlement.ids[settlement.delivered]
        if self.outbox.settle(done):
            self._journal.append(_Kind.SETTLED, done.tobytes())
        back = self.outbox.withdraw(settlement.ids[~settlement.delivered])
        for _, part in parted(back, back.head["port"]):
            notices = _notices(part)
            first = self.inbox.append(notices)
            self._journal.append(_Kind.RETURNED, _OFFSET.pack(first), *notices.to_buffers())

    # -- the receiver's side ---------------------------------------------------------------------

    def take(self, batch: MessageBatch) -> Settlement:
        """Take messages into the inbox, each once.

        Returns:
            The messages that need no further sending: taken now or before, or given up before (and
            so not delivered). The others found a full mailbox.
        """
        new, known = self.inbox.sort_out(batch, self._capacity)
        taken = batch.take(new)
        self.inbox.mark(taken.head["id"])
        for _, some in parted(taken, taken.head["port"]):
            part = some.compact()
            first = self.inbox.append(part)
            self._journal.append(_Kind.TAKEN, _OFFSET.pack(first), *part.to_buffers())
        delivered = np.ones(len(batch), bool)
        delivered[known] = ~self.inbox.was_given_up(batch.head["id"][known])
        done = new | known
        return Settlement(batch.head["id"][done], delivered[done])

    def consume(self, port: int, offsets: NDArray[np.int64]) -> None:
        """Mark these messages as received by the application."""
        news = self.inbox.consume(port, offsets)
        if len(news):
            self._journal.append(_Kind.CONSUMED, _PORT.pack(port), news.tobytes())

    def discard_drills(self, now: float) -> None:
        """Discard what drills that were killed have left: one that lives fetches at once."""
        for port, offsets in self.inbox.unfetched(DRILL_PORTS, now, DRILL_UNFETCHED_S).items():
            self.consume(port, offsets)

    def give_up(self, ids: NDArray[np.uint64]) -> Settlement:
        """Promise the origin never to take these messages, unless they were taken already."""
        ids = distinct(ids)
        taken = self.inbox.give_up(ids)
        if not taken.all():
            self._journal.append(_Kind.GIVEN_UP, ids[~taken].tobytes())
        return Settlement(ids, taken)

    # -- the journal -----------------------------------------------------------------------------

    def _counters(self) -> bytes:
        return _INCARNATION.pack(
            self.incarnation, self.outbox.next_sequence, self.inbox.next_offset
        )

    def _apply(  # noqa: C901 - one case for each kind of record
        self, kind: _Kind, body: memoryview
    ) -> None:
        match kind:
            case _Kind.INCARNATION:
                self.incarnation, sequence, offset = _INCARNATION.unpack(body)
                self.outbox.next_sequence = max(self.outbox.next_sequence, sequence)
                self.inbox.next_offset = max(self.inbox.next_offset, offset)
            case _Kind.ACCEPTED:
                client, request, count = _REQUEST.unpack_from(body)
                rest = body[_REQUEST.size :]
                refusal = np.frombuffer(rest, np.uint8, count).copy()
                batch = MessageBatch.from_bytes(rest[count:])
                self.outbox.restore(batch)
                self._answer(client, request, batch.head["id"], refusal)
            case _Kind.KEPT:
                self.outbox.restore(MessageBatch.from_bytes(body))
            case _Kind.REQUEST:
                client, request, count = _REQUEST.unpack_from(body)
                rest = body[_REQUEST.size :]
                ids = np.frombuffer(rest, np.uint64, count)
                refusal = np.frombuffer(rest, np.uint8, count, 8 * count).copy()
                self._answer(client, request, ids[refusal == Refusal.NONE], refusal)
            case _Kind.SETTLED:
                self.outbox.settle(np.frombuffer(body, np.uint64))
            case _Kind.TAKEN | _Kind.RETURNED:
                (first,) = _OFFSET.unpack_from(body)
                batch = MessageBatch.from_bytes(body[_OFFSET.size :])
                notice = (batch.head["flags"] & UNREACHABLE) > 0
                self.inbox.append(batch, first)
                self.inbox.mark(batch.head["id"][~notice])
                if kind == _Kind.RETURNED:
                    self.outbox.settle(batch.head["id"])
            case _Kind.CONSUMED:
                (port,) = _PORT.unpack_from(body)
                self.inbox.consume(port, np.frombuffer(body[_PORT.size :], np.int64))
            case _Kind.GIVEN_UP:
                self.inbox.give_up(np.frombuffer(body, np.uint64))
            case _Kind.WINDOW:
                origin, high = _WINDOW.unpack_from(body)
                packed = bytes(body[_WINDOW.size :])
                self.inbox.windows[origin] = SeenWindow.load(high, packed)

    def _snapshot(self) -> Iterator[tuple[int, list[Buffer]]]:
        """Records that, replayed, give the present state.

        They share the memory of messages in custody, which nothing changes.
        """
        for client, (request, (ids, refusal)) in self._answers.items():
            head = _REQUEST.pack(client, request, len(refusal))
            yield _Kind.REQUEST, [head, ids.tobytes(), refusal.tobytes()]
        for kept in self.outbox:
            yield _Kind.KEPT, kept.batch.to_buffers()
            yield _Kind.SETTLED, [kept.batch.head["id"][~kept.open].tobytes()]
        for chunk in self.inbox:
            yield _Kind.TAKEN, [_OFFSET.pack(chunk.first), *chunk.batch.to_buffers()]
            read = chunk.first + (~chunk.unread).nonzero()[0]
            port = int(chunk.batch.head["port"][0])
            yield _Kind.CONSUMED, [_PORT.pack(port), read.tobytes()]
        if self.inbox.given_up:
            given_up = np.array(sorted(self.inbox.given_up), np.uint64)
            yield _Kind.GIVEN_UP, [given_up.tobytes()]
        # After the messages, whose replay marks windows that these then replace.
        for origin, window in self.inbox.windows.items():
            yield _Kind.WINDOW, [_WINDOW.pack(origin, window.high), window.dump()]
        yield _Kind.INCARNATION, [self._counters()]


def _notices(batch: MessageBatch) -> MessageBatch:
    """Notices to the senders of `batch`: same id and port, the other way round, no payload."""
    head = copied(batch.head)
    head["source"], head["destination"] = batch.head["destination"], batch.head["source"]
    head["at"] = head["destination"]
    head["flags"] |= UNREACHABLE
    head["length"] = 0
    return MessageBatch(head, np.zeros(len(head), np.int64), np.empty(0, np.uint8))
