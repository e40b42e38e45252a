"""One encoding for what is signed: fields in a fixed order, each with its length before it.

Invariant: canonical. A list of fields has one encoding and an encoding has one list, so what two
sides hash or sign is the same bytes exactly if it says the same (each field: its length in two
bytes, big-endian, then its bytes; nothing before, between or after).
"""

from __future__ import annotations

from typing import Final

FIELD_MAX_BYTES: Final = 2**16 - 1


class Malformed(ValueError):  # noqa: N818 - named by its condition
    """Bytes from outside are no encoding of what is expected."""


def join_fields(*fields: bytes) -> bytes:
    """The encoding of `fields`, each at most 65535 bytes."""
    return b"".join(len(field).to_bytes(2) + field for field in fields)


def split_fields(data: bytes, count: int) -> tuple[bytes, ...]:
    """The `count` fields that `data` encodes.

    Raises:
        Malformed: it encodes another number of fields, or none.
    """
    fields = []
    at = 0
    for _ in range(count):
        start = at + 2
        at = start + int.from_bytes(data[at:start])
        if at > len(data) or start > len(data):
            raise Malformed("a field ends after the message")
        fields.append(data[start:at])
    if at != len(data):
        raise Malformed("bytes follow the last field")
    return tuple(fields)


def number(field: bytes, size: int) -> int:
    """The unsigned number that a field of `size` bytes holds, big-endian.

    Raises:
        Malformed: the field has another size.
    """
    if len(field) != size:
        raise Malformed("a number has another size")
    return int.from_bytes(field)


def text(field: bytes, longest: int) -> str:
    """The non-empty UTF-8 text of a field of at most `longest` bytes.

    Raises:
        Malformed: it is empty, too long or no UTF-8.
    """
    if not 0 < len(field) <= longest:
        raise Malformed("a name is empty or too long")
    try:
        return field.decode()
    except UnicodeDecodeError:
        raise Malformed("a name is not UTF-8") from None


def exactly(field: bytes, size: int) -> bytes:
    """The field, which has `size` bytes.

    Raises:
        Malformed: it has another size.
    """
    if len(field) != size:
        raise Malformed("a field has another size")
    return field
