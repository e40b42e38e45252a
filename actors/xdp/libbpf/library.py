"""libbpf itself: its functions with their types, and its errors."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SONAME: Final = "libbpf.so.1"
SAID_LINES: Final = 12  # that an error repeats

Pointer, Int, U32, U64, Size, Text = (
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_uint32,
    ctypes.c_uint64,
    ctypes.c_size_t,
    ctypes.c_char_p,
)
_PROTOTYPES: Final[Mapping[str, tuple[Any, list[Any]]]] = {
    "libbpf_set_print": (Pointer, [Pointer]),
    "libbpf_num_possible_cpus": (Int, []),
    "bpf_object__open_mem": (Pointer, [Pointer, Size, Pointer]),
    "bpf_object__load": (Int, [Pointer]),
    "bpf_object__close": (None, [Pointer]),
    "bpf_object__find_program_by_name": (Pointer, [Pointer, Text]),
    "bpf_object__next_program": (Pointer, [Pointer, Pointer]),
    "bpf_object__find_map_by_name": (Pointer, [Pointer, Text]),
    "bpf_object__next_map": (Pointer, [Pointer, Pointer]),
    "bpf_program__set_autoload": (Int, [Pointer, ctypes.c_bool]),
    "bpf_program__fd": (Int, [Pointer]),
    "bpf_map__name": (Text, [Pointer]),
    "bpf_map__fd": (Int, [Pointer]),
    "bpf_map__set_max_entries": (Int, [Pointer, U32]),
    "bpf_map__reuse_fd": (Int, [Pointer, Int]),
    "bpf_map__set_initial_value": (Int, [Pointer, Pointer, Size]),
    "bpf_prog_load": (Int, [Int, Text, Text, Pointer, Size, Pointer]),
    "bpf_prog_test_run_opts": (Int, [Int, Pointer]),
    "bpf_link_create": (Int, [Int, Int, Int, Pointer]),
    "bpf_link_update": (Int, [Int, Int, Pointer]),
    "bpf_link_detach": (Int, [Int]),
    "bpf_link_get_next_id": (Int, [U32, Pointer]),
    "bpf_link_get_fd_by_id": (Int, [U32]),
    "bpf_prog_get_fd_by_id": (Int, [U32]),
    "bpf_map_get_fd_by_id": (Int, [U32]),
    "bpf_obj_get_info_by_fd": (Int, [Int, Pointer, Pointer]),
    "bpf_obj_pin": (Int, [Int, Text]),
    "bpf_obj_get": (Int, [Text]),
    "bpf_map_lookup_elem": (Int, [Int, Pointer, Pointer]),
    "bpf_map_update_elem": (Int, [Int, Pointer, Pointer, U64]),
    "bpf_map_delete_elem": (Int, [Int, Pointer]),
    "bpf_map_lookup_batch": (Int, [Int, Pointer, Pointer, Pointer, Pointer, Pointer, Pointer]),
    "ring_buffer__new": (Pointer, [Int, Pointer, Pointer, Pointer]),
    "ring_buffer__consume": (Int, [Pointer]),
    "ring_buffer__free": (None, [Pointer]),
}


class BpfError(OSError):
    """A call failed. `said` is what libbpf and the verifier wrote meanwhile, or ""."""

    said: str

    def __init__(self, number: int, what: str, said: str = "") -> None:
        super().__init__(number, f"{what}: {os.strerror(number)}")
        self.said = said


class LibraryMissing(Exception):  # noqa: N818 - named by its condition
    """There is no libbpf 1 on this machine."""


# -- what it says ----------------------------------------------------------------------------------

_PRINT = ctypes.CFUNCTYPE(Int, Int, Text, Pointer)
_said = threading.local()


def _take(_level: int, text: bytes, arguments: int) -> int:
    """Keep what libbpf says of the call that this thread is in, instead of printing it."""
    lines = getattr(_said, "lines", None)
    if lines is not None and text is not None:
        buffer = ctypes.create_string_buffer(4096)
        _vsnprintf()(buffer, len(buffer), text, arguments)
        lines.extend(buffer.value.decode(errors="replace").splitlines())
        del lines[:-SAID_LINES]
    return 0


_print = _PRINT(_take)


@contextlib.contextmanager
def hearing() -> Iterator[None]:
    """Add to a `BpfError` that is raised what libbpf and the verifier have said."""
    lines: list[str] = []
    _said.lines = lines
    try:
        yield
    except BpfError as error:
        error.said = "\n".join(lines)
        raise
    finally:
        _said.lines = None


@functools.cache
def _vsnprintf() -> Callable[..., int]:
    function = ctypes.CDLL(None).vsnprintf
    function.argtypes = [ctypes.c_char_p, Size, Text, Pointer]
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


def checked(what: str, result: int) -> int:
    """Return a result that is not negative.

    Raises:
        BpfError: it is, with errno.
    """
    if result < 0:
        raise BpfError(ctypes.get_errno() or -result, what)
    return result
