"""Frames give back what was packed, share its memory, and refuse what is no frame."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from actors.mesh import batch as messages
from actors.runtime import packing
from actors.runtime.packing import PREFIX, BadFrame, pack, parse_prefix, unpack

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
arrays = stn.arrays(
    stn.integer_dtypes() | stn.boolean_dtypes(), stn.array_shapes(min_side=0, max_dims=2)
)


def through_a_wire(value: object) -> object:
    frame = b"".join(pack(value))
    size, parts = parse_prefix(frame[: PREFIX.size], len(frame))
    assert size == len(frame) - PREFIX.size
    return unpack(memoryview(bytearray(frame[PREFIX.size :])), parts)


@given(value=values)
def test_values_come_back(value: object) -> None:
    """What was packed is unpacked."""
    assert through_a_wire(value) == value


@given(columns=st.lists(arrays, max_size=5))
def test_arrays_come_back_aligned(columns: list[np.ndarray[tuple[int, ...], np.dtype]]) -> None:
    """With their types and shapes, in memory that arithmetic can use as it is."""
    back = through_a_wire(columns)
    assert isinstance(back, list)
    for column, found in zip(columns, back, strict=True):
        assert found.dtype == column.dtype
        assert found.flags.aligned
        np.testing.assert_array_equal(found, column)


def test_an_array_is_not_copied_to_be_packed() -> None:
    """A change made after packing shows in the frame: it is the array's memory."""
    column = np.zeros(1000, np.uint8)
    frame = pack(column)
    column[:] = 7
    assert b"\7" * 1000 in b"".join(frame)


def test_a_message_batch_comes_back() -> None:
    """Heads, payloads and trails."""
    batch = messages.build([1, 2], [3, 4], [b"one", b"three"], port=9, record_route=True)
    found = through_a_wire(batch)
    assert isinstance(found, messages.MessageBatch)
    assert b"".join(found.to_buffers()) == b"".join(batch.to_buffers())


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        pytest.param(8, 0, id="no-parts"),
        pytest.param(8, packing.MAX_PARTS + 1, id="too-many-parts"),
        pytest.param(8, 2, id="shorter-than-its-lengths"),
        pytest.param(101, 1, id="too-large"),
    ],
)
def test_senseless_prefixes_are_refused(size: int, parts: int) -> None:
    """Before any memory is set aside."""
    with pytest.raises(BadFrame):
        parse_prefix(PREFIX.pack(size, parts), largest=100)


@given(cut=st.integers(0, 60), byte=st.integers(0, 255))
def test_damaged_frames_are_refused_or_read_but_never_crash(cut: int, byte: int) -> None:
    """Whatever byte is damaged: an error of ours, or some value."""
    frame = bytearray(b"".join(pack((1, "method", (np.arange(3),)))))[PREFIX.size :]
    frame[cut % len(frame)] = byte
    with contextlib.suppress(BadFrame):
        unpack(memoryview(frame), 2)


def test_a_truncated_frame_is_refused() -> None:
    """Its parts are longer than what is there."""
    frame = b"".join(pack(np.arange(100)))[PREFIX.size :]
    with pytest.raises(BadFrame, match="longer"):
        unpack(memoryview(frame[:-1]), 2)
