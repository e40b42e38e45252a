"""Asks the owners of XDP on all hosts what they have received of the neighbours of their nodes.

A host counts for the node that has the addresses of its interfaces. Hosts that are no node, and
packets from who is no neighbour, say nothing of the network; how many there are is told.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from actors.runtime.errors import Unavailable, X0Error
from actors.xdp.contract import MOST_ADDRESSES
from actors.xdp.errors import NotAttached, XdpUnavailable
from serve_apps.inference.neighbour_addresses import NeighbourAddresses
from serve_apps.inference.neighbour_traffic import NeighbourTraffic, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.observe.contract import ObservedNetwork
    from actors.xdp.contract import ReceivedTraffic
    from serve_apps.inference.incidents import HalfLink
    from serve_apps.inference.neighbour_addresses import Neighbours
    from serve_apps.inference.neighbour_traffic import HalfTraffic

TIMEOUT_S: Final = 2.0  # for the answers of one host, which would else hold up an interval


class XdpOwners(Protocol):
    """Whoever can ask the owners of XDP, as `actors.xdp.client` does."""

    async def addresses(self, host: str) -> Mapping[str, tuple[str, ...]]:
        """See `XdpContract.addresses`."""
        ...

    async def received(
        self, host: str, interface: str, addresses: tuple[str, ...]
    ) -> ReceivedTraffic:
        """See `XdpContract.received`."""
        ...


@dataclass(slots=True)
class Counted:
    """What hosts have counted since they were last asked.

    Attributes:
        traffic: what is known, by half-link.
        neighbours: addresses of neighbours that have been heard.
        others: addresses that have been heard and are no neighbour's.
        ambiguous: addresses that several neighbours of a node have.
        strange: interfaces that are of no node.
        silent: why a host that has answered before tells nothing now, by its name.
    """

    traffic: Mapping[HalfLink, HalfTraffic] = field(default_factory=dict)
    neighbours: int = 0
    others: int = 0
    ambiguous: int = 0
    strange: int = 0
    silent: dict[str, X0Error] = field(default_factory=dict)


class HostsTraffic:
    """Reads the counters of all hosts.

    Args:
        owners: asks them.
        hosts: names of all hosts; it may block.
        network: as it is observed; None: that is not known yet.
    """

    def __init__(
        self,
        owners: XdpOwners,
        hosts: Callable[[], Iterable[str]],
        network: Callable[[], ObservedNetwork | None],
    ) -> None:
        self._owners = owners
        self._hosts = hosts
        self._network = network
        self._compared = NeighbourTraffic()
        self._looking = asyncio.Lock()
        self._answered: set[str] = set()
        self._addresses: tuple[ObservedNetwork, NeighbourAddresses] | None = None

    async def read(self) -> Counted:
        """What was received since the last call; one host that does not answer costs its own words.

        Raises:
            X0Error: it is not known which hosts there are.
        """
        counted, network = Counted(), self._network()
        if network is None:
            return counted
        hosts = await asyncio.to_thread(lambda: tuple(self._hosts()))
        parts = await asyncio.gather(*(self._of_host(host, network, counted) for host in hosts))
        counted.traffic = together(each for part in parts for each in part)
        return counted

    async def _known(self, network: ObservedNetwork) -> NeighbourAddresses:
        """The addresses of the nodes, which are looked through only where somebody counts."""
        async with self._looking:
            if self._addresses is None or self._addresses[0] is not network:
                found = await asyncio.to_thread(NeighbourAddresses, network)
                self._addresses = network, found
            return self._addresses[1]

    async def _of_host(
        self, host: str, network: ObservedNetwork, counted: Counted
    ) -> list[dict[HalfLink, HalfTraffic]]:
        found: list[dict[HalfLink, HalfTraffic]] = []
        try:
            async with asyncio.timeout(TIMEOUT_S):
                interfaces = await self._owners.addresses(host)
                self._answered.add(host)
                known = await self._known(network) if interfaces else None
                for interface, own in interfaces.items():
                    around = None if known is None else known.around(own)
                    found += await self._of_interface(host, interface, around, counted)
        except XdpUnavailable:  # it counts nothing, which is no fault
            pass
        except (TimeoutError, X0Error) as error:
            if host in self._answered:  # else it may just be starting
                counted.silent[host] = error if isinstance(error, X0Error) else _late(host)
        return found

    async def _of_interface(
        self,
        host: str,
        interface: str,
        around: Neighbours | None,
        counted: Counted,
    ) -> list[dict[HalfLink, HalfTraffic]]:
        if around is None:
            counted.strange += 1
            return []
        asked = dict(sorted(around.halves.items())[:MOST_ADDRESSES])
        try:
            received = await self._owners.received(host, interface, tuple(asked))
        except NotAttached:  # it has been detached just now
            return []
        except X0Error as error:
            counted.silent[host] = error
            return []
        counted.neighbours += len(received.peers)
        counted.others += received.others
        counted.ambiguous += len(around.ambiguous)
        return [self._compared.step(host, received, asked)]


def _late(host: str) -> Unavailable:
    return Unavailable(
        f"what {host} receives is not known",
        f"the owner of XDP there does not answer within {TIMEOUT_S:g} s",
        "`x0 status` says how it is.",
        retry_after_s=TIMEOUT_S,
    )
