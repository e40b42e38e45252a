"""Delivery past nodes that swallow messages: what is sent again takes another way.

That a node drops what it acknowledged cannot be proven, so delivery does not depend on proof. The
first copy of a message takes the shortest path. Attempt k >= 1 takes path (k - 1) mod p of the
p <= f + 1 node-disjoint paths from its source to its destination by the database of its version
(`actors.topology.disjoint`): where there are f + 1, one of them has no liar, and the message is
delivered with attempt f + 1 at the latest, once databases have settled.

A path is a tree of one branch: its potential is the number of hops left on it, and whoever is not
on it does not forward. All hops compute the same paths from the same database. So the rule of
`router`, by which no message circles, holds as it stands. What it cannot know is a liar that gives
back a message with its stamp erased: `Passage` lets each copy of a message in over a link once
under each version of the database.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from actors.mesh.batch import ATTEMPT_SHIFT
from actors.mesh.router import MeshRouter, SpfJob
from actors.topology import spf
from actors.topology.disjoint import DisjointPaths

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology

Pair = tuple[int, int]  # source and destination

PAIRS_PER_JOB: Final = 32  # some 100 ms of a core in a mesh of 144 nodes
MAX_WANTED: Final = 4096  # pairs that wait for their paths; the others are asked for again
TABLE_BYTES: Final = 64 * 2**20  # memory for paths; when it is full, all are computed anew
_PATHS: Final = 1 << 48  # positions of paths in the tables begin here; those of trees are below
PASSAGES: Final = 1_000_000  # copies remembered at most


@dataclass(frozen=True, slots=True)
class TreesAndPaths(spf.Trees):
    """Trees, and the disjoint paths of some pairs."""

    paths: dict[Pair, list[list[int]]]


@dataclass(frozen=True, slots=True)
class MultipathJob(SpfJob):
    """A computation of trees and of disjoint paths over one snapshot."""

    pairs: tuple[Pair, ...]
    most: int

    def run(self) -> TreesAndPaths:
        """See `SpfJob.run`."""
        trees = SpfJob.run(self)
        found: dict[Pair, list[list[int]]] = {}
        if self.pairs:
            search = DisjointPaths(self.topology, self.new_cost)
            found = {pair: search.between(*pair, self.most) for pair in self.pairs}
        return TreesAndPaths(
            trees.destinations, trees.distance, trees.next_link, trees.alternate, found
        )


class MultipathRouter(MeshRouter):
    """Forwarding tables that hold paths beside trees, over costs that both ends of a link agree on.

    Args:
        topology: numbers nodes and directed links.
        alternates: whether to compute loop-free alternates (flag FAILOVER).
        liars: f, the number of lying nodes to withstand.
    """

    def __init__(self, topology: Topology, *, alternates: bool, liars: int) -> None:
        super().__init__(topology, alternates=alternates, costs=spf.agreed_costs)
        self._most = liars + 1
        n = topology.n_nodes
        self._pairs: dict[Pair, None] = {}  # wanted
        self._room = max(64, TABLE_BYTES // (8 * max(n, 1)))
        self._forget()

    def _forget(self) -> None:
        none = np.empty((0, self._topology.n_nodes), np.int32)
        self._rows: dict[Pair, tuple[int, ...]] = {}  # the rows of a pair's paths
        self._onward = self._left = none

    # -- computation -----------------------------------------------------------------------------

    def want_paths(self, pairs: set[Pair]) -> None:
        """Ask for the disjoint paths of pairs to be computed with the next job."""
        room = MAX_WANTED - len(self._pairs)
        new = [pair for pair in pairs if pair not in self._rows and pair not in self._pairs]
        self._pairs.update(dict.fromkeys(new[: max(0, room)]))

    @property
    def due(self) -> bool:
        """Whether there is anything to compute."""
        return super().due or bool(self._pairs)

    def _snapshot(self) -> SpfJob:
        job = super()._snapshot()
        known = {field.name: getattr(job, field.name) for field in fields(job)}
        pairs = tuple(list(self._pairs)[:PAIRS_PER_JOB])
        return MultipathJob(**known, pairs=pairs, most=self._most)

    def install(self, job: SpfJob, result: spf.Trees) -> None:
        """Make the result of `job` the tables that forwarding reads."""
        if not np.array_equal(job.old_cost, job.new_cost):
            self._forget()  # all paths in use are of one version
        super().install(job, result)
        if not isinstance(result, TreesAndPaths) or not result.paths:
            return
        new = [path for paths in result.paths.values() for path in paths]
        if len(self._onward) + len(new) > self._room:
            self._forget()
        start, shape = len(self._onward), (len(new), self._topology.n_nodes)
        onward, left = np.full(shape, -1, np.int32), np.full(shape, spf.INFINITE, np.int32)
        for row, path in enumerate(new):
            left[row, path] = np.arange(len(path))[::-1]
            onward[row, path[:-1]] = self._links_along(path)
        self._onward = np.concatenate([self._onward, onward])
        self._left = np.concatenate([self._left, left])
        for pair, paths in result.paths.items():
            self._rows[pair] = tuple(range(start, start + len(paths)))
            start += len(paths)
            self._pairs.pop(pair, None)

    def _links_along(self, path: list[int]) -> list[int]:
        indptr, links = self._topology.out_links
        target = self._topology.link_target
        along = []
        for node, after in pairwise(path):
            out = links[indptr[node] : indptr[node + 1]]
            along.append(int(out[np.searchsorted(target[out], after)]))
        return along

    # -- decisions -------------------------------------------------------------------------------

    def _base_of(self, head: NDArray[np.void]) -> NDArray[np.intp]:
        base = super()._base_of(head)
        attempt = head["flags"] >> ATTEMPT_SHIFT
        again = attempt.nonzero()[0]
        if len(again):
            asked = head.take(again)
            base[again] = self._bases_of_paths(
                asked["source"], asked["destination"], attempt[again]
            )
        return base

    def _bases_of_paths(
        self,
        source: NDArray[np.int32],
        destination: NDArray[np.int32],
        attempt: NDArray[Any],
    ) -> NDArray[np.intp]:
        n = self._topology.n_nodes
        key = (source.astype(np.int64) * n + destination) << 8 | attempt
        keys, back = np.unique(key, return_inverse=True)
        bases, missing = [], set()
        for pair_key, number in zip((keys >> 8).tolist(), (keys & 0xFF).tolist(), strict=True):
            pair = divmod(pair_key, n)
            rows = self._rows.get(pair)
            if rows is None:
                missing.add(pair)
                bases.append(-1)
            elif rows:
                bases.append(_PATHS + rows[(number - 1) % len(rows)] * n)
            else:
                bases.append(self._nowhere)
        self.want_paths(missing)
        return np.array(bases, np.intp)[back]

    @property
    def _nowhere(self) -> int:
        """The position of a table in which nobody has a next hop."""
        return _PATHS + len(self._onward) * self._topology.n_nodes

    def links(
        self, base: NDArray[np.intp], at: NDArray[np.intp], *, alternate: bool = False
    ) -> NDArray[np.int32]:
        """Links to the next hops from `at` by the trees or paths that begin at `base`."""
        found = super().links(base, at, alternate=alternate)
        on_path = (base >= _PATHS).nonzero()[0]
        if len(on_path):
            where = base[on_path] + at[on_path] - _PATHS
            found[on_path] = -1 if alternate else _cells(self._onward, where, -1)
        return found

    def distance(self, base: NDArray[np.intp], at: NDArray[np.intp]) -> NDArray[np.int32]:
        """Distances, or hops, left from `at` by the trees or paths that begin at `base`."""
        found = super().distance(base, at)
        on_path = (base >= _PATHS).nonzero()[0]
        if len(on_path):
            where = base[on_path] + at[on_path] - _PATHS
            found[on_path] = _cells(self._left, where, spf.INFINITE)
        return found

    def disjoint(self, source: int, destination: int) -> list[list[int]] | None:
        """The disjoint paths of a pair, at most f + 1; None: not computed yet (it is then)."""
        rows = self._rows.get((source, destination))
        if rows is None:
            self.want_paths({(source, destination)})
            return None
        paths = []
        for row in rows:
            on_path = np.flatnonzero(self._left[row] < spf.INFINITE)
            paths.append(on_path[np.argsort(-self._left[row, on_path])].tolist())
        return paths


def _cells(table: NDArray[np.int32], where: NDArray[np.intp], beyond: int) -> NDArray[np.int32]:
    """Cells of a table; `beyond` for those after its end."""
    found = np.full(len(where), beyond, np.int32)
    inside = where < table.size
    found[inside] = table.ravel().take(where[inside])
    return found


class Passage:
    """Which copies of messages have come in from other hosts under the present database.

    They are told apart by 64 bits that nobody outside can foresee. That two agree by chance costs a
    copy, and its origin sends another.
    """

    def __init__(self) -> None:
        self._version = -1
        self._seen: set[int] = set()
        self._secret = np.uint64(secrets.randbits(64) | 1)

    def admit(
        self, head: NDArray[np.void], link: NDArray[np.int32], version: int
    ) -> NDArray[np.bool_]:
        """Which messages have not come in over their links before."""
        if version != self._version or len(self._seen) > PASSAGES:
            self._version, self._seen = version, set()
        place = link.astype(np.int64) << 8 | head["flags"] >> ATTEMPT_SHIFT
        keys = (head["id"] ^ place.astype(np.uint64) * self._secret).tolist()
        fresh = np.ones(len(keys), bool)
        if len(set(keys)) < len(keys) or not self._seen.isdisjoint(keys):
            for row, key in enumerate(keys):
                fresh[row] = key not in self._seen
                self._seen.add(key)
        else:
            self._seen.update(keys)
        return fresh
