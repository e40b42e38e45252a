"""The part of libbpf that is needed, by ctypes: objects, maps, links, pins, test runs.

Invariants: every failure is a `BpfError` with the kernel's errno, and for a load also the last
lines that libbpf and the verifier said; every descriptor that is returned belongs to the caller.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SONAME: Final = "libbpf.so.1"
PROG_TYPE_XDP: Final = 6
ATTACH_XDP: Final = 37
LINK_TYPE_XDP: Final = 6
_F_REPLACE: Final = 4
Content = bytes | memoryview
NOEXIST: Final = 1  # flag of `update`: there must be no such key yet
_SAID_LINES: Final = 12  # that an error repeats

_p, _i, _u32, _u64, _size, _s = (
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint32,
    ctypes.c_uint64,
    ctypes.c_size_t,
    ctypes.c_char_p,
)
_PROTOTYPES: Final[Mapping[str, tuple[Any, list[Any]]]] = {
    "libbpf_set_print": (_p, [_p]),
    "libbpf_num_possible_cpus": (_i, []),
    "bpf_object__open_mem": (_p, [_p, _size, _p]),
    "bpf_object__load": (_i, [_p]),
    "bpf_object__close": (None, [_p]),
    "bpf_object__find_program_by_name": (_p, [_p, _s]),
    "bpf_object__next_program": (_p, [_p, _p]),
    "bpf_object__find_map_by_name": (_p, [_p, _s]),
    "bpf_object__next_map": (_p, [_p, _p]),
    "bpf_program__set_autoload": (_i, [_p, ctypes.c_bool]),
    "bpf_program__fd": (_i, [_p]),
    "bpf_map__name": (_s, [_p]),
    "bpf_map__fd": (_i, [_p]),
    "bpf_map__set_max_entries": (_i, [_p, _u32]),
    "bpf_map__reuse_fd": (_i, [_p, _i]),
    "bpf_map__set_initial_value": (_i, [_p, _p, _size]),
    "bpf_prog_load": (_i, [_i, _s, _s, _p, _size, _p]),
    "bpf_prog_test_run_opts": (_i, [_i, _p]),
    "bpf_link_create": (_i, [_i, _i, _i, _p]),
    "bpf_link_update": (_i, [_i, _i, _p]),
    "bpf_link_detach": (_i, [_i]),
    "bpf_link_get_next_id": (_i, [_u32, _p]),
    "bpf_link_get_fd_by_id": (_i, [_u32]),
    "bpf_prog_get_fd_by_id": (_i, [_u32]),
    "bpf_map_get_fd_by_id": (_i, [_u32]),
    "bpf_obj_get_info_by_fd": (_i, [_i, _p, _p]),
    "bpf_obj_pin": (_i, [_i, _s]),
    "bpf_obj_get": (_i, [_s]),
    "bpf_map_lookup_elem": (_i, [_i, _p, _p]),
    "bpf_map_update_elem": (_i, [_i, _p, _p, _u64]),
    "bpf_map_delete_elem": (_i, [_i, _p]),
    "bpf_map_lookup_batch": (_i, [_i, _p, _p, _p, _p, _p, _p]),
    "ring_buffer__new": (_p, [_i, _p, _p, _p]),
    "ring_buffer__consume": (_i, [_p]),
    "ring_buffer__free": (None, [_p]),
}


class BpfError(OSError):
    """A call failed. `said` is what libbpf and the verifier wrote meanwhile, or ""."""

    said: str

    def __init__(self, number: int, what: str, said: str = "") -> None:
        super().__init__(number, f"{what}: {os.strerror(number)}")
        self.said = said


class LibraryMissing(Exception):  # noqa: N818 - named by its condition
    """There is no libbpf 1 on this machine."""


# -- the library -----------------------------------------------------------------------------------

_PRINT = ctypes.CFUNCTYPE(_i, _i, _s, _p)
_said = threading.local()


def _take(_level: int, text: bytes, arguments: int) -> int:
    """Keep what libbpf says of the call that this thread is in, instead of printing it."""
    lines = getattr(_said, "lines", None)
    if lines is not None and text is not None:
        buffer = ctypes.create_string_buffer(4096)
        _vsnprintf()(buffer, len(buffer), text, arguments)
        lines.extend(buffer.value.decode(errors="replace").splitlines())
        del lines[:-_SAID_LINES]
    return 0


_print = _PRINT(_take)


@functools.cache
def _vsnprintf() -> Callable[..., int]:
    function = ctypes.CDLL(None).vsnprintf
    function.argtypes = [ctypes.c_char_p, _size, _s, _p]
    return function


@functools.cache
def library() -> ctypes.CDLL:
    """Load libbpf.

    Raises:
        LibraryMissing: there is none, or it is too old.
    """
    try:
        found = ctypes.CDLL(SONAME, use_errno=True)
        for name, (result, arguments) in _PROTOTYPES.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise LibraryMissing(str(error)) from error
    found.libbpf_set_print(_print)
    return found


def possible_cpus() -> int:
    """Number of CPUs for which a per-CPU map has values."""
    return _checked("the number of CPUs", library().libbpf_num_possible_cpus())


def _checked(what: str, result: int) -> int:
    """Return a result that is not negative.

    Raises:
        BpfError: it is, with errno.
    """
    if result < 0:
        raise BpfError(ctypes.get_errno() or -result, what)
    return result


# -- objects ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded program.

    Attributes:
        program: descriptor of the program.
        maps: descriptors of its maps by name.
    """

    program: int
    maps: Mapping[str, int]


