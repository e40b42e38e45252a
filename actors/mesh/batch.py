"""Messages in columns: one structured array of heads, one buffer of payloads.

A message never exists as a Python object inside the mesh. Everything that happens to messages
happens to a `MessageBatch`, so that its cost is that of array arithmetic. A batch is immutable by
convention: operations return new batches, and only the forwarder writes to the heads it owns.

An id is never given twice in a mesh: the origin partition in the upper 16 bits, a sequence number
that the partition's journal never repeats in the lower 48.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

HEAD = np.dtype(
    [
        ("id", "<u8"),
        ("sent_at", "<f8"),  # time of the send call by the host's monotonic clock, s
        ("version", "<i8"),  # version of the database that gave `potential`; -1 before a hop
        ("source", "<i4"),  # node index
        ("destination", "<i4"),  # node index
        ("at", "<i4"),  # node index that holds the message now
        ("potential", "<i4"),  # remaining distance at the last hop that forwarded it
        ("length", "<u4"),  # bytes of payload
        ("port", "<u2"),  # number of the application on the node, as in UDP
        ("hops", "<u2"),
        ("flags", "<u2"),
    ],
)
UNREACHABLE = 1  # flag: a notice to the sender that message `id` could not be delivered
ATTEMPT_SHIFT = 8  # under way, the upper bits of the flags may number the copies of a message
MAX_ATTEMPT = 0xFF

UNSTAMPED = -1  # version of a message that no hop has forwarded yet
NO_POTENTIAL = np.iinfo(np.int32).max

SEQUENCE_BITS = 48
RECORD = -2  # in the first column of a trail: this message's route is to be recorded

_SEQUENCE_MASK = np.uint64((1 << SEQUENCE_BITS) - 1)
_TRAIL_VERSION_BITS = 40
_DENSE = 16
_FRAME = struct.Struct("<III")  # rows, bytes of payload, width of the trail
_Number = TypeVar("_Number", np.int64, np.uint64)
_Value = TypeVar("_Value", np.int16, np.uint16, np.int32, np.int64)


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """Messages as columns.

    Attributes:
        head: [n] of dtype `HEAD`.
        offset: int64 [n], where each payload starts in `payload`.
        payload: uint8 [bytes], shared by all rows and by batches taken from this one.
        trail: int64 [n, width] or None: the route recorded hop by hop (as IP's Record Route,
            RFC 791) for messages that ask for it; see `trail_entry`. -1 where nothing is recorded.
    """

    head: NDArray[np.void]
    offset: NDArray[np.int64]
    payload: NDArray[np.uint8]
    trail: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.head)

    def __reduce__(self) -> tuple[Any, ...]:
        # Bytes, since pickle would spell the heads' dtype out each time.
        return _restored, (self.head.view(np.uint8), self.offset, self.payload, self.trail)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> MessageBatch:
        """The chosen rows, sharing the payload buffer."""
        if rows.dtype == np.bool_:
            rows = rows.nonzero()[0]
        trail = None if self.trail is None else self.trail.take(rows, axis=0)
        # `take` moves whole rows; indexing a structured array moves field by field, 30 times slower
        return MessageBatch(self.head.take(rows), self.offset.take(rows), self.payload, trail)

    def compact(self) -> MessageBatch:
        """The same messages with a payload buffer that holds theirs alone, in row order."""
        length = self.head["length"].astype(np.int64)
        end = np.cumsum(length)
        start = end - length
        total = int(end[-1]) if len(end) else 0
        if total == len(self.payload) and np.array_equal(start, self.offset):
            return self
        payload = np.empty(total, np.uint8)
        self.gather(length, payload)
        return MessageBatch(self.head, start, payload, self.trail)

    def gather(self, length: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        """Write the payloads, of these lengths, into `out` one after the other."""
        size = int(length[0]) if len(length) else 0
        if size and (length == size).all() and not (self.offset % size).any():
            cells = self.payload[: len(self.payload) // size * size].reshape(-1, size)
            rows = out.reshape(-1, size)
            cells.take(self.offset // size, axis=0, out=rows, mode="clip")  # "raise" would buffer
            return
        # Position i of the new buffer comes from i shifted by its row's displacement.
        start = np.cumsum(length) - length
        where = np.arange(len(out)) + np.repeat(self.offset - start, length)
        self.payload.take(where, out=out, mode="clip")

    def payload_of(self, row: int) -> bytes:
        """One message's payload."""
        start = int(self.offset[row])
        return self.payload[start : start + int(self.head["length"][row])].tobytes()

    def to_buffers(self) -> list[bytes | memoryview]:
        """A self-contained encoding for journals (the recorded trail included), in parts.

        They share the batch's memory where they can.
        """
        batch = self.compact()
        width = 0 if batch.trail is None else batch.trail.shape[1]
        parts: list[bytes | memoryview] = [_FRAME.pack(len(batch), len(batch.payload), width)]
        columns = [batch.head.view(np.uint8), batch.payload]
        if batch.trail is not None:
            columns.insert(1, np.ascontiguousarray(batch.trail).view(np.uint8).reshape(-1))
        return parts + [column.data for column in columns if len(column)]

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> MessageBatch:
        """The inverse of `to_buffers`; heads are writable copies."""
        rows, size, width = _FRAME.unpack_from(data)
        at = _FRAME.size
        head = copied(np.frombuffer(data, HEAD, rows, at))
        at += rows * HEAD.itemsize
        trail = None
        if width:
            trail = np.frombuffer(data, np.int64, rows * width, at).reshape(rows, width).copy()
            at += rows * width * 8
        payload = np.frombuffer(data, np.uint8, size, at).copy()
        length = head["length"].astype(np.int64)
        return cls(head, np.cumsum(length) - length, payload, trail)


