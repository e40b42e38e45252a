"""The IPv6 routing table of another network namespace, read as the mesh's judge wants it.

`/proc/PID/net/ipv6_route` shows the table of the namespace that process PID lives in (proc(5)), so
that one read sees it, without starting a program in there. Its columns are those that
`rt6_info_route` in the kernel's `net/ipv6/route.c` prints: destination, prefix length, source,
prefix length, next hop, metric, references, uses, flags, device; numbers in hexadecimal.

Addresses and devices: node i has the address `PREFIX` + i + 1, and its end of the link to node j
is the device `to<j>`. So the device of a route names its next hop.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PREFIX: Final = IPv6Address("fd78:3074::")  # RFC 4193: for local use
_DEVICE: Final = "to"
_HOST_LENGTH: Final = "80"  # /128
_REJECT: Final = 0x200  # RTF_REJECT of <linux/ipv6_route.h>: an unreachable route


def address(node: int) -> str:
    """The address of a node."""
    return str(PREFIX + node + 1)


def device(neighbour: int) -> str:
    """The name of an interface, on any node, at the link to this neighbour."""
    return f"{_DEVICE}{neighbour}"


def parse(text: str, n_nodes: int) -> NDArray[np.int32]:
    """Next hop towards each node, int32 [n_nodes]; -1 where no route leads to it.

    Of several routes to one destination the one with the lowest metric counts, as for the kernel.
    """
    best = np.full(n_nodes, np.iinfo(np.int64).max, np.int64)
    hops = np.full(n_nodes, -1, np.int32)
    for line in text.splitlines():
        destination, length, _, _, _, metric, _, _, flags, name = line.split()
        node = int(destination, 16) - int(PREFIX) - 1
        if length != _HOST_LENGTH or not 0 <= node < n_nodes:
            continue
        leads = name.startswith(_DEVICE) and not int(flags, 16) & _REJECT
        if int(metric, 16) < best[node]:
            best[node] = int(metric, 16)
            hops[node] = int(name.removeprefix(_DEVICE)) if leads else -1
    return hops


def read(pid: int, n_nodes: int) -> NDArray[np.int32]:
    """`parse` for the namespace of a living process.

    Raises:
        OSError: the process has ended.
    """
    return parse(Path(f"/proc/{pid}/net/ipv6_route").read_text(), n_nodes)
