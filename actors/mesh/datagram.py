"""Datagrams: what is lost on the way when nobody repeats it end to end.

A datagram is forwarded along the routes of the nodes it passes, and tried over each hop at most a
given number of times. No node keeps it and its origin never sends it again, so what does not
arrive is lost. The mesh's messages are never lost this way; datagrams measure what its links and
routes are like.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.medium import RadioMedium
    from actors.mesh.router import MeshRouter
    from actors.topology.model import Topology

MAX_ATTEMPTS = 255  # transmissions over a hop; the most that 802.11's retry limits admit


class DatagramFate(IntEnum):
    """Where datagrams are."""

    ARRIVED = 0
    LOST = 1
    ELSEWHERE = 2  # at a node of another host, which has to send them on


def send_on(
    at: NDArray[np.int32],
    destination: NDArray[np.int32],
    attempts: int,
    hosted: NDArray[np.bool_],
    topology: Topology,
    router: MeshRouter,
    medium: RadioMedium,
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Send datagrams on through the nodes of one host.

    Args:
        at: [n], node that holds each datagram.
        destination: [n], node index.
        attempts: transmissions over one hop at most.
        hosted: [n_nodes], the nodes of this host.
        topology: numbers nodes and links.
        router: has the nodes' routes.
        medium: decides what arrives.

    Returns:
        Where each is now and its `DatagramFate`. One that has made as many hops as there are nodes,
        or that its node knows no route for, is lost.
    """
    at = at.copy()
    fate = np.full(len(at), DatagramFate.LOST, np.uint8)
    moving = np.arange(len(at))
    for _ in range(topology.n_nodes):
        there = at[moving] == destination[moving]
        fate[moving[there]] = DatagramFate.ARRIVED
        away = ~there & ~hosted[at[moving]]
        fate[moving[away]] = DatagramFate.ELSEWHERE
        moving = moving[~there & ~away]
        link = router.next_links(at[moving], destination[moving])
        moving, link = moving[link >= 0], link[link >= 0]
        if not len(moving):
            break
        crossed = medium.transmit(link, np.full(len(link), attempts, np.int64)).arrived
        moving, link = moving[crossed], link[crossed]
        at[moving] = topology.link_target[link]
    return at, fate