def _restored(
    head: NDArray[np.uint8],
    offset: NDArray[np.int64],
    payload: NDArray[np.uint8],
    trail: NDArray[np.int64] | None,
) -> MessageBatch:
    return MessageBatch(head.view(HEAD), offset, payload, trail)


def copied(head: NDArray[np.void]) -> NDArray[np.void]:
    """A copy of a contiguous `head`, by bytes: `copy` goes field by field, 20 times slower."""
    return head.view(np.uint8).copy().view(HEAD)


def empty() -> MessageBatch:
    """A batch of no messages."""
    return MessageBatch(np.empty(0, HEAD), np.empty(0, np.int64), np.empty(0, np.uint8))


def build(
    source: ArrayLike,
    destination: ArrayLike,
    payloads: Sequence[bytes],
    *,
    port: ArrayLike = 0,
    sent_at: ArrayLike = 0.0,
    record_route: bool = False,
) -> MessageBatch:
    """A batch of new messages, still without ids.

    Args:
        source: node indices [n].
        destination: node indices [n].
        payloads: one bytes object for each message.
        port: [n] or one for all.
        sent_at: [n] or one for all; s.
        record_route: whether every hop is to be recorded in `trail`.

    Raises:
        InvalidInput: the columns differ in length.
    """
    head = np.zeros(len(payloads), HEAD)
    columns = {"source": source, "destination": destination, "port": port, "sent_at": sent_at}
    for name, values in columns.items():
        try:
            head[name] = values
        except ValueError as error:
            raise InvalidInput(
                f"cannot build a batch of {len(payloads)} messages",
                f"column {name} does not have one value for each payload",
                "give columns of equal length",
                entry=name,
            ) from error
    head["at"] = head["source"]
    head["version"] = UNSTAMPED
    head["potential"] = NO_POTENTIAL
    length = np.fromiter(map(len, payloads), np.int64, len(payloads))
    head["length"] = length
    trail = np.full((len(head), 1), RECORD, np.int64) if record_route else None
    payload = np.frombuffer(b"".join(payloads), np.uint8)
    return MessageBatch(head, np.cumsum(length) - length, payload, trail)


def concat(batches: Sequence[MessageBatch]) -> MessageBatch:
    """All rows of `batches`, in order."""
    full = [batch for batch in batches if len(batch)]
    if not full:
        return empty()
    if len(full) == 1:
        return full[0]
    head = np.concatenate([batch.head.view(np.uint8) for batch in full]).view(HEAD)
    trail = _concat_trails(full)
    if all(batch.payload is full[0].payload for batch in full):
        offset = np.concatenate([batch.offset for batch in full])
        return MessageBatch(head, offset, full[0].payload, trail)
    length = head["length"].astype(np.int64)
    end = np.cumsum(length)
    payload = np.empty(int(end[-1]), np.uint8)
    row = at = 0
    for batch in full:
        own = length[row : row + len(batch)]
        row += len(batch)
        batch.gather(own, payload[at : int(end[row - 1])])
        at = int(end[row - 1])
    return MessageBatch(head, end - length, payload, trail)