def load_object(
    image: bytes,
    program: str,
    *,
    entries: Mapping[str, int] | None = None,
    reused: Mapping[str, int] | None = None,
    constants: bytes | None = None,
) -> Loaded:
    """Load one program of an object, and the maps that it uses.

    Args:
        image: the ELF file.
        program: name of the function.
        entries: size of maps, instead of that in the object.
        reused: descriptors of maps that are there already, by name.
        constants: what `.rodata` holds instead of its initial value.

    Raises:
        BpfError: it is refused; `said` has the verifier's last lines.
    """
    lib = library()
    said: list[str] = []
    _said.lines = said
    handle = None
    try:
        handle = lib.bpf_object__open_mem(image, len(image), None)
        _checked("the object cannot be read", 0 if handle else -ctypes.get_errno())
        _choose(handle, program)
        for name, count in (entries or {}).items():
            _checked(name, lib.bpf_map__set_max_entries(_map(handle, name), count))
        for name, fd in (reused or {}).items():
            _checked(name, lib.bpf_map__reuse_fd(_map(handle, name), fd))
        if constants is not None:
            size = len(constants)
            where = _map(handle, ".rodata")
            _checked(".rodata", lib.bpf_map__set_initial_value(where, constants, size))
        _checked("the program cannot be loaded", lib.bpf_object__load(handle))
        return _kept(handle, program)
    except BpfError as error:
        error.said = "\n".join(said)
        raise
    finally:
        _said.lines = None
        if handle:
            lib.bpf_object__close(handle)


def _choose(handle: int, program: str) -> None:
    """Have only `program` loaded."""
    lib, at, found = library(), None, False
    while at := lib.bpf_object__next_program(handle, at):
        _checked(program, lib.bpf_program__set_autoload(at, False))  # noqa: FBT003 - of C
    if at := lib.bpf_object__find_program_by_name(handle, program.encode()):
        found = not lib.bpf_program__set_autoload(at, True)  # noqa: FBT003 - of C
    if not found:
        raise BpfError(errno.ENOENT, f"the object has no program {program}")


def _map(handle: int, name: str) -> int:
    found: int | None = library().bpf_object__find_map_by_name(handle, name.encode())
    if not found:
        raise BpfError(errno.ENOENT, f"the object has no map {name}")
    return found


def _kept(handle: int, program: str) -> Loaded:
    """Descriptors that outlive the object."""
    lib, at, maps = library(), None, {}
    found = lib.bpf_object__find_program_by_name(handle, program.encode())
    while at := lib.bpf_object__next_map(handle, at):
        maps[lib.bpf_map__name(at).decode()] = os.dup(lib.bpf_map__fd(at))
    return Loaded(os.dup(lib.bpf_program__fd(found)), maps)


# `return XDP_PASS`: the least program that there is.
_PASS: Final = bytes.fromhex("b700000002000000 9500000000000000")


def load_pass() -> int:
    """Load a program that passes everything, and return its descriptor.

    Raises:
        BpfError: the kernel refuses it.
    """
    name, count = b"x0_pass", len(_PASS) // 8
    fd = library().bpf_prog_load(PROG_TYPE_XDP, name, b"GPL", _PASS, count, None)
    return _checked("a program that does nothing cannot be loaded", fd)


# -- what the kernel says of its objects -----------------------------------------------------------


class _ProgInfo(ctypes.Structure):
    _fields_ = (
        ("type", _u32),
        ("id", _u32),
        ("tag", ctypes.c_uint8 * 8),
        ("skipped", _u32 * 6),
        ("load_time", _u64),
        ("uid", _u32),
        ("nr_map_ids", _u32),
        ("map_ids", _u64),
        ("name", ctypes.c_char * 16),
    )


class _MapInfo(ctypes.Structure):
    _fields_ = (
        ("type", _u32),
        ("id", _u32),
        ("key_size", _u32),
        ("value_size", _u32),
        ("max_entries", _u32),
        ("flags", _u32),
        ("name", ctypes.c_char * 16),
    )


