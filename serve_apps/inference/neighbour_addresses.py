"""Whose packets an interface receives: which node it is of, and which neighbour has an address.

Only neighbours are looked for, since only what comes from them says something about a link. An
address that is a MAC address stands for the link-local address that is made of it (EUI-64, RFC 4291
appendix A). What several neighbours have, or a neighbour over several kinds of link, is nobody's.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from serve_apps.inference.incidents import HalfLink
from serve_apps.inference.live_telemetry import link_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.observe.contract import ObservedNetwork

_MAC: Final = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)
_LOCALLY_MADE: Final = 0x02  # the bit of a MAC address that EUI-64 turns round


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Who may be heard on an interface.

    Attributes:
        node: id of the node that the interface is of.
        halves: the half-link on which it hears each neighbour, by the neighbour's address.
        ambiguous: addresses that several of them have.
    """

    node: str
    halves: Mapping[str, HalfLink]
    ambiguous: frozenset[str]


class NeighbourAddresses:
    """The addresses of all nodes of a network.

    Args:
        network: as it is observed.
    """

    def __init__(self, network: ObservedNetwork) -> None:
        self._addresses: dict[str, frozenset[str]] = {}
        self._owners: defaultdict[str, set[str]] = defaultdict(set)
        for node in network.nodes:
            own = self._addresses[node.id] = ip_addresses(node.addresses)
            for address in own:
                self._owners[address].add(node.id)
        self._halves: defaultdict[str, list[tuple[str, HalfLink]]] = defaultdict(list)
        for link in network.links:
            name = link_id(link.a, link.b, link.kind)
            self._halves[link.a].append((link.b, HalfLink(name, 0)))
            self._halves[link.b].append((link.a, HalfLink(name, 1)))

    def around(self, own: Iterable[str]) -> Neighbours | None:
        """The neighbours of the node that an interface is of.

        Args:
            own: MAC and IP addresses of the interface.

        Returns:
            None: no node has these addresses, or several have.
        """
        owners = [self._owners[one] for one in ip_addresses(own) if one in self._owners]
        nodes = {next(iter(each)) for each in owners if len(each) == 1}
        if len(nodes) != 1:
            return None
        (node,) = nodes
        found: defaultdict[str, set[HalfLink]] = defaultdict(set)
        for other, half in self._halves[node]:
            for address in self._addresses.get(other, ()):
                found[address].add(half)
        return Neighbours(
            node,
            {address: next(iter(halves)) for address, halves in found.items() if len(halves) == 1},
            frozenset(address for address, halves in found.items() if len(halves) > 1),
        )


def ip_addresses(told: Iterable[str]) -> frozenset[str]:
    """The IP addresses, in their one spelling, that packets may come from; others are left out."""
    found = set()
    for text in told:
        if _MAC.fullmatch(text):
            found.add(_link_local(text))
            continue
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            continue
        address = getattr(address, "ipv4_mapped", None) or address
        if not (address.is_unspecified or address.is_multicast or address.is_loopback):
            found.add(str(address))
    return frozenset(found)


def is_link_local(address: str) -> bool:
    """Whether packets from it have come over one link: no router forwards them (RFC 4291 2.5.6)."""
    return ipaddress.ip_address(address).is_link_local


def _link_local(mac: str) -> str:
    of = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([of[0] ^ _LOCALLY_MADE]) + of[1:3] + b"\xff\xfe" + of[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + interface))