def parted(batch: MessageBatch, values: NDArray[_Value]) -> Iterator[tuple[int, MessageBatch]]:
    """The batch by a value of each row, in ascending order; most batches have only one."""
    if len(batch) and (values == values[0]).all():
        yield int(values[0]), batch
        return
    for value in np.unique(values).tolist():
        yield value, batch.take(values == value)


def _concat_trails(batches: Sequence[MessageBatch]) -> NDArray[np.int64] | None:
    width = max(0 if batch.trail is None else batch.trail.shape[1] for batch in batches)
    if not width:
        return None
    out = np.full((sum(map(len, batches)), width), -1, np.int64)
    row = 0
    for batch in batches:
        if batch.trail is not None:
            out[row : row + len(batch), : batch.trail.shape[1]] = batch.trail
        row += len(batch)
    return out


def message_ids(partition: int, first: int, count: int) -> NDArray[np.uint64]:
    """`count` ids of `partition` from sequence number `first` on."""
    base = np.uint64((partition << SEQUENCE_BITS) | first)
    return base + np.arange(count, dtype=np.uint64)


def origin(ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The partition that issued each id."""
    return (ids >> np.uint64(SEQUENCE_BITS)).astype(np.int64)


def by_origin(ids: NDArray[np.uint64]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Each partition that issued some of `ids`, and which."""
    origins = origin(ids)
    for number in np.flatnonzero(np.bincount(origins)).tolist():
        yield number, origins == number


def sequence(ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The sequence number inside its partition of each id."""
    return (ids & _SEQUENCE_MASK).astype(np.int64)


def trail_entry(node: NDArray[np.int32] | NDArray[np.intp], version: int) -> NDArray[np.int64]:
    """What a hop records: the node that forwards and the database version it decided by."""
    mark = version & ((1 << _TRAIL_VERSION_BITS) - 1)
    return (node.astype(np.int64) << _TRAIL_VERSION_BITS) | mark


def room_for(trail: NDArray[np.int64], hops: int) -> NDArray[np.int64]:
    """A copy of `trail` with room for messages that have made `hops` hops."""
    present = trail.shape[1]
    wanted = present if hops <= present else max(hops, 2 * present)
    return np.pad(trail, ((0, 0), (0, wanted - present)), constant_values=-1)


def record(
    trail: NDArray[np.int64],
    rows: NDArray[np.intp],
    hops: NDArray[np.intp],
    node: NDArray[np.int32] | NDArray[np.intp],
    version: int,
) -> None:
    """Note in `trail` that `rows`, after `hops` hops, are forwarded by `node`, if they ask for it.

    A message that does not ask has nothing in the first column.
    """
    first = trail[rows, 0]
    asked = (hops == 0) & (first == RECORD) | (hops > 0) & (first >= 0)
    trail[rows[asked], hops[asked]] = trail_entry(node[asked], version)


def distinct(numbers: NDArray[_Number]) -> NDArray[_Number]:
    """The numbers (not negative) in ascending order, each once."""
    if (numbers[1:] > numbers[:-1]).all():
        return numbers
    low = numbers.min()
    span = int(numbers.max() - low) + 1
    if span > _DENSE * len(numbers):
        return np.unique(numbers)
    seen = np.zeros(span, bool)  # for numbers close together: faster than sorting
    seen[numbers - low] = True
    ascending: NDArray[_Number] = seen.nonzero()[0].astype(numbers.dtype) + low
    return ascending


def first_of_each(numbers: NDArray[_Number]) -> NDArray[np.bool_]:
    """Which of the numbers (not negative) have not come before in the column."""
    if len(distinct(numbers)) == len(numbers):
        return np.ones(len(numbers), bool)
    first = np.zeros(len(numbers), bool)
    first[np.unique(numbers, return_index=True)[1]] = True
    return first
