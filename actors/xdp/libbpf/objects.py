"""Loads programs with their maps, and tries them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.xdp.libbpf.library import (
    SAID_LINES,
    U32,
    BpfError,
    Int,
    Pointer,
    Size,
    Text,
    checked,
    hearing,
    library,
)
from actors.xdp.libbpf.links import ATTACH_XDP

if TYPE_CHECKING:
    from collections.abc import Mapping

PROG_TYPE_XDP: Final = 6
_F_XDP_HAS_FRAGS: Final = 1 << 5
_STATISTICS: Final = ("processed ", "verification time ", "stack depth ")
_LOG_BYTES: Final = 16 << 20  # a kernel before 6.4 says ENOSPC if the verifier has more to say


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded program.

    Attributes:
        program: descriptor of the program.
        maps: descriptors of its maps by name.
    """

    program: int
    maps: Mapping[str, int]


def load(
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
    with hearing(), contextlib.ExitStack() as opened:
        handle = lib.bpf_object__open_mem(image, len(image), None)
        checked("the object cannot be read", 0 if handle else -ctypes.get_errno())
        opened.callback(lib.bpf_object__close, handle)
        _choose(handle, program)
        for name, count in (entries or {}).items():
            checked(name, lib.bpf_map__set_max_entries(_map(handle, name), count))
        for name, fd in (reused or {}).items():
            checked(name, lib.bpf_map__reuse_fd(_map(handle, name), fd))
        if constants is not None:
            size = len(constants)
            where = _map(handle, ".rodata")
            checked(".rodata", lib.bpf_map__set_initial_value(where, constants, size))
        checked("the program cannot be loaded", lib.bpf_object__load(handle))
        return _kept(handle, program)


def load_code(program: str, code: bytes, *, frags: bool) -> int:
    """Load a program from its instructions, and return its descriptor.

    Args:
        program: its name.
        code: the instructions, with descriptors of maps.
        frags: whether it takes packets in several buffers.

    Raises:
        BpfError: the kernel refuses it; `said` has the verifier's last lines.
    """
    # A link is updated by a program only that has been loaded for the same kind of attachment.
    options = _LoadOptions(ctypes.sizeof(_LoadOptions), attach_type=ATTACH_XDP)
    options.flags = _F_XDP_HAS_FRAGS if frags else 0
    log = ctypes.create_string_buffer(_LOG_BYTES)
    options.log, options.log_size = ctypes.addressof(log), len(log)
    kind, name, count = PROG_TYPE_XDP, program.encode(), len(code) // 8
    fd = library().bpf_prog_load(kind, name, b"GPL", code, count, ctypes.byref(options))
    try:
        return checked("the program cannot be loaded", fd)
    except BpfError as error:
        error.said = _said_by_verifier(log.value.decode(errors="replace"))
        raise


class _LoadOptions(ctypes.Structure):
    _fields_ = (
        ("size", Size),
        ("attempts", Int),
        ("attach_type", U32),
        ("btf_fd", U32),
        ("flags", U32),
        ("ifindex", U32),
        ("version", U32),
        ("attach_btf_id", U32),
        ("attach_program", U32),
        ("attach_btf_fd", U32),
        ("descriptors", Pointer),
        ("functions", Pointer),
        ("functions_count", U32),
        ("function_size", U32),
        ("lines", Pointer),
        ("lines_count", U32),
        ("line_size", U32),
        ("log_level", U32),  # 0: only of what is refused
        ("log_size", U32),
        ("log", Pointer),
    )


def _said_by_verifier(log: str) -> str:
    """Its last lines without the statistics at the end."""
    lines = [line for line in log.splitlines() if not line.startswith(_STATISTICS)]
    return "\n".join(lines[-SAID_LINES:])


def _choose(handle: int, program: str) -> None:
    """Have only `program` loaded."""
    lib, at, found = library(), None, False
    while at := lib.bpf_object__next_program(handle, at):
        checked(program, lib.bpf_program__set_autoload(at, False))  # noqa: FBT003 - of C
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
    return checked("a program that does nothing cannot be loaded", fd)


class _TestOptions(ctypes.Structure):
    _fields_ = (
        ("size", Size),
        ("data_in", Text),
        ("data_out", Pointer),
        ("data_size_in", U32),
        ("data_size_out", U32),
        ("ctx_in", Pointer),
        ("ctx_out", Pointer),
        ("ctx_size_in", U32),
        ("ctx_size_out", U32),
        ("retval", U32),
        ("repeat", Int),
        ("duration", U32),
        ("flags", U32),
        ("cpu", U32),
        ("batch_size", U32),
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
    checked("a frame cannot be tried", done)
    return options.retval, options.duration
