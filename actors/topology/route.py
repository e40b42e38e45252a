"""A route between two nodes, hop by hop, and what is to be expected of it.

The best route is that of the lowest ETX, as the mesh's own router finds it. Where the quality of a
link is not known it is assumed, so a route is found all the same; what then rests on assumptions
is not told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.topology.etx import etx_costs
from actors.topology.link_kinds import VPN
from actors.topology.spf import forwarding_trees

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.topology.model import Topology

RETRIES: Final = 3  # transmissions of a datagram over one hop beyond the first, as in the mesh


@dataclass(frozen=True, slots=True)
class RouteHop:
    """One hop.

    Attributes:
        a, b: ids of the nodes, in the direction of travel.
        kind: kind of the link.
        quality: delivery probability in the direction of travel; None: not known.
        etx: expected transmissions; None: a direction is not known.
    """

    a: str
    b: str
    kind: str
    quality: float | None
    etx: float | None


@dataclass(frozen=True, slots=True)
class FoundRoute:
    """A route.

    Attributes:
        path: ids of its nodes, both ends included.
        hops: its links in order.
        etx: sum over the hops; None: one of them is not known.
        loss: share of datagrams lost, each sent up to 1 + `RETRIES` times over a hop, in [0, 1];
            None: the quality of a link is not known.
        unmeasured: number of hops of which the quality in the direction of travel is not known.
        vpn: whether a hop runs through a tunnel.
    """

    path: tuple[str, ...]
    hops: tuple[RouteHop, ...]
    etx: float | None
    loss: float | None
    unmeasured: int
    vpn: bool


def best(topology: Topology, source: int, destination: int) -> FoundRoute | None:
    """The route of the lowest ETX between two node indices; None if there is none."""
    tree = forwarding_trees(topology, etx_costs(topology), np.array([destination], np.int32))
    path = [source]
    while path[-1] != destination:
        link = int(tree.next_link[0, path[-1]])
        if link < 0:
            return None
        path.append(int(topology.link_target[link]))
    return along(topology, path)


def along(topology: Topology, path: Sequence[int]) -> FoundRoute:
    """The route over these node indices, each a neighbour of the one before.

    Raises:
        ValueError: two of them are no neighbours.
    """
    links = topology.directed_links(path[:-1], path[1:]).tolist()
    if min(links, default=0) < 0:
        raise ValueError(f"{path} is no path of {topology}")
    hops = tuple(_hop(topology, link) for link in links)
    qualities = [hop.quality for hop in hops if hop.quality is not None]
    etxs = [hop.etx for hop in hops if hop.etx is not None]
    arrives = math.prod(1.0 - (1.0 - quality) ** (RETRIES + 1) for quality in qualities)
    return FoundRoute(
        path=tuple(topology.ids[node] for node in path),
        hops=hops,
        etx=math.fsum(etxs) if len(etxs) == len(hops) else None,
        loss=1.0 - arrives if len(qualities) == len(hops) else None,
        unmeasured=len(hops) - len(qualities),
        vpn=any(hop.kind == VPN for hop in hops),
    )


def _hop(topology: Topology, link: int) -> RouteHop:
    known = topology.measured.reshape(-1)[[link, link ^ 1]].tolist()
    forth, back = topology.link_quality[[link, link ^ 1]].tolist()
    a, b = topology.link_source[link], topology.link_target[link]
    return RouteHop(
        a=topology.ids[a],
        b=topology.ids[b],
        kind=topology.kinds[topology.kind[link >> 1]],
        quality=forth if known[0] else None,
        etx=1.0 / (forth * back) if all(known) else None,
    )
