"""Pairs that are far apart: their hops, their paths, and the busiest node between them."""

from __future__ import annotations

import numpy as np
import pytest

from actors.runtime.errors import InvalidInput
from actors.topology import radio
from actors.topology.model import Topology
from loadtests import far_pairs


def line(n: int) -> Topology:
    return Topology.of([f"n{i}" for i in range(n)], [(i, i + 1) for i in range(n - 1)])


def test_every_far_pair_of_a_line() -> None:
    """On a line of 6 nodes, 12 ordered pairs are at least 3 hops apart."""
    routes = far_pairs.choose(line(6), 3, 1)
    assert len(routes.pairs) == 12
    assert (np.abs(np.diff(routes.pairs, axis=1))[:, 0] == routes.hops).all()
    assert routes.hops.min() == 3
    row = int(np.flatnonzero((routes.pairs == (0, 5)).all(axis=1))[0])
    assert routes.path(row) == [0, 1, 2, 3, 4, 5]


def test_paths_have_as_many_hops_as_said() -> None:
    """The next hops lead from each source to its destination in the hops that were counted."""
    routes = far_pairs.choose(radio.generate(60, 1), 3, 1)
    for row in range(0, len(routes.pairs), 97):
        path = routes.path(row)
        assert (path[0], path[-1]) == tuple(routes.pairs[row].tolist())
        assert len(path) - 1 == routes.hops[row]


def test_the_shortest_way_counts() -> None:
    """Poor links are gone around, yet a pair is only as far apart as its fewest hops."""
    ring = Topology.of(
        "abcde", [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)], [[1, 1]] * 4 + [[0.2, 0.2]]
    )
    routes = far_pairs.choose(ring, 2, 1)
    hops = dict(zip(map(tuple, routes.pairs.tolist()), routes.hops.tolist(), strict=True))
    assert len(hops) == 10  # the two nodes farther away on the ring, of each
    assert hops[0, 3] == hops[3, 0] == 3  # not over the poor link, which has 2
    with pytest.raises(InvalidInput):
        far_pairs.choose(ring, 3, 1)


def test_no_pair_far_enough() -> None:
    """A mesh that is too small says so."""
    with pytest.raises(InvalidInput, match="smaller --min-hops"):
        far_pairs.choose(line(3), 3, 1)


def test_the_busiest_node_separates_nobody() -> None:
    """Of two ways around a ring with a tail, a node on the ring is chosen, not the tail's."""
    links = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (0, 6), (6, 7)]
    topology = Topology.of([f"n{i}" for i in range(8)], links)
    assert far_pairs.busiest(topology, far_pairs.choose(topology, 3, 1)) in {1, 2, 3, 4, 5}


def test_a_line_has_only_cut_nodes() -> None:
    """Where any node on the way separates others, the user is asked to name one."""
    topology = line(6)
    with pytest.raises(InvalidInput, match="--victim"):
        far_pairs.busiest(topology, far_pairs.choose(topology, 3, 1))
