"""Attaches programs to interfaces by links, and pins these."""

from __future__ import annotations

import ctypes
from typing import Final

from actors.xdp.libbpf.library import U32, Size, checked, library

ATTACH_XDP: Final = 37
_F_REPLACE: Final = 4


class _LinkOptions(ctypes.Structure):
    _fields_ = (("size", Size), ("flags", U32), ("old_prog_fd", U32))


def create(program: int, ifindex: int, flags: int) -> int:
    """Attach a program to an interface; the link lives as long as its descriptor or its pin.

    Raises:
        BpfError: the kernel or the driver refuses.
    """
    options = _LinkOptions(ctypes.sizeof(_LinkOptions), flags, 0)
    fd = library().bpf_link_create(program, ifindex, ATTACH_XDP, ctypes.byref(options))
    return checked("the program cannot be attached", fd)


def update(link: int, new: int, old: int) -> None:
    """Put the program `new` in the place of `old`, between two packets.

    Raises:
        BpfError: EPERM: another program is there; ENOLINK: the interface is gone.
    """
    options = _LinkOptions(ctypes.sizeof(_LinkOptions), _F_REPLACE, old)
    done = library().bpf_link_update(link, new, ctypes.byref(options))
    checked("the program cannot be replaced", done)


def detach(link: int) -> None:
    """Detach whatever a link has attached, whoever else holds the link.

    Raises:
        BpfError: the kernel refuses.
    """
    checked("the link cannot be detached", library().bpf_link_detach(link))


def pin(fd: int, path: str) -> None:
    """Give an object a name in a BPF file system, which keeps it.

    Raises:
        BpfError: there is such a name, or no BPF file system.
    """
    checked(f"{path} cannot be made", library().bpf_obj_pin(fd, path.encode()))


def pinned(path: str) -> int:
    """Descriptor of a pinned object.

    Raises:
        BpfError: there is none.
    """
    return checked(f"{path} cannot be opened", library().bpf_obj_get(path.encode()))
