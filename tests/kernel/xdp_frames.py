"""Frames as they come from a wire, to be sent to a program or judged by the reference."""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import ip_address

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
