"""What the program should do with a frame, written from the RFCs and not from its source."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from actors.xdp.layout import Action

WITH_PORTS = {6, 17, 33, 132, 136}  # TCP, UDP, DCCP, SCTP, UDP-Lite
EXTENSIONS = {0, 43, 44, 51, 60}  # hop-by-hop, routing, fragment, authentication, destination
MOST_TAGS = 2
MOST_EXTENSIONS = 6

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Flow:
    """What tells a packet's flow."""

    source: Address
    destination: Address
    protocol: int
    source_port: int = 0
    destination_port: int = 0


class Malformed(Exception):  # noqa: N818 - a condition
    """The frame cannot be parsed. `source` is its sender, if that can be read."""

    def __init__(self, source: Address | None = None) -> None:
        super().__init__()
        self.source = source


def judge(frame: bytes, denied: list[IPv4Network | IPv6Network]) -> tuple[Action, Flow | None]:
    """What is done with a frame, and to which flow it belongs if it passes."""
    try:
        flow = parse(frame)
    except Malformed as error:
        return (Action.DENIED if _denied(error.source, denied) else Action.MALFORMED), None
    if flow is None:
        return Action.OTHER, None
    return (Action.DENIED, None) if _denied(flow.source, denied) else (Action.PASSED, flow)


def _denied(source: Address | None, denied: list[IPv4Network | IPv6Network]) -> bool:
    return source is not None and any(
        source in network for network in denied if network.version == source.version
    )


def parse(frame: bytes) -> Flow | None:
    """The flow of a frame; None: it is not IP.

    Raises:
        Malformed: it is cut off or contradicts itself.
    """
    kind, content = _link_layer(frame)
    if kind == 0x0800:
        return _ipv4(content)
    return _ipv6(content) if kind == 0x86DD else None


def _link_layer(frame: bytes) -> tuple[int, bytes]:
    if len(frame) < 14:
        raise Malformed
    (kind,), at = struct.unpack_from(">H", frame, 12), 14
    for _ in range(MOST_TAGS):
        if kind not in {0x8100, 0x88A8}:
            break
        if len(frame) < at + 4:
            raise Malformed
        (kind,), at = struct.unpack_from(">H", frame, at + 2), at + 4
    if kind == 0:
        raise Malformed
    return kind, frame[at:]


def _ipv4(packet: bytes) -> Flow:
    if len(packet) < 20 or packet[0] >> 4 != 4:
        raise Malformed
    length, (total,) = (packet[0] & 15) * 4, struct.unpack_from(">H", packet, 2)
    if length < 20 or len(packet) < length or total < length:
        raise Malformed
    source, destination = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
    (fragment,) = struct.unpack_from(">H", packet, 6)
    if fragment & 0x3FFF:
        return Flow(source, destination, packet[9])
    return _transport(source, destination, packet[9], packet[length:])


def _ipv6(packet: bytes) -> Flow:
    if len(packet) < 40 or packet[0] >> 4 != 6:
        raise Malformed
    source, destination = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
    kind, content = packet[6], packet[40:]
    for _ in range(MOST_EXTENSIONS):
        if kind not in EXTENSIONS:
            return _transport(source, destination, kind, content)
        if len(content) < 8:
            raise Malformed(source)
        following, length = content[0], content[1]
        if kind == 44:
            return Flow(source, destination, following)
        content = content[(length + 2) * 4 :] if kind == 51 else content[(length + 1) * 8 :]
        kind = following
    return Flow(source, destination, kind)


def _transport(source: Address, destination: Address, protocol: int, content: bytes) -> Flow:
    if protocol not in WITH_PORTS:
        return Flow(source, destination, protocol)
    if len(content) < 4:
        raise Malformed(source)
    return Flow(source, destination, protocol, *struct.unpack_from(">HH", content))
