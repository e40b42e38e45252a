"""The components that many failed sets leave, exactly and all at once.

A failed set takes a spanning forest (in preorder, see `actors.topology.forest`) apart into
fragments, each an interval of places without the intervals of those below it. So a column of labels
is painted with one slice a fragment, outer ones first. Links outside the forest join fragments
again: those whose ends have different labels make a graph of fragments, small because random
subtrees are, and the components of that graph are those of the mesh. Many sets are columns of one
array, so that the labels of all sets at a place lie side by side and are fetched at once, and the
fragments of all sets are one graph.

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

CELLS = 320_000  # sets x nodes handled in one go: labels that stay in the processor's cache


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
    """Counts for each failed set; int64 [n_sets] each.

    Attributes:
        pairs_before: pairs of survivors that the intact mesh connects.
        pairs_after: pairs of survivors that are still connected.
        components: number of components of the survivors.
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
class SurvivorComponents:
    """Components of some failed sets.

    Attributes:
        forest: the spanning forest; its places number the nodes.
        label: int16 or int32 [n_nodes, sets], fragment of each place; the last one is that of
            the failed.
        component: int32 [fragments], component of each fragment, distinct between sets; the
            component of the failed belongs to no set.
        size: int64 [components], surviving nodes in each; 0 where all of a fragment has failed.
        row: int64 [components], the set of each component.
        failed_row, failed_place: int64, distinct failed nodes of each set.
    """

    forest: Forest
    label: NDArray[np.int16] | NDArray[np.int32]
    component: NDArray[np.int32]
    size: NDArray[np.int64]
    row: NDArray[np.int64]
    failed_row: NDArray[np.int64]
    failed_place: NDArray[np.int64]

    @property
    def n_sets(self) -> int:
        """How many sets these are."""
        return int(self.label.shape[1])

    def components_of(self, nodes: NDArray[np.int64]) -> NDArray[np.int32]:
        """Component of each of these nodes in each set, int32 [sets, len(nodes)]; -1 if failed."""
        label = self.label[self.forest.place[nodes]].T
        alive = label < len(self.component) - 1
        return np.where(alive, self.component[label], np.int32(-1))

    def apart_from(self, nodes: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Survivors that are connected with none of these nodes: their sets, and they."""
        found = self.components_of(nodes)
        away = np.ones(len(self.size), np.bool_)
        away[found[found >= 0]] = False
        fragment = away[self.component]
        fragment[-1] = False  # the failed
        place, row = np.nonzero(fragment[self.label])
        return row, self.forest.node[place]

    def figures(self) -> Figures:
        """Count each set."""
        rows = self.label.shape[1]
        living = self.size > 0
        size, row = self.size[living], self.row[living]
        # Exact in floats: below 2**53 for any mesh of fewer than 10**8 nodes.
        after = np.bincount(row, size * (size - 1) // 2, rows).astype(np.int64)
        return Figures(
            self._pairs_before(),
            after,
            np.bincount(row, minlength=rows),
            np.bincount(row[size == 1], minlength=rows),
            np.bincount(self.failed_row, minlength=rows),
        )

    def _pairs_before(self) -> NDArray[np.int64]:
        rows = self.label.shape[1]
        starts = np.flatnonzero(self.forest.parent < 0)
        whole = self.forest.size[starts]
        before = np.full(rows, (whole * (whole - 1) // 2).sum())
        key = self.failed_row * len(self.forest.root) + self.forest.root[self.failed_place]
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
        # Links outside the forest by their upper ends, so that labels are fetched in order.
        outside = np.flatnonzero(~in_forest)
        outside = outside[np.lexsort((ends[outside, 1], ends[outside, 0]))]
        self._other = np.full(topology.n_links, -1, np.intp)  # position of each among those
        self._other[outside] = np.arange(len(outside))
        self._first, self._second = ends[outside].T.astype(np.intp)
        # Children of each place, in compressed sparse rows: of p, those from ptr[p] to ptr[p + 1].
        self._child = np.argsort(parent, kind="stable")
        self._child_ptr = np.searchsorted(parent[self._child], np.arange(topology.n_nodes + 1))
        self._tree = (np.cumsum(parent < 0) - 1).astype(np.int32)  # number of each place's tree

    def figures(self, sets: FailedSets) -> Figures:
        """Count what each set leaves."""
        return Figures.joined(part.figures() for part in self.parts(sets))

    def parts(self, sets: FailedSets) -> Iterator[SurvivorComponents]:
        """The sets' partitions, some rows at a time, in order."""
        for start in range(0, sets.n_sets, self._rows):
            yield self._partition(sets.rows(start, start + self._rows))

    def _partition(self, sets: FailedSets) -> SurvivorComponents:
        n, rows = self.topology.n_nodes, sets.n_sets
        # Distinct failed nodes, by place.
        failed = np.unique(sets.node_row * max(n, 1) + self.forest.place[sets.node])
        failed_row, place = np.divmod(failed, max(n, 1))
        trees = int(self._tree[-1]) + 1 if n else 0
        row, begin = self._fragments(sets, failed_row, place)
        fragments = rows * trees + len(begin)
        # Narrow numbers where they do: most of the work is fetching them.
        label: NDArray[np.int16] | NDArray[np.int32]
        label = self._tree[:, None] + np.arange(rows, dtype=np.int32) * np.int32(trees)
        if fragments <= np.iinfo(np.int16).max:
            label = label.astype(np.int16)
        cells = label.reshape(-1)
        # A fragment is every `rows`-th cell from its beginning to its end.
        starts = (begin * rows + row).tolist()
        stops = ((begin + self.forest.size[begin]) * rows).tolist()
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True), rows * trees):
            cells[start:stop:rows] = number
        cells[place * rows + failed_row] = fragments
        size = np.bincount(cells, minlength=fragments + 1)
        size[-1] = 0  # the last fragment is the failed nodes': it counts nowhere
        count, component = self._joined(label, sets, fragments)
        row_of = np.zeros(count, np.int64)
        row_of[component] = np.concatenate([np.repeat(np.arange(rows), trees), row, [0]])
        whole = np.bincount(component, size, count).astype(np.int64)
        return SurvivorComponents(self.forest, label, component, whole, row_of, failed_row, place)

    def _fragments(
        self, sets: FailedSets, failed_row: NDArray[np.int64], place: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sets and places at which fragments begin that are not a tree's top, outer ones first."""
        n = max(self.topology.n_nodes, 1)
        start = self._child_ptr[place]
        count = self._child_ptr[place + 1] - start
        # The children of all failed nodes, as one array of positions.
        skip = np.repeat(start - (np.cumsum(count) - count), count)
        children = self._child[skip + np.arange(len(skip))]
        lower = self._lower[sets.link]
        cut = lower >= 0
        under_node = np.repeat(failed_row, count) * n + children
        under_link = sets.link_row[cut] * n + lower[cut]
        row, begin = np.divmod(np.unique(np.concatenate([under_node, under_link])), n)
        return row, begin

    def _joined(
        self, label: NDArray[np.int16] | NDArray[np.int32], sets: FailedSets, fragments: int
    ) -> tuple[int, NDArray[np.int32]]:
        """Number of components, and that of each fragment; links outside the forest join them."""
        first, second = label.take(self._first, axis=0), label.take(self._second, axis=0)
        outside = self._lower[sets.link] < 0
        gone = self._other[sets.link[outside]], sets.link_row[outside]
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
