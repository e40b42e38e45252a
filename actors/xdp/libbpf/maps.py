"""Reads and writes maps, those of single CPUs and ring buffers among them."""

from __future__ import annotations

import ctypes
import errno
import mmap
from typing import Final

from actors.xdp.libbpf.library import U32, BpfError, Int, Pointer, Size, checked, library

Content = bytes | memoryview
NOEXIST: Final = 1  # flag of `update`: there must be no such key yet


def possible_cpus() -> int:
    """Number of CPUs for which a per-CPU map has values."""
    return checked("the number of CPUs", library().libbpf_num_possible_cpus())


def lookup(fd: int, key: bytes, size: int) -> bytes | None:
    """Value of `size` bytes at a key; of a per-CPU map, the values of all CPUs. None: no such key.

    Raises:
        BpfError: the kernel refuses.
    """
    value = ctypes.create_string_buffer(size)
    if library().bpf_map_lookup_elem(fd, key, value):
        if ctypes.get_errno() == errno.ENOENT:
            return None
        raise BpfError(ctypes.get_errno(), "a map cannot be read")
    return value.raw


def update(fd: int, key: bytes, value: bytes, flags: int = 0) -> None:
    """Put a value at a key.

    Raises:
        BpfError: E2BIG or ENOSPC: the map is full; EEXIST with `NOEXIST`: there is such a key.
    """
    checked("a map cannot be written", library().bpf_map_update_elem(fd, key, value, flags))


def delete(fd: int, key: bytes) -> bool:
    """Remove a key; whether it was there.

    Raises:
        BpfError: the kernel refuses.
    """
    if library().bpf_map_delete_elem(fd, key):
        if ctypes.get_errno() == errno.ENOENT:
            return False
        raise BpfError(ctypes.get_errno(), "a map cannot be written")
    return True


def lookup_batch(fd: int, key_size: int, value_size: int, count: int) -> tuple[Content, Content]:
    """All keys and values of a map, read in batches of `count` entries.

    Args:
        fd: the map.
        key_size: bytes of a key.
        value_size: bytes of a value; of a per-CPU map, of the values of all CPUs.
        count: entries a call; it grows where the kernel finds more in one bucket.

    Returns:
        Keys and values, one after another. Entries that are added or removed meanwhile may be
        missing.

    Raises:
        BpfError: the kernel refuses.
    """
    lib, position = library(), ctypes.create_string_buffer(max(key_size, 8))
    keys: list[memoryview] = []
    values: list[memoryview] = []
    begun = False
    while True:
        key_buffer = ctypes.create_string_buffer(key_size * count)
        value_buffer = ctypes.create_string_buffer(value_size * count)
        got = U32(count)
        start = position if begun else None
        failed = lib.bpf_map_lookup_batch(
            fd, start, position, key_buffer, value_buffer, ctypes.byref(got), None
        )
        number = ctypes.get_errno() if failed else 0
        if number == errno.ENOSPC:
            count *= 2
            continue
        if number not in {0, errno.ENOENT}:
            raise BpfError(number, "a map cannot be read")
        keys.append(memoryview(key_buffer).cast("B")[: key_size * got.value])
        values.append(memoryview(value_buffer).cast("B")[: value_size * got.value])
        begun = True
        if number:
            return _whole(keys), _whole(values)


def mapped(fd: int, size: int) -> mmap.mmap:
    """The content of an array that was made for this, `size` bytes, as the program changes it.

    Raises:
        OSError: the kernel refuses.
    """
    return mmap.mmap(fd, size, prot=mmap.PROT_READ)


def _whole(parts: list[memoryview]) -> Content:
    """Parts together; a single one, as it nearly always is, without a copy."""
    return parts[0] if len(parts) == 1 else b"".join(parts)


_SAMPLE = ctypes.CFUNCTYPE(Int, Pointer, Pointer, Size)


def consume(fd: int) -> list[bytes]:
    """Take all samples out of a ring buffer.

    Raises:
        BpfError: the kernel refuses.
    """
    found: list[bytes] = []

    def take(_context: int, data: int, size: int) -> int:
        found.append(ctypes.string_at(data, size))
        return 0

    lib, call = library(), _SAMPLE(take)
    ring = lib.ring_buffer__new(fd, call, None, None)
    if not ring:
        raise BpfError(ctypes.get_errno(), "a ring buffer cannot be read")
    try:
        checked("a ring buffer cannot be read", lib.ring_buffer__consume(ring))
    finally:
        lib.ring_buffer__free(ring)
    return found
