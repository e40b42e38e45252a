"""mesh_router: from advertisements to forwarding decisions that cannot loop.

Loop freedom by construction. A message carries (database version, potential), both of the last
hop that forwarded it: the potential is that hop's own distance to the destination. A hop
  - forwards from a strictly smaller distance of its own when it decides by the same version,
  - forwards from any distance when it decides by a strictly newer one,
  - never forwards by an older one: it holds the message until its own database has caught up.
While databases stand still a message therefore leaves no node twice: after the node has stamped
its own distance, the stamps only fall or become of a newer version than the node's, and by both it
refuses the message. That holds whichever of its links a node takes (the next hop or an alternate)
and also between different databases, which may have the same version: it is their sum of stamps.
(That the *own* distance falls is the point. A rule on the next hop's distance lets a node take the
alternate on a second visit when two different databases of one version meet.) While databases
change, a message can turn around only as often as the version rises.

SPF is split so that it never runs on an event loop: `job()` takes a snapshot, `SpfJob.run()` is a
pure function for any thread, `install()` swaps the result in. The trees installed are all of one
version. Destinations get a tree when first asked for; only trees that a change touches are redone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actors.topology import spf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from actors.topology.advertisement import Lsa
    from actors.topology.model import Topology

TABLE_BYTES = 256 * 2**20  # memory for trees; the least recently used make room

# Why a message may not move.
FORWARD, NO_TREE, BEHIND, UPHILL, CUT_OFF = range(5)


class Decision(NamedTuple):
    """One row for each message asked about."""

    link: NDArray[np.int32]  # directed link to the next hop; -1 unless `verdict` is FORWARD
    potential: NDArray[np.int32]  # distance left before that hop; what the message then carries
    verdict: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class SpfJob:
    """A computation of trees over a snapshot; shares nothing that changes while it runs."""

    topology: Topology
    old_cost: NDArray[np.int32]
    new_cost: NDArray[np.int32]
    trees: spf.Trees
    wanted: NDArray[np.int32]  # destinations that have no tree yet
    version: int
    alternates: bool

    def run(self) -> spf.Trees:
        """The trees that differ (or may) from those installed, and the wanted ones."""
        hit = spf.touched(
            self.topology, self.trees, self.old_cost, self.new_cost, alternates=self.alternates
        )
        destinations = np.concatenate([self.trees.destinations[hit], self.wanted])
        return spf.forwarding_trees(
            self.topology, self.new_cost, destinations, alternates=self.alternates
        )


class MeshRouter:
    """Forwarding tables of one database, for all nodes at once.

    Args:
        topology: numbers nodes and directed links.
        alternates: whether to compute loop-free alternates (flag FAILOVER).
        costs: makes the costs of links that count from what all nodes advertise.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        alternates: bool,
        costs: Callable[[NDArray[np.int32]], NDArray[np.int32]] = spf.usable_costs,
    ) -> None:
        self._topology = topology
        self._alternates = alternates
        self._costs = costs
        n = topology.n_nodes
        self._advertised = np.zeros(2 * topology.n_links, np.int32)
        self._cost = np.zeros(2 * topology.n_links, np.int32)  # used by the installed trees
        self.version = 0  # version of the database that the installed trees use
        self._learnt = 0  # version of the database behind `_advertised`
        self._stale = False  # whether something was learnt that changed no version
        self._wanted: dict[int, None] = {}
        self._row_of = np.full(n, -1, np.int32)
        self._capacity = max(64, TABLE_BYTES // (12 * max(n, 1)))
        self._trees = _no_trees(n)
        self._used_at = np.zeros(0)
        self._clock = 0.0

    def start(self, lsas: Iterable[Lsa], version: int, destinations: Iterable[int] = ()) -> None:
        """Learn a whole database and compute trees; heavy, to be run off the event loop."""
        self.learn(lsas, version)
        self.want(destinations)
        job = self.job()
        if job is not None:
            self.install(job, job.run())

    def learn(self, lsas: Iterable[Lsa], version: int) -> None:
        """Take note of advertisements merged, which made the database `version`."""
        indptr, links = self._topology.out_links
        for lsa in lsas:
            out = links[indptr[lsa.origin] : indptr[lsa.origin + 1]]
            self._advertised[out] = 0
            if lsa.neighbours:
                targets = self._topology.link_target[out]
                listed = np.array(lsa.neighbours, np.int32)
                where = np.minimum(np.searchsorted(targets, listed), max(len(out) - 1, 0))
                known = targets[where] == listed if len(out) else np.zeros(len(listed), bool)
                self._advertised[out[where[known]]] = np.array(lsa.costs, np.int32)[known]
        self._stale = self._stale or version == self._learnt
        self._learnt = version

    def want(self, destinations: Iterable[int]) -> None:
        """Ask for trees to be computed with the next job."""
        self._wanted.update((d, None) for d in destinations if self._row_of[d] < 0)

    @property
    def due(self) -> bool:
        """Whether there is anything to compute."""
        return self._stale or self._learnt != self.version or bool(self._wanted)

    def job(self) -> SpfJob | None:
        """The computation that is due, or None. One at a time."""
        return self._snapshot() if self.due else None

    def _snapshot(self) -> SpfJob:
        self._stale = False
        wanted = np.array(list(self._wanted)[: self._capacity], np.int32)
        cost = self._costs(self._advertised)
        return SpfJob(
            self._topology, self._cost, cost, self._trees, wanted, self._learnt, self._alternates
        )

    def install(self, job: SpfJob, result: spf.Trees) -> None:
        """Make the result of `job` the tables that forwarding reads."""
        self._cost, self.version = job.new_cost, job.version
        for destination in job.wanted.tolist():
            self._wanted.pop(destination, None)
        fresh = result.destinations[self._row_of[result.destinations] < 0]
        if len(fresh):
            self._trees = self._with_room_for(len(fresh))
            stop = len(self._used_at)
            self._row_of[fresh] = np.arange(stop - len(fresh), stop, dtype=np.int32)
        rows = self._row_of[result.destinations]
        stay = rows >= 0  # making room may have evicted trees that were computed anew
        rows, trees = rows[stay], self._trees
        trees.destinations[rows] = result.destinations[stay]
        trees.distance[rows] = result.distance[stay]
        trees.next_link[rows] = result.next_link[stay]
        trees.alternate[rows] = result.alternate[stay]

    def _with_room_for(self, fresh: int) -> spf.Trees:
        """Copy of the tables with `fresh` more rows at the end, the least used evicted."""
        keep = np.arange(len(self._used_at))
        surplus = len(keep) + fresh - self._capacity
        if surplus > 0:
            keep = np.sort(np.argsort(self._used_at, kind="stable")[min(surplus, len(keep)) :])
        old, more = self._trees, _no_trees(self._topology.n_nodes, fresh)
        self._row_of[:] = -1
        self._row_of[old.destinations[keep]] = np.arange(len(keep), dtype=np.int32)
        self._used_at = np.concatenate([self._used_at[keep], np.full(fresh, self._clock)])
        return spf.Trees(
            np.concatenate([old.destinations[keep], more.destinations]),
            np.concatenate([old.distance[keep], more.distance]),
            np.concatenate([old.next_link[keep], more.next_link]),
            np.concatenate([old.alternate[keep], more.alternate]),
        )

    def decide(self, head: NDArray[np.void], *, alternate: bool = False) -> Decision:
        """Where each message goes next, by the rule of this module.

        Args:
            head: [n] of dtype `batch.HEAD`; reads at, destination, version and potential.
            alternate: ask for the loop-free alternate instead of the shortest path.
        """
        base = self._base_of(head)
        absent = base < 0
        if absent.all():
            nowhere = np.full(len(base), -1, np.int32)
            return Decision(nowhere, nowhere, np.full(len(base), NO_TREE, np.int8))
        at = head["at"].astype(np.intp)
        link = self.links(base, at, alternate=alternate)
        potential = self.distance(base, at)
        version = head["version"]
        verdict = np.zeros(len(base), np.int8)
        verdict[(version == self.version) & (potential >= head["potential"])] = UPHILL
        verdict[link < 0] = CUT_OFF
        verdict[version > self.version] = BEHIND
        verdict[absent] = NO_TREE
        return Decision(np.where(verdict == FORWARD, link, -1), potential, verdict)

    def first_hop(self, head: NDArray[np.void]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """The same decisions for a batch that is moved on by these tables, several hops at once.

        Returns:
            Where the tree of each message's destination begins in the tables, and the link to its
            next hop, -1 where it may not move. Once it has moved, distances fall by themselves.
        """
        base = self._base_of(head)
        at, version = head["at"].astype(np.intp), head["version"]
        link = self.links(base, at)
        uphill = (version == self.version) & (self.distance(base, at) >= head["potential"])
        link[uphill | (version > self.version) | (base < 0)] = -1
        return base, link

    def _base_of(self, head: NDArray[np.void]) -> NDArray[np.intp]:
        """Where the tree of each message's destination begins in the tables.

        Negative where there is none yet; it is then computed.
        """
        row = self._row_of.take(head["destination"])
        absent = row < 0
        if absent.any():
            self.want(set(head["destination"][absent].tolist()))
        self._clock += 1.0
        self._used_at[row[~absent]] = self._clock
        return row.astype(np.intp) * self._topology.n_nodes

    def links(
        self, base: NDArray[np.intp], at: NDArray[np.intp], *, alternate: bool = False
    ) -> NDArray[np.int32]:
        """Links to the next hops from `at` by the trees that begin at `base`; -1 where none."""
        trees = self._trees
        return _looked_up(trees.alternate if alternate else trees.next_link, base + at)

    def distance(self, base: NDArray[np.intp], at: NDArray[np.intp]) -> NDArray[np.int32]:
        """Distances left from `at` by the trees that begin at `base`."""
        return _looked_up(self._trees.distance, base + at)

    def reachable(
        self, source: NDArray[np.int32], destination: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        """Whether the installed trees connect each pair; True also where no tree exists yet."""
        row = self._row_of[destination]
        self.want(set(destination[row < 0].tolist()))
        if not len(self._trees.destinations):
            return np.ones(len(row), bool)
        found: NDArray[np.bool_] = self._trees.distance[row, source] < spf.INFINITE
        return found | (row < 0)

    def route(self, source: int, destination: int) -> tuple[list[int], int] | None:
        """The nodes from source to destination by the installed trees, and the cost.

        None where there is no tree yet (it is then computed) or no route.
        """
        row = int(self._row_of[destination])
        if row < 0:
            self.want([destination])
            return None
        cost = int(self._trees.distance[row, source])
        if cost == spf.INFINITE:
            return None
        return self._path(row, source), cost

    def paths(self, source: int, destination: int, most: int) -> list[tuple[list[int], int]]:
        """The route and its alternates, each with its cost: at most `most` in all.

        Alternates begin with another neighbour each and do not come back to the source; the best
        comes first. Empty where there is no tree yet (it is then computed) or no route.
        """
        route = self.route(source, destination)
        if route is None:
            return []
        paths = [route]
        if source == destination:
            return paths
        row, target = int(self._row_of[destination]), self._topology.link_target
        next_link, distance = self._trees.next_link[row], self._trees.distance[row]
        indptr, links = self._topology.out_links
        out = links[indptr[source] : indptr[source + 1]]
        out = out[(self._cost[out] > 0) & (distance[target[out]] < spf.INFINITE)]
        # The route's own, and those whose other end would send straight back.
        out = out[(out != next_link[source]) & (next_link[target[out]] != out ^ 1)]
        cost = self._cost[out].astype(np.int64) + distance[target[out]]
        for place in np.argsort(cost, kind="stable").tolist():
            if len(paths) >= most:
                break
            beyond = self._path(row, int(target[out[place]]))
            if source not in beyond:
                paths.append(([source, *beyond], int(cost[place])))
        return paths

    def _path(self, row: int, source: int) -> list[int]:
        """The nodes from `source`, which must be connected, to the root of a tree."""
        target, next_link = self._topology.link_target, self._trees.next_link[row]
        path = [source]
        while (link := next_link[path[-1]]) >= 0:
            path.append(int(target[link]))
        return path

    def next_links(
        self, at: NDArray[np.int32], destination: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """The links from `at` towards `destination`, each [n]; -1 where none (or no tree yet)."""
        row = self._row_of[destination]
        link = np.full(len(row), -1, np.int32)
        known = row >= 0
        link[known] = self._trees.next_link[row[known], at[known]]
        return link

    def next_hops(self, destinations: NDArray[np.int32]) -> NDArray[np.int32]:
        """Next-hop node for [destination, node]; -1 where none (or no tree yet)."""
        row = self._row_of[destinations]
        if not len(self._trees.destinations):
            return np.full((len(row), self._topology.n_nodes), -1, np.int32)
        link = np.where((row < 0)[:, None], np.int32(-1), self._trees.next_link[row])
        hop = np.full(link.shape, -1, np.int32)
        hop[link >= 0] = self._topology.link_target[link[link >= 0]]
        return hop

    @property
    def cost(self) -> NDArray[np.int32]:
        """Cost [2 * n_links] of each directed link by the installed trees; 0: it does not count."""
        return self._cost

    @property
    def destinations(self) -> NDArray[np.int32]:
        """The destinations that have trees."""
        return self._trees.destinations


def _looked_up(table: NDArray[np.int32], key: NDArray[np.intp]) -> NDArray[np.int32]:
    """Cells of a table; -1 for all if it is empty. Keys of absent trees give any cell."""
    if not table.size:
        return np.full(len(key), -1, np.int32)
    return table.ravel().take(key, mode="clip")


def _no_trees(n_nodes: int, rows: int = 0) -> spf.Trees:
    shape = (rows, n_nodes)
    return spf.Trees(
        np.zeros(rows, np.int32),
        np.full(shape, spf.INFINITE, np.int32),
        np.full(shape, -1, np.int32),
        np.full(shape, -1, np.int32),
    )
