"""Judges a mesh against the truth: the tables that forward, and the messages that travelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actors.mesh import batch as messages

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.surviving import Surviving


class TableVerdict(NamedTuple):
    """Where the installed tables lead from every living node to every destination.

    Neither: into a loop, or over something that has failed.
    """

    delivered: NDArray[np.bool_]  # [destinations, nodes]
    no_route: NDArray[np.bool_]  # [destinations, nodes]; a node, first or later, has no route


def follow(
    next_hop: NDArray[np.int32], destinations: NDArray[np.int32], truth: Surviving
) -> TableVerdict:
    """Follow tables of one moment, by pointer doubling.

    Args:
        next_hop: [destinations, nodes], each column by the tables of that node's shard; -1 none.
        destinations: node indices.
        truth: what has not failed.
    """
    k, n = next_hop.shape
    fallen, silent_end = n, n + 1  # end states: passed a failed element; no route
    here = np.arange(n)
    known = next_hop >= 0
    step = np.full((k, n + 2), fallen, np.int32)
    step[:, :n] = np.where(known, next_hop, silent_end)
    step[:, silent_end] = silent_end
    source = np.broadcast_to(here, (k, n))[known]
    link = truth.topology.directed_links(source, next_hop[known])
    dead = (link < 0) | ~truth.directed_alive[link]
    hops = step[:, :n]
    hops[known] = np.where(dead, fallen, hops[known])
    hops[:, ~truth.node_alive] = fallen
    living = truth.node_alive[destinations]
    step[np.flatnonzero(living), destinations[living]] = destinations[living]
    end = step
    for _ in range(max(1, int(np.ceil(np.log2(n + 1))))):
        end = np.take_along_axis(end, end, axis=1)
    end = end[:, :n]
    arrived = (end == destinations[:, None]) & living[:, None]
    return TableVerdict(arrived, no_route=end == silent_end)


def is_whole(
    next_hop: NDArray[np.int32], destinations: NDArray[np.int32], truth: Surviving
) -> bool:
    """Whether the tables lead between all living pairs that the truth connects, and nowhere else.

    A destination that has failed, or lies in another component, must have no route.
    """
    verdict = follow(next_hop, destinations, truth)
    components = truth.components
    alive = truth.node_alive
    connected = (components[destinations][:, None] == components[None, :]) & alive[destinations][
        :, None
    ]
    right = np.where(connected, verdict.delivered, verdict.no_route)
    return bool(right[:, alive].all())


def share_through(next_hop: NDArray[np.int32], destinations: NDArray[np.int32], node: int) -> float:
    """The share of routes between other nodes that lead through `node`.

    Args:
        next_hop: [destinations, nodes]; -1 none.
        destinations: node indices.
        node: index of a node.
    """
    n = next_hop.shape[1]
    rows = destinations != node
    table = next_hop[rows]
    at = np.broadcast_to(np.arange(n), table.shape).copy()
    through, arrived = np.zeros(table.shape, bool), at == destinations[rows][:, None]
    for _ in range(n):
        moving = ~arrived & (at >= 0)
        if not moving.any():
            break
        at = np.where(moving, np.take_along_axis(table, np.maximum(at, 0), axis=1), at)
        arrived |= at == destinations[rows][:, None]
        through |= at == node
    others = np.arange(n) != node
    routes = arrived[:, others] & (np.arange(n)[others] != destinations[rows][:, None])
    return float((through[:, others] & routes).sum() / max(1, routes.sum()))


def revisits(trail: NDArray[np.int64]) -> int:
    """How many recorded routes contain a forwarding loop.

    That is, a node that forwarded the message twice by one version of the database. (A message
    that turns around because the database has changed did not loop.)
    """
    ordered = np.sort(trail, axis=1)
    again = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    return int(again.any(axis=1).sum())


class Fate(NamedTuple):
    """What became of accepted messages; [n] each, in the order of the ids asked about."""

    delivered: NDArray[np.int64]  # number of deliveries
    returned: NDArray[np.int64]  # number of failure notices

    @property
    def lost(self) -> int:
        """Neither delivered nor returned."""
        return int(((self.delivered == 0) & (self.returned == 0)).sum())

    @property
    def duplicates(self) -> int:
        """Arrivals beyond the one that each message is owed (a notice of failure counts too)."""
        return int(np.maximum(self.delivered + self.returned - 1, 0).sum())


def fate(ids: NDArray[np.uint64], arrived: NDArray[np.void]) -> Fate:
    """Match the ids of accepted messages with the heads of everything that arrived."""
    order = np.argsort(ids)
    notice = (arrived["flags"] & messages.UNREACHABLE) > 0
    counts = []
    for kind in (~notice, notice):
        place = np.searchsorted(ids[order], arrived["id"][kind])
        place = np.minimum(place, max(len(ids) - 1, 0))
        known = ids[order][place] == arrived["id"][kind] if len(ids) else np.zeros(0, bool)
        count = np.zeros(len(ids), np.int64)
        np.add.at(count, order[place[known]] if len(ids) else np.zeros(0, np.intp), 1)
        counts.append(count)
    return Fate(*counts)
