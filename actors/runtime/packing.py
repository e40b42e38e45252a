"""Python values as frames: a pickle, and beside it the arrays' own memory, never copied by Python.

Pickle protocol 5 hands large buffers out of band (PEP 574). A frame is

    size of all that follows the prefix, u64 | number of parts, u32 | reserved, u32      prefix
    length of each part, u64 each
    the parts, each from a multiple of 16 bytes on, counted from the end of the prefix

all little-endian. The first part is the pickle, the others are its buffers in order. Unpickling
can run code of the sender: frames are only for processes of the same user, see `unix_rpc`.
"""

from __future__ import annotations

import pickle
import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Buffer = bytes | memoryview

PREFIX: Final = struct.Struct("<QIxxxx")
MAX_PARTS: Final = 4096
_ALIGNMENT: Final = 16
_PADDING: Final = bytes(_ALIGNMENT)


class BadFrame(Exception):  # noqa: N818 - said of the frame
    """A frame is malformed or too large."""


def pack(value: object) -> list[Buffer]:
    """The parts of a frame, in order, which share memory with the arrays in `value`."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    raw: list[Buffer] = [body, *(buffer.raw() for buffer in buffers)]
    lengths = [len(part) for part in raw]
    frame: list[Buffer] = [b"", struct.pack(f"<{len(raw)}Q", *lengths)]
    size = 8 * len(raw)
    for part, length in zip(raw, lengths, strict=True):
        gap = -size % _ALIGNMENT
        if gap:
            frame.append(_PADDING[:gap])
        if length:
            frame.append(part)
        size += gap + length
    frame[0] = PREFIX.pack(size, len(raw))
    return frame


def parse_prefix(prefix: Buffer, largest: int) -> tuple[int, int]:
    """Bytes that follow, and the number of parts.

    Raises:
        BadFrame: more than `largest` bytes, or no sensible number of parts.
    """
    size, parts = PREFIX.unpack(prefix)
    if not (0 < parts <= MAX_PARTS and 8 * parts <= size <= largest):
        raise BadFrame(f"a frame of {size} bytes in {parts} parts")
    return size, parts


def unpack(rest: memoryview, parts: int) -> Any:  # noqa: ANN401 - whatever was packed
    """The value of a frame; its arrays share the memory of `rest`, what follows the prefix.

    Raises:
        BadFrame: the lengths do not fit, or the pickle is damaged.
    """
    found = _parted(rest, struct.unpack_from(f"<{parts}Q", rest))
    try:
        return pickle.loads(found[0], buffers=found[1:])  # noqa: S301 - see the module
    except Exception as error:
        raise BadFrame(f"its pickle cannot be read: {error}") from error


def _parted(rest: memoryview, lengths: Sequence[int]) -> list[memoryview]:
    at = 8 * len(lengths)
    found = []
    for length in lengths:
        at += -at % _ALIGNMENT
        if at + length > len(rest):
            raise BadFrame("its parts are longer than itself")
        found.append(rest[at : at + length])
        at += length
    return found
