"""Batches keep each message's columns and payload together through every operation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.mesh import batch as messages
from actors.mesh.batch import MessageBatch
from actors.runtime.errors import InvalidInput
from tests.unit.mesh.oracle import trail_nodes

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = tuple[bytes, bytes, list[int]]
payloads = st.lists(st.binary(max_size=9), max_size=6)


@st.composite
def batches(draw: st.DrawFn) -> MessageBatch:
    bodies = draw(payloads)
    count = len(bodies)
    nodes = draw(st.lists(st.integers(0, 9), min_size=2 * count, max_size=2 * count))
    batch = messages.build(
        nodes[:count], nodes[count:], bodies, port=3, record_route=draw(st.booleans())
    )
    if draw(st.booleans()):  # as after some hops: rows gone, the payload shared
        keep = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        batch = batch.take(np.array(keep, bool))
    return batch


def rows(batch: MessageBatch) -> list[Row]:
    """Each message in full; trails without their empty end."""
    trail = np.full((len(batch), 0), -1) if batch.trail is None else batch.trail
    trails = [[entry for entry in row.tolist() if entry != -1] for row in trail]
    return [
        (head.tobytes(), batch.payload_of(place), trails[place])
        for place, head in enumerate(batch.head)
    ]


@given(batches())
def test_bytes_round_trip(batch: MessageBatch) -> None:
    """What was encoded is decoded the same, and its heads can be written to."""
    again = MessageBatch.from_bytes(b"".join(batch.to_buffers()))
    assert rows(again) == rows(batch)
    assert b"".join(again.to_buffers()) == b"".join(batch.to_buffers())
    again.head["hops"] = 5


@given(batches(), st.data())
def test_take_and_compact(batch: MessageBatch, data: st.DataObject) -> None:
    """Taking chooses whole messages, compacting drops only bytes that no message owns."""
    count = len(batch)
    chosen = data.draw(st.lists(st.integers(0, count - 1), max_size=8)) if count else []
    taken = batch.take(np.array(chosen, np.intp))
    assert rows(taken) == [rows(batch)[place] for place in chosen]
    compact = taken.compact()
    assert rows(compact) == rows(taken)
    assert len(compact.payload) == sum(len(body) for _, body, _ in rows(taken))
    assert compact.compact() is compact


@given(parts=st.lists(batches(), max_size=4), shared=st.booleans())
def test_concat(parts: Sequence[MessageBatch], *, shared: bool) -> None:
    """Concatenation is all rows in order, whether or not the parts share a buffer."""
    if shared and parts:
        parts = [parts[0].take(np.arange(len(parts[0]))[::step]) for step in (1, 2, -1)]
    joined = messages.concat(parts)
    assert rows(joined) == [row for part in parts for row in rows(part)]


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**40), st.integers(0, 5))
def test_ids_name_partition_and_sequence(partition: int, first: int, count: int) -> None:
    """Ids give back the partition and the sequence number that they were made of."""
    ids = messages.message_ids(partition, first, count)
    assert messages.origin(ids).tolist() == [partition] * count
    assert messages.sequence(ids).tolist() == list(range(first, first + count))


@given(st.lists(st.integers(0, 2**20), min_size=1), st.integers(0, 2**39))
def test_trail_entries_name_nodes(nodes: list[int], version: int) -> None:
    """A trail's entries give back their nodes and differ by version."""
    entries = messages.trail_entry(np.array(nodes, np.int32), version)
    assert (entries >= 0).all()
    assert trail_nodes(entries).tolist() == nodes
    assert (entries != messages.trail_entry(np.array(nodes, np.int32), version + 1)).all()


def test_columns_of_another_length_are_refused() -> None:
    """The error names the column that has not one value for each payload."""
    with pytest.raises(InvalidInput, match="destination"):
        messages.build([0, 1], [0, 1, 2], [b"a", b"b"])


def test_a_new_message_is_at_its_source_and_unstamped() -> None:
    """A batch just built waits at its sources and has seen no hop."""
    head = messages.build([4, 5], 6, [b"a", b""], sent_at=1.5).head
    assert head["at"].tolist() == [4, 5]
    assert head["destination"].tolist() == [6, 6]
    assert head["version"].tolist() == [messages.UNSTAMPED] * 2
    assert head["potential"].tolist() == [messages.NO_POTENTIAL] * 2
    assert head["length"].tolist() == [1, 0]
    assert head["sent_at"].tolist() == [1.5, 1.5]


@given(st.lists(st.integers(0, 2**40)), st.sampled_from((np.int64, np.uint64)))
def test_distinct_numbers_ascend(numbers: list[int], kind: type[np.int64 | np.uint64]) -> None:
    """Close together or far apart, in order or not: each number once, in ascending order."""
    for some in (numbers, [number % 64 for number in numbers], sorted(set(numbers))):
        found = messages.distinct(np.array(some, kind))
        assert found.dtype == kind
        assert found.tolist() == sorted(set(some))


@given(batches())
def test_a_batch_is_parted_by_value(batch: MessageBatch) -> None:
    """Every row is in the part of its value, in the order it had."""
    values = batch.head["source"].astype(np.int64)
    parts = dict(messages.parted(batch, values))
    assert list(parts) == sorted(set(values.tolist()))
    for value, part in parts.items():
        assert rows(part) == rows(batch.take(values == value))