class _LinkInfo(ctypes.Structure):
    _fields_ = (
        ("type", _u32),
        ("id", _u32),
        ("prog_id", _u32),
        ("pad", _u32),
        ("ifindex", _u32),
        ("rest", _u32 * 15),
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
    length = _u32(ctypes.sizeof(into))
    done = library().bpf_obj_get_info_by_fd(fd, ctypes.byref(into), ctypes.byref(length))
    _checked("the kernel tells nothing of an object", done)


def program_info(fd: int) -> ProgramInfo:
    """What a program is.

    Raises:
        BpfError: the kernel does not tell.
    """
    first, info = _ProgInfo(), _ProgInfo()
    _info(fd, first)
    ids = (_u32 * first.nr_map_ids)()
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
    return _checked(f"program {number}", library().bpf_prog_get_fd_by_id(number))


def map_by_id(number: int) -> int:
    """Descriptor of a map. Needs CAP_SYS_ADMIN.

    Raises:
        BpfError: there is none (ENOENT), or it is not allowed (EPERM).
    """
    return _checked(f"map {number}", library().bpf_map_get_fd_by_id(number))


def link_by_id(number: int) -> int:
    """Descriptor of a link. Needs CAP_SYS_ADMIN.

    Raises:
        BpfError: there is none (ENOENT), or it is not allowed (EPERM).
    """
    return _checked(f"link {number}", library().bpf_link_get_fd_by_id(number))


def link_ids() -> Iterator[int]:
    """Ids of all links of the host. Needs CAP_SYS_ADMIN.

    Raises:
        BpfError: it is not allowed.
    """
    at = _u32(0)
    while True:
        if library().bpf_link_get_next_id(at, ctypes.byref(at)):
            if ctypes.get_errno() == errno.ENOENT:
                return
            raise BpfError(ctypes.get_errno(), "links cannot be listed")
        yield at.value


# -- links and pins --------------------------------------------------------------------------------


class _LinkOptions(ctypes.Structure):
    _fields_ = (("size", _size), ("flags", _u32), ("old_prog_fd", _u32))


def create_link(program: int, ifindex: int, flags: int) -> int:
    """Attach a program to an interface; the link lives as long as its descriptor or its pin.

    Raises:
        BpfError: the kernel or the driver refuses.
    """
    options = _LinkOptions(ctypes.sizeof(_LinkOptions), flags, 0)
    fd = library().bpf_link_create(program, ifindex, ATTACH_XDP, ctypes.byref(options))
    return _checked("the program cannot be attached", fd)


def update_link(link: int, new: int, old: int) -> None:
    """Put the program `new` in the place of `old`, between two packets.

    Raises:
        BpfError: EPERM: another program is there; ENOLINK: the interface is gone.
    """
    options = _LinkOptions(ctypes.sizeof(_LinkOptions), _F_REPLACE, old)
    done = library().bpf_link_update(link, new, ctypes.byref(options))
    _checked("the program cannot be replaced", done)


def detach_link(link: int) -> None:
    """Detach whatever a link has attached, whoever else holds the link.

    Raises:
        BpfError: the kernel refuses.
    """
    _checked("the link cannot be detached", library().bpf_link_detach(link))


def pin(fd: int, path: str) -> None:
    """Give an object a name in a BPF file system, which keeps it.

    Raises:
        BpfError: there is such a name, or no BPF file system.
    """
    _checked(f"{path} cannot be made", library().bpf_obj_pin(fd, path.encode()))


def pinned(path: str) -> int:
    """Descriptor of a pinned object.

    Raises:
        BpfError: there is none.
    """
    return _checked(f"{path} cannot be opened", library().bpf_obj_get(path.encode()))


# -- maps ------------------------------------------------------------------------------------------


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
    _checked("a map cannot be written", library().bpf_map_update_elem(fd, key, value, flags))


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
        got = _u32(count)
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


def _whole(parts: list[memoryview]) -> Content:
    """Parts together; a single one, as it nearly always is, without a copy."""
    return parts[0] if len(parts) == 1 else b"".join(parts)


# -- samples and test runs -------------------------------------------------------------------------

_SAMPLE = ctypes.CFUNCTYPE(_i, _p, _p, _size)


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
        _checked("a ring buffer cannot be read", lib.ring_buffer__consume(ring))
    finally:
        lib.ring_buffer__free(ring)
    return found


class _TestOptions(ctypes.Structure):
    _fields_ = (
        ("size", _size),
        ("data_in", _s),
        ("data_out", _p),
        ("data_size_in", _u32),
        ("data_size_out", _u32),
        ("ctx_in", _p),
        ("ctx_out", _p),
        ("ctx_size_in", _u32),
        ("ctx_size_out", _u32),
        ("retval", _u32),
        ("repeat", _i),
        ("duration", _u32),
        ("flags", _u32),
        ("cpu", _u32),
        ("batch_size", _u32),
    )


def try_frame(program: int, frame: bytes, repeat: int = 1) -> tuple[int, int]:
    """Give a frame to a program `repeat` times.

    Args:
        program: descriptor of the program.
        frame: at least 14 bytes.
        repeat: how often.

    Returns:
        The last verdict, and the mean duration in ns.

    Raises:
        BpfError: the kernel takes no such frame.
    """
    options = _TestOptions(size=ctypes.sizeof(_TestOptions), repeat=repeat)
    options.data_in, options.data_size_in = frame, len(frame)
    done = library().bpf_prog_test_run_opts(program, ctypes.byref(options))
    _checked("a frame cannot be tried", done)
    return options.retval, options.duration
