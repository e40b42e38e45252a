"""Every failure of two at once: which two must not fail together.

What counts is what both together cost beyond what each of them does alone: the pairs of nodes that
neither would part, and the nodes that neither would cut off from every gateway. So two that fail
far apart are no pair, however much each of them costs. All pairs of nodes, of links, and of a node
and a link are accounted for, exactly: those of links by classes (`link_pairs`), the others block by
block (`block_graphs`). For the gateways the same is asked of the mesh joined to the internet (see
`internet`), in whose blocks the internet is what everybody wants to reach.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actors.runtime.errors import InvalidInput
from actors.twin import progress
from actors.twin.block_graphs import BlockGraph, block_graphs
from actors.twin.internet import counted
from actors.twin.limits import MAX_PAIRS
from actors.twin.link_pairs import CutClasses, part_of
from actors.twin.ranking import order, rank
from actors.twin.results import DoubleFailures, RankedDouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from actors.topology.forest import Forest
    from actors.twin.intact import Intact
    from actors.twin.internet import Internet


def double_failures(
    intact: Intact, most: int, internet: Internet | None = None, rank_by: str | None = None
) -> DoubleFailures:
    """The costliest `most` double failures of each kind; fewer if fewer cost anything.

    Raises:
        InvalidInput: `most` is not in 1..`limits.MAX_PAIRS`, or what to rank by is not known.
    """
    if not 1 <= most <= MAX_PAIRS:
        raise InvalidInput(f"{most} pairs", "it is too few or too many", f"1 to {MAX_PAIRS}.")
    topology = intact.topology
    ranked_by = rank(internet, rank_by)
    nodes, links, mixed = (_Costliest(most, ranked_by) for _ in range(3))
    _pairs_with_a_node(_searches(intact, internet), topology.n_nodes, nodes, mixed)
    _pairs_of_links(intact, internet, links)
    known = internet is not None
    return DoubleFailures(
        ranked_by=ranked_by,
        nodes=nodes.result(topology.ids.__getitem__, topology.ids.__getitem__, known=known),
        links=links.result(topology.link_name, topology.link_name, known=known),
        nodes_with_links=mixed.result(topology.ids.__getitem__, topology.link_name, known=known),
        node_pairs=nodes.total,
        link_pairs=links.total,
        node_and_link_pairs=mixed.total,
    )


class _Costliest:
    """The costliest pairs so far.

    Attributes:
        total: number of pairs that cost anything.
    """

    def __init__(self, most: int, ranked_by: str) -> None:
        self.total = 0
        self._most = most
        self._ranked_by = ranked_by
        self._ends = np.empty((2, 0), np.int64)
        self._cost = np.empty((4, 0), np.int64)

    def take(self, first: int, second: NDArray[np.int64], cost: NDArray[np.int64]) -> None:
        """Add the pairs of `first` with each of `second`; int64 [4, len(second)] as `costs`."""
        self.total += len(second)
        if len(second) > self._most:
            few = order(cost, self._ranked_by)[: self._most]
            second, cost = second[few], cost[:, few]
        ends = np.stack([np.full(len(second), first), second])
        self._ends = np.concatenate([self._ends, ends], axis=1)
        self._cost = np.concatenate([self._cost, cost], axis=1)
        if self._ends.shape[1] > 4 * self._most + 1000:
            self._keep_best()

    def _keep_best(self) -> None:
        # A stable order: of equals, those taken first stay first.
        best = order(self._cost, self._ranked_by)[: self._most]
        self._ends, self._cost = self._ends[:, best], self._cost[:, best]

    def result(
        self, first: Callable[[int], str], second: Callable[[int], str], *, known: bool
    ) -> list[RankedDouble]:
        """The best of all, with their names."""
        self._keep_best()
        return [
            RankedDouble(
                first(a), second(b), cost[0], counted(np.array(cost[1:])) if known else None
            )
            for (a, b), cost in zip(self._ends.T.tolist(), self._cost.T.tolist(), strict=True)
        ]


# -- a node, and a node or a link ----------------------------------------------------------------


class _Found(NamedTuple):
    """What else must not fail: int64 indices of nodes and links, and rows of costs for them."""

    node: NDArray[np.int64]
    by_node: NDArray[np.int64]
    link: NDArray[np.int64]
    by_link: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """One mesh, taken apart block by block.

    Attributes:
        blocks: its blocks.
        rows: the rows of a cost that it answers: pairs, or those of `Internet.weights`.
        first: number of its first node and first fallible one: 1 where node 0 is the internet.
        can_fail: bool [n_links], links that part somebody by failing alone in a block.
        rooted: whether what counts is being joined to node 0 of the block, which stays.
    """

    blocks: list[BlockGraph]
    rows: slice
    first: int
    can_fail: NDArray[np.bool_]
    rooted: bool

    def members(self) -> Iterable[tuple[int, int, int]]:
        """Every node that may fail: its index, its block, and its number there."""
        for number, block in enumerate(self.blocks):
            for at, node in enumerate((block.node - self.first).tolist()):
                if not (self.rooted and at == 0):
                    yield node, number, at

    def partners(self, number: int, at: int) -> _Found:
        """Everything whose failure costs more together with that of node `at` of this block."""
        block = self.blocks[number]
        split = block.without(at)
        link = block.links_above(split, split.bridge)
        able = self.can_fail[link]
        lower, link = split.bridge[able], link[able]
        if self.rooted:
            by_node, by_link = split.hung(), split.below[:, lower]
            by_node[:, 0] = 0  # without it nobody is left to be cut off by another
        else:
            below = split.below[:, lower]
            by_node, by_link = split.pairs()[None], below * (split.below[:, :1] - below)
        by_node[:, at] = 0
        node = np.flatnonzero(by_node.any(axis=0))
        some = by_link.any(axis=0)
        return _Found(block.node[node] - self.first, by_node[:, node], link[some], by_link[:, some])


def _searches(intact: Intact, internet: Internet | None) -> list[_Search]:
    """The mesh for pairs, and the one joined to the internet for those cut off."""
    topology = intact.topology
    ones = np.ones((1, topology.n_nodes), np.int64)
    blocks = [*block_graphs(topology, intact.forest, intact.blocks, ones)]
    can_fail = topology.parallel == 1
    searches = [_Search(blocks, slice(0, 1), 0, can_fail, rooted=False)]
    if internet is not None:
        weight = np.pad(internet.weights, ((0, 0), (1, 0)))
        weight[:, 1:][:, ~internet.online] = 0
        joined = [*block_graphs(internet.joined, internet.forest, internet.blocks, weight)]
        able = np.append(can_fail, np.zeros(internet.joined.n_links - len(can_fail), np.bool_))
        searches.append(_Search(joined, slice(1, 4), 1, able, rooted=True))
    return searches


def _pairs_with_a_node(
    searches: list[_Search], n_nodes: int, nodes: _Costliest, mixed: _Costliest
) -> None:
    """Take every node with every other node, and with every link."""
    places: dict[int, list[tuple[_Search, int, int]]] = defaultdict(list)
    for search in searches:
        for node, number, at in search.members():
            places[node].append((search, number, at))
    for node in sorted(places):
        progress.step("pairs with a node", node / n_nodes)
        found = [(search, search.partners(number, at)) for search, number, at in places[node]]
        other, cost = _joined([(one.node, search.rows, one.by_node) for search, one in found])
        later = other > node
        nodes.take(node, other[later], cost[:, later])
        mixed.take(node, *_joined([(one.link, search.rows, one.by_link) for search, one in found]))


def _joined(
    parts: list[tuple[NDArray[np.int64], slice, NDArray[np.int64]]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct indices, ascending, and the sums of what each part says of some rows."""
    index = np.unique(np.concatenate([part[0] for part in parts]))
    cost = np.zeros((4, len(index)), np.int64)
    for which, rows, some in parts:
        cost[rows, np.searchsorted(index, which)] += some
    return index, cost


