"""Shortest path first: for a destination, every node's next hop and remaining distance.

One tree per destination, not per source: the potential of *every* node towards the destination is
what loop-free forwarding compares. Dijkstra over the reversed links, by scipy, in chunks small
enough that the interpreter lock is never held long (scipy does not release it).

A link counts only if both its ends advertise it (OSPF's two-way check, RFC 2328, 16.1), so the
links of a node that died are gone as soon as its neighbours have withdrawn them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology

INFINITE = np.iinfo(np.int32).max
_CHUNK_CELLS = 40_000  # most nodes x destinations in one call: under 10 ms on one core


@dataclass(frozen=True, slots=True)
class Trees:
    """Forwarding trees, a row for each destination.

    Attributes:
        destinations: int32 [k], node indices.
        distance: int32 [k, n_nodes], remaining cost; `INFINITE` where unreachable.
        next_link: int32 [k, n_nodes], directed link to the next hop; -1 at the destination and
            where unreachable.
        alternate: int32 [k, n_nodes], directed link to a loop-free alternate, -1 where none.
    """

    destinations: NDArray[np.int32]
    distance: NDArray[np.int32]
    next_link: NDArray[np.int32]
    alternate: NDArray[np.int32]


def usable_costs(advertised: NDArray[np.int32]) -> NDArray[np.int32]:
    """Costs [2 * n_links] of the links that both ends advertise; 0 for the others."""
    reverse = advertised[np.arange(len(advertised)) ^ 1]
    return np.where(reverse > 0, advertised, 0)


def agreed_costs(advertised: NDArray[np.int32]) -> NDArray[np.int32]:
    """As `usable_costs`, at the dearer of what both ends say: no end can make a link cheaper."""
    reverse = advertised[np.arange(len(advertised)) ^ 1]
    return np.where((advertised > 0) & (reverse > 0), np.maximum(advertised, reverse), 0)


def forwarding_trees(
    topology: Topology,
    cost: NDArray[np.int32],
    destinations: NDArray[np.int32],
    *,
    alternates: bool = False,
) -> Trees:
    """The trees of `destinations` over links with `cost` > 0 (int32 [2 * n_links])."""
    n = topology.n_nodes
    # All directed links by (source, target), to name the link behind a predecessor.
    order = topology.out_links.links
    live = order[cost[order] > 0]
    source, target = topology.link_source[live], topology.link_target[live]
    keys = source.astype(np.int64) * n + target
    graph = csr_array((cost[live].astype(np.float64), (target, source)), shape=(n, n))
    k = len(destinations)
    distance = np.full((k, n), INFINITE, np.int32)
    next_link = np.full((k, n), -1, np.int32)
    chunk = max(1, _CHUNK_CELLS // max(n, 1))
    for start in range(0, k, chunk):
        rows = slice(start, start + chunk)
        found, previous = dijkstra(graph, indices=destinations[rows], return_predecessors=True)
        reached = np.isfinite(found)
        distance[rows][reached] = found[reached].astype(np.int32)
        row, node = np.nonzero(previous >= 0)
        where = np.searchsorted(keys, node.astype(np.int64) * n + previous[row, node])
        next_link[rows][row, node] = live[where]
        time.sleep(0)  # let the event loop's thread have the interpreter
    alternate = (
        _loop_free_alternates(topology, cost, live, distance, next_link)
        if alternates
        else np.full((k, n), -1, np.int32)
    )
    return Trees(destinations, distance, next_link, alternate)


def _loop_free_alternates(
    topology: Topology,
    cost: NDArray[np.int32],
    live: NDArray[np.int32],
    distance: NDArray[np.int32],
    next_link: NDArray[np.int32],
) -> NDArray[np.int32]:
    """The best neighbour nearer to the destination than the node itself, next hop excluded.

    That is the downstream-path criterion of RFC 5286, section 3.1: stricter than its loop-free
    criterion, and just what the falling potential of forwarding demands.
    """
    alternate = np.full_like(next_link, -1)
    if not len(live):
        return alternate
    source, target = topology.link_source[live], topology.link_target[live]
    starts = np.flatnonzero(np.r_[True, source[1:] != source[:-1]])
    place = np.arange(len(live), dtype=np.int64)
    for row in range(len(distance)):
        at, beyond = distance[row, source], distance[row, target]
        allowed = (beyond < at) & (next_link[row, source] != live)
        via = np.where(allowed, cost[live].astype(np.int64) + beyond, np.int64(INFINITE))
        best = np.minimum.reduceat(via << 31 | place, starts)
        found = best >> 31 < INFINITE
        chosen = live[(best & (1 << 31) - 1)[found]]
        alternate[row, source[starts[found]]] = chosen
    return alternate


def touched(
    topology: Topology,
    trees: Trees,
    old: NDArray[np.int32],
    new: NDArray[np.int32],
    *,
    alternates: bool = False,
) -> NDArray[np.bool_]:
    """Which trees a change of costs from `old` to `new` could alter, bool [k].

    A dearer or lost link touches the trees that use it; a cheaper or new one those in which it
    would shorten a path or, with `alternates`, offer one.
    """
    changed = np.flatnonzero(old != new)
    if not len(changed):
        return np.zeros(len(trees.destinations), bool)
    source, target = topology.link_source[changed], topology.link_target[changed]
    used = trees.next_link[:, source] == changed
    used |= trees.alternate[:, source] == changed
    beyond = trees.distance[:, target].astype(np.int64)
    gained = (new[changed] > 0) & (beyond < INFINITE)
    reach = beyond if alternates else beyond + new[changed]
    hit: NDArray[np.bool_] = (used | gained & (reach < trees.distance[:, source])).any(axis=1)
    return hit
