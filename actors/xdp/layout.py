"""The layout of what the program keeps in its maps: a copy of that in `bpf/mesh.bpf.c`.

Numbers are in the machine's order, addresses and ports in the network's. An IPv4 address stands as
::ffff:a.b.c.d (RFC 4291 2.5.5.2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

LAYOUT_VERSION: Final = 2
MAGIC: Final = 0x62347834
PROGRAM: Final = "x0_mesh"
PROGRAM_LINEAR: Final = "x0_mesh_linear"  # that takes no packet in several buffers
PROGRAMS: Final = frozenset({PROGRAM, PROGRAM_LINEAR})
ONLY_KEY: Final = struct.pack("=I", 0)


class Action(IntEnum):
    """What the program did with a packet."""

    PASSED = 0
    OTHER = 1  # passed: neither IPv4 nor IPv6
    MALFORMED = 2  # passed: it cannot be parsed
    DENIED = 3
    LIMITED = 4

    @property
    def drops(self) -> bool:
        """Whether such a packet goes no further."""
        return self in {Action.DENIED, Action.LIMITED}


class Event(IntEnum):
    """What happened in the program's tables."""

    NEW_PEER = 0
    NEW_FLOW = 1
    UNTABLED = 2  # packets of flows that were not entered: too many new ones at once
    LOST_SAMPLE = 3


BUCKETS: Final = 16
# Upper ends of the buckets of a histogram of gaps, s; the last one has none.
GAP_BOUNDS_S: Final = tuple(2 ** (10 + 2 * at) / 1e9 for at in range(BUCKETS - 1))

PEER: Final = np.dtype([("address", "V16")])
FLOW: Final = np.dtype(
    [
        ("source", "V16"),
        ("destination", "V16"),
        ("source_port", ">u2"),
        ("destination_port", ">u2"),
        ("protocol", "u1"),
        ("pad", "V3"),
    ]
)
PEER_TRAFFIC: Final = np.dtype([("packets", "u8"), ("bytes", "u8"), ("gaps", "u4", (BUCKETS,))])
FLOW_TRAFFIC: Final = np.dtype(
    [("flow", FLOW), ("packets", "u8"), ("bytes", "u8"), ("last_ns", "u8")]
)
GAPS_BYTES: Final = 4 * BUCKETS
WAYS: Final = 8  # flows of a set, among which each has to have room
TALLY: Final = np.dtype([("packets", "u8"), ("bytes", "u8")])
COUNTS: Final = np.dtype(
    [
        ("actions", TALLY, (len(Action),)),
        ("events", "u8", (len(Event),)),
        ("new_due_ns", "u8"),
    ]
)
_SAMPLE: Final = struct.Struct("=QIB3x16s16s2s2sB3x")
_CONFIG: Final = struct.Struct("=IIQQIIIIQ")
_NO_SAMPLE: Final = (1 << 64) - 1
_HASHING: Final = struct.Struct("=88sI4x")
HASH_KEY_BYTES: Final = 88
CONFIG: Final = ".data.x0_config"

# Sizes of keys and values, by map: what the program has must equal this.
SIZES: Final[Mapping[str, tuple[int, int]]] = {
    CONFIG: (4, _CONFIG.size),
    "x0_counts": (4, COUNTS.itemsize),
    "x0_hashing": (4, _HASHING.size),
    "x0_sets": (4, 16),
    "x0_flows": (4, FLOW_TRAFFIC.itemsize),
    "x0_gaps": (4, GAPS_BYTES),
    "x0_peers": (PEER.itemsize, PEER_TRAFFIC.itemsize),
    "x0_limits": (16, 8),
    "x0_deny_v4": (8, 4),
    "x0_deny_v6": (20, 4),
    "x0_samples": (0, 0),
}


@dataclass(frozen=True, slots=True)
class Config:
    """What the program does.

    Attributes:
        limit_interval_ns: between two packets of one source in the long run; 0: no limit.
        limit_burst_ns: how far a source may be ahead of that.
        deny_v4, deny_v6: number of denied networks.
        sample_every: each so manyth packet is sampled, a power of two; 0: none.
    """

    limit_interval_ns: int = 0
    limit_burst_ns: int = 0
    deny_v4: int = 0
    deny_v6: int = 0
    sample_every: int = 0

    def pack(self) -> bytes:
        """As the program reads it."""
        return _CONFIG.pack(
            MAGIC,
            LAYOUT_VERSION,
            self.limit_interval_ns,
            self.limit_burst_ns,
            self.deny_v4,
            self.deny_v6,
            any((self.limit_interval_ns, self.deny_v4, self.deny_v6)),
            0,
            self.sample_every - 1 if self.sample_every else _NO_SAMPLE,
        )

    @classmethod
    def unpack(cls, content: bytes) -> Self | None:
        """Of this layout; None: it is another program's, or another version's."""
        if len(content) != _CONFIG.size:
            return None
        magic, layout, interval, burst, v4, v6, _, _, mask = _CONFIG.unpack(content)
        if (magic, layout) != (MAGIC, LAYOUT_VERSION):
            return None
        return cls(interval, burst, v4, v6, 0 if mask == _NO_SAMPLE else mask + 1)


def hashing(key: bytes, sets: int) -> bytes:
    """How flows are found, as the program reads it.

    Args:
        key: `HASH_KEY_BYTES`, which nobody may guess.
        sets: of one CPU, a power of two.
    """
    return _HASHING.pack(key, sets)


@dataclass(frozen=True, slots=True)
class Sample:
    """One packet.

    Attributes:
        at_ns: since boot.
        length: bytes, from the Ethernet header on.
        action: what was done with it.
        source, destination: None where the packet has no address that can be read.
        source_port, destination_port: 0 without a transport header.
        protocol: number of the IP protocol.
    """

    at_ns: int
    length: int
    action: Action
    source: IPv4Address | IPv6Address | None
    destination: IPv4Address | IPv6Address | None
    source_port: int
    destination_port: int
    protocol: int

    @classmethod
    def unpack(cls, content: bytes) -> Self:
        """As the program writes it."""
        at_ns, length, action, source, destination, a, b, protocol = _SAMPLE.unpack(content)
        known = any(source) or any(destination)
        return cls(
            at_ns,
            length,
            Action(action),
            address(source) if known else None,
            address(destination) if known else None,
            int.from_bytes(a, "big"),
            int.from_bytes(b, "big"),
            protocol,
        )


def address(content: bytes) -> IPv4Address | IPv6Address:
    """The address in 16 bytes."""
    found = IPv6Address(content)
    return found.ipv4_mapped or found
