"""Frames as they come from a wire, to be sent to a program or judged by the reference."""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

ETHERNET = bytes.fromhex("020000000002 020000000001")
IPV4, IPV6, VLAN, QINQ = 0x0800, 0x86DD, 0x8100, 0x88A8
UDP = 17


@lru_cache(maxsize=256)
def packed(address: str) -> bytes:
    """An address as it stands in a packet."""
    return ip_address(address).packed


def ethernet(kind: int, content: bytes, *tags: int) -> bytes:
    """An Ethernet frame, with VLAN tags of these EtherTypes."""
    inside = b"".join(struct.pack(">HH", tag, 7) for tag in tags)
    return ETHERNET + inside + struct.pack(">H", kind) + content


def ipv4(source: str, content: bytes, protocol: int = UDP, *, fragment: int = 0) -> bytes:
    """An IPv4 packet to 10.9.9.9, without a checksum."""
    addresses = packed(source) + packed("10.9.9.9")
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 1, fragment, 64, protocol, 0)
    return head + addresses + content


def ipv6(source: str, content: bytes, next_header: int = UDP) -> bytes:
    """An IPv6 packet to 2001:db8::9."""
    addresses = packed(source) + packed("2001:db8::9")
    return struct.pack(">IHBB", 6 << 28, len(content), next_header, 64) + addresses + content


def udp(content: bytes = b"", source: int = 1000, destination: int = 2000) -> bytes:
    """A UDP datagram, without a checksum."""
    return struct.pack(">HHHH", source, destination, 8 + len(content), 0) + content


def datagram(source: str, size: int = 64, port: int = 1000) -> bytes:
    """A frame of `size` bytes with a UDP datagram of either family."""
    if len(packed(source)) == 4:
        return ethernet(IPV4, ipv4(source, udp(bytes(size - 42), port)))
    return ethernet(IPV6, ipv6(source, udp(bytes(size - 62), port)))


# -- to try a parser with --------------------------------------------------------------------------


def _extension(kind: int, draw: random.Random) -> bytes:
    """A header of IPv6, whose first byte is set later."""
    words = draw.choice((0, 0, 0, 1, 2, 30))
    size = (words + 2) * 4 if kind == 51 else (words + 1) * 8
    return bytes([0, words]) + draw.randbytes(size - 2)


def _ipv6_chain(source: str, draw: random.Random) -> bytes:
    kinds = [draw.choice((0, 43, 44, 51, 60)) for _ in range(draw.randrange(9))]
    last = draw.choice((6, 17, 33, 58, 59, 132, 136, 50))
    content = udp(bytes(draw.randrange(8)))[: draw.choice((0, 3, 4, 8, 16))]
    for kind in reversed(kinds):
        content = bytes([last]) + _extension(kind, draw)[1:] + content
        last = kind
    return ipv6(source, content, last)


def _well_formed(draw: random.Random) -> bytes:
    """A frame that has most of what the parser looks at."""
    tags = [draw.choice((VLAN, QINQ)) for _ in range(draw.choice((0, 0, 1, 2, 3)))]
    if draw.random() < 0.5:
        host = draw.choice(("198.51.100.9", "203.0.113.9", "0.0.0.1", "255.255.255.255"))
        fragment = draw.choice((0, 0, 0, 0x4000, 0x2000, 1, 0x1FFF))
        protocol = draw.choice((1, 6, 17, 33, 47, 132, 136))
        packet = ipv4(host, udp(), protocol, fragment=fragment)
        if draw.random() < 0.3:  # options
            words = draw.randrange(6, 16)
            head = bytes([0x40 | words]) + packet[1:20] + bytes((words - 5) * 4)
            packet = head + packet[20:]
        return ethernet(IPV4, packet, *tags)
    host = draw.choice(("2001:db8:bad::1", "2001:db8::7", "::", "fe80::1"))
    return ethernet(IPV6, _ipv6_chain(host, draw), *tags)


def _mutated(frame: bytes, draw: random.Random) -> bytes:
    changed = bytearray(frame)
    for _ in range(draw.choice((0, 1, 1, 2, 5))):
        likely = draw.choice((0, 0x45, 0x60, 0xFF, draw.randrange(256)))
        changed[draw.randrange(12, len(changed))] = likely
    if draw.random() < 0.4:
        del changed[draw.randrange(14, len(changed) + 1) :]
    return bytes(changed)


def fuzzed(draw: random.Random) -> Iterator[bytes]:
    """Random frames, and mutants of well-formed ones, without end."""
    while True:
        kind = draw.choice((b"\x08\x00", b"\x86\xdd", b"\x81\x00", b"\0\0"))
        yield draw.randbytes(12) + kind + draw.randbytes(draw.randrange(90))
        frame = _well_formed(draw)
        yield frame
        for _ in range(7):
            yield _mutated(frame, draw)
