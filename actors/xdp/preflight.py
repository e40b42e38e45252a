"""Whether this process can use XDP on this host, and if not, what is missing.

What is needed: Linux 5.18 (the program asks how long a packet in several buffers is), libbpf 1,
CAP_NET_ADMIN, and CAP_BPF with CAP_PERFMON, without which the verifier takes no parser; or in
place of these two CAP_SYS_ADMIN. Last, the kernel is asked: in a container the capabilities may be
those of a user namespace, which count for nothing here.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.xdp.errors import XdpUnavailable
from actors.xdp.libbpf import objects
from actors.xdp.libbpf.library import SONAME, BpfError, LibraryMissing, library

KERNEL: Final = (5, 18)
CAPABILITIES: Final = {  # bits, include/uapi/linux/capability.h
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_ADMIN": 21,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
_STATUS: Final = Path("/proc/thread-self/status")
_MOUNTS: Final = Path("/proc/thread-self/mounts")
_AS_ROOT: Final = "Run this as root."


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found.

    Attributes:
        system: name of the operating system.
        release: of the kernel.
        capabilities: those of `CAPABILITIES` that are effective.
        library: why libbpf cannot be loaded; "" if it is.
        refused: why the kernel takes no program at all; "" if it does.
        bpffs: whether there is a BPF file system at the place for pins.
    """

    system: str
    release: str
    capabilities: frozenset[str]
    library: str
    refused: str
    bpffs: bool


def facts(bpffs: Path) -> Facts:
    """Look at this host, without changing anything."""
    system, release = platform.system(), platform.release()
    if system != "Linux":
        return Facts(system, release, frozenset(), "", "", bpffs=False)
    held = _capabilities()
    try:
        library()
    except LibraryMissing as error:
        return Facts(system, release, held, str(error), "", _is_bpffs(bpffs))
    refused = ""
    try:
        os.close(objects.load_pass())
    except BpfError as error:
        refused = str(error)
    return Facts(system, release, held, "", refused, _is_bpffs(bpffs))


def judge(found: Facts, bpffs: Path, *, pin: bool) -> XdpUnavailable | None:
    """Why XDP cannot be used, or None.

    Args:
        found: what was found.
        bpffs: the place for pins.
        pin: whether something is to be pinned.
    """
    return _without_kernel(found) or _without_rights(found) or _without_pins(found, bpffs, pin=pin)


def _without_kernel(found: Facts) -> XdpUnavailable | None:
    if found.system != "Linux":
        return XdpUnavailable(
            f"this is {found.system}, and XDP is a part of Linux", "Run this on a Linux host."
        )
    if _version(found.release) < KERNEL:
        return XdpUnavailable(
            f"Linux {found.release} is too old",
            f"Linux {KERNEL[0]}.{KERNEL[1]} or newer is needed.",
        )
    return None


def _without_rights(found: Facts) -> XdpUnavailable | None:
    if found.library:
        return XdpUnavailable(
            f"{SONAME} cannot be loaded: {found.library}",
            "Install it: apt-get install libbpf1",
        )
    if missing := missing_capabilities(found.capabilities):
        return XdpUnavailable(
            f"this process lacks {', '.join(missing)}",
            f"{_AS_ROOT} A service needs AmbientCapabilities={' '.join(missing)}.",
            missing,
        )
    if found.refused:
        return XdpUnavailable(
            f"the kernel refuses BPF: {found.refused}",
            "Run this outside of a container, or in one that may use bpf(2).",
        )
    return None


def _without_pins(found: Facts, bpffs: Path, *, pin: bool) -> XdpUnavailable | None:
    if pin and not found.bpffs:
        return XdpUnavailable(
            f"no BPF file system is mounted at {bpffs}", f"mount -t bpf bpf {bpffs}"
        )
    return None


def missing_capabilities(held: frozenset[str]) -> tuple[str, ...]:
    """What is needed and not held, in the order of `CAPABILITIES`."""
    needed = {"CAP_NET_ADMIN"}
    if "CAP_SYS_ADMIN" not in held:
        needed |= {"CAP_BPF", "CAP_PERFMON"}
    return tuple(name for name in CAPABILITIES if name in needed - held)


def require(bpffs: Path, *, pin: bool = False) -> None:
    """See that XDP can be used.

    Raises:
        XdpUnavailable: it cannot.
    """
    if (error := judge(facts(bpffs), bpffs, pin=pin)) is not None:
        raise error


def _capabilities() -> frozenset[str]:
    """The effective capabilities of this thread."""
    (line,) = re.findall(r"^CapEff:\s*([0-9a-f]+)$", _STATUS.read_text(), re.MULTILINE)
    held = int(line, 16)
    return frozenset(name for name, bit in CAPABILITIES.items() if held >> bit & 1)


def _is_bpffs(path: Path) -> bool:
    """Whether `path` is the root of a BPF file system."""
    kinds = (line.split()[1:3] for line in _MOUNTS.read_text().splitlines())
    return [str(path), "bpf"] in kinds


def _version(release: str) -> tuple[int, int]:
    numbers = re.match(r"(\d+)\.(\d+)", release)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
