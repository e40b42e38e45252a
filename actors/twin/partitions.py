"""The components that many failed sets leave, exactly and all at once.

A failed set takes a spanning forest (in preorder, see `actors.topology.forest`) apart into
fragments, each an interval of places without the intervals of those below it. So a row of labels
is painted with one slice a fragment, outer ones first. Links outside the forest join fragments
again: those whose ends have different labels make a graph of fragments, small because random
subtrees are, and the components of that graph are those of the mesh. Many sets are rows of one
array, and the fragments of all rows one graph.

Everything here is exact for any sets, however large. The cost of a set is O(V + E) of plain array
arithmetic, without building a graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from actors.topology.forest import spanning_forest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from actors.topology.forest import Forest
    from actors.topology.model import Topology
    from actors.twin.failure import Failure

CELLS = 160_000  # sets x nodes handled in one go: labels that stay in the processor's cache


class FailedSets(NamedTuple):
    """Many failed sets, as pairs of a row and what has failed in it.

    Attributes:
        n_sets: how many sets; rows are 0..n_sets-1, and a set may be empty.
        node_row, node: int64 [a], failed nodes and their rows, rows ascending.
        link_row, link: int64 [b], failed links and their rows, rows ascending.
    """

    n_sets: int
    node_row: NDArray[np.int64]
    node: NDArray[np.int64]
    link_row: NDArray[np.int64]
    link: NDArray[np.int64]

    @classmethod
    def of(cls, failures: Sequence[Failure]) -> Self:
        """One row for each failure."""
        columns = []
        for part in ([one.nodes for one in failures], [one.links for one in failures]):
            lengths = [len(one) for one in part]
            columns += [
                np.repeat(np.arange(len(failures)), lengths),
                np.concatenate(part) if part else np.empty(0, np.int64),
            ]
        return cls(len(failures), *columns)

    @classmethod
    def masked(cls, nodes: NDArray[np.bool_], links: NDArray[np.bool_]) -> Self:
        """One row for each row of two boolean masks, [n_sets, n_nodes] and [n_sets, n_links]."""
        return cls(len(nodes), *np.nonzero(nodes), *np.nonzero(links))

    def rows(self, start: int, stop: int) -> FailedSets:
        """The sets from row `start` to before `stop`."""
        a, b = np.searchsorted(self.node_row, (start, stop))
        c, d = np.searchsorted(self.link_row, (start, stop))
        return FailedSets(
            min(stop, self.n_sets) - start,
            self.node_row[a:b] - start,
            self.node[a:b],
            self.link_row[c:d] - start,
            self.link[c:d],
        )


class Figures(NamedTuple):
    """What is counted of each failed set; int64 [n_sets] each.

    Attributes:
        pairs_before: pairs of its survivors that the intact mesh connects.
        pairs_after: pairs of its survivors that are still connected.
        components: of its survivors.
        isolated: survivors without a neighbour.
        failed: distinct failed nodes.
    """

    pairs_before: NDArray[np.int64]
    pairs_after: NDArray[np.int64]
    components: NDArray[np.int64]
    isolated: NDArray[np.int64]
    failed: NDArray[np.int64]

    @property
    def pairs_lost(self) -> NDArray[np.int64]:
        """Pairs of survivors that were connected and are no longer, int64 [n_sets]."""
        return self.pairs_before - self.pairs_after

    @classmethod
    def joined(cls, parts: Iterable[Figures]) -> Self:
        """Figures of consecutive rows as one."""
        columns = zip(*parts, strict=True)
        joint = [np.concatenate(column) for column in columns]
        return cls(*joint) if joint else cls(*(np.empty(0, np.int64) for _ in cls._fields))


@dataclass(frozen=True, slots=True, eq=False)
class Partition:
    """Components of some failed sets, a row each.

    Attributes:
        forest: whose places number the columns.
        label: int32 [rows, n_nodes], fragment of each place; the last one is that of the failed.
        component: int32 [fragments], component of each fragment, distinct between rows; the
            component of the failed belongs to no row.
        size: int64 [components], surviving nodes in each; 0 where all of a fragment has failed.
        row: int64 [components], its row.
        failed: int64 [rows], distinct failed nodes.
    """

    forest: Forest
    label: NDArray[np.int32]
    component: NDArray[np.int32]
    size: NDArray[np.int64]
    row: NDArray[np.int64]
    failed: NDArray[np.int64]

    def components_of(self, nodes: NDArray[np.int64]) -> NDArray[np.int32]:
        """Component of each of these nodes in each row, int32 [rows, len(nodes)]; -1 if failed."""
        label = self.label[:, self.forest.place[nodes]]
        alive = label < len(self.component) - 1
        return np.where(alive, self.component[label], np.int32(-1))

    def figures(self) -> Figures:
        """Count each row."""
        rows = len(self.label)
        living = self.size > 0
        size, row = self.size[living], self.row[living]
        # Exact in floats: below 2**53 for any mesh of fewer than 10**8 nodes.
        after = np.bincount(row, size * (size - 1) // 2, rows).astype(np.int64)
        return Figures(
            self._pairs_before(),
            after,
            np.bincount(row, minlength=rows),
            np.bincount(row[size == 1], minlength=rows),
            self.failed,
        )

    def _pairs_before(self) -> NDArray[np.int64]:
        rows = len(self.label)
        starts = np.flatnonzero(self.forest.parent < 0)
        whole = self.forest.size[starts]
        before = np.full(rows, (whole * (whole - 1) // 2).sum())
        row, place = np.nonzero(self.label == len(self.component) - 1)
        key = row.astype(np.int64) * len(self.forest.root) + self.forest.root[place]
        hit, gone = np.unique(key, return_counts=True)
        if len(hit):
            row, root = np.divmod(hit, len(self.forest.root))
            size = self.forest.size[root]
            left = size - gone
            fewer = size * (size - 1) // 2 - left * (left - 1) // 2
            before -= np.bincount(row, fewer, rows).astype(np.int64)
        return before


class Partitioner:
    """Takes a mesh apart, again and again.

    Args:
        topology: the intact mesh.
        forest: a spanning forest of it, made if not given.
    """

    def __init__(self, topology: Topology, forest: Forest | None = None) -> None:
        self.topology = topology
        self.forest = spanning_forest(topology) if forest is None else forest
        self._rows = max(1, CELLS // max(topology.n_nodes, 1))
        place, parent = self.forest.place, self.forest.parent
        ends = np.sort(place[topology.ends], axis=1)
        # Lower end of each link that is in the forest, -1 for the others.
        in_forest = parent[ends[:, 1]] == ends[:, 0] if len(ends) else np.empty(0, np.bool_)
        self._lower = np.where(in_forest, ends[:, 1], np.int32(-1))
        self._other = np.cumsum(~in_forest) - 1  # position among the links outside the forest
        self._first = np.ascontiguousarray(ends[~in_forest, 0])
        self._second = np.ascontiguousarray(ends[~in_forest, 1])
        # Children of each place, in compressed sparse rows: of p, those from ptr[p] to ptr[p + 1].
        self._child = np.argsort(parent, kind="stable")
        self._child_ptr = np.searchsorted(parent[self._child], np.arange(topology.n_nodes + 1))
        self._tree = (np.cumsum(parent < 0) - 1).astype(np.int32)  # number of each place's tree

    def figures(self, sets: FailedSets) -> Figures:
        """Count what each set leaves."""
        return Figures.joined(part.figures() for part in self.parts(sets))

    def parts(self, sets: FailedSets) -> Iterator[Partition]:
        """The sets' partitions, some rows at a time, in order."""
        for start in range(0, sets.n_sets, self._rows):
            yield self._partition(sets.rows(start, start + self._rows))

    def _partition(self, sets: FailedSets) -> Partition:
        n, rows = self.topology.n_nodes, sets.n_sets
        place = self.forest.place[sets.node].astype(np.int64)
        trees = int(self._tree[-1]) + 1 if n else 0
        begin = self._fragments(sets, place)
        fragments = rows * trees + len(begin)
        label = self._tree + (np.arange(rows, dtype=np.int32) * trees)[:, None]
        cells = label.reshape(-1)
        end = begin + self.forest.size[begin % n] if n else begin
        intervals = zip(begin.tolist(), end.tolist(), strict=True)
        for number, (a, b) in enumerate(intervals, start=rows * trees):
            cells[a:b] = number
        cells[sets.node_row * n + place] = fragments
        size = np.bincount(cells, minlength=fragments + 1)
        failed = np.bincount(
            np.unique(sets.node_row * n + place) // n if n else sets.node_row, minlength=rows
        )
        row = np.concatenate(
            [np.repeat(np.arange(rows), trees), begin // max(n, 1), np.zeros(1, np.int64)]
        )
        count, component = self._joined(label, sets, fragments)
        # The last fragment is the failed nodes': it counts nowhere.
        size[-1] = 0
        row_of = np.zeros(count, np.int64)
        row_of[component] = row
        whole = np.bincount(component, size, count).astype(np.int64)
        return Partition(self.forest, label, component, whole, row_of, failed)

    def _fragments(self, sets: FailedSets, place: NDArray[np.int64]) -> NDArray[np.int64]:
        """Cells, row * n_nodes + place, at which fragments begin that are not a tree's top."""
        n = self.topology.n_nodes
        start = self._child_ptr[place]
        count = self._child_ptr[place + 1] - start if n else start
        # The children of all failed nodes, as one array of positions.
        skip = np.repeat(start - (np.cumsum(count) - count), count)
        children = self._child[skip + np.arange(len(skip))]
        lower = self._lower[sets.link]
        cut = lower >= 0
        return np.unique(
            np.concatenate(
                [
                    np.repeat(sets.node_row, count) * n + children,
                    sets.link_row[cut] * n + lower[cut],
                ]
            )
        )

    def _joined(
        self, label: NDArray[np.int32], sets: FailedSets, fragments: int
    ) -> tuple[int, NDArray[np.int32]]:
        """Number of components, and that of each fragment; links outside the forest join them."""
        first = label.take(self._first, axis=1)
        second = label.take(self._second, axis=1)
        outside = self._lower[sets.link] < 0
        gone = sets.link_row[outside], self._other[sets.link[outside]]
        first[gone] = second[gone]
        apart = np.flatnonzero(first != second)
        a, b = first.reshape(-1)[apart], second.reshape(-1)[apart]
        alive = (a < fragments) & (b < fragments)
        graph = csr_array(
            (np.ones(int(alive.sum()), np.int32), (a[alive], b[alive])),
            shape=(fragments + 1, fragments + 1),
        )
        count, component = connected_components(graph, directed=False)
        return int(count), component
