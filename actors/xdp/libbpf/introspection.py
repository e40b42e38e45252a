"""What the kernel says of its programs, maps and links, and how they are opened by their ids."""

from __future__ import annotations

import ctypes
import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.xdp.libbpf.library import U32, U64, BpfError, checked, library

if TYPE_CHECKING:
    from collections.abc import Iterator

LINK_TYPE_XDP: Final = 6


class _ProgInfo(ctypes.Structure):
    _fields_ = (
        ("type", U32),
        ("id", U32),
        ("tag", ctypes.c_uint8 * 8),
        ("skipped", U32 * 6),
        ("load_time", U64),
        ("uid", U32),
        ("nr_map_ids", U32),
        ("map_ids", U64),
        ("name", ctypes.c_char * 16),
    )


class _MapInfo(ctypes.Structure):
    _fields_ = (
        ("type", U32),
        ("id", U32),
        ("key_size", U32),
        ("value_size", U32),
        ("max_entries", U32),
        ("flags", U32),
        ("name", ctypes.c_char * 16),
    )


class _LinkInfo(ctypes.Structure):
    _fields_ = (
        ("type", U32),
        ("id", U32),
        ("prog_id", U32),
        ("pad", U32),
        ("ifindex", U32),
        ("rest", U32 * 15),
    )


@dataclass(frozen=True, slots=True)
class ProgramInfo:
    """A program of the kernel; `tag` is the hash of its instructions, in hex."""

    id: int
    name: str
    tag: str
    uid: int
    loaded_ns: int  # since boot
    map_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MapInfo:
    """A map of the kernel; sizes in bytes."""

    id: int
    name: str
    key_size: int
    value_size: int
    max_entries: int


@dataclass(frozen=True, slots=True)
class LinkInfo:
    """A link of the kernel; `ifindex` is 0 once its interface is gone."""

    id: int
    type: int
    prog_id: int
    ifindex: int


def _info(fd: int, into: ctypes.Structure) -> None:
    length = U32(ctypes.sizeof(into))
    done = library().bpf_obj_get_info_by_fd(fd, ctypes.byref(into), ctypes.byref(length))
    checked("the kernel tells nothing of an object", done)


def program_info(fd: int) -> ProgramInfo:
    """What a program is.

    Raises:
        BpfError: the kernel does not tell.
    """
    first, info = _ProgInfo(), _ProgInfo()
    _info(fd, first)
    ids = (U32 * first.nr_map_ids)()
    info.nr_map_ids, info.map_ids = len(ids), ctypes.addressof(ids)
    _info(fd, info)
    name, tag = info.name.decode(errors="replace"), bytes(info.tag).hex()
    return ProgramInfo(info.id, name, tag, info.uid, info.load_time, tuple(ids))


def map_info(fd: int) -> MapInfo:
    """What a map is.

    Raises:
        BpfError: the kernel does not tell.
    """
    info = _MapInfo()
    _info(fd, info)
    name = info.name.decode(errors="replace")
    return MapInfo(info.id, name, info.key_size, info.value_size, info.max_entries)


def link_info(fd: int) -> LinkInfo:
    """What a link is.

    Raises:
        BpfError: the kernel does not tell.
    """
    info = _LinkInfo()
    _info(fd, info)
    return LinkInfo(info.id, info.type, info.prog_id, info.ifindex)


def program_by_id(number: int) -> int:
    """Descriptor of a program. Needs CAP_SYS_ADMIN.

    Raises:
        BpfError: there is none (ENOENT), or it is not allowed (EPERM).
    """
    return checked(f"program {number}", library().bpf_prog_get_fd_by_id(number))


def map_by_id(number: int) -> int:
    """Descriptor of a map. Needs CAP_SYS_ADMIN.

    Raises:
        BpfError: there is none (ENOENT), or it is not allowed (EPERM).
    """
    return checked(f"map {number}", library().bpf_map_get_fd_by_id(number))


def link_by_id(number: int) -> int:
    """Descriptor of a link. Needs CAP_SYS_ADMIN.

    Raises:
        BpfError: there is none (ENOENT), or it is not allowed (EPERM).
    """
    return checked(f"link {number}", library().bpf_link_get_fd_by_id(number))


def link_ids() -> Iterator[int]:
    """Ids of all links of the host. Needs CAP_SYS_ADMIN.

    Raises:
        BpfError: it is not allowed.
    """
    at = U32(0)
    while True:
        if library().bpf_link_get_next_id(at, ctypes.byref(at)):
            if ctypes.get_errno() == errno.ENOENT:
                return
            raise BpfError(ctypes.get_errno(), "links cannot be listed")
        yield at.value
