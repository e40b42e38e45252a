"""The connected parts of the network, each known by who is in it.

A part keeps its number for as long as it is mostly the same nodes: of several parts that hold
nodes of one earlier part, the one with the most of them keeps the number; of several parts that
become one, the main part's number wins, then that of the part that gave the most nodes. So islands
that grow and shrink never exchange their numbers, and what is the main part is decided once.

Another part becomes the main one only if nobody of the main part is heard any more, or if more
nodes come at once than the network had.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the network.

    Attributes:
        main: number of the main part; 0: there is none yet.
        latest: highest number that was given.
        of: number of the part of each node that is heard, by id.
    """

    main: int = 0
    latest: int = 0
    of: Mapping[str, int] = field(default_factory=dict)


def regroup(
    before: Parts,
    nodes: Sequence[str],
    links: Iterable[tuple[str, str]],
    labels: Mapping[str, int],
) -> Parts:
    """The parts that nodes and links form now.

    Args:
        before: the parts so far.
        nodes: ids of the nodes that are heard, in a stable order.
        links: pairs of them that a link joins.
        labels: the last part of each node that ever was in one.
    """
    groups = _groups(nodes, links)
    if not groups:
        return Parts(before.main, before.latest, {})
    numbers: list[int] = [0] * len(groups)
    ranked = sorted(
        (number != before.main, -stayed, -count, row, number)
        for row, group in enumerate(groups)
        for number, (stayed, count) in _claims(group, before.of, labels).items()
    )
    given: set[int] = set()
    for *_, row, number in ranked:
        if not numbers[row] and number not in given:
            numbers[row] = number
            given.add(number)
    latest = before.latest
    for row in range(len(groups)):
        if not numbers[row]:
            latest += 1
            numbers[row] = latest
    main = _main(before, groups, numbers, labels)
    of = {name: number for group, number in zip(groups, numbers, strict=True) for name in group}
    return Parts(main, latest, of)


def _claims(
    group: Sequence[str], before: Mapping[str, int], labels: Mapping[str, int]
) -> dict[int, tuple[int, int]]:
    """How many nodes of a group stayed in each part, and how many ever were in it.

    Who comes back never takes the number from those who stayed.
    """
    stayed = Counter(before[name] for name in group if name in before)
    ever = Counter(labels[name] for name in group if name in labels)
    return {number: (stayed[number], count) for number, count in (stayed | ever).items()}


def _groups(nodes: Sequence[str], links: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The connected groups, in the order of their first nodes."""
    index = {name: row for row, name in enumerate(nodes)}
    ends = np.array(
        [(index[a], index[b]) for a, b in links if a in index and b in index], np.int64
    ).reshape(-1, 2)
    n = len(nodes)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n))
    groups: dict[int, list[str]] = {}
    for name, label in zip(nodes, connected_components(graph, directed=False)[1], strict=True):
        groups.setdefault(int(label), []).append(name)
    return list(groups.values())


def _main(
    before: Parts,
    groups: Sequence[Sequence[str]],
    numbers: Sequence[int],
    labels: Mapping[str, int],
) -> int:
    """The number of the main part."""
    if before.main in numbers:
        new = [sum(name not in labels for name in group) for group in groups]
        row = max(range(len(groups)), key=lambda row: (new[row], -row))
        return numbers[row] if new[row] > len(labels) else before.main
    largest = max(range(len(groups)), key=lambda row: (len(groups[row]), -row))
    return numbers[largest]


@dataclass(frozen=True, slots=True)
class Split:
    """One part has become several.

    Attributes:
        part: its number; the first side keeps it.
        sides: ids of the nodes on each side, of those that were in it and are still heard.
    """

    part: int
    sides: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Joining:
    """Several parts have become one.

    Attributes:
        part: its number.
        came: ids of the nodes that were in other parts.
    """

    part: int
    came: tuple[str, ...]


def compare(before: Parts, after: Parts) -> tuple[list[Split], list[Joining]]:
    """What became of the parts, as far as the same nodes are heard before and after."""
    sides: dict[int, dict[int, list[str]]] = {}
    came: dict[int, dict[int, list[str]]] = {}
    for name, number in after.of.items():
        earlier = before.of.get(name)
        if earlier is not None:
            sides.setdefault(earlier, {}).setdefault(number, []).append(name)
            came.setdefault(number, {}).setdefault(earlier, []).append(name)
    splits = [
        Split(
            part,
            tuple(
                tuple(names)
                for number, names in sorted(
                    found.items(), key=lambda one: (one[0] != part, -len(one[1]), one[0])
                )
            ),
        )
        for part, found in sides.items()
        if len(found) > 1
    ]
    joinings = [
        Joining(
            part,
            tuple(name for number, names in found.items() if number != part for name in names),
        )
        for part, found in came.items()
        if len(found) > 1
    ]
    return splits, joinings