# -- two links -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Cutting:
    """Classes of links of one mesh, and how to tell what two of them cut off."""

    classes: CutClasses
    forest: Forest
    below: NDArray[np.int64]  # [w, n_nodes], by place
    rows: slice
    whole: NDArray[np.int64] | None  # [n_nodes]: size of each place's component, for pairs lost

    def cost(self, one: int, others: NDArray[np.int64]) -> NDArray[np.int64]:
        """What the link of place `one` costs with each of the others, int64 [w, len(others)]."""
        part = part_of(self.forest, self.below, one, others)
        if self.whole is None:
            return part
        places = np.maximum(others, one)  # at least one of two links is in the forest
        return part * (self.whole[places] - part)

    def twins(self) -> NDArray[np.int64]:
        """What the two links of each doubled pair cost together, int64 [w, k]."""
        return self.cost(-1, self.classes.twin_place)


def _pairs_of_links(intact: Intact, internet: Internet | None, links: _Costliest) -> None:
    progress.step("pairs of links")
    topology, forest = intact.topology, intact.forest
    classes = CutClasses.of(topology, forest, intact.blocks, topology.n_links)
    ways = [_Cutting(classes, forest, forest.size[None], slice(0, 1), forest.whole)]
    if internet is not None:
        joined = CutClasses.of(internet.joined, internet.forest, internet.blocks, topology.n_links)
        ways.append(_Cutting(joined, internet.forest, internet.below, slice(1, 4), None))
    twin, cost = _joined([(way.classes.twin, way.rows, way.twins()) for way in ways])
    for number, link in enumerate(twin.tolist()):
        if cost[:, number].any():
            links.take(link, twin[[number]], cost[:, [number]])
    where: dict[int, list[tuple[_Cutting, int, int]]] = defaultdict(list)
    for way in ways:
        for number, members in enumerate(way.classes.members):
            for at, link in enumerate(members.tolist()):
                where[link].append((way, number, at))
    for link in sorted(where):
        parts = []
        for way, number, at in where[link]:
            members, place = way.classes.members[number], way.classes.place[number]
            later = members > link
            parts.append((members[later], way.rows, way.cost(int(place[at]), place[later])))
        other, cost = _joined(parts)
        some = cost.any(axis=0)
        links.take(link, other[some], cost[:, some])
